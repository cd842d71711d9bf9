"""Join labels to a catalogue, one galaxy to one entry: by id, or by position on the sky.

Ids are safe only where both sides use the same kind: an SDSS objID of data release 7 (587...) is
not the objID of the same galaxy in release 8 or later (1237...), and IAU names are rounded in more
than one way. Positions are always the same kind; then the radius matters, and is stated.
"""

# N galaxies of the catalogue, M entries with labels

from __future__ import annotations

import re

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord, match_coordinates_sky, search_around_sky
from astropy.table import Table

from galclr_utils.catalogs import as_ids
from galclr_utils.checks import choice, number

KINDS = {
    "SDSS objID of data release 7 or before": r"58[78]\d{15}",
    "SDSS objID of data release 8 or later": r"1237\d{15}",
    "IAU name": r"(SDSS ?)?J\d{6}(\.\d+)?[+-]\d{6}(\.\d+)?",
    "PGC number": r"PGC ?\d+",
}


def join(catalog: Table, labels: Table, radius_arcsec: float = 2.0, by: str = "auto") -> Table:
    """Return the catalogue with the labels of `labels.read_labels`, one galaxy to one entry.

    By position a galaxy and an entry belong together if each is the other's nearest and they are
    at most ``radius_arcsec`` apart. Where more than one candidate lies within the radius the match
    is counted as ambiguous: a smaller radius, or a look at them, tells.

    Args:
        catalog: N galaxies with ``id``, or with ``ra`` and ``dec`` in degrees (J2000).
        labels: M entries: ``id``, ``label``, and perhaps ``ra``, ``dec``, ``ttype``, ``votes``.
        radius_arcsec: how far apart the two positions may be, (0, 3600]. The default is our choice:
            wide enough for two centres of one large galaxy.
        by: ``"id"``, ``"sky"``, or ``"auto"``: by id where both have ids of one kind (see `KINDS`)
            and some in common, else by position.
    Returns:
        the N rows in their order, with ``label`` (-1 without an entry; a label that the catalogue
        had is replaced), ``ttype`` and ``votes`` where the labels have any, ``label_id`` and
        ``separation_arcsec`` (NaN by id). ``meta["join"]`` counts: matched, ambiguous,
        without_entry, unused.
    Raises:
        ValueError: nothing to match by, or no match at all; with the nearest pair, or the ids.

    >>> catalog = Table({"id": ["a", "b"], "ra": [359.9999, 10.0], "dec": [0.0, 5.0]})
    >>> labels = Table({"id": ["x"], "ra": [0.0001], "dec": [0.0], "label": np.int8([1])})
    >>> joined = join(catalog, labels)
    >>> joined["label"].tolist(), joined["separation_arcsec"].round(2).tolist()
    ([1, -1], [0.72, nan])
    """
    radius = number("radius_arcsec", radius_arcsec, 0, 3600, low_open=True)
    choice("by", by, ("auto", "id", "sky"))
    apart, ambiguous = None, 0
    ids = _ids(catalog, "catalog"), _ids(labels, "labels")
    kinds = [id_kind(some) for some in ids]
    same = kinds[0] and kinds[0] == kinds[1]
    if by == "id" or (by == "auto" and same and np.isin(*ids).any()):
        by = "id"
        _, row, entry = np.intersect1d(*ids, assume_unique=True, return_indices=True)
        if not len(row):
            first = [f"{s[0]} ({kind})" for s, kind in zip(ids, kinds, strict=True) if len(s)]
            raise ValueError(
                f"no id in common: got {' and '.join(first) or 'none'}, expected ids of one kind "
                "in both: join by='sky'"
            )
    else:
        by = "sky"
        row, entry, apart, ambiguous = _match_sky(catalog, labels, radius)
    joined, n = catalog.copy(), len(catalog)
    columns = {"label": np.int8(-1), "ttype": np.float32(np.nan), "votes": np.int32(-1)}
    for name, nothing in columns.items():
        if name == "label" or (name in labels.colnames and _any_known(labels[name])):
            joined[name] = np.full(n, nothing)
            joined[name][row] = labels[name][entry]
    joined["label_id"] = np.full(n, "", ids[1].dtype)
    joined["label_id"][row] = ids[1][entry]
    joined["separation_arcsec"] = np.full(n, np.nan)
    joined["separation_arcsec"][row] = np.nan if apart is None else apart
    joined.meta["join"] = {
        "by": by,
        "radius_arcsec": radius if by == "sky" else None,
        "matched": len(row),
        "ambiguous": ambiguous,
        "without_entry": n - len(row),
        "unused": len(labels) - len(row),
    }
    return joined


def id_kind(ids) -> str:
    """Return what kind of identifier these are, or "" if of none known or of more than one.

    >>> id_kind(["587722952767439450", "588011216726261929"])
    'SDSS objID of data release 7 or before'
    """
    fits = [kind for kind, form in KINDS.items() if all(re.fullmatch(form, name) for name in ids)]
    return fits[0] if len(ids) and fits else ""


def _ids(table: Table, where: str) -> np.ndarray:
    """Return the ids as str, an empty array where there are none."""
    if "id" not in table.colnames:
        return np.array([], dtype=str)
    return as_ids(table["id"], f"{where}: column 'id'")


def _any_known(values) -> bool:
    values = np.asarray(values)
    return bool((np.isfinite(values) & ((values >= 0) | (values.dtype.kind == "f"))).any())


def _match_sky(catalog: Table, labels: Table, radius: float) -> tuple:
    """Return (rows, entries, arcsec apart, number of ambiguous) of mutual nearest neighbours."""
    rows, places = _positions(catalog, "catalog")
    entries, known = _positions(labels, "labels")
    nearest, apart, _ = match_coordinates_sky(places, known)
    back, _, _ = match_coordinates_sky(known, places)
    apart = apart.arcsec
    good = (back[nearest] == np.arange(len(places))) & (apart <= radius)
    if not good.any():
        k = int(np.argmin(apart))
        raise ValueError(
            f"no galaxy has an entry within {radius} arcsec: the nearest pair, row {rows[k] + 1} "
            f"and entry {entries[nearest[k]] + 1}, is {apart[k]:.3g} arcsec apart. Do both lie in "
            "one part of the sky, with ra and dec in degrees (J2000)?"
        )
    a, b, _, _ = search_around_sky(places, known, radius * units.arcsec)
    crowd = np.bincount(a, minlength=len(places)), np.bincount(b, minlength=len(known))
    ambiguous = int(((crowd[0] > 1) | (crowd[1][nearest] > 1))[good].sum())
    return rows[good], entries[nearest[good]], apart[good], ambiguous


def _positions(table: Table, where: str) -> tuple[np.ndarray, SkyCoord]:
    """Return the rows whose position is known, and these positions."""
    if not {"ra", "dec"} <= set(table.colnames):
        raise ValueError(f"{where}: got columns {', '.join(table.colnames)}, expected ra and dec")
    ra, dec = (np.asarray(table[name], dtype=np.float64) for name in ("ra", "dec"))
    rows = np.flatnonzero(np.isfinite(ra + dec))
    if not len(rows):
        raise ValueError(f"{where}: no galaxy has a position: give ra and dec, or join by='id'")
    if (np.abs(dec[rows]) > 90).any() or (np.abs(ra[rows]) > 360).any():
        raise ValueError(f"{where}: ra or dec is beyond the sky, expected degrees")
    return rows, SkyCoord(ra[rows], dec[rows], unit="deg")
