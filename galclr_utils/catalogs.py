"""Read a user's catalogue, give its columns our names, and match it to images by id."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils.dataset import plain_table

ID_NAMES = ("id", "objid", "dr7objid", "galaxy_id")
OTHER_NAMES = {"redshift": "z", "t_type": "ttype", "petromag_r": "mag_r", "petror50_r": "r50"}
NUMBERS = ("ra", "dec", "z", "ttype", "mag_r", "r50", "g_r", "r_i", "concentration")
NUMBERS += ("psf_fwhm", "ebv", "axis_ratio")
MISSING_BELOW = -900  # surveys write -999 or -9999 for what was not measured
LABELS = {"early": 0, "late": 1, "0": 0, "1": 1, "-1": -1, "0.0": 0, "1.0": 1, "-1.0": -1}
LABELS |= {"": -1, "nan": -1}
FITS = (".fits", ".fit", ".fits.gz", ".fit.gz")


def read_catalog(path: str | Path, id_name: str = "") -> Table:
    """Read a catalogue (CSV, ECSV or FITS) and give its columns the names used here.

    Names become lower case; the id may be called ``id``, ``objid``, ``dr7objid`` or ``galaxy_id``;
    ``label`` may be early, late or empty, or 0, 1 or -1. A number that is empty or below -900 was
    not measured: NaN. Other columns are kept.

    Args:
        path: the file.
        id_name: which of the possible id columns to take, where the images say it.
    Returns:
        Table with ``label`` (int8), ``id`` (str) if there is one, ``split`` (str) if there is one.
    Raises:
        ValueError: unreadable, empty, ids missing or repeated, an unknown label, a word where a
            number should be; with file and row (the first row below the header is row 1).

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "catalog.csv"
    >>> _ = file.write_text("objid,label,z\\n587722952767439450,early,0.05\\n0007,,\\n")
    >>> catalog = read_catalog(file)
    >>> catalog.colnames, catalog["id"].tolist(), catalog["label"].tolist()
    (['id', 'label', 'z'], ['587722952767439450', '0007'], [0, -1])
    """
    path = Path(path)
    kinds = {".csv": "ascii.csv", ".ecsv": "ascii.ecsv", **dict.fromkeys(FITS, "fits")}
    if (kind := kinds.get(suffix(path))) is None:
        raise ValueError(f"{path}: expected a catalogue in {', '.join(kinds)}")
    with reading(path, "a catalogue"):
        if kind == "ascii.csv":  # ids stay text: 0007 is not 7
            names = Table.read(path, format=kind, data_end=1).colnames
            text = [name for name in names if name.lower() in (*ID_NAMES, "label", "split")]
            table = Table.read(path, format=kind, converters=dict.fromkeys(text, str))
        else:
            table = Table.read(path, format=kind)
    if not len(table):
        raise ValueError(f"{path}: expected at least one galaxy, got an empty catalogue")
    table = plain_table(table)
    lower = [OTHER_NAMES.get(name.lower(), name.lower()) for name in table.colnames]
    if twice := [name for name, count in Counter(lower).items() if count > 1]:
        raise ValueError(f"{path}: more than one column means {twice[0]!r}: rename one of them")
    table.rename_columns(table.colnames, lower)
    if ids := [name for name in (id_name, *ID_NAMES) if name in lower]:
        values = as_ids(table[ids[0]], f"{path}: column {ids[0]!r}")
        table.remove_columns({ids[0], "id"} & set(lower))
        table.add_column(values, name="id", index=0)
    if "split" in lower:
        table["split"] = np.char.strip(table["split"].astype(str))
    for name in set(NUMBERS) & set(lower):
        table[name] = _as_numbers(table[name], f"{path}: column {name!r}")
    labels = table["label"] if "label" in lower else np.full(len(table), "")
    table["label"] = parse_labels(labels, path)
    return table


def parse_labels(values, path) -> np.ndarray:
    """Return labels as int8: 0 early, 1 late, -1 unknown.

    >>> parse_labels(["early", "Late", "", "1", -1], "catalog.csv")
    array([ 0,  1, -1,  1, -1], dtype=int8)
    """
    words, which = np.unique(np.char.strip(np.char.lower(np.asarray(values, str))), False, True)
    for word in words:
        if word not in LABELS:
            row = int(np.argmax(words[which] == word)) + 1
            raise ValueError(
                f"{path}, row {row}: got label {str(word)!r}, expected early, late or nothing, "
                "or 0 (early), 1 (late) or -1 (unknown)"
            )
    return np.array([LABELS[word] for word in words], dtype=np.int8)[which]


def as_ids(values, where: str) -> np.ndarray:
    """Return ids as str (N,), or say which one is empty, repeated or has lost digits.

    >>> as_ids(np.array([587722952767439450, 7]), "catalog.csv").tolist()
    ['587722952767439450', '7']
    """
    ids = np.asarray(values)
    if ids.dtype.kind not in "iuSU" or ids.ndim != 1:
        raise ValueError(
            f"{where}: got ids as {ids.dtype} {ids.shape}, expected text or whole numbers, one in "
            "each row (a float has lost digits; a gap makes whole numbers floats)"
        )
    ids = np.char.strip(np.char.decode(ids) if ids.dtype.kind == "S" else ids.astype(str))
    if (ids == "").any():
        raise ValueError(f"{where}, row {int(np.argmax(ids == '')) + 1}: the id is empty")
    order = np.argsort(ids, kind="stable")
    twin = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    if len(twin):
        first, second = order[twin[0]] + 1, order[twin[0] + 1] + 1
        raise ValueError(
            f"{where}: id {ids[first - 1]!s} is in row {first} and in row {second} "
            f"({len(twin)} repeated): keep one row a galaxy"
        )
    return ids


def match(ids, catalog: Table, path, catalog_path) -> Table:
    """Return the catalogue in the order of the images, matched by id."""
    ids, rows = np.asarray(ids, dtype=str), {name: k for k, name in enumerate(catalog["id"])}
    alone = [name for name in ids if name not in rows]
    if alone or len(rows) > len(ids):
        known = set(ids.tolist())
        lost = [name for name in rows if name not in known]
        told = [
            f"{len(names)} {what} (first: {', '.join(map(repr, map(str, names[:3])))})"
            for names, what in ((alone, "images without a row"), (lost, "rows without an image"))
            if names
        ]
        raise ValueError(
            f"{path} and {catalog_path} do not match: {' and '.join(told)}. Give each image one "
            "row with the same id: drop the others, or check that both use the same kind of id"
        )
    return catalog[[rows[name] for name in ids]]


def _as_numbers(values: np.ndarray, where: str) -> np.ndarray:
    """Return a column as float64, NaN where unmeasured, or name the first row without a number."""
    numbers = np.full(len(values), np.nan)
    if values.dtype.kind in "iufb":
        numbers[:] = values
    else:
        for row, word in enumerate(map(str, values)):
            try:
                numbers[row] = float(word or "nan")
            except ValueError:
                raise ValueError(
                    f"{where}, row {row + 1}: got {word!r}, expected a number or nothing"
                ) from None
    numbers[numbers < MISSING_BELOW] = np.nan
    return numbers


def suffix(path: Path) -> str:
    """Return the ending in lower case, ``.fits.gz`` as one."""
    return "".join(
        path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]
    ).lower()


@contextlib.contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Turn what a library says about a broken file into an error that names the file."""
    try:
        yield
    except Exception as error:  # each library has its own for a broken file
        if not Path(path).exists():
            raise ValueError(f"{path}: no such file; expected {expected}") from error
        raise ValueError(
            f"{path}: expected {expected}, got {type(error).__name__}: {error}. Is the file "
            "complete, and what its name says?"
        ) from error
