"""Draw what a search finds and how strange galaxies are: each returns a Plate."""

# Q queries, K neighbours, B resamples

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.ticker import MaxNLocator

from galclr_utils.dataset import GalaxySet
from galclr_utils.intervals import central_95
from galclr_utils.plates import COLORS, TYPES, Plate, canvas, source_tag, to_rgb

PICTURES = {"squeeze": False, "layout": "compressed"}  # square: keeps the gaps alike
LETTERS = {1: ("L", COLORS["late"]), 0: ("E", COLORS["early"]), -1: ("", COLORS["unknown"])}
STYLES = (  # by place: the pretrained encoder comes first
    ("#0072B2", "o"),
    ("#009E73", "v"),
    ("#D55E00", "^"),
    ("#56B4E9", "s"),
    ("#CC79A7", "D"),
    ("#E69F00", "P"),
)


def _picture(axis, stamp, card: dict, label: int = -1, frame: str = "") -> None:
    """Draw one galaxy without ticks; its type as a letter in the corner, a frame if asked for."""
    axis.imshow(to_rgb(stamp[None], card)[0], origin="lower")
    axis.set(xticks=[], yticks=[])
    letter, color = LETTERS[int(label)]
    if letter:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        place = {"ha": "left", "va": "bottom", "transform": axis.transAxes}
        axis.text(0.03, 0.03, letter, color=color, fontsize=6, weight="bold", bbox=box, **place)
    for side in axis.spines.values():
        side.set(visible=bool(frame), color=frame or "none", linewidth=2)


def _has_letters(labels) -> str:
    """Explain the letters, where there are any."""
    known = [f"{name[0].upper()}: {name} type" for name, v in TYPES.items() if (labels == v).any()]
    return f"The letter is the catalogue's label ({', '.join(known)}). " if known else ""


def neighbours_sheet(
    galaxies: GalaxySet, queries: dict[str, int], found: dict[str, np.ndarray]
) -> Plate:
    """Show galaxies and their nearest neighbours, a row a space.

    Args:
        galaxies: the data set.
        queries: name -> row of the set.
        found: space -> int (Q, K), rows of the set, nearest first.
    """
    labels, k = galaxies.labels, min(8, *(rows.shape[1] for rows in found.values()))
    n = len(queries) * len(found)
    widths = {"width_ratios": [1, 0.2] + [1] * k}
    shown = {space: [] for space in found}
    with canvas(n, 2 + k, width=7.5, height=0.86 * n + 0.4, **PICTURES, **widths) as (figure, axes):
        for q, (name, own) in enumerate(queries.items()):
            for s, (space, rows) in enumerate(found.items()):
                line = axes[q * len(found) + s]
                line[1].set_axis_off()
                stamp = galaxies.images[own]
                _picture(line[0], stamp, galaxies.card, labels[own], frame="#000000")
                line[0].set_ylabel(fill(space, 10), fontsize=7, rotation=0, ha="right", va="center")
                if s == 0:
                    line[0].set_title(name, fontsize=8, loc="left", weight="bold")
                for axis, row in zip(line[2:], rows[q], strict=False):
                    _picture(axis, galaxies.images[row], galaxies.card, labels[row])
                if labels[own] >= 0:
                    shown[space].append(np.mean(labels[rows[q][:k]] == labels[own]))
    used = np.concatenate(
        [list(queries.values()), *(rows[:, :k].ravel() for rows in found.values())]
    )
    letters = _has_letters(labels[used])
    said = ", ".join(f"{np.mean(share):.0%} in {space}" for space, share in shown.items() if share)
    share = f" Neighbours with the label of the galaxy: {said}." if said else ""
    return Plate(
        figure,
        "fig-neighbours",
        f"Framed: {', '.join(queries)}. To the right of each the {k} test galaxies nearest to it, "
        f"the nearest first; a row for each space that is searched. {letters}"
        f"{source_tag(galaxies.card)}",
        f"Rows of small galaxy pictures: {', '.join(queries)}, each with {k} neighbours in "
        f"{', '.join(found)}.{share}",
    )


def agreement_curves(curves: dict[str, np.ndarray], n: int, card: dict) -> Plate:
    """Draw the share of neighbours with the own label among the first 1, 2, ... K.

    Args:
        curves: space -> (K, 1 + B) from ``neighbours.agreement``.
        n: number of query galaxies.
    """
    with canvas(1, 1, width=6.5, height=3.6) as (figure, axis):
        for place, (space, curve) in enumerate(curves.items()):
            at = np.arange(1, len(curve) + 1)
            low, high = np.nanquantile(curve[:, 1:], [0.025, 0.975], axis=1)
            color, marker = STYLES[place]
            axis.plot(at, curve[:, 0], color=color, marker=marker, ms=4, markevery=3, label=space)
            axis.fill_between(at, low, high, color=color, alpha=0.15, lw=0)
        axis.axhline(0.5, color="0.5", lw=1, ls="--")
        axis.set(xlabel="number of neighbours, nearest first", ylabel="share with the own label")
        below = {"xytext": (0, -11), "textcoords": "offset points", "ha": "right", "fontsize": 9}
        axis.annotate("chance", (at[-1], 0.5), **below)
        axis.set_ylim(min(0.46, axis.get_ylim()[0]), None)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    ends = [f"{s} {c[0, 0]:.2f} for the first, {c[-1, 0]:.2f} in all" for s, c in curves.items()]
    return Plate(
        figure,
        "fig-agreement",
        f"The share of neighbours that carry the label of the galaxy they are neighbours of, for "
        f"{n} labelled test galaxies, both types counting equally. Bands are 95% intervals over "
        f"these galaxies. {source_tag(card)}",
        "Curves against the number of neighbours: " + "; ".join(ends) + ".",
    )


def differences_plate(curves: dict[str, dict[str, np.ndarray]], k: int, card: dict) -> Plate:
    """Draw how much neighbours differ in each property, a marker a space.

    Args:
        curves: space -> property -> (1 + B,) from ``neighbours.difference``.
        k: number of neighbours.
    """
    names = list(next(iter(curves.values())))
    height = 1.1 + 0.42 * len(names)
    with canvas(1, 1, width=6.8, height=height) as (figure, axis):
        for place, (space, by_property) in enumerate(curves.items()):
            color, marker = STYLES[place]
            shift = 0.13 * (place - (len(curves) - 1) / 2)
            ends = [central_95(by_property[name]) for name in names]
            for y, end in enumerate(ends):
                axis.plot([end["low"], end["high"]], [y + shift] * 2, color=color, lw=1.2)
            at = [end["mean"] for end in ends]
            style = {"color": color, "marker": marker, "ms": 5, "ls": ""}
            axis.plot(at, np.arange(len(names)) + shift, label=space, **style)
        for y in range(0, len(names), 2):
            axis.axhspan(y - 0.5, y + 0.5, color="0.95", lw=0, zorder=0)
        axis.axvline(1, color="0.5", lw=1, ls="--")
        axis.set_yticks(range(len(names)), names)
        axis.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, None))
        axis.set_xlabel("difference between neighbours / between strangers")
        figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    known = [n for n in names if np.isfinite([curves[space][n][0] for space in curves]).all()]
    best = {n: min(curves, key=lambda space: curves[space][n][0]) for n in known}
    said = ", ".join(f"{n} in {space} ({curves[space][n][0]:.2f})" for n, space in best.items())
    return Plate(
        figure,
        "fig-alike",
        f"How much a test galaxy differs from its {k} nearest neighbours, as a share of how much "
        "it differs from all others: 0 if neighbours are equal, 1 (dashed) if they are strangers. "
        f"Bars are 95% intervals over the galaxies. {source_tag(card)}",
        f"Neighbours differ least: {said}.",
    )


def planted_sheet(galaxies: GalaxySet, rows, planted: dict[str, np.ndarray], n: int = 3) -> Plate:
    """Show a few galaxies as they are and with every kind of planted oddity, a column a kind."""
    n, kinds = min(n, len(rows)), list(planted)
    half = -(-len(kinds) // 2)
    widths = {"width_ratios": [1, 0.15] + [1] * half}
    shape = 2 * n, half + 2
    height = 2 * n * 7.5 / (half + 2.15) + 0.4
    with canvas(*shape, width=7.5, height=height, **PICTURES, **widths) as (figure, axes):
        for axis in axes.flat:
            axis.set_axis_off()
        for block, some in enumerate((kinds[:half], kinds[half:])):
            for line in range(n):
                axis = axes[block * n + line]
                stamps = [galaxies.images[rows[line]], None] + [planted[k][line] for k in some]
                titles = ["as observed", "", *some]
                for place, stamp, title in zip(axis, stamps, titles, strict=False):
                    if stamp is not None:
                        _picture(place, stamp, galaxies.card)
                    if line == 0:
                        place.set_title(title, fontsize=8)
    return Plate(
        figure,
        "fig-planted",
        f"{n} test galaxies as they are (left, in both blocks) and with each of the "
        f"{len(kinds)} kinds of oddities that are planted: {', '.join(kinds)}. "
        f"{source_tag(galaxies.card)} The oddities are drawn, whatever the galaxies; what a shift "
        "brings into the stamp is its own mirror image.",
        f"Two blocks of {n} rows of galaxy pictures; the columns are as observed, "
        f"{', '.join(kinds)}.",
    )


def recovery(auc: dict[str, dict[str, float]], n_clean: int, n_odd: int, card: dict) -> Plate:
    """Draw how well each ranking finds each kind: the area under the ROC curve as a tinted table.

    Args:
        auc: ranking -> kind -> value.
        n_clean, n_odd: galaxies, and planted oddities of each kind.
    """
    rankings, kinds = list(auc), list(next(iter(auc.values())))
    values = np.array([[auc[r][k] for k in kinds] for r in rankings])
    with canvas(1, 1, width=7.5, height=1.3 + 0.27 * len(rankings)) as (figure, axis):
        axis.imshow(values, cmap="RdBu", vmin=0, vmax=1, aspect="auto", alpha=0.85)
        best, shown = values.argmax(axis=0), values.round(2)
        for (r, k), value in np.ndenumerate(values):
            ink = "white" if abs(value - 0.5) > 0.36 else "black"
            weight = "bold" if shown[r, k] == shown[:, k].max() else "normal"
            style = {"ha": "center", "va": "center", "fontsize": 8, "color": ink}
            axis.text(k, r, f"{value:.2f}", weight=weight, **style)
        axis.set_xticks(range(len(kinds)), kinds, rotation=35, ha="left", fontsize=8)
        axis.xaxis.tick_top()
        axis.set_yticks(range(len(rankings)), rankings, fontsize=8)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
    said = "; ".join(
        f"{kind}: {rankings[b]} {values[b, k]:.2f}"
        for k, (kind, b) in enumerate(zip(kinds, best, strict=True))
    )
    return Plate(
        figure,
        "fig-recovery",
        f"The probability that a planted oddity is ranked as stranger than an unchanged galaxy "
        f"({n_odd} of each kind against {n_clean} unchanged). One half is chance, and below it a "
        f"ranking takes the oddity for the more ordinary. Bold: the highest of a kind, or as high "
        "as it in the digits shown. "
        f"{source_tag(card)}",
        f"A table of probabilities. The highest of each kind: {said}.",
    )


def strangest(galaxies: GalaxySet, rankings: dict[str, np.ndarray], n: int = 9) -> Plate:
    """Show the galaxies of the set that each ranking calls the strangest, a row a ranking.

    Args:
        galaxies: the data set.
        rankings: name -> rows of the set, the strangest first.
    """
    n, labels = min(n, *(len(rows) for rows in rankings.values())), galaxies.labels
    shape = len(rankings), n
    height = 0.85 * len(rankings) + 0.2
    with canvas(*shape, width=7.5, height=height, **PICTURES) as (figure, axes):
        for line, (name, rows) in zip(axes, rankings.items(), strict=True):
            for axis, row in zip(line, rows, strict=False):
                _picture(axis, galaxies.images[row], galaxies.card, labels[row])
            text = fill(name, 12)
            line[0].set_ylabel(text, fontsize=7, rotation=0, ha="right", va="center")
    lists = [set(rows[:n].tolist()) for rows in rankings.values()]
    common = len(set.intersection(*lists))
    used = np.concatenate([rows[:n] for rows in rankings.values()])
    return Plate(
        figure,
        "fig-strangest",
        f"The {n} test galaxies, unchanged, that each ranking calls the strangest, the strangest "
        f"first. {_has_letters(labels[used])}{source_tag(galaxies.card)}",
        f"Rows of {n} galaxy pictures for {', '.join(rankings)}; {common} are in all rows.",
    )
