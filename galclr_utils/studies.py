"""Keep the tables of a study that took hours, so that a page can show them without repeating it.

A study is a folder of small tables (CSV) and ``record.json``: when, from what and on what they were
made. Studies that the book shows lie in ``book/studies/``. Each comes from a profile, so anybody
can make it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils.provenance import project_root, read_json, whole_folder, write_json

LOCAL = ("made_from", "facts", "provenance")  # entries of a card that hold paths
DIGITS = 6  # of stored numbers: more than any interval here can tell apart


def write_study(folder: Path, tables: Mapping[str, Table], record: dict) -> Path:
    """Write each table as ``NAME.csv`` and the record as ``record.json``: all of them, or none.

    Args:
        folder: replaced if it exists.
        tables: name -> table of numbers and text.
        record: plain values; with `provenance.run_record` in it, the study can be repeated.
    Returns:
        The folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "tiny"
    >>> _ = write_study(folder, {"scores": Table({"n": [10], "score": [0.75]})}, {"seed": 0})
    >>> tables, record = read_study(folder)
    >>> float(tables["scores"]["score"][0]), record
    (0.75, {'seed': 0})
    """
    with whole_folder(folder) as part:
        for name, table in tables.items():
            rounded = table.copy()
            for column in rounded.itercols():
                if column.dtype.kind == "f":
                    column[:] = np.round(column, DIGITS)
            rounded.write(part / f"{name}.csv", format="ascii.csv")
        write_json(part / "record.json", record)
    return Path(folder)


def read_study(folder: Path) -> tuple[dict[str, Table], dict]:
    """Return the tables, by name, and the record that `write_study` wrote.

    Missing numbers come back as NaN, missing text as "" (if there is text in the column at all).

    Raises:
        ValueError: no such study, or a broken file.
    """
    folder = Path(folder)
    record = read_json(folder / "record.json")
    try:
        paths = sorted(folder.glob("*.csv"))
        tables = {path.stem: Table.read(path, format="ascii.csv") for path in paths}
    except Exception as error:
        raise ValueError(f"{folder}: expected tables of a study, got: {error}") from error
    for table in tables.values():
        for name in table.colnames:
            if table[name].dtype.kind in "US":
                table[name] = np.ma.filled(table[name].astype(object), "").astype(str)
                if set(table[name]) <= {"True", "False"}:  # as text, both would count as true
                    table[name] = table[name] == "True"
            elif table.has_masked_columns and np.ma.getmaskarray(table[name]).any():
                table[name] = np.ma.filled(table[name].astype(float), np.nan)
    return tables, record


def public_card(card: Mapping) -> dict:
    """Return a data set's card without what holds paths of the computer where it was made.

    >>> public_card({"units": "display", "made_from": {"source_path": "/home/me"}})
    {'units': 'display'}
    """
    return {name: value for name, value in card.items() if name not in LOCAL}


def study_path(studies_dir: str | Path, name: str) -> Path | None:
    """Return the folder of a stored study, or None if there is none of this name.

    Args:
        studies_dir: a relative one starts at the project's root.
        name: of the study.

    >>> study_path("book/studies", "no such study") is None
    True
    """
    path = project_root() / Path(studies_dir).expanduser() / name
    return path if (path / "record.json").exists() else None
