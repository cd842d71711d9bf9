"""Fetch published label catalogues from VizieR, through astroquery.

VizieR is the library of catalogues of the CDS in Strasbourg. One table of it is asked for whole,
and written as a FITS file with the columns as VizieR calls them, which `labels.read_labels` opens.

A table's name and columns are looked up, not assumed: a first request asks for one row of every
table of the catalogue, and the one with the columns of the layout is taken. So a name that is not
as we believe stops the second, long request, and the message says which columns there are.

**Not run against the live service.** The requests are those of astroquery; they are tested against
a server on the same machine that answers in VizieR's format. Of what is asked for, these things
are known from public code that has done it: catalogue, table and columns of ``gz1_flags`` and
``na10``; that VizieR has ``hc11`` with a column ``pE/S0``, ``ds18`` with ``TType`` and ``PS0``,
and ``efigi``, of which the columns are unknown to us. We found no trace there of Galaxy Zoo 2 as
debiased by Hart et al. (2016), nor of Galaxy Zoo DECaLS: take these from data.galaxyzoo.org.

Whoever publishes with it acknowledges the VizieR catalogue access tool, CDS, Strasbourg (described
in A&AS 143, 23) beside the catalogue.
"""

# N galaxies

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import requests
from astropy.io import votable
from astropy.table import Table

from galclr_utils import checks
from galclr_utils.dataset import plain_table
from galclr_utils.layouts import LAYOUTS, recognise
from galclr_utils.provenance import whole_file

VIZIER = "https://vizier.cds.unistra.fr"
POSITION = ("_RAJ2000", "_DEJ2000")  # computed by VizieR, in degrees
NOTE = re.compile(rb'<INFO[^>]*name="(QUERY_STATUS|Errors?|Warning)"[^>]*value="([^"]*)"')


class Published(NamedTuple):
    """Say where a catalogue lies in VizieR, what is asked for, and how many rows it should have.

    Attributes:
        catalogue: its name. columns: to ask for; ``**`` is all of them.
        rows: as its authors tell, to notice an answer that came short.
    """

    catalogue: str
    columns: tuple[str, ...]
    rows: int


CATALOGUES = {
    "gz1_flags": Published("J/MNRAS/410/166", ("objID", "N", "fE", "fS", "fU"), 667_944),
    "na10": Published("J/ApJS/186/427", ("**",), 14_034),
    "hc11": Published("J/A+A/525/A157", ("**",), 698_420),
    "ds18": Published("J/MNRAS/476/3661", ("**",), 670_722),
    "efigi": Published("J/A+A/532/A74", ("**",), 4_458),
}


def fetch_catalogue(
    layout: str,
    folder: str | Path,
    *,
    server: str = VIZIER,
    timeout_s: float = 600.0,
    least_share: float = 0.95,
) -> Path:
    """Fetch a published catalogue, all rows of it, whole or not at all.

    A file that is there is kept, and nothing is asked for.

    Args:
        layout: a name in `CATALOGUES`.
        folder: where ``LAYOUT.fits`` goes; made if missing.
        server: VizieR, or one of its mirrors, such as https://vizier.cfa.harvard.edu.
        timeout_s: how long the server may be silent; large tables take it minutes to prepare.
        least_share: share of the published rows that must come.
    Returns:
        the file. Its header tells LAYOUT, CATALOG, VTABLE (the table), SERVER, DATE, ROWS.
    Raises:
        ValueError: not in VizieR, no table with these columns, too few rows, no VOTable.
        ConnectionError: no answer, or an answer that says no.
    """
    layout = checks.choice("layout", layout, tuple(CATALOGUES))
    least_share = checks.number("least_share", least_share, 0, 1)
    timeout_s = checks.number("timeout_s", timeout_s, 0, 1e5, low_open=True)
    path, wanted = Path(folder) / f"{layout}.fits", CATALOGUES[layout]
    if path.exists():
        return path
    server = server.rstrip("/")
    name = _table_of(layout, _ask(server, wanted.catalogue, wanted.columns, 1, timeout_s))
    found = _ask(server, name, wanted.columns, -1, timeout_s)
    if name not in found:
        raise ValueError(f"{server}: asked for {name}, got {_told(found)}")
    table = found[name]
    if len(table) < least_share * wanted.rows:
        raise ValueError(
            f"{server}: {name} came with {len(table)} rows, expected about {wanted.rows}: try "
            "again, or, if the catalogue has changed, give a smaller least_share"
        )
    plain = plain_table(table)
    for column in table.colnames:
        with contextlib.suppress(ValueError, AttributeError):  # a unit that FITS has no word for
            plain[column].unit = table[column].unit.to_string("fits")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    plain.meta = {"LAYOUT": layout, "CATALOG": wanted.catalogue, "VTABLE": name}
    plain.meta |= {"SERVER": server, "DATE": now, "ROWS": len(plain)}
    with whole_file(path) as part:
        plain.write(part, format="fits")
    return path


def _ask(server: str, source: str, columns: tuple, rows: int, timeout_s: float) -> dict[str, Table]:
    """Return the tables of a catalogue, or one of them, by name; rows -1: all."""
    from astroquery import cache_conf
    from astroquery.exceptions import TimeoutError as SlowError
    from astroquery.vizier import VizierClass

    vizier = VizierClass(columns=[*columns, *POSITION], row_limit=rows, timeout=timeout_s)
    vizier._server_to_url = lambda return_type="votable": f"{server}/viz-bin/{return_type}"
    try:
        with cache_conf.set_temp("cache_active", False):  # it would keep bad answers, too
            answer = vizier.get_catalogs_async(source)
    except (requests.RequestException, SlowError, OSError) as error:
        raise ConnectionError(
            f"{server}: no answer for {source}: {error}. Is there a network? If so, try a mirror: "
            "server='https://vizier.cfa.harvard.edu'"
        ) from error
    if answer.status_code != 200:
        raise ConnectionError(
            f"{server}: asked for {source}, got HTTP {answer.status_code} {answer.reason}: try "
            "later, or a mirror"
        )
    return _read(answer.content, f"{server}: asked for {source}", whole=rows < 0)


def _read(content: bytes, where: str, whole: bool) -> dict[str, Table]:
    """Return the tables of a VOTable by name, those without rows left out."""
    if not content.lstrip()[:5] == b"<?xml" or b"<VOTABLE" not in content[:2000]:
        words = " ".join(re.sub(rb"<[^>]*>", b" ", content[:4000]).decode(errors="replace").split())
        raise ValueError(f"{where}, expected a VOTable, got: {words[:200] or 'nothing'}")
    for name, value in NOTE.findall(content[:20_000] + content[-20_000:]):
        short = value == b"OVERFLOW" or value.startswith(b"truncated")
        if (short and whole) or not (short or name == b"Warning" or value == b"OK"):
            told = f"{name.decode()}: {value.decode(errors='replace')}"
            raise ValueError(f"{where}, expected all rows, got {told}")
    try:
        parsed = votable.parse(BytesIO(content), verify="ignore", invalid="mask")
        tables = [each for each in parsed.iter_tables() if len(each.array)]
        return {str(each.name): each.to_table(use_names_over_ids=True) for each in tables}
    except Exception as error:  # the reader has many
        raise ValueError(f"{where}, got a broken VOTable: {error}") from error


def _table_of(layout: str, tables: dict[str, Table]) -> str:
    """Return the name of the table that has the columns of a layout."""
    wanted, fitting, told = CATALOGUES[layout], [], []
    for name, table in tables.items():
        try:
            recognise(name, table.colnames, layout, LAYOUTS[layout].rule)
            fitting.append(name)
        except ValueError as error:
            told.append(str(error))
    if len(fitting) != 1:
        why = f"{' and '.join(fitting)} fit" if fitting else "; ".join(told) or "no table has rows"
        raise ValueError(
            f"{wanted.catalogue}: expected one table with the columns of layout {layout!r}: {why}"
        )
    return fitting[0]


def _told(tables: dict[str, Table]) -> str:
    return ", ".join(f"{name} ({len(table)} rows)" for name, table in tables.items()) or "no rows"
