"""Tell in tables and sentences what ``benchmarks/`` measured: ratios, growth, and a GPU's facts."""

from __future__ import annotations

import numpy as np
from astropy.table import Table

from galclr_utils.timings import Benchmark, digits

AT_MOST = ("augmentation and data / cnn4 step", "loop overhead, ms a step")  # the lower, the better
WIDE = 2  # an interval of an exponent as wide as this tells of no power law
PARTS = {"simulate": "prepare", "duplicates": "prepare"}  # their memory is that of the whole stage


def at_most(ratio: dict) -> bool:
    """Tell whether a ratio is the better, the lower it is."""
    return ratio.get("sense") == "at most" or ratio["name"] in AT_MOST


def met(ratio: dict) -> bool | None:
    """Say whether the median of a ratio reaches its target; None where it has none.

    >>> met({"name": "end to end, bf16 / stock", "value": 4.2, "target": 4})
    True
    >>> met({"name": "loop overhead, ms a step", "value": 0.2, "target": 0.1})
    False
    """
    if ratio.get("target") is None:
        return None
    good = ratio["value"] <= ratio["target"], ratio["value"] >= ratio["target"]
    return good[0] if at_most(ratio) else good[1]


def ratios_table(speed: Benchmark) -> Table:
    """Return the ratios with their spread, what was aimed at, and whether it was reached.

    Returns:
        Columns ratio, median, lowest to highest round, aim, reached: all but the first are text.
    """
    rows = []
    for r in speed.facts["ratios"] + speed.facts.get("others", []):
        sign, target = "≤" if at_most(r) else "≥", r.get("target")
        aim = "" if target is None else f"{sign} {target:g}"
        reached = {None: "", True: "yes", False: "no"}[met(r)]
        spread = f"{digits(r['low'])} to {digits(r['high'])}"
        rows.append((r["name"], digits(r["value"]), spread, aim, reached))
    return Table(rows=rows, names=("ratio", "median", "rounds", "aim", "reached"), dtype="OOOOO")


def twice(speed: Benchmark, name: str = "augmentation per core / kornia") -> str:
    """Say how a ratio changes where the other side is measured in a second way, and the aim.

    The second ratio is called as the first, with a comma and what is different.
    """
    found = speed.facts["ratios"] + speed.facts.get("others", [])
    first = [r for r in found if r["name"] == name]
    both = first + [r for r in found if first and r["name"].startswith(f"{name},")]
    aim = first[0].get("target") if first else None
    said = []
    for r in both:
        text = f"{r['name']}: {digits(r['value'])} ({digits(r['low'])} to {digits(r['high'])})"
        if aim is not None:
            text += f", {'reaches' if met(r | {'target': aim}) else 'does not reach'} {aim:g}"
        said.append(text)
    return "\n".join(said)


def exponents_table(growth: Benchmark) -> Table:
    """Return how each stage grows with N: the exponents of time and memory, with their intervals.

    Seconds or bytes go as N to the exponent, from ``from_n`` galaxies on; 1 is linear. Memory
    counts what is mapped from files, "own memory" does not.
    """
    rows = []
    for stage, fit in growth.facts["exponents"].items():
        memory = [_interval(fit.get(name)) for name in ("memory", "own")]
        memory = [f"as {PARTS[stage]}"] * 2 if stage in PARTS else memory
        rows.append((stage, _interval(fit.get("time")), verdict(growth, stage), *memory))
        rows[-1] += (f"{fit.get('from_n', 0):,}",)
    names = ("stage", "exponent of time", "worse than linear", "of memory", "of own memory")
    return Table(rows=rows, names=(*names, "time fitted from N"), dtype="OOOOOO")


def verdict(growth: Benchmark, stage: str) -> str:
    """Say whether the time of a stage grows faster than N: yes, no or undecided, as was judged.

    UMAP, which works in another way at other sizes, is not judged by the benchmark.
    """
    if stage == "umap":
        return "not judged"
    if stage in growth.facts.get("worse_than_linear", ()):
        return "yes"
    return "undecided" if stage in growth.facts.get("undecided", ()) else "no"


def straight(growth: Benchmark, stage: str) -> bool:
    """Say whether the times of a stage lie on a line at all: its interval is not absurdly wide."""
    time = growth.facts["exponents"].get(stage, {}).get("time")
    ends = [x for x in np.atleast_1d(time)[1:] if x is not None]
    return len(ends) < 2 or ends[1] - ends[0] <= WIDE


def _interval(fit) -> str:
    """Return ``"0.98 [0.95, 1.01]"`` of a value with or without its interval."""
    value, *ends = [x for x in np.atleast_1d(fit) if x is not None and np.isfinite(x)] or [None]
    if value is None:
        return "–"
    return f"{value:.2f}" + (f" [{ends[0]:.2f}, {ends[1]:.2f}]" if len(ends) == 2 else "")


def slope(n, cost) -> float:
    """Return the exponent p of the power law cost ~ n^p that fits best in logarithms.

    >>> round(slope([10, 100, 1000], [2, 20, 200]), 6)
    1.0
    """
    return float(np.polyfit(np.log(np.asarray(n, float)), np.log(np.asarray(cost, float)), 1)[0])


def entries(content: dict, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested facts as lines to read: names in words, numbers with a few digits.

    >>> entries({"cnn4": {"galaxies_per_s": 51234.5}, "done": True})
    [('cnn4: galaxies per s', '51,234'), ('done', 'yes')]
    """
    lines = []
    for name, value in content.items():
        words = prefix + str(name).replace("_", " ")
        if isinstance(value, dict):
            lines += entries(value, f"{words}: ")
        elif isinstance(value, bool):
            lines.append((words, "yes" if value else "no"))
        elif isinstance(value, float):
            lines.append((words, digits(value)))
        elif isinstance(value, int):
            lines.append((words, f"{value:,}"))
        elif isinstance(value, list):
            lines.append((words, ", ".join(text for _, text in entries(dict(enumerate(value))))))
        else:
            lines.append((words, str(value)))
    return lines


def gpu_lines(gpu: Benchmark) -> list[tuple[str, str]]:
    """Return what was measured on a GPU, and what was projected from it, line by line.

    Remarks of more than a line are left out; they are in ``gpu.json``.
    """
    parts = ("measured", "projection", "eager", "cuda_graphs", "quality")
    lines = [("device", gpu.device)]
    for part in parts:
        if gpu.facts.get(part) not in (None, {}, []):
            lines += entries({part: gpu.facts[part]})
    return [(what, text) for what, text in lines if len(text) <= 80]


def bigset_lines(bigset: Benchmark) -> list[list]:
    """Return how large sets were built, a line each, the header first.

    A rate is that of writing the blocks. Where workers waited for a core it would tell of the
    machine, so the rate for a second of processor time stands beside it.
    """
    lines = [
        [
            "of",
            "made by",
            "galaxies",
            "time",
            "blocks: galaxies a second",
            "a CPU second",
            "memory of all, peak",
        ]
    ]
    for row in bigset.table:
        workers, kills = int(row["workers"]), int(row["kills"])
        made_by = f"{workers} process{'es' * (workers > 1)}"
        made_by = f"Dask, {workers} workers" if row["how"] == "Dask" else made_by
        made_by += f", killed {kills} times" if kills else ""
        rates = [digits(row[name]) for name in ("per_second", "per_cpu_second")]
        memory = f"{row['pss_gb']:.2f} GB"
        size, time = f"{row['n']:,.0f}", f"{row['seconds'] / 60:.1f} min"
        lines.append([row["of"], made_by, size, time, *rates, memory])
    return lines
