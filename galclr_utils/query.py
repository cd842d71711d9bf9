"""Ask SDSS for a sample of galaxies: one query, page by page in redshift, kept as it comes.

SkyServer limits the rows and the time of a query, so the sample comes in slices of redshift. Each
row says how many rows its slice has (``COUNT(*) OVER ()`` counts before the service cuts), so a
slice that came short is known, and is asked for again in two halves; so is one that took too long.
A second call asks only for what is missing.

The service is asked directly (``SkyServerWS/SearchTools/SqlSearch``) and not through astroquery:
`astroquery.sdss.SDSS.query_sql` asks the web page ``x_results.aspx`` instead, which has been seen
to answer large joins with a page of HTML, and turns such a page into a table (astroquery#2684,
astroquery#2706); it does not look at the HTTP status, and keeps bad answers in its cache.

**Not run against the live service.** That it accepts the SQL as it is, in the time it allows, has
not been tried; see `skyserver`.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from pathlib import Path

import numpy as np
import requests
from astropy.table import Table, vstack

from galclr_utils import checks
from galclr_utils.dataset import hash_unit
from galclr_utils.fetch import Pace, polite_session
from galclr_utils.provenance import progress, whole_file
from galclr_utils.skyserver import as_catalog, read_page, sample_sql, told_error

SKYSERVER = "https://skyserver.sdss.org"
NARROWEST_PAGE = 1e-5  # in redshift: a slice that fails here fails for another reason


class _TooMuch(Exception):
    """The service could not answer so much at once."""


def sample(
    folder: str | Path,
    *,
    z_min: float = 0.01,
    z_max: float = 0.15,
    mag_r_max: float = 17.77,
    region: tuple[float, float, float, float] | None = None,
    where: str = "",
    galaxies: int = 0,
    data_release: int = 17,
    page_z: float = 0.005,
    timeout_s: float = 630.0,
    rate_hz: float = 0.5,
    base_url: str = SKYSERVER,
    session: requests.Session | None = None,
) -> Table:
    """Ask SkyServer for the sample, and return it as a catalogue.

    Writes beside the data: ``sample.sql``, ``sample.fits``, and a folder ``pages-...`` with the
    answers as they came, named after the query. Call it again after a fault: it goes on from there.

    Args:
        folder: made if missing.
        z_min, z_max, mag_r_max, region, where: see `sample_sql`.
        galaxies: how many to keep, those with the smallest hash of the id: any number, and the
            fewer are among the more; 0: all that were found.
        data_release: 8 or later: the tables of DR7 have other names.
        page_z: width of a page in redshift; halved where the service cannot answer it at once.
        timeout_s: silence after which an answer is given up (the service's own limit has been
            600 s).
        rate_hz: queries per second (the service has allowed 60 a minute).
        base_url: of SkyServer, or of a mirror.
        session: from `fetch.polite_session`.
    Returns:
        Table as from `skyserver.as_catalog`, sorted by id; ``meta`` holds the data release, the
        hash of the query, how many rows were dropped as repeated (a galaxy may have two rows of
        votes), and how many galaxies were found.
    Raises:
        ValueError: no galaxy, an error told by the service, or an answer in another form.
        ConnectionError: the service cannot be reached.
    """
    folder = Path(folder)
    sql = sample_sql(z_min, z_max, mag_r_max, region, where)
    galaxies = checks.number("galaxies", galaxies, 0, 10**9, integer=True)
    release = checks.number("data_release", data_release, 8, 99, integer=True)
    page_z = checks.number("page_z", page_z, NARROWEST_PAGE, 10)
    digest = hashlib.sha256(f"{release} {sql}".encode()).hexdigest()
    pages = Pages(
        folder / f"pages-{digest[:8]}",
        sql,
        f"{base_url.rstrip('/')}/dr{release}/SkyServerWS/SearchTools/SqlSearch",
        session or polite_session(statuses=(429, 502, 503), read=False),
        checks.number("timeout_s", timeout_s, 0, 1e5, low_open=True),
        Pace(rate_hz),
    )
    with whole_file(folder / "sample.sql") as part:
        part.write_text(sql + "\n")
    z_min, z_max = float(z_min), float(z_max)
    edges = np.linspace(z_min, z_max, 1 + int(np.ceil((z_max - z_min) / page_z - 1e-6)))
    found = []
    for low, high in progress(list(itertools.pairwise(edges.round(7))), "asking SkyServer"):
        found += [page for page in pages.get(low, high) if len(page)]
    if not found:
        raise ValueError(f"{folder}/sample.sql: got no galaxy: is the region within the survey?")
    rows = vstack(found)
    catalog = as_catalog(rows)
    catalog.meta = {"SURVEY": f"SDSS DR{release}", "SQLHASH": digest[:16]}
    catalog.meta["REPEATED"] = len(rows) - len(catalog)
    catalog.meta["FOUND"] = len(catalog)
    catalog = thin(catalog, galaxies)
    with whole_file(folder / "sample.fits") as part:
        catalog.write(part)
    return catalog


def thin(catalog: Table, galaxies: int) -> Table:
    """Return so many galaxies of a catalogue, those with the smallest hash of the id; 0: all.

    >>> thin(Table({"id": ["7", "8", "9"]}), 2)["id"].tolist()
    ['8', '9']
    """
    if not 0 < galaxies < len(catalog):
        return catalog
    first = np.argsort(hash_unit(catalog["id"]), kind="stable")[:galaxies]
    return catalog[np.sort(first)]


class Pages:
    """Fetch the slices of one query, and keep them as they come.

    Args:
        folder: of the answers. sql: from `sample_sql`. url: of the service.
        session, timeout_s, pace: how to ask.
    """

    def __init__(self, folder: Path, sql: str, url: str, session, timeout_s: float, pace: Pace):
        self.folder, self.sql, self.url = folder, sql, url
        self.session, self.timeout_s, self.pace = session, timeout_s, pace

    def get(self, low: float, high: float) -> list[Table]:
        """Return the rows with low <= z < high, in one page or several."""
        path = self.folder / f"{low:.7f}-{high:.7f}.csv"
        halved = path.with_suffix(".halved")
        if path.exists():
            return [read_page(path.read_text())]
        if not halved.exists():
            cut = f"\n  AND s.z >= {low:.7f} AND s.z < {high:.7f}"
            try:
                text = self._ask(" ".join((self.sql + cut).split()))
                page = read_page(text)
                if len(page) and len(page) < int(page["n_rows"][0]):
                    raise _TooMuch(f"{len(page)} of {int(page['n_rows'][0])} rows")
            except _TooMuch as error:
                if high - low < 2 * NARROWEST_PAGE:
                    raise ValueError(
                        f"{self.url}: no whole answer for z from {low:.7f} to {high:.7f}: {error}. "
                        "Try a smaller region, or later"
                    ) from error
                with whole_file(halved) as part:
                    part.write_text(str(error))
            else:
                with whole_file(path) as part:
                    part.write_text(text)
                return [page]
        middle = round((low + high) / 2, 7)
        return self.get(low, middle) + self.get(middle, high)

    def _ask(self, sql: str, tries: int = 3) -> str:
        """Return what the service answers to one query; ask again where a fault may pass."""
        for k in range(tries):
            time.sleep(2**k * self.pace.step if k else 0)
            self.pace.wait()
            try:
                ask = {"cmd": sql, "format": "csv"}
                answer = self.session.get(self.url, params=ask, timeout=self.timeout_s)
            except requests.ReadTimeout as error:
                raise _TooMuch(f"no answer within {self.timeout_s:g} s") from error
            except requests.RequestException as error:
                fault = error
                continue
            answer.encoding = "utf-8"
            told = told_error(answer.text)
            if answer.status_code == 504 or "timeout" in told.lower():
                raise _TooMuch("the service ran out of time")
            if answer.status_code == 200 or told:
                return answer.text
            fault = f"HTTP {answer.status_code} {answer.reason}"
        raise ConnectionError(f"{self.url}: {fault}. Pages that came are kept: try again later")
