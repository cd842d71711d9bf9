"""Draw how far a classifier can be trusted: its doubts, its labels, worse nights, other surveys."""

# R runs, T test galaxies

from __future__ import annotations

import numpy as np
from astropy.table import Table

from galclr_utils.inspections import bars, curves, dots, height_of, legend, said, style_of
from galclr_utils.plates import Plate, canvas, source_tag


def reliability(
    tables: dict[str, Table], found: dict[str, dict], trained: str, card: dict
) -> Plate:
    """Draw how often galaxies are late against the probability they were given.

    Args:
        tables: method -> `calibration.reliability`. found: method -> `calibration.calibration`.
        trained: with how many labels, in how many draws.
    """
    names = list(tables)
    shape = {"width": max(3.2, 2.4 * len(names)), "height": 3.2, "sharey": True, "squeeze": False}
    with canvas(1, len(names), **shape) as (figure, axes):
        for place, (axis, name) in enumerate(zip(axes[0], names, strict=True)):
            rows, (color, marker) = tables[name], style_of(name, place)
            axis.plot([0, 1], [0, 1], color="0.6", lw=1, ls="--")
            axis.vlines(rows["p"], rows["low"], rows["high"], color=color, lw=1.2)
            axis.plot(rows["p"], rows["late"], marker, color=color, ms=5)
            axis.bar(rows["p"], 0.2 * rows["n"] / rows["n"].max(), 0.05, color="0.8", zorder=0)
            axis.set(xlabel="probability of late", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
            axis.set_title(name.replace(" (", "\n("), fontsize=8)
        axes[0, 0].set_ylabel("share that is late")
    words = [f"{name}: ECE {f['ece']:.3f}, Brier {f['brier']:.3f}" for name, f in found.items()]
    chance = max(f["ece_chance"] for f in found.values())
    return Plate(
        figure,
        "fig-reliability",
        f"Reliability on test galaxies, {trained}: above the diagonal more galaxies are late than "
        "was said. "
        "Bars are 95% intervals of each share, grey columns how many galaxies got such a "
        f"probability. {'; '.join(words)}. Chance alone would give perfect probabilities an ECE of "
        f"about {chance:.3f}. {source_tag(card)}",
        f"Reliability diagrams, a panel a method. {'; '.join(words)}.",
    )


def abstention(
    covered: dict[str, tuple], areas: dict[str, dict], trained: str, card: dict
) -> Plate:
    """Draw accuracy against the share of galaxies that a method is asked to classify.

    Args:
        covered: method -> `calibration.risk_coverage`. areas: method -> `calibration.area_covered`.
        trained: with how many labels, in how many draws.
    """
    words = []
    with canvas(width=6, height=3.6) as (figure, axis):
        for place, (name, (coverage, accuracy)) in enumerate(covered.items()):
            seen = coverage >= 0.05  # of fewer, the accuracy is the luck of a few galaxies
            color, marker = style_of(name, place)
            every = max(1, int(seen.sum()) // 8)
            style = {"color": color, "marker": marker, "markevery": every, "ms": 4, "label": name}
            axis.plot(coverage[seen], accuracy[seen], **style)
            half = accuracy[np.searchsorted(coverage, 0.5)]
            area = areas[name]
            words.append(
                f"{name} {accuracy[-1]:.3f} on all, {half:.3f} on the surest half, area "
                f"{area['mean']:.3f} ({area['low']:.3f} to {area['high']:.3f})"
            )
        axis.set(xlabel="share of galaxies classified, the surest first", ylabel="accuracy on them")
        axis.set_xlim(0, 1.02)
        axis.grid(axis="y", color="0.92")
        legend(figure, axis, columns=2)
    return Plate(
        figure,
        "fig-abstention",
        "What a method gains by leaving the galaxies it is least sure of to a person: accuracy "
        f"against the share classified; {trained}. {'; '.join(words)}; in brackets 95% intervals "
        f"of the mean accuracy over all shares, the area under the curve. {source_tag(card)}",
        f"Curves of accuracy against the share classified: {'; '.join(words)}.",
    )


def truth(table: Table, ceiling: float, card: dict) -> Plate:
    """Draw how often methods agree with noisy labels and with the truth behind them.

    Args:
        table: from ``audit.against_truth``. ceiling: share of labels that are true.
    """
    order = np.argsort(-np.asarray(table["truth"], float), kind="stable")
    rows = [
        (row["method"], name, *(row[f"{column}{end}"] for end in ("", "_low", "_high")))
        for row in table[order]
        for name, column in {"against labels": "labels", "against the truth": "truth"}.items()
    ]
    long = Table(rows=rows, names=("group", "method", "mean", "low", "high"))
    with canvas(width=7.5, height=height_of(long)) as (figure, axis):
        dots(axis, long)
        axis.axvline(ceiling, color="0.3", lw=1, ls="--", label=f"ceiling {ceiling:.3f}")
        axis.set_xlabel("accuracy on test galaxies")
        axis.tick_params(axis="y", labelsize=8)
        legend(figure, axis)
    up = int((np.asarray(table["gain_low"], float) > 0).sum())
    down = int((np.asarray(table["gain_high"], float) < 0).sum())
    return Plate(
        figure,
        "fig-truth",
        "Accuracy at the largest label budget of each method, against the labels and against the "
        f"true types. {up} of {len(table)} methods agree with the truth more often than with the "
        f"labels, {down} less often (paired 95% intervals). Dashed: the share of labels that are "
        f"true, {ceiling:.3f}. {bars(table)}. {source_tag(card)}",
        f"Intervals of accuracy: {said(long)}.",
    )


def degradation(tables: dict[str, Table], card: dict, refitted: Table | None = None) -> Plate:
    """Draw the score of methods against how much worse the stamps are.

    Args:
        tables: name of the axis -> rows level, method, mean, low, high, n_seeds, n_runs.
        refitted: rows axis, level, method, mean, low, high of probes trained on degraded galaxies.
    """
    words = []
    shape = {"width": 8.2, "height": 3.6, "sharey": True, "squeeze": False}
    with canvas(1, len(tables), **shape) as (figure, axes):
        for axis, (name, table) in zip(axes[0], tables.items(), strict=True):
            curves(axis, table, "level", apart=1.02)
            for method in dict.fromkeys(table["method"]):
                value = np.asarray(table["mean"][np.asarray(table["method"]) == method], float)
                words.append(f"{name}: {method} {value[0]:.2f} to {value[-1]:.2f}")
            levels = sorted(set(map(float, table["level"])))
            axis.set(xscale="log", xlabel=name)
            axis.set_xticks(levels, [f"{level:g}" for level in levels])
            axis.minorticks_off()
            again = refitted[np.asarray(refitted["axis"]) == name] if refitted is not None else []
            for row in again:
                color, _ = style_of(row["method"])
                axis.vlines(row["level"] * 1.06, row["low"], row["high"], color=color, lw=1)
                shown = {"color": color, "mfc": "white", "ms": 8}
                axis.plot(row["level"] * 1.06, row["mean"], "*", **shown)
                words.append(f"{name}: {row['method']}, probe re-fitted, {row['mean']:.2f}")
        axes[0, 0].set_ylabel("balanced accuracy")
        legend(figure, axes[0, 0], columns=4)
    star = "White stars: the probe trained again on labelled galaxies as bad. "
    return Plate(
        figure,
        "fig-degradation",
        "Balanced accuracy on the same test galaxies, seen worse and worse; the classifiers were "
        f"trained on stamps as they are. {star if refitted is not None else ''}"
        f"{bars(next(iter(tables.values())))}. {source_tag(card)}",
        f"Curves of balanced accuracy. {'; '.join(words)}.",
    )


def exchange(table: Table, source: str) -> Plate:
    """Draw how encoders do on the galaxies of their own and of another set.

    Args:
        table: ``exchange`` of ``surveys.exchange``. source: what the two sets are, a sentence.
    """
    columns = ("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high")
    long = table[columns]
    long["group"] = [f"{row['encoder']}\ntested on {row['tested']}" for row in table]
    long["method"] = [f"probe with labels of {name}" for name in table["labels"]]
    long.sort("group")
    with canvas(width=7.5, height=1.3 + 0.5 * len(set(long["group"]))) as (figure, axis):
        dots(axis, long, columns)
        axis.axvline(0.5, color="0.6", lw=1, ls="--")
        axis.tick_params(axis="y", labelsize=8)
        axis.set_xlabel("balanced accuracy")
        legend(figure, axis, columns=2)
    return Plate(
        figure,
        "fig-exchange",
        "Each encoder on the test galaxies of its own set and of the other, with a probe trained "
        f"on up to {int(max(table['n_labels']))} labels of either. Bars are 95% intervals over "
        "label draws and test galaxies, for one pretraining of each encoder; dashed, a coin. "
        + source,
        f"Intervals of balanced accuracy: {said(long, columns)}.".replace("\n", ", "),
    )
