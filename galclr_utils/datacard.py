"""Tell what a data set holds: counts, cuts, labels, flags, and the biases that can be measured.

Everything is made from the catalogue and the card of a run; what these do not know is said to be
missing. `cardplots` draws it, `credits` says whom to thank.
"""

# N galaxies

from __future__ import annotations

from collections import Counter

import numpy as np
from astropy.table import Table

from galclr_utils.dataset import SPLITS
from galclr_utils.plates import TYPES

QUANTITIES = {
    "position": ("ra", "dec"),
    "redshift": ("z",),
    "r magnitude": ("mag_r",),
    "half-light radius": ("r50",),
    "colours": ("g_r", "r_i"),
    "concentration": ("concentration",),
    "T-type": ("ttype",),
    "seeing": ("psf_fwhm",),
}
FLAGS = {  # of a stamp, as `stamping` gives them
    "edge_px": "distance from the edge of the frame [pixels]",
    "blank_fraction": "share of the stamp without data",
    "masked_fraction": "share of the stamp masked",
    "saturated_fraction": "share of the stamp saturated",
}
ENOUGH = 20  # galaxies on each side of a comparison


def values(catalog: Table, name: str) -> np.ndarray:
    """Return a column as float64 (N,), all NaN where there is no such column.

    >>> values(Table({"z": [0.1]}), "mag_r").tolist()
    [nan]
    """
    if name not in catalog.colnames or catalog[name].dtype.kind not in "iufb":
        return np.full(len(catalog), np.nan)
    return np.asarray(catalog[name], dtype=float)


def known(catalog: Table) -> Table:
    """Count for how many galaxies each quantity is known.

    Returns:
        Table what, galaxies, share; a quantity that nobody measured has 0.

    >>> known(Table({"ra": [1.0, 2.0], "dec": [0.0, np.nan]}))["galaxies"][:2].tolist()
    [1, 0]
    """
    rows = []
    for what, names in QUANTITIES.items():
        n = int(np.isfinite([values(catalog, name) for name in names]).all(axis=0).sum())
        rows.append({"what": what, "galaxies": n, "share": n / max(len(catalog), 1)})
    return Table(rows)


def balance(catalog: Table) -> Table:
    """Count the types by split.

    Returns:
        Table split, galaxies, early, late, unknown, late_share (of those with a label; NaN without
        any); its last row is the whole set.

    >>> catalog = Table({"split": ["train", "train", "test"], "label": [0, 1, -1]})
    >>> balance(catalog)["split", "late", "unknown"].as_array().tolist()
    [('train', 1, 0), ('val', 0, 0), ('test', 0, 1), ('together', 1, 1)]
    """
    split, label = np.asarray(catalog["split"], str), np.asarray(catalog["label"])
    rows = []
    for name in (*SPLITS, "together"):
        own = label[split == name] if name in SPLITS else label
        n = {kind: int((own == value).sum()) for kind, value in {**TYPES, "unknown": -1}.items()}
        labelled = n["early"] + n["late"]
        share = n["late"] / labelled if labelled else np.nan
        rows.append({"split": name, "galaxies": len(own), **n, "late_share": share})
    return Table(rows)


def cuts(card: dict) -> Table:
    """Lay out what was dropped on the way from the source to the set.

    Returns:
        Table step, dropped, left: galaxies.

    >>> dropped = {"same id": 2, "same position": 0}
    >>> card = {"counts": {"galaxies": 7}, "cuts": {"read": 10, "duplicates": dropped}}
    >>> cuts(card).as_array().tolist()
    [('read', 0, 10), ('same id', 2, 8), ('same position', 0, 8), ('in the set', 0, 7)]
    """
    rows, told = [], card.get("cuts", {})
    for facts in card.get("facts", []):
        if left := facts.get("sample"):
            rows.append(("in the sample", 0, left))
            for why, n in facts.get("left_out", {}).items():
                left -= n
                rows.append((f"no stamp: {why}", n, left))
    left, more = told.get("read", 0), told.get("read_unlabelled", 0)  # read counts these, too
    rows.append(("read", 0, left - more))
    if more:
        rows.append(("read without labels, for pretraining", 0, left))
    drops = dict(told.get("duplicates", {}))
    if beyond := told.get("beyond_n_galaxies", 0):
        drops["more training galaxies than were asked for"] = beyond
    for why, n in drops.items():
        left -= n
        rows.append((why, n, left))
    rows.append(("in the set", 0, card.get("counts", {}).get("galaxies", left)))
    return Table(rows=rows, names=("step", "dropped", "left"))


def stamp_status(catalog: Table) -> Table:
    """Count what is said of the stamps, most frequent first; without such a column, no row.

    Numbers in a reason do not count: 2.1% and 4.3% without data are one kind.

    >>> said = {"stamp_status": ["ok", "flagged"], "stamp_reason": ["", "g: 2.1% of it blank"]}
    >>> stamp_status(Table(said)).as_array().tolist()
    [('ok', 1), ('flagged, g: of it blank', 1)]
    """
    for prefix in ("stamp_", ""):
        if f"{prefix}status" in catalog.colnames:
            break
    else:
        return Table(names=("status", "galaxies"), dtype=(str, int))
    status = np.asarray(catalog[f"{prefix}status"], str)
    reason = np.full(len(catalog), "")
    if f"{prefix}reason" in catalog.colnames:
        reason = np.asarray(catalog[f"{prefix}reason"], str)
    told = []
    for what, why in zip(status.tolist(), reason.tolist(), strict=True):
        kinds = [" ".join(w for w in part.split() if not w[0].isdigit()) for part in why.split(";")]
        told.append(", ".join(filter(None, [what, *kinds])))
    rows = sorted(Counter(told).items(), key=lambda item: (item[0] != "ok", -item[1], item[0]))
    return Table(rows=rows, names=("status", "galaxies"))


def stamp_numbers(catalog: Table) -> Table:
    """Summarise the flags of the stamps that are numbers; those nobody measured are left out.

    Returns:
        Table what, galaxies, lowest, median, highest.
    """
    rows = []
    for name, what in FLAGS.items():
        own = values(catalog, name)
        own = own[np.isfinite(own)]
        if len(own):
            ends = {"lowest": own.min(), "median": np.median(own), "highest": own.max()}
            rows.append({"what": what, "galaxies": len(own), **ends})
    names = ("what", "galaxies", "lowest", "median", "highest")
    return Table(rows) if rows else Table(names=names, dtype=(str, int, float, float, float))


def biases(catalog: Table, card: dict) -> list[str]:
    """Say in sentences what is uneven in a set, as far as its catalogue can tell."""
    label, told = np.asarray(catalog["label"]), [str(note) for note in card.get("notes", [])]
    labelled, n_late = int((label >= 0).sum()), int((label == 1).sum())
    if not labelled:
        told.append("No galaxy has a label: nothing can be said of types.")
    else:
        common = "late" if 2 * n_late >= labelled else "early"
        share = max(n_late, labelled - n_late) / labelled
        told.append(
            f"Of {labelled} labelled galaxies {share:.0%} are {common} types: whoever always says "
            f"{common} is right that often."
        )
        told += _differences(catalog, label == 0, label == 1, "Early types", "late types")
    if 0 < labelled < len(label):
        told.append(f"{1 - labelled / len(label):.0%} of the galaxies have no label.")
        who = ("Galaxies without a label", "those that have one")
        told += _differences(catalog, label < 0, label >= 0, *who)
    if not np.isfinite(values(catalog, "ra") + values(catalog, "dec")).any():
        told.append(
            "There are no positions: whether two splits share a piece of sky cannot be known."
        )
    return told


def _differences(catalog: Table, one, other, who: str, whom: str) -> list[str]:
    """Return a sentence on the medians in which two groups of galaxies differ clearly, if any.

    Clearly: a quarter of their common spread, between the quartiles.
    """
    words = {
        "z": ("nearer", "more distant", "median z {:.3f} against {:.3f}"),
        "mag_r": ("brighter", "fainter", "median r {:.2f} against {:.2f}"),
        "r50": ("smaller", "larger", "median half-light radius {:.2f}″ against {:.2f}″"),
    }
    told = []
    for name, (less, more, text) in words.items():
        own = values(catalog, name)
        a, b = own[one & np.isfinite(own)], own[other & np.isfinite(own)]
        if min(len(a), len(b)) < ENOUGH:
            continue
        spread = np.subtract(*np.percentile(np.concatenate([a, b]), [75, 25]))
        low, high = np.median(a), np.median(b)
        if abs(low - high) > 0.25 * spread:
            told.append(f"{less if low < high else more} ({text.format(low, high)})")
    if not told:
        return []
    return [f"{who} are, compared with {whom}, {', '.join(told)}."]
