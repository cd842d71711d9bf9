"""Keep the rows of a long measurement, so that an interruption costs one row and not all."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
import time
from pathlib import Path

from galclr_utils import provenance
from galclr_utils.provenance import read_json, run_record, sha256, whole_file, write_json

RESULTS = Path(__file__).resolve().parent / "results"


def code_key(scripts: tuple[str, ...], asked: dict) -> str:
    """Return a hash of what a result depends on: the scripts, the module, and what was asked."""
    module = sorted(Path(provenance.__file__).parent.glob("*.py"))
    text = sha256(*scripts, __file__, *module) + json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def cpu_name() -> str:
    """Return the name of the processor, as Linux or the platform knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def facts(seed: int, quick: bool) -> dict:
    """Return what every result carries: where, when and with what it was measured."""
    import torch

    record = {"quick": bool(quick), "cpu": cpu_name(), "threads": torch.get_num_threads()}
    return record | {"provenance": run_record(seed)}


def say(text: str) -> None:
    """Print a line of progress with the time of day, at once."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def write_rows(path: Path, rows: list[dict], columns: tuple[str, ...]) -> None:
    """Write rows as CSV, whole or not at all."""
    with whole_file(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[dict]:
    """Read rows of a CSV; what looks like a number becomes one.

    >>> _plain("12"), _plain("0.5"), _plain("cnn4")
    (12, 0.5, 'cnn4')
    """
    with open(path, newline="") as file:
        return [{name: _plain(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _plain(text: str):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


class Ledger:
    """Rows of one measurement: each is kept as soon as it is known, and found again later.

    They are kept in the work folder until all are there; only then are ``NAME.csv`` and
    ``NAME.json`` of the results replaced, so a result is always whole.

    Args:
        work: folder of the unfinished measurement.
        name: of the two files.
        columns: of the CSV.
        key: from :func:`code_key`; rows kept under another one are dropped.
    """

    def __init__(self, work: Path, name: str, columns: tuple[str, ...], key: str):
        self.work, self.name, self.columns = Path(work), name, columns
        self.csv, self.state = self.work / f"{name}.csv", self.work / f"{name}.key.json"
        same = self.state.exists() and read_json(self.state) == {"key": key}
        self.rows = read_rows(self.csv) if same and self.csv.exists() else []
        if not same:
            self.csv.unlink(missing_ok=True)
            write_json(self.state, {"key": key})

    def find(self, **cell) -> list[dict]:
        """Return the rows with these values."""
        return [row for row in self.rows if all(row[name] == cell[name] for name in cell)]

    def add(self, *rows: dict) -> None:
        """Keep rows."""
        self.rows += rows
        write_rows(self.csv, self.rows, self.columns)

    def finish(self, out: Path, record: dict) -> None:
        """Write the whole result, and forget that it was unfinished."""
        write_rows(Path(out) / f"{self.name}.csv", self.rows, self.columns)
        write_json(Path(out) / f"{self.name}.json", record)
        self.state.unlink(missing_ok=True)
