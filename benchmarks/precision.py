"""Decide whether bfloat16 keeps the quality: pretrain in both precisions, from five seeds.

    python benchmarks/precision.py [--seeds 5] [--epochs 15] [--out DIR] [--work DIR]

One SIMULATED set (8000 training galaxies), cnn4, the same order of galaxies and the same views for
both precisions of a seed. Each representation (mean over 8 orientations, as in the book) is probed
with 100, 1000 and all labels; *validation* galaxies judge, for this is a choice, and no choice is
made on test. About 20 minutes on two cores; an interrupted run goes on where it stopped.

The two paths differ in the precision of the network and in nothing else: both are channels_last
with a kept heap, which change the speed, and a sum's last digits, at most.
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path

import ledger
import numpy as np

PRECISIONS = ("32-true", "bf16-mixed")
PROBES = ("fully connected", "logistic")
COLUMNS = ("precision", "seed", "n_labels", "probe", "balanced_accuracy", "accuracy")
COLUMNS += ("knn_accuracy", "final_loss", "seconds")
FULL = {"n_galaxies": 8000, "batch_size": 256, "epochs": 15, "seeds": 5, "draws": 3}
FULL |= {"labels": (100, 1000, 0), "orientations": 8}
QUICK = {"n_galaxies": 200, "batch_size": 64, "epochs": 1, "seeds": 2, "draws": 1}
QUICK |= {"labels": (40, 0), "orientations": 1}
INTERVALS = (
    "95% intervals by hierarchical bootstrap over pretraining seeds, label draws and validation "
    "galaxies (intervals.interval, intervals.paired_difference)"
)


def decide(cases: list[dict]) -> str:
    """Return whether bfloat16 stays, and why.

    Args:
        cases: for each probe and budget: n_labels, probe, and ``fp32`` (mean, low, high) and
            ``bf16`` (mean) of the balanced accuracy.

    >>> fp32 = {"mean": 0.80, "low": 0.78, "high": 0.82}
    >>> case = {"n_labels": 100, "probe": "logistic", "fp32": fp32}
    >>> decide([case | {"bf16": {"mean": 0.79}}])
    'bf16 stays: in 1 of 1 comparisons its mean lies within the 95% interval of fp32'
    >>> decide([case | {"bf16": {"mean": 0.77}}])
    'fp32: in 1 of 1 comparisons bf16 lies outside the 95% interval of fp32 (logistic, 100 labels: \
below)'
    """
    outside = []
    for case in cases:
        fp32, mean = case["fp32"], case["bf16"]["mean"]
        if not fp32["low"] <= mean <= fp32["high"]:
            side = "below" if mean < fp32["low"] else "above"
            outside.append(f"{case['probe']}, {case['n_labels']} labels: {side}")
    if not outside:
        within = "its mean lies within the 95% interval of fp32"
        return f"bf16 stays: in {len(cases)} of {len(cases)} comparisons {within}"
    count = f"in {len(outside)} of {len(cases)} comparisons"
    return f"fp32: {count} bf16 lies outside the 95% interval of fp32 ({'; '.join(outside)})"


def judged_by_validation(galaxies):
    """Return the set with the validation galaxies in the place of the test galaxies.

    So `scoring.score_methods` judges on validation galaxies, and test galaxies stay unseen.
    """
    swapped = copy.copy(galaxies)
    swapped.catalog = galaxies.catalog.copy()
    split = np.asarray(galaxies.catalog["split"])
    swapped.catalog["split"] = np.select([split == "val", split == "test"], ["test", "val"], split)
    return swapped


def run_one(run: Path, galaxies, views, precision: str, seed: int, plan: dict) -> list[dict]:
    """Pretrain, embed and probe once; keep the probes' answers and return the rows."""
    from galclr_utils import metrics, score_table, scoring
    from galclr_utils.embedding import embed
    from galclr_utils.pretrain import pretrain
    from galclr_utils.probes import decorrelate, probe

    part = f"{precision}-{seed}"
    settings = {"precision": precision, "seed": seed}
    settings |= {name: plan[name] for name in ("epochs", "batch_size")}
    record = pretrain(run, views, part=part, **settings)
    history = ledger.read_rows(run / "pretrain" / part / "history.csv")
    h, _ = embed(run, plan["orientations"], part)
    train, val = galaxies.labelled("train"), galaxies.labelled("val")
    labels = galaxies.labels
    knn = metrics.knn_accuracy(h[train], labels[train], h[val], labels[val])
    level = decorrelate(h, galaxies.indices("train"))
    methods = {kind: probe(level, kind) for kind in PROBES}
    judged = judged_by_validation(galaxies)
    scores = scoring.score_methods(methods, judged, plan["labels"], plan["draws"], [seed])
    score_table.save_scores(run / "scored" / part, scores)
    rows = []
    for n_labels in dict.fromkeys(scores.table["n_labels"].tolist()):
        for kind in PROBES:
            own = scores.table[scores.runs(kind, n_labels)]
            row = {"precision": precision, "seed": seed, "n_labels": n_labels, "probe": kind}
            row |= {s: float(own[s].mean()) for s in ("balanced_accuracy", "accuracy")}
            row |= {"knn_accuracy": knn, "final_loss": history[-1]["loss"]}
            rows.append(row | {"seconds": record["seconds"]})
    return rows


def paired(run: Path, seeds) -> tuple[list[dict], list[dict]]:
    """Compare the two precisions on the kept answers.

    Returns:
        The paired differences bf16 minus fp32 of the balanced accuracy (n_labels, probe, mean, low,
        high), and the cases for `decide`.
    """
    from galclr_utils import intervals, score_table

    runs = {
        p: [score_table.load_scores(run / "scored" / f"{p}-{s}") for s in seeds] for p in PRECISIONS
    }
    joined = {}
    for precision, scores in runs.items():
        joined[precision] = scores[0]
        for more in scores[1:]:
            joined[precision] = joined[precision] + more
    differences, cases = [], []
    plain, fast = (joined[precision] for precision in PRECISIONS)
    for n_labels in dict.fromkeys(plain.table["n_labels"].tolist()):
        for kind in PROBES:
            case = {"n_labels": n_labels, "probe": kind}
            rows = plain.runs(kind, n_labels), fast.runs(kind, n_labels)
            layouts = [
                list(zip(s.table["seed"][r].tolist(), s.table["draw"][r].tolist(), strict=True))
                for s, r in zip((plain, fast), rows, strict=True)
            ]
            if layouts[0] != layouts[1]:
                raise ValueError(f"{case}: the precisions have other seeds or draws")
            layout = tuple(zip(*layouts[0], strict=True))
            p32, p16 = plain.p_late[rows[0]], fast.p_late[rows[1]]
            found = intervals.paired_difference(plain.label, p16, p32, *layout)
            differences.append(case | {name: found[name] for name in ("mean", "low", "high")})
            ends = {
                name: intervals.interval(plain.label, p, *layout)
                for name, p in (("fp32", p32), ("bf16", p16))
            }
            cases.append(case | ends)
    return differences, cases


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, then compare, decide and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, help="pretraining seeds (default 5)")
    parser.add_argument("--epochs", type=int, help="epochs of each pretraining (default 15)")
    parser.add_argument("--out", type=Path, default=ledger.RESULTS, help="folder of the results")
    parser.add_argument("--work", type=Path, help="folder of the run (default runs/precision)")
    parser.add_argument("--quick", action="store_true", help="seconds: shows that it runs")
    options = parser.parse_args(arguments)

    from galclr_utils.device import has_bfloat16
    from galclr_utils.galaxy_views import GalaxyViews
    from galclr_utils.provenance import run_path
    from galclr_utils.sources import prepare

    if not has_bfloat16():
        print("not run: this hardware does not multiply in bfloat16, so `auto` trains in fp32 here")
        return 0
    plan = dict(QUICK if options.quick else FULL)
    for name in ("seeds", "epochs"):
        if getattr(options, name):
            plan[name] = getattr(options, name)
    run = run_path(options.work or ("runs/precision-quick" if options.quick else "runs/precision"))
    asked = {name: value for name, value in plan.items() if name != "seeds"}
    key = ledger.code_key((__file__,), asked)
    book = ledger.Ledger(run, "precision", COLUMNS, key)
    galaxies = prepare(str(run), n_galaxies=plan["n_galaxies"], workers=int(options.quick))
    views, seeds = GalaxyViews.for_set(galaxies), range(plan["seeds"])
    todo = [(seed, precision) for seed in seeds for precision in PRECISIONS]
    for k, (seed, precision) in enumerate(todo, 1):
        if book.find(precision=precision, seed=seed):
            continue
        rows = run_one(run, galaxies, views, precision, seed, plan)
        book.add(*rows)
        scores = ", ".join(f"{row['balanced_accuracy']:.3f}" for row in rows)
        seconds = rows[0]["seconds"]
        ledger.say(f"{k}/{len(todo)}  seed {seed}, {precision}: {seconds:.0f} s, {scores}")

    book.rows = [row for row in book.rows if row["seed"] in seeds]
    differences, cases = paired(run, seeds)
    record = {"paired": differences, "decision": decide(cases), "compared": cases}
    settings = {**plan, "labels": list(plan["labels"]), "encoder": "cnn4"}
    settings |= {"judged on": "validation galaxies", "intervals": INTERVALS}
    settings["views"] = views.settings
    record["settings"] = settings | {"paths": " ".join(__doc__.split("\n\n")[-1].split())}
    book.finish(options.out, record | ledger.facts(0, options.quick))
    for row in differences:
        name = f"{row['probe']}, {row['n_labels']} labels"
        interval = f"[{row['low']:+.4f}, {row['high']:+.4f}]"
        ledger.say(f"{name}: bf16 - fp32 = {row['mean']:+.4f} {interval}")
    ledger.say(record["decision"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
