"""Measure how time and memory grow with the number of galaxies, from a thousand to 400,000.

    python benchmarks/growth.py [--sizes 1000 4000 ...] [--out DIR] [--work DIR]

Every stage of the study runs once at every size, each in a fresh process, so that its peak memory
is its own. About 20 minutes on two cores, most of it for simulating; an interrupted run goes on
where it stopped. Nothing else should run meanwhile.

Stages: ``prepare`` (all of `sources.prepare`: simulate, bin, find duplicates, split, write), of
which ``simulate`` (until all blocks are written) and ``duplicates`` are parts; ``open`` (load
a set and fit its views); ``pretrain`` (one epoch of cnn4, batches of 256); ``embed`` (one
orientation); ``pca`` (64 components); ``knn`` (1000 asked); ``probe`` (logistic, all labels);
``umap`` (sizes of its own).

Columns of growth.csv: stage, n (galaxies asked for), seconds, peak_gb (resident memory of the
process and its workers, which counts what is mapped from files and can be given up at any time),
own_gb (without mapped files), cpu_per_wall.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import ledger
import numpy as np

SIZES = (1000, 4000, 16_000, 64_000, 400_000)
UMAP_SIZES = (1000, 4000, 16_000, 50_000)
COLUMNS = ("stage", "n", "seconds", "peak_gb", "own_gb", "cpu_per_wall")
STAGES = ("prepare", "open", "pretrain", "embed", "pca", "knn", "probe")
PARTS = {"prepare": ("simulate", "duplicates")}
LINEAR = 1.1  # the largest exponent that passes for linear
TWICE = 2.0  # a size counts when it takes so many times what the smallest one takes
VAL, TEST = 0.02, 0.04  # as in the poster's profile


# --- exponents ---------------------------------------------------------------------------------


def exponent(n, y) -> dict:
    """Return how y grows with n: the exponent, its 95% interval, and the size it is taken from.

    What has to be done for any number of galaxies is not growth. So the smallest size is
    subtracted from the others, in n and in y, which takes any fixed cost out of a straight line;
    of these, the sizes count whose y is at least twice that of the smallest. The exponent is the
    slope of the least-squares line through the logarithms, its interval that of Student's t from
    the residuals (none with two points). Where fewer than two sizes count, y is mostly fixed cost,
    and the slope is that of all sizes with nothing subtracted.

    Args:
        n: numbers of galaxies, rising. y: seconds or gigabytes.
    Returns:
        value, low, high (None without an interval), from_n.

    >>> n = np.array([1000, 4000, 16000, 64000])
    >>> round(exponent(n, 3 + n / 1000)["value"], 3), round(exponent(n, n**2.0)["value"], 1)
    (1.0, 1.8)
    """
    from scipy import stats

    n, y = np.asarray(n, float), np.maximum(np.asarray(y, float), 1e-9)
    used = y >= TWICE * y[0]
    fixed = used.sum() < 2
    if fixed:
        x, v, from_n = np.log(n), np.log(y), n[0]
    else:
        x, v, from_n = np.log(n[used] - n[0]), np.log(y[used] - y[0]), n[used][0]
    centred = x - x.mean()
    scatter = (centred**2).sum()
    value = float(centred @ v / scatter) if scatter else float("nan")
    low = high = None
    if len(x) > 2:
        residuals = v - v.mean() - value * centred
        error = np.sqrt((residuals**2).sum() / (len(x) - 2) / scatter)
        half = float(stats.t.ppf(0.975, len(x) - 2) * error)
        low, high = value - half, value + half
    return {"value": value, "low": low, "high": high, "from_n": int(from_n)}


def exponents(rows: list[dict]) -> dict:
    """Return the exponents of time and memory of every stage with two sizes or more."""
    found = {}
    for stage in dict.fromkeys(row["stage"] for row in rows):
        own = sorted((row for row in rows if row["stage"] == stage), key=lambda row: row["n"])
        if len(own) < 2:
            continue
        n, fits = [row["n"] for row in own], {}
        for name, column in {"time": "seconds", "memory": "peak_gb", "own": "own_gb"}.items():
            fits[name] = exponent(n, [row[column] for row in own])
        found[stage] = {name: [fit["value"], fit["low"], fit["high"]] for name, fit in fits.items()}
        found[stage]["from_n"] = fits["time"]["from_n"]
    return found


def worse_than_linear(found: dict, shown: bool = True) -> list[str]:
    """Return the stages, UMAP aside, whose time grows faster than in proportion.

    They are those whose interval lies above 1 (or whose exponent exceeds 1.1, where there is no
    interval). With ``shown=False``, those of the others that few sizes leave undecided: whose
    interval reaches beyond 1.1, a tenth being left for caches and for noise.

    >>> found = {"embed": {"time": [1.0, 0.98, 1.02]}, "knn": {"time": [2.0, 1.9, 2.1]}}
    >>> worse_than_linear(found), worse_than_linear(found, shown=False)
    (['knn'], [])
    """
    worse, undecided = [], []
    for stage, (value, low, high) in ((s, fit["time"]) for s, fit in found.items() if s != "umap"):
        if value > LINEAR if low is None else low > 1:
            worse.append(stage)
        elif high is not None and high > LINEAR:
            undecided.append(stage)
    return worse if shown else undecided


# --- the stages: each makes ready what it needs and returns what is timed -------------------------


def stage_prepare(run: Path, n: int, quick: bool):
    """Make the set, and note how long its parts take."""
    from galclr_utils import assemble, sources

    parts = dict.fromkeys(PARTS["prepare"], 0.0)
    stages = {"simulate": "write_blocks", "duplicates": "duplicates"}

    def timed(name, call, *args, **kwargs):
        began = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            parts[name] += time.perf_counter() - began

    def work():
        with contextlib.ExitStack() as stack:
            for part, name in stages.items():
                call = functools.partial(timed, part, getattr(assemble, name))
                stack.enter_context(mock.patch.object(assemble, name, call))
            sources.prepare(
                str(run),
                n_galaxies=round(n * (1 - VAL - TEST)),
                val_fraction=VAL,
                test_fraction=TEST,
                workers=1 if quick else ledger.cores(),
            )
        return parts

    shutil.rmtree(run, ignore_errors=True)
    return work


def stage_open(run: Path, n: int, quick: bool):
    """Open the set and fit its normalisation."""
    from galclr_utils import GalaxySet
    from galclr_utils.galaxy_views import GalaxyViews

    return lambda: GalaxyViews.for_set(GalaxySet.load(run / "dataset")) and None


def stage_pretrain(run: Path, n: int, quick: bool):
    """Train for one epoch; the encoder is left for the stages after it."""
    from galclr_utils import GalaxySet
    from galclr_utils.checkpoints import save_checkpoint
    from galclr_utils.galaxy_views import GalaxyViews
    from galclr_utils.provenance import write_json
    from galclr_utils.recipe import Settings
    from galclr_utils.training import Trainer

    galaxies = GalaxySet.load(run / "dataset")
    settings = Settings(epochs=1, batch_size=64 if quick else 256)
    trainer = Trainer(galaxies, GalaxyViews.for_set(galaxies), settings)
    folder = run / "pretrain"

    def work():
        for _ in trainer.epochs():
            trainer.mean_loss()

    def leave():  # what the stages after it read
        trainer.encoder.save(folder / "encoder.pt")
        save_checkpoint(folder, {"key": "growth", "trainer": trainer.state()})
        write_json(folder / "settings.json", {"key": "growth", "settings": asdict(settings)})

    work.leave = leave
    return work


def stage_embed(run: Path, n: int, quick: bool):
    """Describe every galaxy, in one orientation."""
    from galclr_utils.embedding import embed

    shutil.rmtree(run / "embedding", ignore_errors=True)
    return lambda: embed(run, orientations=1) and None


def stage_pca(run: Path, n: int, quick: bool):
    """Describe every galaxy by 64 principal components."""
    from galclr_utils import GalaxySet, baselines, load_encoder

    galaxies = GalaxySet.load(run / "dataset")
    normalize = load_encoder(run / "pretrain" / "encoder.pt").normalize
    return lambda: baselines.pca_features(galaxies, normalize) is None


def _represented(run: Path):
    """Return h of all galaxies, the labelled training rows, and the labels."""
    from galclr_utils import GalaxySet

    galaxies = GalaxySet.load(run / "dataset")
    h = np.load(run / "embedding" / "representation.npy", allow_pickle=False)
    return h, galaxies.labelled("train"), galaxies.labels


def stage_knn(run: Path, n: int, quick: bool):
    """Let all training galaxies vote on a thousand."""
    from galclr_utils import metrics

    h, train, labels = _represented(run)
    return lambda: metrics.knn_accuracy(h[train], labels[train], h[:1000], labels[:1000]) < 0


def stage_probe(run: Path, n: int, quick: bool):
    """Fit a logistic regression to all labels."""
    from galclr_utils.probes import decorrelate, fit_probe

    h, train, labels = _represented(run)

    def work():
        level = decorrelate(h, train)
        fit_probe("logistic", level[train], labels[train], level[:1000])

    return work


def stage_umap(run: Path, n: int, quick: bool):
    """Map n of the galaxies of the largest set."""
    from galclr_utils import atlas

    h = np.load(run / "embedding" / "representation.npy", allow_pickle=False)
    warm = 50 if quick else 100 if n < 4096 else 4200  # compile UMAP's way for so many points
    atlas.umap_map(h[:warm])
    return lambda: atlas.umap_map(h[:n]) is None


# --- measuring ---------------------------------------------------------------------------------


def cpu_seconds() -> float:
    """Return the processor time of this process and of the workers it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def measure_here(stage: str, run: Path, n: int, quick: bool) -> dict:
    """Run a stage in this process: its seconds, those of its parts, and its peak memory in GB."""
    work = globals()[f"stage_{stage}"](run, n, quick)
    cpu, began = cpu_seconds(), time.perf_counter()
    parts = work() or {}
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
    result = {"seconds": seconds, "parts": parts, "peak_gb": peak, "own_gb": 0.0}
    result["cpu_per_wall"] = (cpu_seconds() - cpu) / max(seconds, 1e-9)
    getattr(work, "leave", lambda: None)()
    return result


def memory_of(pid: int) -> tuple[float, float]:
    """Return the resident memory (GB) of a process and all below it, and that without files."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
        below = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        below = [int(child) for children in below for child in children]
    except OSError:  # it has ended, or this is no Linux
        return 0.0, 0.0
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    kilobytes = (lines.get(name, "0 kB").split()[0] for name in ("VmRSS", "RssAnon"))
    sizes = [1024 * float(number) / 1e9 for number in kilobytes]
    for child in map(memory_of, below):
        sizes = [own + more for own, more in zip(sizes, child, strict=True)]
    return tuple(sizes)


def measure(stage: str, run: Path, n: int, quick: bool) -> dict:
    """Run a stage in a process of its own and watch its memory, and that of its workers."""
    command = [sys.executable, __file__, "--stage", stage, "--n", str(n), "--work", str(run)]
    answer = run.parent / f"{stage}-{n}.json"
    answer.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen([*command, "--out", str(answer), *["--quick"] * quick])
    peak = own = 0.0
    while process.poll() is None:
        sizes = memory_of(process.pid)
        peak, own = max(peak, sizes[0]), max(own, sizes[1])
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{stage} of {n} galaxies ended with {process.returncode}, see above")
    found = json.loads(answer.read_text())
    answer.unlink()
    return found | {"peak_gb": max(peak, found["peak_gb"]), "own_gb": own}


def main(arguments: list[str] | None = None) -> int:
    """Measure every stage at every size, and write the rows and their exponents."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", help=f"default {SIZES}")
    parser.add_argument("--umap-sizes", type=int, nargs="+", help=f"default {UMAP_SIZES}")
    parser.add_argument("--out", type=Path, default=ledger.RESULTS, help="folder of the results")
    parser.add_argument("--work", type=Path, help="folder of the sets (default runs/growth)")
    parser.add_argument("--quick", action="store_true", help="seconds: shows that it runs")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--n", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    quick = options.quick
    if options.stage:  # this is a process of `measure`
        found = measure_here(options.stage, options.work, options.n, quick)
        options.out.write_text(json.dumps(found))
        return 0
    from galclr_utils.provenance import project_root

    sizes = sorted(options.sizes or ((150, 300) if quick else SIZES))
    umap_sizes = sorted(options.umap_sizes or ((60, 120) if quick else UMAP_SIZES))
    umap_sizes = [n for n in umap_sizes if n <= sizes[-1]]
    work = options.work or project_root() / "runs" / ("growth-quick" if quick else "growth")
    key = ledger.code_key((__file__,), {"quick": quick, "cores": ledger.cores()})
    book = ledger.Ledger(work, "growth", COLUMNS, key)
    run_stage = measure_here if quick else measure  # a process of its own takes seconds to start
    plan = [(stage, n, work / str(n)) for n in sizes for stage in STAGES]
    plan += [("umap", n, work / str(sizes[-1])) for n in umap_sizes]
    for k, (stage, n, run) in enumerate(plan, 1):
        if book.find(stage=stage, n=n):
            continue
        found = run_stage(stage, run, n, quick)
        rows = [{"stage": stage, "n": n} | {c: found[c] for c in COLUMNS if c in found}]
        for part, seconds in found["parts"].items():
            rows.append(rows[0] | {"stage": part, "seconds": seconds})
        book.add(*(tidy(row) for row in rows))
        last = ", ".join(f"{row['stage']} {row['seconds']:.2f} s" for row in rows)
        ledger.say(f"{k}/{len(plan)}  n {n}: {last}, peak {rows[0]['peak_gb']:.2f} GB")

    wanted = {(stage, n) for stage, n, _ in plan}
    wanted |= {(part, n) for stage, n, _ in plan for part in PARTS.get(stage, ())}
    book.rows = [row for row in book.rows if (row["stage"], row["n"]) in wanted]
    found = exponents(book.rows)
    record = {"exponents": found, "worse_than_linear": worse_than_linear(found)}
    record["undecided"] = worse_than_linear(found, shown=False)
    record["rule"] = " ".join(exponent.__doc__.split("\n\n")[1].split())
    book.finish(options.out, record | ledger.facts(0, quick))
    for stage, fit in found.items():
        ledger.say(f"{stage}: time ~ n^{fit['time'][0]:.2f}, memory ~ n^{fit['memory'][0]:.2f}")
    for name in ("worse_than_linear", "undecided"):
        ledger.say(f"{name.replace('_', ' ')}: {', '.join(record[name]) or 'none'}")
    for n in sizes:
        shutil.rmtree(work / str(n), ignore_errors=True)
    return 0


def tidy(row: dict) -> dict:
    """Round what was measured to what it is worth."""
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in row.items()}


if __name__ == "__main__":
    sys.exit(main())
