"""Measure how a large data set is built: galaxies a second, memory, and whether it is always one.

    python benchmarks/bigset.py [--n 400000] [--few 4000] [--out DIR] [--work DIR]

Two questions, two kinds of stamps. How a large set goes to the disk does not depend on what is in
it: 400,000 stamps of *noise* are prepared by two processes and by one. How fast galaxies are
SIMULATED, and whether it is always the same set, is asked of a small one: by one process, by two,
by a local Dask cluster, and by two processes that are killed (SIGKILL) at random moments and
started again; and a survey twice as long must begin with it. Each time `sources.prepare` does all
of its work, in a process of its own that is watched from outside. Nothing else should run
meanwhile; cpu_per_wall tells whether it did. It needs Linux, and twice the disk of the large set.

Columns of bigset.csv: of (noise or SIMULATED), how, n (galaxies read), workers, kills, seconds (of
all of `prepare`; with kills, of all tries), blocks_s (of these, writing the blocks), duplicates_s,
per_second (galaxies a second, while blocks are written), cpu_per_wall (of the workers: near their
number where each had a core), per_cpu_second (galaxies a second of processor time, blocks alone),
rss_gb (largest sum of the resident memory of all processes, pages that they share counted in each),
pss_gb (the same, shared pages counted once), sha256 (of images.npy and catalog.fits).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import ledger
import numpy as np

N, FEW, KILLS = 400_000, 4_000, 5
VAL, TEST = 0.02, 0.04  # as in the poster's profile
COLUMNS = ("of", "how", "n", "workers", "kills", "seconds", "blocks_s", "duplicates_s")
COLUMNS += ("per_second", "cpu_per_wall", "per_cpu_second", "rss_gb", "pss_gb", "sha256")


def n_train(n: int) -> int:
    """Return how many training galaxies to ask for, so that at least n are simulated.

    >>> n_train(1000)
    928
    """
    from astropy.table import Table

    from galclr_utils.dataset import assign_splits

    ids = [f"sim-0-{k:07d}" for k in range(n)]
    split, _ = assign_splits(Table({"id": ids}), VAL, TEST)
    return int((split == "train").sum()) + 1


# --- in the process that is measured ---------------------------------------------------------


def noise(n: int, size: int = 1024):
    """Offer stamps of noise in the shape of the simulated survey, with its columns, quickly."""
    from galclr_utils import simulate
    from galclr_utils.dataset import Source

    few = next(simulate.survey(64).blocks())[1]

    def block(k):
        rows = np.arange(k * size, min(n, (k + 1) * size))
        images = np.random.default_rng(k).standard_normal((len(rows), 3, 64, 64), np.float32)
        catalog = few[rows % len(few)]
        catalog["id"] = [f"noise-{row:07d}" for row in rows]
        return images, catalog

    blocks = {"block": block, "block_size": size, "recipe": (noise, n, size)}
    blocks["blocks"] = lambda: map(block, range(-(-n // size)))
    return Source("noise", "nanomaggy", ("g", "r", "i"), 0.396, n, (3, 64, 64), **blocks)


def cpu_seconds() -> float:
    """Return the processor time of this process and of the workers it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


@contextlib.contextmanager
def cluster(how: str, workers: int):
    """Yield a client of a local Dask cluster, or None where processes do the work."""
    if how != "Dask":
        yield None
        return
    from distributed import Client, LocalCluster

    alone = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**alone) as local, Client(local) as client:
        yield client


def build(run: Path, n: int, of: str, how: str, workers: int) -> dict:
    """Prepare a set in this process; return how long its parts took and what they used."""
    from galclr_utils import assemble, sources

    parts = {}

    def timed(name, call, *args, **kwargs):
        began, cpu = time.perf_counter(), cpu_seconds()
        result = call(*args, **kwargs)
        parts[f"{name}_s"], parts[f"{name}_cpu_s"] = (
            time.perf_counter() - began,
            cpu_seconds() - cpu,
        )
        return result

    def watched(name):
        call = getattr(assemble, name)
        return mock.patch.object(assemble, name, lambda *a, **k: timed(name, call, *a, **k))

    asked, given = {"n_galaxies": n_train(n)}, contextlib.nullcontext()
    if of == "noise":
        asked = {"n_galaxies": 0}  # all there are
        given = mock.patch.object(sources, "open_all", lambda *_: [noise(n)])
    asked |= {"val_fraction": VAL, "test_fraction": TEST}
    began, cpu = time.perf_counter(), cpu_seconds()
    with watched("write_blocks"), watched("duplicates"), cluster(how, workers) as client, given:
        galaxies = sources.prepare(str(run), **asked, workers=workers, pool=client)
    seconds, read = time.perf_counter() - began, galaxies.card["cuts"]["read"]
    return {"n": read, "seconds": seconds, "cpu_s": cpu_seconds() - cpu, **parts}


# --- outside of it -----------------------------------------------------------------------------


def memory_of(pid: int) -> np.ndarray:
    """Return resident and proportional memory (bytes) of a process and of all below it."""
    found = np.zeros(2)
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            word, *rest = line.split()
            if word in ("Rss:", "Pss:"):
                found[int(word == "Pss:")] += 1024 * int(rest[0])
        below = (path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        below = [int(child) for children in below for child in children]
    except OSError:  # it has ended
        return found
    return found + sum(map(memory_of, below), np.zeros(2))


def watch(command: list[str], kill_after: float = float("inf")) -> tuple[np.ndarray, int]:
    """Run a command; return its peak memory (bytes) and how it ended. Perhaps kill it."""
    process, peak, began = subprocess.Popen(command), np.zeros(2), time.perf_counter()
    while process.poll() is None:
        peak = np.maximum(peak, memory_of(process.pid))
        if time.perf_counter() - began > kill_after:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(0.2)
    return peak, process.returncode


def measure(run: Path, n: int, of: str, how: str, workers: int, kill_after: tuple = ()) -> dict:
    """Prepare a set in a process of its own, killed so many times before; return its row."""
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    answer = run / "answer.json"
    command = [sys.executable, __file__, "--build", how, "--n", str(n), "--workers", str(workers)]
    command += ["--work", str(run), "--out", str(answer), "--of", of]
    began, peak, kills = time.perf_counter(), np.zeros(2), 0
    for seconds in (*kill_after, float("inf")):
        memory, code = watch(command, seconds)
        peak, kills = np.maximum(peak, memory), kills + (code == -signal.SIGKILL)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            raise SystemExit(f"{how}, {n} galaxies: ended with {code}, see above")
    found = json.loads(answer.read_text())
    took = time.perf_counter() - began
    return row(found, of, how, workers, kills, took, peak, run / "dataset")


def row(found: dict, of: str, how: str, workers: int, kills: int, seconds, peak, dataset) -> dict:
    """Return a row of the table from what the process and its watcher saw.

    After a kill the last process made what was left: its rate would mean nothing.
    """
    from galclr_utils.provenance import sha256

    result = dict.fromkeys(COLUMNS, "")
    result |= {"of": of, "how": how, "n": found["n"], "workers": workers, "kills": kills}
    result |= {"seconds": round(seconds if kills else found["seconds"], 1)}
    if not kills:
        blocks_s, cpu_s = found["write_blocks_s"], found["write_blocks_cpu_s"]
        result |= {"blocks_s": round(blocks_s, 1), "duplicates_s": round(found["duplicates_s"], 1)}
        result["per_second"] = round(found["n"] / blocks_s, 1)
        if how == "processes":  # the workers of a cluster outlive the writing
            result["cpu_per_wall"] = round(cpu_s / blocks_s, 2)
            result["per_cpu_second"] = round(found["n"] / cpu_s, 1)
    result |= {"rss_gb": round(peak[0] / 1e9, 3), "pss_gb": round(peak[1] / 1e9, 3)}
    return result | {"sha256": sha256(dataset / "images.npy", dataset / "catalog.fits")}


def begins_alike(few: Path, many: Path) -> bool:
    """Tell whether a set begins with another, pixel by pixel, as a longer survey must."""
    few, many = (np.load(run / "dataset" / "images.npy", mmap_mode="r") for run in (few, many))
    n = len(few)
    return all(
        np.array_equal(few[k : k + 999], many[k : min(k + 999, n)]) for k in range(0, n, 999)
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure each way of building a set, and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, help=f"galaxies of the large set, default {N}")
    parser.add_argument("--few", type=int, help=f"galaxies of the small sets, default {FEW}")
    parser.add_argument("--out", type=Path, default=ledger.RESULTS, help="folder of the results")
    parser.add_argument("--work", type=Path, help="folder of the sets (default runs/bigset)")
    parser.add_argument("--quick", action="store_true", help="seconds: shows that it runs")
    parser.add_argument("--build", help=argparse.SUPPRESS)
    parser.add_argument("--of", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.build:  # this is a process of `measure`
        found = build(options.work, options.n, options.of, options.build, options.workers)
        options.out.write_text(json.dumps(found))
        return 0
    from galclr_utils.provenance import project_root

    quick = options.quick
    n, few = options.n or (3200 if quick else N), options.few or (1100 if quick else FEW)
    work = options.work or project_root() / "runs" / ("bigset-quick" if quick else "bigset")
    asked = {"n": n, "few": few, "quick": quick, "cores": ledger.cores()}
    book = ledger.Ledger(work, "bigset", COLUMNS, ledger.code_key((__file__,), asked))
    plan = [("noise", "processes", n, workers, 0) for workers in (2, 1)]
    plan += [("SIMULATED", "processes", 2 * few, 2, 0)]
    plan += [("SIMULATED", "processes", few, workers, 0) for workers in (1, 2)]
    with contextlib.suppress(ImportError):
        import distributed  # noqa: F401

        plan.append(("SIMULATED", "Dask", few, 2, 0))
    plan.append(("SIMULATED", "killed", few, 2, KILLS))
    for k, (of, how, size, workers, kills) in enumerate(plan):
        if len(book.rows) > k:
            continue
        alone = book.rows[4]["seconds"] if kills else 0  # none of the tries lasts as long
        moments = np.random.default_rng(0).uniform(1, 1 + alone / 2, kills)
        book.add(measure(work / str(k), size, of, how, workers, tuple(moments)))
        told = (f"{name} {book.rows[k][name]}" for name in COLUMNS[:-1])
        ledger.say(f"{k + 1}/{len(plan)}  " + ", ".join(told))
    sums = {(one["of"], one["n"]): set() for one in book.rows}
    for one in book.rows:
        sums[one["of"], one["n"]].add(one["sha256"])
    record = {"same_bytes": all(len(found) == 1 for found in sums.values())}
    record["begins_alike"] = begins_alike(work / "3", work / "2")
    book.finish(options.out, record | ledger.facts(0, quick))
    ledger.say(", ".join(f"{name}: {value}" for name, value in record.items()))
    for k in range(len(plan)):
        shutil.rmtree(work / str(k), ignore_errors=True)
    return int(not all(record.values()))


if __name__ == "__main__":
    sys.exit(main())
