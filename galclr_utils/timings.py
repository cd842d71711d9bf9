"""Read what ``benchmarks/`` measured.

Times are measured apart from the book, on a machine that does nothing else, and committed as small
files; a chapter reads them here. A file that is missing is no error, one that is broken is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Row, Table

from galclr_utils.checks import choice
from galclr_utils.provenance import project_root, read_json

COLUMNS = {  # of NAME.csv: words, then numbers
    "speed": (
        ("group", "name", "unit"),
        ("threads", "batch", "median", "low", "high", "rounds", "cpu_per_wall", "rejected"),
    ),
    "growth": (("stage",), ("n", "seconds", "peak_gb", "cpu_per_wall")),
    "bigset": (
        ("of", "how", "sha256"),
        ("n", "workers", "kills", "seconds", "per_second", "per_cpu_second", "rss_gb", "pss_gb"),
    ),
    "precision": (
        ("precision", "probe"),
        ("seed", "n_labels", "balanced_accuracy", "accuracy", "knn_accuracy", "final_loss"),
    ),
}
KEYS = {  # of NAME.json
    "speed": ("quick", "ratios", "cpu", "provenance"),
    "growth": ("quick", "exponents", "cpu", "provenance"),
    "bigset": ("quick", "same_bytes", "begins_alike", "cpu", "provenance"),
    "precision": ("quick", "paired", "decision", "provenance"),
    "gpu": ("quick", "device", "measured", "projection", "provenance"),
}
SCRIPTS = {"gpu": "poster"}  # benchmarks/NAME.py, but for this one
PIPELINES = {  # the rows that a step is made of: its augmentation, its network
    "stock": ("stock", "cnn4 fp32"),
    "tuned stock": ("stock", "cnn4 bf16 channels_last"),
    "ours fp32": ("ours, as in a step", "cnn4 fp32 channels_last"),
    "ours bf16": ("ours, as in a step", "cnn4 bf16 channels_last"),
}


@dataclass(frozen=True)
class Benchmark:
    """Hold one benchmark: the rows of its CSV (none for ``gpu``) and the facts of its JSON."""

    name: str
    table: Table
    facts: dict

    @property
    def device(self) -> str:
        """Return the GPU's name, or the processor's with its threads."""
        if "device" in self.facts:
            return self.facts["device"]
        record = self.facts["provenance"]
        if record.get("device", "CPU") != "CPU":
            return record["device"]
        threads = record.get("threads", "?")
        return f"{self.facts.get('cpu', 'a CPU')}, {threads} thread{'s' * (threads != 1)}"

    @property
    def origin(self) -> str:
        """Say where and when it was measured, which is not where and when the book was built."""
        record = self.facts["provenance"]
        commit = f", commit {record['commit']}" if record.get("commit") else ""
        return f"Measured on {self.device}, on {record['time'][:10]}{commit}."


def load(folder: str | Path, name: str, quick: bool = False) -> Benchmark | None:
    """Read and check one benchmark: ``NAME.json``, and ``NAME.csv`` where it has one.

    Args:
        folder: where they lie; a relative one starts at the project's root.
        name: ``"speed"``, ``"growth"``, ``"bigset"``, ``"precision"`` or ``"gpu"``.
        quick: accept results of ``--quick``, which last seconds and mean nothing.
    Returns:
        The benchmark, or None if it was not run.
    Raises:
        ValueError: half of it is missing, a column or an entry is, a number is none, or the
            results are quick ones.

    >>> load("no/such/folder", "speed") is None
    True
    """
    choice("benchmark", name, KEYS)
    folder = Path(folder).expanduser()
    folder = folder if folder.is_absolute() else project_root() / folder
    files = [folder / f"{name}.json"]
    files += [folder / f"{name}.csv"] if name in COLUMNS else []
    there = [file for file in files if file.exists()]
    if not there:
        return None
    if len(there) < len(files):
        lost = next(file for file in files if file not in there)
        raise ValueError(f"{lost}: not found, but {there[0].name} is there: {again(name)}")
    facts = read_json(files[0])
    if lost := [key for key in KEYS[name] if key not in facts]:
        raise ValueError(f"{files[0]}: expected an entry {lost[0]!r}, found none: {again(name)}")
    if not facts["provenance"].get("time"):
        raise ValueError(f"{files[0]}: provenance says no time of measurement: {again(name)}")
    if facts["quick"] and not quick:
        raise ValueError(
            f"{files[0]}: got results of --quick, which mean nothing; {again(name)}, without "
            "--quick, or remove them"
        )
    table = _read_table(files[1], name) if name in COLUMNS else Table()
    return Benchmark(name, table, facts)


def again(name: str) -> str:
    """Return the command that measures a benchmark.

    >>> again("gpu")
    'run .venv/bin/python benchmarks/poster.py'
    """
    return f"run .venv/bin/python benchmarks/{SCRIPTS.get(name, name)}.py"


def absent(name: str) -> str:
    """Say that a benchmark was not run, and how it is.

    >>> absent("growth")
    'Not measured for this copy of the book. To measure: run .venv/bin/python benchmarks/growth.py'
    """
    return f"Not measured for this copy of the book. To measure: {again(name)}"


def _read_table(path: Path, name: str) -> Table:
    """Read a CSV and check its columns and numbers; an empty cell is NaN."""
    words, values = COLUMNS[name]
    table = Table.read(path, format="ascii.csv")
    if lost := [column for column in (*words, *values) if column not in table.colnames]:
        raise ValueError(f"{path}: expected a column {lost[0]!r}, got {table.colnames}")
    if not len(table):
        raise ValueError(f"{path}: got no rows: {again(name)}")
    for column in values:
        try:
            numbers = np.ma.filled(np.ma.asarray(table[column], float), np.nan)
        except ValueError as error:
            raise ValueError(f"{path}, column {column}: expected numbers, got {error}") from None
        table[column] = numbers
    if name == "speed":
        wrong = ~((table["low"] <= table["median"]) & (table["median"] <= table["high"]))
        if wrong.any():
            row = table[wrong][0]
            raise ValueError(
                f"{path}, {row['name']}: expected low <= median <= high, got "
                f"{row['low']:g}, {row['median']:g}, {row['high']:g}"
            )
    return table


def find(speed: Benchmark, group: str, name: str, batch: int = 0) -> Row | None:
    """Return the row of this group and name, or None; of several, the one on most threads.

    Args:
        speed: the benchmark ``"speed"``.
        group, name: such as ``"step"``, ``"cnn4 bf16 channels_last"``.
        batch: take only a row of this size.
    """
    rows = [row for row in speed.table if (row["group"], row["name"]) == (group, name)]
    rows = [row for row in rows if row["batch"] == batch or not batch]
    return max(rows, key=lambda row: row["threads"], default=None)


def budget(speed: Benchmark) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Return where the milliseconds of a training step of cnn4 go, from parts measured alone.

    Augmentation and network share the same cores, so that their times add up, also where the one
    is done by worker processes: those take the cores from the other. A part measured on one core
    is scaled to the cores of the step.

    Returns:
        For each pipeline in `PIPELINES` that all its rows are there for: its parts; and the
        milliseconds of the whole step, where that was measured.
    """
    bars, whole = {}, {}
    for name, (augmentation, step) in PIPELINES.items():
        views, network = find(speed, "augmentation", augmentation), find(speed, "step", step)
        if views is None or network is None:
            continue
        galaxies, cores = int(network["batch"]), network["threads"]
        loss = find(speed, "loss", f"NT-Xent, {galaxies} galaxies")
        parts = {"data": 0.0}
        if augmentation != "stock" and (data := find(speed, "data", augmentation)) is not None:
            parts["data"] = 1e3 * galaxies / data["median"]
        parts["augmentation"] = 2e3 * galaxies / views["median"] * views["threads"] / cores
        parts["loss"] = 0.0 if loss is None else loss["median"]
        parts["network"] = 1e3 * galaxies / network["median"] - parts["loss"]
        bars[name] = {part: float(ms) for part, ms in parts.items()}
        if (row := find(speed, "end to end", name, galaxies)) is not None:
            whole[name] = float(1e3 * galaxies / row["median"])
    return bars, whole


def digits(value: float) -> str:
    """Write a number with the three digits that count.

    >>> digits(2097.4), digits(4.2049), digits(0.06212), digits(99.97), digits(9.5e14)
    ('2,097', '4.20', '0.0621', '100', '9.50e+14')
    """
    if abs(value) >= 1e7 and math.isfinite(value):
        return f"{value:.2e}"
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")
