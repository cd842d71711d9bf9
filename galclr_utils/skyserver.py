"""Speak with SkyServer: the SQL of a sample of galaxies, and the tables it answers with.

**Not run against the live service.** Tables and columns are those of the published schema
(sciserver/sqlloader, DR8 and later), the formats those of the service's source (SkyServerWS); the
SQL is tested on another database engine.
"""

from __future__ import annotations

import json
import re

import numpy as np
from astropy.table import Table

from galclr_utils import checks
from galclr_utils.catalogs import MISSING_BELOW

IDS = ("objid", "specobjid", "dr7objid")
PHOTOMETRY = "p.ra p.dec s.z p.run p.rerun p.camcol p.field p.petroMag_g p.petroMag_r p.petroMag_i"
PHOTOMETRY += " p.extinction_g p.extinction_r p.extinction_i p.petroR50_r p.petroR90_r"
PHOTOMETRY += " p.fracDeV_r p.deVAB_r p.expAB_r f.psfWidth_r"
ZOO1 = "nvote p_el p_cw p_acw p_edge p_dk p_mg p_cs p_el_debiased p_cs_debiased"  # Lintott 2011
ZOO1 += " spiral elliptical uncertain"
ZOO2_ANSWERS = (  # Willett 2013: the tasks that tell early from late
    "t01_smooth_or_features_a01_smooth",
    "t01_smooth_or_features_a02_features_or_disk",
    "t01_smooth_or_features_a03_star_or_artifact",
    "t02_edgeon_a04_yes",
    "t04_spiral_a08_spiral",
)
ZOO2_KINDS = ("fraction", "weighted_fraction", "debiased")
VOTES = {
    "zoo1": ZOO1.split(),
    "zoo2": ["total_classifications"] + [f"{a}_{k}" for a in ZOO2_ANSWERS for k in ZOO2_KINDS],
}
SELECT = ["p.objID", "s.specObjID", "zoo1.dr7objid", *PHOTOMETRY.split()]
SELECT += [f"{table}.{name}" for table, names in VOTES.items() for name in names]
COLUMNS = [name.split(".")[1].lower() for name in SELECT]
FROM = """FROM SpecObj AS s
JOIN PhotoPrimary AS p ON p.objID = s.bestObjID
JOIN Field AS f ON f.fieldID = p.fieldID
LEFT JOIN zooSpec AS zoo1 ON zoo1.objid = p.objID
LEFT JOIN zoo2MainSpecz AS zoo2 ON zoo2.dr8objid = p.objID"""
NOTHING = "No objects have been found"  # what the oldest releases say instead of a header
STOUGHTON, SCHLAFLY = 2.751, 2.285  # A_r / E(B-V): Stoughton+ 2002; Schlafly & Finkbeiner 2011


def sample_sql(
    z_min: float = 0.01,
    z_max: float = 0.15,
    mag_r_max: float = 17.77,
    region: tuple[float, float, float, float] | None = None,
    where: str = "",
) -> str:
    """Return the SQL of the sample: clean galaxies with a good redshift, and their votes.

    The magnitude limit is that of the main galaxy sample (Strauss et al. 2002): Petrosian r,
    corrected for Galactic extinction. ``SpecObj`` and ``PhotoPrimary`` hold each object once.

    Args:
        z_min, z_max: redshift, both ends excluded.
        mag_r_max: faint limit.
        region: (ra from, ra to, dec from, dec to) in degrees; ra may run through 0.
        where: one more condition in SQL, on s (SpecObj), p (PhotoPrimary), f (Field), zoo1, zoo2.

    >>> print(sample_sql(region=(350, 10, -1, 1)).splitlines()[-2])
      AND (p.ra >= 350.000000 OR p.ra < 10.000000) AND p.dec >= -1.000000 AND p.dec < 1.000000
    """
    z_min = checks.number("z_min", z_min, -1, 10)
    z_max = checks.number("z_max", z_max, z_min, 10, low_open=True)
    mag_r_max = checks.number("mag_r_max", mag_r_max, 0, 40)
    cuts = [
        "s.class = 'GALAXY' AND s.zWarning = 0",
        "p.type = 3 AND p.clean = 1",
        f"p.petroMag_r > 0 AND p.petroMag_r - p.extinction_r < {mag_r_max:.6f}",
    ]
    if region is not None:
        if len(region := checks.numbers("region", region, -90, 360)) != 4:
            raise ValueError(f"region: got {region}, expected (ra from, ra to, dec from, dec to)")
        ra, ra_to, dec, dec_to = region
        word = "AND" if ra <= ra_to else "OR"
        cuts.append(
            f"(p.ra >= {ra:.6f} {word} p.ra < {ra_to:.6f}) "
            f"AND p.dec >= {dec:.6f} AND p.dec < {dec_to:.6f}"
        )
    cuts += [f"({where})"] * bool(where)
    cuts.append(f"s.z > {z_min:.7f} AND s.z < {z_max:.7f}")
    columns = ",\n  ".join([*SELECT, "COUNT(*) OVER () AS n_rows"])
    return f"SELECT\n  {columns}\n{FROM}\nWHERE " + "\n  AND ".join(cuts)


def told_error(text: str) -> str:
    """Return the error that SkyServer tells in an answer, "" if it tells none.

    It comes as JSON, or with status 200 as a table of one column.

    >>> told_error('{"ErrorCode": 500, "ErrorMessage": "Invalid object name zoo."}')
    'Invalid object name zoo.'
    >>> told_error("#Table1\\nerror_message\\nerror: limit is top 500000\\n")
    'error: limit is top 500000'
    """
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if lines[:1] == ["error_message"]:
        return " ".join(lines[1:])
    try:
        told = json.loads(text) if text.lstrip().startswith("{") else {}
    except ValueError:
        return ""
    return str(told.get("ErrorMessage", ""))


def read_page(text: str) -> Table:
    """Return SkyServer's CSV (a line ``#Table1``, a header, rows) as a Table.

    Returns:
        Table with `COLUMNS` and ``n_rows``: ids as str, all else as float64, NaN where empty.
    Raises:
        ValueError: an error of the service, a page of HTML, or other columns.
    """
    if told := told_error(text):
        raise ValueError(f"SkyServer answers with an error: {told}")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if text.lstrip().startswith("<") or not lines:
        words = " ".join(re.sub("<[^>]*>", " ", text).split())
        raise ValueError(f"SkyServer: expected a table, got a page: {words[:200] or 'empty'}")
    expected = [*COLUMNS, "n_rows"]
    if lines[0].startswith(NOTHING):
        lines = [",".join(expected)]
    names = [name.strip().lower() for name in lines[0].split(",")]
    if sorted(names) != sorted(expected):
        wrong = sorted(set(names) ^ set(expected))
        raise ValueError(f"SkyServer: got other columns than were asked for: {', '.join(wrong)}")
    kinds = {name: str if name in IDS else float for name in names}
    if len(lines) == 1:
        return Table(names=expected, dtype=[kinds[name] for name in expected])
    try:
        table = Table.read(
            [",".join(names), *lines[1:]],
            format="ascii.csv",
            guess=False,
            converters=kinds,
            fill_values=[(word, "nan") for word in ("", "null", "NULL")],
            fill_exclude_names=IDS,
        ).filled(np.nan)
        table = Table([table[name].astype(kinds[name]) for name in expected])
    except Exception as error:  # the reader has many
        raise ValueError(f"SkyServer: got a broken table: {error}") from error
    if not (table["n_rows"] == table["n_rows"][0]).all():  # the reader fills a short row up
        raise ValueError(f"SkyServer: got a broken table: its last row is {lines[-1][:80]!r}")
    return table


def as_catalog(rows: Table) -> Table:
    """Return SkyServer's rows under the names of the catalogue, each galaxy once, sorted by id.

    Magnitudes and colours are Petrosian and corrected for Galactic extinction. Seeing is the
    effective width of the field's PSF in r. The axis ratio is that of the fit, de Vaucouleurs or
    exponential, which takes more of the light. E(B-V) is that of the maps of Schlegel et al.
    (1998): the ratio of two extinctions tells which coefficients the data release used.

    Args:
        rows: from `read_page`.
    Returns:
        id, ra, dec (deg), z, mag_r, r50 (arcsec), g_r, r_i, concentration, psf_fwhm (arcsec), ebv,
        axis_ratio; then run, rerun, camcol, field; specobjid and, of galaxies in Galaxy Zoo 1,
        dr7objid (str); and the votes of Galaxy Zoo 1 and 2 under their published names, NaN
        without (debiased as in Willett et al. 2013, which Hart et al. 2016 replaced). There is no
        label: a rule on votes gives one.
    """
    rows = rows[np.unique(np.asarray(rows["objid"]), return_index=True)[1]]
    numbers = {name: np.array(rows[name], float) for name in COLUMNS if name not in IDS}
    for values in numbers.values():
        values[values < MISSING_BELOW] = np.nan  # -9999: not measured
    mag = {band: numbers[f"petromag_{band}"] - numbers[f"extinction_{band}"] for band in "gri"}
    with np.errstate(divide="ignore", invalid="ignore"):
        concentration = numbers["petror90_r"] / numbers["petror50_r"]
        ratio = numbers["extinction_g"] / numbers["extinction_r"]  # 3.793/2.751 or 3.303/2.285
    catalog = {name: numbers[name] for name in ("ra", "dec", "z")}
    catalog |= {"mag_r": mag["r"], "r50": numbers["petror50_r"]}
    catalog |= {"g_r": mag["g"] - mag["r"], "r_i": mag["r"] - mag["i"]}
    catalog |= {"concentration": concentration, "psf_fwhm": numbers["psfwidth_r"]}
    catalog["ebv"] = numbers["extinction_r"] / np.where(ratio < 1.41, STOUGHTON, SCHLAFLY)
    bulge = numbers["fracdev_r"] > 0.5
    catalog["axis_ratio"] = np.where(bulge, numbers["devab_r"], numbers["expab_r"])
    catalog |= {name: numbers[name].astype(int) for name in ("run", "rerun", "camcol", "field")}
    catalog |= {name: np.asarray(rows[name], str) for name in ("specobjid", "dr7objid")}
    catalog |= {name: numbers[name] for names in VOTES.values() for name in names}
    return Table({"id": np.asarray(rows["objid"], str)} | catalog)
