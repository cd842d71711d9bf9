"""Read published label catalogues as early, late or unknown, and as T-types, by a stated rule.

People vote, experts give T-types, and machines give probabilities. What counts as early or late is
a choice: each catalogue's own is the default, every part of it can be changed, and `rules` shows
what a change costs in galaxies and in balance. `crossmatch.join` brings the labels to a catalogue.

The rules, with the parameters that `read_labels` takes:

* votes (``gz1``, ``gz2``, ``gz_decals``), flags (``gz1_flags``) and probabilities (``hc11``): a
  share of at least ``threshold`` for early or for late, of at least ``minimum_votes``; ``votes``
  says which ones: ``"raw"``, ``"weighted"`` by how consistent a volunteer is, or ``"debiased"``,
  as if seen nearby. Debiased shares need not add up to 1: if both reach the threshold the larger
  one wins.
* T-types (``ds18``, ``na10``, ``efigi``): early up to and with ``ttype_cut``, late beyond it.
"""

# N galaxies

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils.catalogs import MISSING_BELOW, as_ids
from galclr_utils.checks import choice, did_you_mean
from galclr_utils.checks import numbers as check_numbers
from galclr_utils.columns import NOTHING, open_table
from galclr_utils.layouts import LAYOUTS, Layout, find, needed, recognise


def read_labels(path: str | Path, layout: str = "auto", **rule) -> Table:
    """Read a published catalogue of labels in its own layout.

    Args:
        path: the file, as published: CSV, FITS, VOTable, ECSV or text, perhaps gzipped.
        layout: a name in `published`, or ``"auto"``: told by the columns.
        rule: ``threshold``, ``votes`` and ``minimum_votes``, or ``ttype_cut``; what is not given
            is as published.
    Returns:
        Table of N rows: ``id`` (str), ``ra``, ``dec`` (degrees, NaN if unknown), ``label`` (int8:
        0 early, 1 late, -1 unknown), ``ttype`` (float32, NaN unknown), ``votes`` (int32, -1
        unknown). Its ``meta`` tells layout, rule, source and how many repeated ids were dropped
        (the first is kept).
    Raises:
        ValueError: unreadable or empty file, unknown layout, a column that the rule needs is
            missing, a parameter that the layout does not have or that is out of range.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "gz1.csv"
    >>> names = "OBJID,RA,DEC,NVOTE,P_EL,P_CS,P_EL_DEBIASED,P_CS_DEBIASED"
    >>> _ = file.write_text(f"{names}\\n587722952767439450,00:00:12,-10:30:00,40,.9,.1,.8,.2\\n")
    >>> labels = read_labels(file)
    >>> labels.meta["layout"], labels["label"].tolist(), labels["ra"].tolist()
    ('gz1', [0], [0.05])
    >>> read_labels(file, threshold=0.85)["label"].tolist()
    [-1]
    """
    name, values, table = _read(path, layout, {key: [value] for key, value in rule.items()})
    rule = {key: value for key, (value,) in values.items()}
    labels = table[["id", "ra", "dec"]]
    labels["label"], labels["ttype"] = _apply(LAYOUTS[name], table, rule)
    column = find(LAYOUTS[name].n_votes, table.colnames)
    votes = np.nan_to_num(table[column], nan=-1) if column else np.full(len(table), -1)
    labels["votes"] = votes.astype(np.int32)
    labels.meta = {"layout": name, "rule": rule, "source": LAYOUTS[name].source, **table.meta}
    return labels


def rules(path: str | Path, layout: str = "auto", **values) -> Table:
    """Count what each of several rules keeps of a published catalogue, and how it balances.

    Args:
        path, layout: see `read_labels`.
        values: values of the rule's parameters, one or a list; every combination is a row.
    Returns:
        Table with the parameters, then ``early``, ``late``, ``unknown`` (galaxies), ``kept``
        (share of the galaxies with a label) and ``late_share`` (of those with one; NaN if none).

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "efigi.txt"
    >>> _ = file.write_text("PGCname T T_inf T_sup\\nPGC1 -5 -5 -4\\nPGC2 0 -1 1\\nPGC3 5 4 6\\n")
    >>> rules(file, ttype_cut=[-1, 0])["early", "late", "late_share"].as_array().tolist()
    [(1, 2, 0.6666666666666666), (2, 1, 0.3333333333333333)]
    """
    values = {key: [some] if np.ndim(some) == 0 else list(some) for key, some in values.items()}
    name, values, table = _read(path, layout, values)
    rows = []
    for rule in _combinations(values):
        label, _ = _apply(LAYOUTS[name], table, rule)
        early, late, unknown = (int((label == k).sum()) for k in (0, 1, -1))
        known = early + late
        shares = {"kept": known / len(label), "late_share": late / known if known else np.nan}
        rows.append({**rule, "early": early, "late": late, "unknown": unknown, **shares})
    return Table(rows)


def apply_rule(table: Table, layout: str, **rule) -> Table:
    """Label the rows of an open table whose columns are those of a layout, such as its votes.

    Args:
        table: N rows; `query.sample` gives the columns of ``gz1`` and of ``gz2``.
        layout, rule: see `read_labels`; ids and positions are not needed.
    Returns:
        Table of N rows: ``label``, ``ttype`` and, where the layout has any, ``votes``, as from
        `read_labels`; its ``meta`` tells layout, rule and source.

    >>> votes = Table({"p_el_debiased": [0.9, 0.1, 0.5], "p_cs_debiased": [0.1, 0.9, 0.5]})
    >>> apply_rule(votes, "gz1")["label"].tolist()
    [0, 1, -1]
    """
    name = choice("layout", layout, LAYOUTS)
    layout = LAYOUTS[name]
    rule = layout.rule | {k: v for k, (v,) in _check(name, {k: [rule[k]] for k in rule}).items()}
    own = {layout.id, *layout.known_by}
    if lost := [c for c in needed(layout, rule) if c not in own and not find(c, table.colnames)]:
        raise ValueError(f"layout {name!r} needs the columns {', '.join(lost)}: got none of them")
    labels = Table()
    labels["label"], labels["ttype"] = _apply(layout, table, rule)
    if column := find(layout.n_votes, table.colnames):
        labels["votes"] = np.nan_to_num(table[column], nan=-1).astype(np.int32)
    labels.meta = {"layout": name, "rule": rule, "source": layout.source}
    return labels


def published() -> Table:
    """Return the layouts that can be read: name, default rule and source.

    >>> published()["layout"].tolist()
    ['gz1', 'gz1_flags', 'gz2', 'gz_decals', 'ds18', 'na10', 'hc11', 'efigi']
    """
    rows = []
    for name, layout in LAYOUTS.items():
        rule = ", ".join(f"{key}={value}" for key, value in layout.rule.items())
        rows.append({"layout": name, "rule": rule, "source": layout.source})
    return Table(rows)


def _read(path: str | Path, layout: str, values: dict) -> tuple[str, dict, Table]:
    """Return the layout's name, the values of all parameters, and the columns that these read."""
    names, read = open_table(path)
    asked = {key: next(iter(some), None) for key, some in values.items()}
    name = recognise(path, names, layout, asked)
    layout = LAYOUTS[name]
    values = {key: [value] for key, value in layout.rule.items()} | _check(name, values)
    columns = {layout.n_votes}
    for rule in _combinations(values):
        recognise(path, names, name, rule)  # all its columns are there
        columns |= set(needed(layout, rule))
    columns -= {layout.id, *layout.known_by}
    numbers = sorted({find(column, names) for column in columns} - {""})
    place = [find(column, names) for column in (layout.id, layout.ra, layout.dec)]
    found = read([column for column in place if column], numbers)
    ids = np.asarray(found[place[0]])
    ids = ids.astype(str) if ids.dtype.kind in "iu" else ids
    first = np.sort(np.unique(ids, return_index=True)[1])  # some catalogues repeat a galaxy
    table = Table({"id": as_ids(ids[first], f"{path}: column {place[0]!r}")})
    for key, column in zip(("ra", "dec"), place[1:], strict=True):
        where = f"{path}: column {column!r}"
        known = np.asarray(found[column])[first] if column else np.full(len(first), np.nan)
        table[key] = as_degrees(known, key == "ra", where)
    for column in numbers:
        table[column] = found[column][first]
    table.meta = {"path": str(path), "n_repeated": len(ids) - len(first)}
    return name, values, table


def _combinations(values: dict) -> Iterator[dict]:
    """Yield every combination of the values of a rule's parameters."""
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def _check(name: str, values: dict) -> dict:
    """Return the parameters of a rule, each a list of allowed values."""
    layout, checked = LAYOUTS[name], {}
    for key, some in values.items():
        if not some:
            raise ValueError(f"{key}: got an empty list, expected at least one value")
        if key not in layout.rule:
            raise ValueError(
                f"{key}: the rule of layout {name!r} has no such parameter"
                f"{did_you_mean(key, layout.rule)} (it has {', '.join(layout.rule)})"
            )
        if key == "votes":
            checked[key] = [choice(key, value, tuple(layout.late)) for value in some]
        else:
            low, high = {"threshold": (0, 1), "ttype_cut": (-10, 12)}.get(key, (0, 10**6))
            checked[key] = check_numbers(key, some, low, high, key == "minimum_votes")
    return checked


def _apply(layout: Layout, table: Table, rule: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return label (int8, N) and T-type (float32, N) by a rule.

    Shares are compared as float32, as FITS files store them: 0.9 from a CSV is not more than 0.9
    from a FITS file.
    """
    label = np.full(len(table), -1, np.int8)
    ttype = np.full(len(table), np.nan, np.float32)
    if layout.ttype:
        ttype[:] = table[find(layout.ttype, table.colnames)]
        ttype[(ttype < layout.ttypes[0]) | (ttype > layout.ttypes[1])] = np.nan
        label[ttype <= np.float32(rule["ttype_cut"])] = 0
        label[ttype > np.float32(rule["ttype_cut"])] = 1
        return label, ttype
    kind, enough = rule.get("votes", ""), np.ones(len(table), bool)
    early, late = (_share(table, share.get(kind, "")) for share in (layout.early, layout.late))
    early, late = (1 - late if early is None else early), (1 - early if late is None else late)
    if rule.get("minimum_votes"):
        enough = np.asarray(table[find(layout.n_votes, table.colnames)]) >= rule["minimum_votes"]
    threshold = np.float32(rule["threshold"])
    label[enough & (early >= threshold) & (early > late)] = 0
    label[enough & (late >= threshold) & (late > early)] = 1
    return label, ttype


def _share(table: Table, columns: str) -> np.ndarray | None:
    """Return the sum of columns, float32 (N,); None without columns."""
    if not columns:
        return None
    parts = [np.asarray(table[find(part, table.colnames)]) for part in columns.split(" + ")]
    return np.sum(parts, axis=0).astype(np.float32)


def as_degrees(values: np.ndarray, hours: bool, where: str) -> np.ndarray:
    """Return coordinates in degrees, float64: numbers as they are, 12:34:56.7 in hours or degrees.

    >>> as_degrees(np.array(["-00:30:00", "12.5"]), False, "DEC").tolist()
    [-0.5, 12.5]
    """
    if values.dtype.kind != "U":
        degrees = values.astype(np.float64)
    else:
        degrees = np.full(len(values), np.nan)
        for row, word in enumerate(values):
            if word.strip().lower() in NOTHING:
                continue
            try:
                parts = [abs(float(part)) for part in word.replace(":", " ").split()]
                size = sum(part / 60**k for k, part in enumerate(parts))
                size *= 15 if hours and len(parts) > 1 else 1
                degrees[row] = -size if word.lstrip().startswith("-") else size
            except ValueError:
                raise ValueError(
                    f"{where}, row {row + 1}: got {str(word)!r}, no coordinate"
                ) from None
    degrees[degrees < MISSING_BELOW] = np.nan
    return degrees
