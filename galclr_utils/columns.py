"""Read a few columns of a big catalogue, whatever its format.

Published tables hold up to 231 columns and 700,000 rows, of which a study needs five. Text stays
text: an id of 18 digits does not survive as a float, and 0007 is not 7.
"""

# N galaxies

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from astropy.io import ascii as text_tables
from astropy.io import fits as pyfits
from astropy.table import Table
from astropy.utils.data import get_readable_fileobj

from galclr_utils.catalogs import MISSING_BELOW, reading
from galclr_utils.dataset import plain_table

NOTHING = ("", "null", "nan", "--", "n/a")  # how catalogues write what was not measured
# Dominguez Sanchez et al. 2018 as text: first and last byte of each column, counted from 0
BYTES = {"dr7objid": (0, 18), "galcount": (20, 25), "P_disk": (27, 37), "P_edge_on": (39, 49)}
BYTES |= {"P_bar_GZ2": (51, 61), "P_bar_Nair10": (63, 73), "P_merg": (75, 85)}
BYTES |= {"P_bulge": (87, 97), "P_cigar": (99, 109), "TType": (111, 118), "P_S0": (120, 130)}


def open_table(path: str | Path) -> tuple[list[str], Callable[[list, list], Table]]:
    """Open a catalogue of any format: its first bytes say which.

    CSV, FITS and VOTable (any of them gzipped), ECSV, words between spaces, and the fixed-width
    text of ds18.

    Returns:
        ``(names, read)``: all column names, and a function ``read(text, numbers)`` that returns
        those columns as a plain Table, text as str, numbers as float64, NaN where nothing was
        measured.
    Raises:
        ValueError: no such file, empty, cut short, or no table.
    """
    path = Path(path)
    with reading(path, "a catalogue"):
        with get_readable_fileobj(path, encoding="binary") as file:
            start = file.read(80).decode("utf-8-sig", "replace")
        if not start.strip():
            raise ValueError("an empty file")
        if start.startswith("SIMPLE  ="):
            return _open_fits(path)
        if start.startswith(("<?xml", "<VOTABLE", "# %ECSV")):
            table = Table.read(path, format="ascii.ecsv" if start[0] == "#" else "votable")
            return table.colnames, lambda text, numbers: _plain(table, text, numbers, path)
        with get_readable_fileobj(path, encoding="utf-8-sig") as file:
            first = next((line for line in _lines(file)), "")
        if re.match(r"\s*\d{17,19}\s+\d", first):
            return list(BYTES), lambda text, numbers: _fixed_width(path, text, numbers)
        if "," in first:
            return next(csv.reader([first])), lambda text, numbers: _csv(path, text, numbers)
        return first.split(), lambda text, numbers: _words(path, text, numbers)


def _lines(file) -> Iterator[str]:
    """Yield the lines that hold something and are no comment."""
    return (line for line in file if line.strip() and not line.startswith("#"))


def _open_fits(path: Path) -> tuple:
    """Open the first table of a FITS file."""
    with pyfits.open(path) as hdus:
        where = [k for k, hdu in enumerate(hdus) if isinstance(hdu, pyfits.BinTableHDU)]
        if not where:
            raise ValueError("a FITS file without a table")
        names = hdus[where[0]].columns.names

    def read(text: list, numbers: list) -> Table:
        with reading(path, "a whole catalogue"), pyfits.open(path) as hdus:
            data = hdus[where[0]].data  # memory-mapped: a column is read when it is asked for
            table = Table({name: np.array(data[name]) for name in (*text, *numbers)})
        return _plain(table, text, numbers, path)

    return names, read


def _csv(path: Path, text: list, numbers: list) -> Table:
    """Read columns of a CSV as a stream.

    Of astropy's readers the fast one makes numbers of ids, and the other, which can be told not to,
    takes gigabytes for the 231 columns of Galaxy Zoo 2.
    """
    names, whole = [*text, *numbers], reading(path, "a whole catalogue")
    columns = {name: [] if name in text else array("d") for name in names}
    with whole, get_readable_fileobj(path, encoding="utf-8-sig") as file:
        rows = csv.reader(_lines(file))
        header = next(rows)
        cells = [(columns[n], header.index(n), str if n in text else _number) for n in names]
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"{len(row)} cells in row {rows.line_num - 1}, not {len(header)}")
            try:
                for values, k, kind in cells:
                    values.append(kind(row[k]))
            except ValueError:
                where = f"row {rows.line_num - 1}, column {header[k]!r}"
                raise ValueError(f"{row[k]!r} in {where}, no number") from None
    return _plain(Table({n: np.array(v) for n, v in columns.items()}), text, numbers, path)


def _number(word: str) -> float:
    return np.nan if word.strip().lower() in NOTHING else float(word)


def _fixed_width(path: Path, text: list, numbers: list) -> Table:
    names = [*text, *numbers]
    return _with_astropy(
        path,
        text,
        numbers,
        format="fixed_width_no_header",
        names=names,
        col_starts=[BYTES[name][0] for name in names],
        col_ends=[BYTES[name][1] for name in names],
    )


def _words(path: Path, text: list, numbers: list) -> Table:
    return _with_astropy(path, text, numbers, format="basic", include_names=[*text, *numbers])


def _with_astropy(path: Path, text: list, numbers: list, **how) -> Table:
    """Read columns of a text table with one of astropy's readers."""
    with reading(path, "a whole catalogue"):
        kinds = dict.fromkeys(text, str) | dict.fromkeys(numbers, float)
        table = text_tables.read(path, guess=False, fast_reader=False, converters=kinds, **how)
    return _plain(table, text, numbers, path)


def _plain(table: Table, text: list, numbers: list, path: Path) -> Table:
    """Return text as stripped str, numbers as native float64, NaN where nothing was measured."""
    if not len(table):
        raise ValueError(f"{path}: expected at least one galaxy, got an empty catalogue")
    table = plain_table(table[[*text, *numbers]])
    for name in text:
        if table[name].dtype.kind == "U":
            table[name] = np.char.strip(table[name])
    for name in numbers:
        with reading(path, f"numbers in column {name!r}"):
            values = np.array(table[name], dtype=np.float64)
        values[values < MISSING_BELOW] = np.nan
        table[name] = values
    return table
