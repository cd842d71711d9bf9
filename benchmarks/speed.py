"""Measure how fast this project is, beside what a user would otherwise run: one command.

    .venv/bin/python benchmarks/speed.py [--rounds 7] [--only GROUP ...] [--quick] [--out DIR]

All runs in one process, round by round, each case once a round, so that ratios hold although the
machine may be shared. Written: ``speed.csv`` (a row for each case), ``speed.json`` (ratios with
their spread, round by round, and their targets) and ``speed.png``. About ten minutes on two
cores; let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

import cases
import stock
import torch
import trainings
from ledger import RESULTS, facts, say, write_rows
from rounds import COLUMNS, ratios, run_rounds, summarise
from targets import wanted_ratios

from galclr_utils.device import has_bfloat16
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.provenance import whole_file, write_json
from galclr_utils.recipe import Settings
from galclr_utils.training import Trainer

GROUPS = ("machine", "augmentation", "step", "data", "end to end", "loop")
GROUPS += ("loss", "probe", "embedding", "simulation", "umap")
FULL = {
    "n": 8192,
    "simulated": 256,
    "seconds": 1.0,
    "long": 4.0,
    "batch": 256,
    "rows": 1000,
    "spare": 4,
}
FULL |= {"resnet18": 128, "umap": 2000}
QUICK = {
    "n": 128,
    "simulated": 64,
    "seconds": 0.05,
    "long": 0.05,
    "batch": 16,
    "rows": 100,
    "spare": 0,
}
QUICK |= {"resnet18": 4, "umap": 60}


def sections(sizes: dict, threads: int, seed: int, folder: Path, groups) -> tuple[list, list]:
    """Return what is measured together, as (cases, rounds as a multiple), and what to close."""
    galaxies = cases.make_galaxies(folder / "set", sizes["n"], sizes["simulated"], seed)
    views = GalaxyViews.for_set(galaxies)
    precisions = {"fp32": "32-true"} | ({"bf16": "bf16-mixed"} if has_bfloat16() else {})
    options = {"batch_size": sizes["batch"], "epochs": 100_000, "seed": seed}
    trainers = {
        name: Trainer(galaxies, views, Settings(precision=precision, **options))
        for name, precision in precisions.items()
    }
    trainer, seconds, long = trainers["fp32"], sizes["seconds"], sizes["long"]
    batches = {"cnn4": sizes["batch"], "resnet18": sizes["resnet18"]}
    pictures, to_close, found = cases.make_pictures(galaxies, views, sizes["n"]), [], []
    if "end to end" in groups:
        training, to_close = trainings.end_to_end(pictures, trainers, threads, long)
        found.append((training, 1))
    parts = []
    if "machine" in groups:
        parts += cases.machine(threads, seconds / 3)
    if "step" in groups:
        parts += trainings.step(batches, threads, seconds)
    if "augmentation" in groups:
        parts += cases.augmentation(galaxies, trainer, threads, seconds, say)
    if "data" in groups:
        parts += cases.data(galaxies, trainer, threads, seconds / 3)
    found.append((parts, 1))
    if "loop" in groups:
        found.append((trainings.loop(folder / "tiny", seed, seconds / 2), 3))
    alone = cases.others(galaxies, trainer, threads, seconds, sizes["rows"])
    found.append(([case for case in alone if case.group in groups], 1))
    if "umap" in groups:
        found.append((cases.umap(sizes["umap"]), 0.5))
    return [(some, multiple) for some, multiple in found if some], to_close


def draw(path: Path, found: list[dict]) -> None:
    """Draw the ratios against stock: bars to the median, lines over all rounds, marks for aims."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = [r for r in found if r["name"].endswith("stock")]
    shown = sorted(shown, key=lambda r: (r["name"].split(" ")[0], r["value"]))
    if not shown:
        return
    figure, axis = plt.subplots(figsize=(8, 1 + 0.4 * len(shown)), layout="constrained")
    for k, r in enumerate(shown):
        color = "#0072B2" if "end to end" in r["name"] else "#E69F00"
        axis.barh(k, r["value"] - 1, left=1, color=color, height=0.6)
        axis.plot([r["low"], r["high"]], [k, k], color="black", lw=2)
        if "target" in r:
            axis.plot([r["target"]] * 2, [k - 0.4, k + 0.4], color="#D55E00", lw=3)
        axis.annotate(
            f"  {r['value']:.1f}", (max(r["high"], r.get("target", 0), 1), k), va="center"
        )
    names = [r["name"] for r in shown]
    axis.set(xscale="log", yticks=range(len(shown)), yticklabels=names, xlabel="times as fast")
    ticks = [x for x in (0.5, 1, 2, 4, 8, 16, 32) if x <= 2 * axis.get_xlim()[1]]
    axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axis.minorticks_off()
    axis.margins(x=0.15)
    axis.axvline(1, color="0.5", lw=1)
    axis.set_title("bars: medians; lines: all rounds; upright marks: aims", fontsize=9)
    with whole_file(path) as part:
        figure.savefig(part, dpi=150)
    plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write the three files; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--rounds", type=int, default=7, help="good rounds wanted (7)")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, default=GROUPS, metavar="GROUP", help=", ".join(GROUPS)
    )
    parser.add_argument("--quick", action="store_true", help="seconds; the numbers mean nothing")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", message="n_jobs value")  # UMAP says that a seed means one
    sizes, threads = QUICK if asked.quick else FULL, torch.get_num_threads()
    wanted = 2 if asked.quick else max(1, asked.rounds)
    torch.manual_seed(asked.seed)
    record = facts(asked.seed, asked.quick)
    quoted, extra = wanted_ratios(threads, sizes)
    rows, found, others = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        parts, to_close = sections(sizes, threads, asked.seed, Path(folder), asked.only)
        for some, multiple in parts:
            kept, rejected = run_rounds(some, max(1, round(multiple * wanted)), sizes["spare"], say)
            rows += summarise(some, kept, rejected)
            found += ratios(quoted, kept)
            others += ratios(extra, kept)
        for one in to_close:
            one.close()
    torch.set_num_threads(threads)
    order = [ratio.name for ratio in quoted]
    found.sort(key=lambda entry: order.index(entry["name"]))
    record |= {"ratios": found, "others": others, "rounds": wanted}
    record["flop_per_view"] = {name: trainings.flop_per_view(name) for name in ("cnn4", "resnet18")}
    record["stock_transform"] = stock.describe(stock.stock_transform())
    write_rows(asked.out / "speed.csv", rows, COLUMNS)
    write_json(asked.out / "speed.json", record)
    draw(asked.out / "speed.png", found + others)
    for r in found + others:
        aim = f", aim {r['sense']} {r['target']:g}" if "target" in r else ""
        say(f"{r['name']}: {r['value']:.3g} ({r['low']:.3g} to {r['high']:.3g}{aim})")
    return 0


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # this is about CPUs; poster.py is about GPUs
    sys.exit(main())
