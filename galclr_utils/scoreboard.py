"""Draw scores side by side: each returns a Plate with texts made from its data."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
from astropy.table import Table

from galclr_utils.calibration import wilson
from galclr_utils.dataset import GalaxySet
from galclr_utils.plates import COLORS, Plate, canvas, source_tag
from galclr_utils.regression import Predictions

METHOD_COLORS = {  # a colour and a marker for each line of the result figure
    "supervised CNN": ("#000000", "s"),
    "SimCLR + fully connected": ("#0072B2", "o"),
    "SimCLR + logistic": ("#56B4E9", "o"),
    "MoCo + fully connected": ("#332288", "h"),
    "MoCo + logistic": ("#8877CC", "h"),
    "random weights + fully connected": ("#D55E00", "^"),
    "PCA-64 + fully connected": ("#009E73", "v"),
    "catalogue + logistic": ("#CC79A7", "D"),
    "catalogue + SVM": ("#882255", "d"),
    "morphology + SVM": ("#999933", "X"),
    "colour + logistic": ("#E69F00", "P"),
    "band means + logistic": ("#E69F00", "P"),
}
VERDICT_COLORS = {  # of the first method of a pair
    "better": COLORS["late"],
    "worse": COLORS["early"],
    "not distinguished": "#777777",
    "not defined": "#777777",
}
EDGES = np.array([-6, -3, -1.5, -0.5, 0.5, 1.5, 3, 5, 9])  # of bins of T-type
ENOUGH = 5  # galaxies in a bin
SPAN = (-7.5, 10.5)  # T-types that are drawn


def verdict(pair: dict) -> str:
    """Say what the interval of a difference allows to say of the first method.

    Args:
        pair: low and high, from ``comparison.compare``.

    >>> verdict({"low": 0.01, "high": 0.1}), verdict({"low": -0.01, "high": 0.1})
    ('better', 'not distinguished')
    """
    if not np.isfinite([pair["low"], pair["high"]]).all():
        return "not defined"
    if pair["low"] > 0:
        return "better"
    return "worse" if pair["high"] < 0 else "not distinguished"


def covered(n_seeds: int) -> str:
    """Say what the intervals cover of the pretraining, as a caption must.

    >>> covered(1)
    'one pretraining seed, so that what another seed would change is missing from them'
    """
    if n_seeds > 1:
        return f"{n_seeds} pretraining seeds"
    return "one pretraining seed, so that what another seed would change is missing from them"


def score_curves(summary: Table, card: dict) -> Plate:
    """Draw balanced accuracy against the number of labels, a line and an interval a method.

    Args:
        summary: from ``comparison.summary``; methods without a colour of their own are left out,
            and so is the majority, whose balanced accuracy is one half whatever the labels.
    """
    names = np.asarray(summary["method"])
    shown = [method for method in METHOD_COLORS if method in names]
    budgets = sorted(set(map(int, summary["n_labels"])))
    with canvas(1, 1, width=7.5, height=4.5) as (figure, axis):
        for k, method in enumerate(shown):
            rows = summary[names == method]
            _curve(axis, rows, method, shift=1.035 ** (k - len(shown) / 2))
        axis.set(xscale="log", xlabel="labels seen", ylabel="balanced accuracy on test galaxies")
        axis.set_xticks(budgets, [str(n) for n in budgets])
        axis.minorticks_off()
        axis.grid(axis="y", color="0.92")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    seeds = int(summary["n_seeds"].max())
    draws = int((summary["n_runs"] // summary["n_seeds"]).max())
    single = (summary["n_runs"] == 1).any()
    hollow = "A hollow marker is a single training. " if single else ""
    return Plate(
        figure,
        "fig-scores",
        "Balanced accuracy of early and late types against the number of labels a method has "
        "seen. The majority, which knows nothing, has 0.5 everywhere. Bars are 95% intervals over "
        f"up to {draws} label draws, the test galaxies, and {covered(seeds)}. {hollow}Points are "
        f"shifted a little sideways to be seen. {source_tag(card)}",
        "Balanced accuracy against labels: " + "; ".join(_told(summary, m) for m in shown) + ".",
    )


def _curve(axis, rows: Table, method: str, shift: float) -> None:
    """Draw one method's scores with their intervals; hollow where there is one run only."""
    rows.sort("n_labels")
    value, low, high = (
        np.asarray(rows[f"balanced_accuracy{end}"], float) for end in ("", "_low", "_high")
    )
    at = np.asarray(rows["n_labels"], float) * shift
    color, marker = METHOD_COLORS[method]
    ends = [np.maximum(value - low, 0), np.maximum(high - value, 0)]
    style = {"color": color, "lw": 1.6, "elinewidth": 1, "capsize": 2}
    axis.errorbar(at, value, ends, marker=marker, ms=5, label=method, **style)
    alone = np.asarray(rows["n_runs"]) == 1
    axis.plot(at[alone], value[alone], marker, ms=5, color=color, mfc="white", zorder=5)


def _told(summary: Table, method: str) -> str:
    """Say a method's scores in words."""
    rows = summary[np.asarray(summary["method"]) == method]
    pairs = zip(rows["n_labels"], rows["balanced_accuracy"], strict=True)
    return f"{method} " + ", ".join(f"{value:.3f} with {n}" for n, value in sorted(pairs))


def differences(pairs: list[dict], card: dict) -> Plate:
    """Draw paired differences with their intervals: right of zero is in favour of the first.

    Args:
        pairs: from ``comparison.compare``, all with the same first method; those against one rival
            stand together.
    """
    verdicts = [verdict(p) for p in pairs]
    groups = [list(g) for _, g in groupby(range(len(pairs)), key=lambda k: pairs[k]["b"])]
    place = np.concatenate([np.array(g) + 0.6 * n for n, g in enumerate(groups)])
    with canvas(1, 1, width=7.5, height=1.0 + 0.24 * (place[-1] + 1)) as (figure, axis):
        for y, p, word in zip(place, pairs, verdicts, strict=True):
            color, marker = VERDICT_COLORS[word], "D" if word == "not distinguished" else "o"
            axis.plot([p["low"], p["high"]], [y, y], color=color, lw=2)
            axis.plot(p["mean"], y, marker, color=color, ms=5)
        for n, group in enumerate(groups):
            first, last = place[group[0]] - 0.65, place[group[-1]] + 0.65
            axis.axhspan(first, last, color="0.95" if n % 2 else "white", lw=0, zorder=0)
            axis.annotate(
                f"{pairs[group[0]]['b']}", (0, place[group].mean()), xytext=(-78, 0), fontsize=9,
                xycoords=("axes fraction", "data"), textcoords="offset points", ha="right",
                va="center",
            )  # fmt: skip
        axis.axvline(0, color="0.3", lw=1)
        axis.set_yticks(place, [f"{p['n_labels']} labels" for p in pairs], fontsize=8)
        axis.tick_params(axis="y", length=0)
        axis.set(ylim=(place[-1] + 0.65, place[0] - 0.65))
        axis.set_xlabel(f"{pairs[0]['a']} minus competitor")
    said = [
        f"{p['b']} with {p['n_labels']} labels {p['mean']:+.3f} ({p['low']:+.3f} to "
        f"{p['high']:+.3f})"
        for p in pairs
    ]
    wins, losses = verdicts.count("better"), verdicts.count("worse")
    return Plate(
        figure,
        "fig-differences",
        f"Paired differences of balanced accuracy, {pairs[0]['a']} minus each competitor, with 95% "
        f"intervals over label draws, the test galaxies, and {covered(pairs[0]['n_seeds'])}. Of "
        f"{len(pairs)} comparisons {wins} are in favour of {pairs[0]['a']}, {losses} against it, "
        f"and {len(pairs) - wins - losses} are undecided (grey). {source_tag(card)}",
        f"Horizontal intervals of differences, {pairs[0]['a']} minus " + "; ".join(said) + ".",
    )


def accuracy_by_type(galaxies: GalaxySet, scores, methods: list[str]) -> Plate:
    """Draw the share of right answers against the true T-type, with the largest budget.

    Bins of T-type with fewer than five test galaxies are left empty. Bars are Wilson's 95%
    intervals for as many galaxies as a bin holds, the number at its foot. Where the catalogue knows
    the types before the scatter of the labels (``true_label``), how often these agree with the
    labels is drawn too: nobody can be expected to do better.

    Args:
        galaxies: the set, with ``ttype``.
        scores: the runs, `score_table.Scores`.
        methods: names of methods.
    """
    row_of = {name: k for k, name in enumerate(np.asarray(galaxies.catalog["id"], str))}
    rows = [row_of[name] for name in scores.id]
    t_type = np.asarray(galaxies.catalog["ttype"], float)[rows]
    right = {}
    for method in methods:
        p_late = scores.p_late[scores.runs(method, 0)]
        right[method] = ((p_late > 0.5) == (scores.label == 1)).mean(axis=0)
    if ceiling := "true_label" in galaxies.catalog.colnames:
        right["true type"] = np.asarray(galaxies.catalog["true_label"])[rows] == scores.label
    said, middle = [], (EDGES[:-1] + EDGES[1:]) / 2
    counts = np.histogram(t_type, EDGES)[0]
    with canvas(1, 1, width=6.5, height=3.4) as (figure, axis):
        for k, (method, of_galaxy) in enumerate(right.items()):
            share = share_by_type(t_type, of_galaxy)
            color, marker = METHOD_COLORS.get(method, ("0.5", ""))
            style = {"marker": marker, "color": color, "ls": "-" if marker else "--"}
            axis.plot(middle + 0.06 * k, share, label=method, **style)
            if marker:
                ends = wilson(share, np.maximum(counts, 1))
                axis.vlines(middle + 0.06 * k, *ends, color=color, lw=1, alpha=0.7)
            if np.isfinite(share).any():
                low = int(np.nanargmin(share))
                bin_ = f"{EDGES[low]:g} to {EDGES[low + 1]:g}"
                said.append(f"{method} is lowest, {share[low]:.2f}, for T-types from {bin_}")
        for x, n in zip(middle, counts, strict=True):
            axis.text(x, 0.02, str(n), ha="center", fontsize=7, color="0.35")
        axis.axvline(0, color="0.6", lw=1, zorder=0)
        axis.set(xlabel="true T-type", ylabel="share of right answers", ylim=(0, 1.02))
        figure.legend(fontsize=8, loc="outside lower center", ncols=3)
    dashed = "Dashed: how often the true type agrees with the label. " if ceiling else ""
    return Plate(
        figure,
        "fig-by-type",
        "Accuracy against T-type, with the largest label budget, the mean of all its runs. Bars "
        "are 95% intervals for as many galaxies as a bin holds, the number at its foot; points are "
        f"shifted sideways a little. The vertical line is the border between the types. {dashed}"
        + source_tag(galaxies.card),
        "Accuracy against T-type: " + ("; ".join(said) or "no galaxy with a T-type") + ".",
    )


def share_by_type(t_type, right) -> np.ndarray:
    """Return the mean of ``right`` in each bin of T-type, NaN where fewer than five galaxies are.

    >>> share_by_type([0, 0, 0, 0, 0, 4], [1, 1, 1, 0, 0, 1])[3:5]
    array([0.6, nan])
    """
    t_type, right = np.asarray(t_type, float), np.asarray(right, float)
    inside = [(t_type >= low) & (t_type < high) for low, high in pairwise(EDGES)]
    return np.array([right[own].mean() if own.sum() >= ENOUGH else np.nan for own in inside])


def predicted_types(
    predictions: Predictions, methods: list[str], n_labels: int, card: dict
) -> Plate:
    """Draw predicted against true T-types, a panel a method, with the running median.

    Of each method its first run at the budget is drawn: the mean of runs would look better than
    any of them is.

    Args:
        predictions: the runs, from ``regression.score_regressions``.
        methods: names, at most four or so.
        n_labels: the budget; 0 means each method's largest.
        card: the set's.
    """
    t, said = predictions.t, []
    size = {"width": 2.5 * len(methods) + 0.5, "height": 3.1, "sharey": True, "squeeze": False}
    with canvas(1, len(methods), **size) as (figure, axes):
        for axis, method in zip(axes[0], methods, strict=True):
            found = predictions.predicted[predictions.runs(method, n_labels)[0]]
            axis.plot(t, found, ".", ms=2, color="0.6", alpha=0.6, rasterized=True)
            axis.plot(SPAN, SPAN, "--", color="0.2", lw=1)
            place, middle, low, high = running_median(t, found)
            axis.fill_between(place, low, high, color=COLORS["late"], alpha=0.25, lw=0)
            axis.plot(place, middle, "o-", color=COLORS["late"], ms=3.5)
            axis.set(xlim=SPAN, ylim=SPAN, xlabel="true T-type", title=method.replace(" + ", "\n"))
            axis.set(xticks=[-5, 0, 5, 10], yticks=[-5, 0, 5, 10], aspect="equal")
            if len(place):
                ends = f"{middle[0]:.1f} near {place[0]:.1f}, and {middle[-1]:.1f} near"
                said.append(f"{method}: the median prediction is {ends} {place[-1]:.1f}")
        axes[0, 0].set_ylabel("predicted T-type")
    bought = int(predictions.table["n_labels"][predictions.runs(methods[0], n_labels)[0]])
    return Plate(
        figure,
        "fig-t-types",
        f"Predicted against true T-type of {len(t)} test galaxies, from {bought} T-types; one run "
        "of each method. Line: the running median, with the central 68% of the predictions "
        f"around it. Dashed: a prediction without error. {source_tag(card)}",
        "Predicted against true T-types. " + "; ".join(said) + ".",
    )


def running_median(t, predicted) -> tuple[np.ndarray, ...]:
    """Return the middle, and the median, 16% and 84% of the predictions, of each bin of T-type.

    Bins with fewer than five galaxies are left out.

    >>> place, median, _, _ = running_median(np.full(5, 1.0), [1.0, 2.0, 3.0, 4.0, 5.0])
    >>> float(place[0]), float(median[0])
    (1.0, 3.0)
    """
    t, predicted = np.asarray(t, float), np.asarray(predicted, float)
    inside = [(t >= low) & (t < high) for low, high in pairwise(EDGES)]
    own = [k for k in inside if k.sum() >= ENOUGH]
    found = np.array([[t[k].mean(), *np.quantile(predicted[k], [0.5, 0.16, 0.84])] for k in own])
    return tuple(found.reshape(-1, 4).T)
