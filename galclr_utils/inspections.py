"""Draw what a classifier uses and where it fails: each returns a Plate with texts from its data.

What these plates share with those of `trust` stands first.
"""

# T test galaxies

from __future__ import annotations

import numpy as np
from astropy.table import Table
from matplotlib.ticker import MaxNLocator

from galclr_utils.atlas import PROPERTIES
from galclr_utils.plates import Plate, canvas, source_tag
from galclr_utils.scoreboard import METHOD_COLORS, covered

SPACES = {  # a colour and a marker for what is not in the table of methods
    "h": ("#0072B2", "o"),
    "z": ("#56B4E9", "s"),
    "PCA-64": ("#009E73", "v"),
    "random weights": ("#D55E00", "^"),
    "trained": ("#0072B2", "o"),
    "colour arm": ("#0072B2", "o"),
    "luminance arm": ("#999999", "D"),
    "against labels": ("#999999", "s"),
    "against the truth": ("#0072B2", "o"),
}
SPARE = (("#0072B2", "o"), ("#CC79A7", "D"), ("#E69F00", "P"), ("#777777", "X"))
TITLES = PROPERTIES | {
    "ebv": "E(B−V) [mag]",
    "sky_noise": "log of sky noise",
    "neighbour_light": "light of neighbours",
    "n_neighbours": "number of neighbours",
}


def style_of(name: str, place: int = 0) -> tuple[str, str]:
    """Return the colour and the marker of a method or a space.

    >>> style_of("supervised CNN"), style_of("h")
    (('#000000', 's'), ('#0072B2', 'o'))
    """
    known = METHOD_COLORS | SPACES
    return known.get(name) or SPARE[place % len(SPARE)]


def dots(axis, table: Table, columns=("mean", "low", "high")) -> None:
    """Draw intervals, a row a group and in it a dot a method, the first on top.

    Args:
        axis: where. table: rows group, method and three numbers. columns: their names.
    """
    groups, methods = (list(dict.fromkeys(table[name])) for name in ("group", "method"))
    step, middle = 0.8 / max(len(methods), 2), (len(methods) - 1) / 2
    for place, method in enumerate(methods):
        rows = table[np.asarray(table["method"]) == method]
        at = np.array([groups.index(g) for g in rows["group"]]) + (place - middle) * step
        value, low, high = (np.asarray(rows[name], float) for name in columns)
        color, marker = style_of(method, place)
        axis.hlines(at, low, high, color=color, lw=1.6)
        axis.plot(value, at, marker, color=color, ms=5, label=method)
    for k in range(1, len(groups), 2):
        axis.axhspan(k - 0.5, k + 0.5, color="0.95", lw=0, zorder=0)
    axis.set_yticks(range(len(groups)), [TITLES.get(g, g) for g in groups])
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(groups) - 0.5, -0.5)


def curves(axis, table: Table, x: str, apart: float = 1.0) -> None:
    """Draw a line with intervals for each method.

    Args:
        axis: where. table: rows method, mean, low, high and ``x``.
        x: name of the column along the axis.
        apart: factor between the places of methods, so that their intervals are seen.
    """
    for place, method in enumerate(dict.fromkeys(table["method"])):
        own = table[np.asarray(table["method"]) == method]
        (color, marker), value = style_of(method, place), np.asarray(own["mean"], float)
        ends = [np.maximum(value - own["low"], 0), np.maximum(own["high"] - value, 0)]
        style = {"marker": marker, "ms": 4, "color": color, "capsize": 2, "label": method}
        at = np.asarray(own[x], float) * apart ** (place - 1)
        axis.errorbar(at, value, ends, lw=1.3, elinewidth=0.9, **style)


def said(table: Table, columns=("mean", "low", "high")) -> str:
    """Say the numbers of `dots` in words, row by row; a row without a number says so."""
    parts = []
    for row in table:
        value, low, high = (float(row[name]) for name in columns)
        number = f"{value:.2f} ({low:.2f} to {high:.2f})" if np.isfinite(value) else "not measured"
        parts.append(f"{TITLES.get(row['group'], row['group'])}, {row['method']} {number}")
    return "; ".join(parts)


def bars(table: Table) -> str:
    """Say what the bars of a figure are, and what is missing from them, as a caption must.

    Args:
        table: rows method, n_seeds, n_runs.

    >>> runs = Table(rows=[("a", 2, 6), ("b", 2, 2)], names=("method", "n_seeds", "n_runs"))
    >>> bars(runs).partition(", ")[2]
    'label draws (one only for b) and 2 pretraining seeds'
    """
    once = dict.fromkeys(row["method"] for row in table if row["n_runs"] == row["n_seeds"])
    alone = f" (one only for {', '.join(once)})" if once else ""
    seeds = covered(int(max(table["n_seeds"])))
    return f"Bars are 95% intervals over test galaxies, label draws{alone} and {seeds}"


def height_of(table: Table) -> float:
    """Return the inches that the dots of a table need, with axis and legend."""
    groups, methods = (len(set(table[name])) for name in ("group", "method"))
    return 1.1 + groups * max(0.34, 0.13 * methods)


def legend(figure, axis, columns: int = 3) -> None:
    """Put the legend of an axis below the figure."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8)


def colour_groups(table: Table, card: dict, border: float, name: str) -> Plate:
    """Draw the accuracy of methods on galaxies that go with their type's colour, and against it.

    Args:
        table: from ``audit.score_groups``.
        border: the colour that separates best. name: what colour that is.
    """
    with canvas(width=7, height=height_of(table)) as (figure, axis):
        dots(axis, table)
        axis.axvline(0.5, color="0.6", lw=1, ls="--")
        axis.set(xlabel="share of right answers", xlim=(-0.02, 1.02))
        legend(figure, axis, columns=2)
    sizes = {row["group"]: int(row["n_galaxies"]) for row in table}
    counts = ", ".join(f"{n} {group}" for group, n in sizes.items())
    return Plate(
        figure,
        "fig-colour-groups",
        f"Accuracy by type and colour ({name}; red is above {border:.2f}, the border that "
        f"separates training galaxies best): {counts}. {bars(table)}. Dashed: a coin. "
        + source_tag(card),
        f"Intervals of accuracy: {said(table)}.",
    )


def without_colour(table: Table, card: dict) -> Plate:
    """Draw what methods lose where the colours of test galaxies are changed.

    Args:
        table: from ``shifts.score_versions``; its first group is the stamps as they are.
    """
    first = table["group"][0]
    changed = table[np.asarray(table["group"]) != first]
    columns = ("change", "change_low", "change_high")
    with canvas(1, 2, width=8.5, height=height_of(table) + 0.2) as (figure, (left, right)):
        dots(left, table)
        left.set_xlabel("balanced accuracy")
        dots(right, changed, columns)
        right.axvline(0, color="0.5", lw=1)
        right.set_xlabel(f"change against {first}")
        right.xaxis.set_major_locator(MaxNLocator(5))
        legend(figure, left, columns=4)
    return Plate(
        figure,
        "fig-without-colour",
        "Left: balanced accuracy on the same test galaxies with their own colours and with others; "
        f"the classifiers are the same throughout. Right: the paired change. {bars(table)}. "
        + source_tag(card),
        f"Change of balanced accuracy: {said(changed, columns)}.",
    )


def nuisances(table: Table, card: dict) -> Plate:
    """Draw how well each space knows what a type should not depend on.

    Args:
        table: rows group (the property), method (the space), mean, low, high of R2.
    """
    with canvas(width=7, height=height_of(table)) as (figure, axis):
        dots(axis, table)
        axis.axvline(0, color="0.5", lw=1)
        axis.set(xlabel="cross-validated $R^2$")
        axis.set_xlim(max(-0.3, axis.get_xlim()[0]), 1.02)
        legend(figure, axis, columns=4)
    return Plate(
        figure,
        "fig-nuisances",
        "How much of the scatter of each property a linear rule predicts from each space for "
        "galaxies that it has not seen. 0: nothing; 1: all. Bars are 95% intervals over galaxies. "
        + source_tag(card),
        f"Intervals of R squared: {said(table)}.",
    )


def invariance(table: Table, card: dict) -> Plate:
    """Draw how far a representation moves under each transform, and what the move tells.

    Args:
        table: rows step, network, distance, r2; two networks.
    """
    steps, networks = (list(dict.fromkeys(table[name])) for name in ("step", "network"))
    told = []
    with canvas(1, 2, width=8.5, height=1.2 + 0.36 * len(steps), sharey=True) as (figure, axes):
        titles = {"distance": "distance moved / distance between galaxies", "r2": "$R^2$"}
        for axis, (column, title) in zip(axes, titles.items(), strict=True):
            for place, network in enumerate(networks):
                rows = table[np.asarray(table["network"]) == network]
                color, marker = style_of(network, place)
                at = [steps.index(step) for step in rows["step"]]
                value = np.maximum(np.asarray(rows[column], float), -0.2)  # below is as good as 0
                axis.plot(value, at, marker, color=color, ms=6, label=network)
            axis.axvline(0, color="0.5", lw=1)
            axis.grid(axis="y", color="0.93")
            axis.set_xlabel(title)
        axes[0].set_yticks(range(len(steps)), [s.replace("_", " ") for s in steps])
        axes[0].invert_yaxis()
        legend(figure, axes[0])
    for row in table:
        r2 = f"{row['r2']:.2f}" if np.isfinite(row["r2"]) else "not measured"
        told.append(f"{row['step']}, {row['network']} {row['distance']:.2f} and {r2}")
    return Plate(
        figure,
        "fig-invariance",
        "One transform at a time on validation galaxies, each at random strength. Left: how far h "
        "moves, in units of the distance between two galaxies. Right: how well the drawn "
        "parameters can be read off the change of h by a linear rule (what is below -0.2 is drawn "
        "there). 0 on the left is invariance; 0 on the right says only that such a rule cannot "
        f"name the change. {source_tag(card)}",
        f"Distance moved and R squared: {'; '.join(told)}.",
    )


def by_property(tables: dict[str, Table], card: dict) -> Plate:
    """Draw accuracy in bins of several properties, a panel each.

    Args:
        tables: property -> `audit.score_bins`, none of them empty.
    """
    n = len(tables)
    columns, words = min(3, n), []
    rows = -(-n // columns)
    shape = {"width": 8.5 if columns > 1 else 5, "height": 0.6 + 2.4 * rows, "squeeze": False}
    with canvas(rows, columns, sharey=True, **shape) as (figure, axes):
        for axis in axes.flat[n:]:
            axis.set_axis_off()
        for axis, (name, table) in zip(axes.flat, tables.items(), strict=False):
            curves(axis, table, "centre")
            for method in dict.fromkeys(table["method"]):
                own = table[np.asarray(table["method"]) == method]
                low = own[int(np.argmin(own["mean"]))]
                lowest = f"{method} lowest, {low['mean']:.2f}, at {low['centre']:.3g}"
                words.append(f"{TITLES.get(name, name)}: {lowest}")
            axis.set_xlabel(TITLES.get(name, name))
        for axis in axes[:, 0]:
            axis.set_ylabel("accuracy")
        legend(figure, axes.flat[0], columns=2)
    return Plate(
        figure,
        "fig-by-property",
        "Accuracy on test galaxies in bins with as many galaxies each, at the largest label "
        f"budget of each method. {bars(next(iter(tables.values())))}. {source_tag(card)}",
        f"Accuracy in bins. {'; '.join(words)}.",
    )
