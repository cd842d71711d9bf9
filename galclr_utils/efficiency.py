"""Draw what labels buy: each function returns a Plate with texts made from its data."""

# K budgets

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.table import Table
from matplotlib.ticker import NullLocator

from galclr_utils import curves
from galclr_utils.dataset import GalaxySet
from galclr_utils.plates import Plate, canvas, source_tag, to_rgb
from galclr_utils.saving import told
from galclr_utils.scoreboard import covered, verdict

LINEAR = 5  # points up to which an axis of differences is linear
TICKS, OUTER = (-5, -2, 0, 2, 5), (10, 20, 50)  # and of the outer ones one a side, or they collide


def label_curves(
    summary: Table, card: dict, hero: str, name: str = "fig-label-curves", origin: str = ""
) -> Plate:
    """Draw balanced accuracy against labels: above what was learned first, below what was not.

    The upper panel holds the methods that begin with a pretrained encoder, and the supervised CNN;
    the lower holds all others, with the hero and the supervised CNN again in grey. Bands are drawn
    for these two only, thin bars for the others, or nothing could be told apart.

    Args:
        summary: from ``comparison.summary``; the majority is left out.
        card: of the data set.
        hero: name of the method that stands out; all that begins with its first word is learned.
        name: of the figure.
        origin: where the runs come from, for the caption.
    """
    methods = [m for m in dict.fromkeys(map(str, summary["method"])) if m != "majority"]
    learned = [m for m in methods if m.split()[0] in curves.LEARNED or m == curves.TAUGHT]
    panels = [learned, [m for m in methods if m not in learned]]
    panels = [panel for panel in panels if panel]
    size = {"width": 8, "height": 0.6 + 3.8 * len(panels), "sharex": True, "squeeze": False}
    with canvas(len(panels), 1, **size) as (figure, axes):
        for axis, panel in zip(axes[:, 0], panels, strict=True):
            styles = curves.styles_of(panel, hero)
            if panel != learned:
                above = curves.known_styles(hero, learned).items()
                styles = {m: (curves.GREY, *style[1:]) for m, style in above} | styles
            curves.draw_panel(axis, summary, styles, hero)
        curves.budget_axis(axes[-1, 0], summary["n_labels"])
    seeds, draws = int(np.max(summary["n_seeds"])), curves.most_draws(summary)
    first = "Above, methods that begin with a pretrained encoder, and the supervised CNN"
    rest = "; below, methods without one (the two that stand out above again in grey)"
    dashed = [
        m for m in learned if m.split()[0] in curves.LEARNED and m.split()[0] != hero.split()[0]
    ]
    line = f" Dashed: {dashed[0].split()[0]}." if dashed else ""
    return Plate(
        figure,
        name,
        f"Balanced accuracy on test galaxies against the number of labels seen. {first}"
        f"{rest if len(panels) > 1 else ''}.{line} Bands and bars are 95% intervals over "
        f"up to {draws} label draws, the test galaxies, and {covered(seeds)}. {origin} "
        + source_tag(card),
        "Balanced accuracy against labels: "
        + "; ".join(curves.told_scores(summary, m) for m in methods)
        + ".",
    )


def saving_picture(
    table: Table, found: Mapping, card: dict, name: str = "fig-saving", origin: str = ""
) -> Plate:
    """Draw the two curves of a saving, the target, and the step from one to the other.

    Args:
        table: from ``saving.shared_curves``.
        found: from ``saving.label_saving``, of the same two methods.
        card: of the data set.
        name, origin: as for `label_curves`.
    """
    method, reference = str(found["method"]), str(found["reference"])
    target, n_own, n_other = (float(found[k]) for k in ("target", "n_method", "n_reference"))
    labels = np.asarray(table["n_labels"], float)
    ends = {}
    with canvas(1, 1, width=8, height=4.2) as (figure, axis):
        for who, style in {reference: (*curves.BLACK, "-"), method: (*curves.HERO, "-")}.items():
            rows = curves.rows_of(table, who)
            curves.draw_curve(axis, rows, style, 1, band=True)
            ends[who] = float(rows["balanced_accuracy"][-1]), style[0]
        axis.set(xscale="log", ylabel="balanced accuracy on test galaxies")
        left, right = labels.min() / 1.25, labels.max() * 1.25
        axis.axhline(target, color="0.4", lw=1, ls="--", zorder=1)
        curves.draw_step(axis, found, left, right)
        aim = f"label saving at {found['share']:.0%} of the best"
        words = f"{aim}\n{told(found)}".replace(" [", "× [")
        corner = {"transform": axis.transAxes, "ha": "right", "fontweight": "bold"}
        axis.text(0.97, 0.08, words, color="#A84800", zorder=8, **corner)
        curves.write_at_end(axis, ends)
        curves.budget_axis(axis, labels)
        axis.set_xlim(left, right)
    unsure = [f"{found[k]:.0%} {k.replace('_', ' ')}" for k in ("at_least", "at_most", "unknown")]
    return Plate(
        figure,
        name,
        f"Label saving: the dashed line is {found['share']:.0%} of the best mean balanced accuracy "
        f"of the {reference}. The arrow leads from the labels that the {reference} needs to reach "
        f"it to those that {method} needs; the pale bar is the 95% interval of the saving, drawn "
        f"from the {reference}'s end. Curves are means over the runs that both methods have "
        f"({found['n_runs']} a budget; with all labels as many as were made), straight between the "
        "budgets that each was run with; their bands are 95% intervals over draws, test galaxies, "
        f"and {covered(int(found['n_seeds']))}. In the resamples the saving was only bounded in "
        f"these shares: {', '.join(unsure)}. {origin} {source_tag(card)}",
        f"Two curves of balanced accuracy against labels. {reference} reaches {target:.3f} with "
        f"{n_other:.0f} labels, {method} with {n_own:.0f}: saving {told(found)}.",
    )


def savings(table: Table, card: dict, name: str = "fig-saving-shares", origin: str = "") -> Plate:
    """Draw the saving against the target, a line a method.

    Args:
        table: rows of ``saving.saving_curve``, of one method or several with one reference.
        card, name, origin: as for `label_curves`.
    """
    methods, said = list(dict.fromkeys(map(str, table["method"]))), []
    known = np.asarray(table["saving"], float)
    finite = known[np.isfinite(known)]
    top = 2 * max([*finite, 2])
    bottom = min([*finite, 1]) / 2
    with canvas(1, 1, width=8, height=4) as (figure, axis):
        for k, method in enumerate(methods):
            rows = table[np.asarray(table["method"]) == method]
            color = (curves.HERO, *curves.OTHERS)[k % (len(curves.OTHERS) + 1)][0]
            curves.draw_savings(
                axis, rows, color, 0.12 * (k - (len(methods) - 1) / 2), (bottom, top)
            )
            said.append(f"{method}: " + ", ".join(f"{told(r)} at {r['share']:.0%}" for r in rows))
        axis.axhline(1, color="0.4", lw=1)
        axis.set(yscale="log", ylim=(bottom, top), ylabel="label saving (ratio)")
        axis.set_xlabel(f"target [% of the best of the {table['reference'][0]}]")
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if bottom <= t <= top]
        axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
        axis.minorticks_off()
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return Plate(
        figure,
        name,
        f"Label saving against the {table['reference'][0]}, for targets from easy to hard; points "
        "are shifted sideways a little. Above 1 the method needs fewer labels. Bars are 95% "
        "intervals, cut off at the frame. Open triangles are bounds, which no line joins: pointing "
        "up, the method was above the target with its smallest budget and may save more; pointing "
        "down, it never reached the target or the reference began above it. "
        f"{origin} {source_tag(card)}",
        "Saving against target. " + "; ".join(said) + ".",
    )


def differences_by_budget(
    pairs: list[Mapping],
    card: dict,
    name: str = "fig-label-differences",
    margin: float = 0.0,
    origin: str = "",
) -> Plate:
    """Draw paired differences against the budget, a panel a pair of methods.

    Args:
        pairs: from ``comparison.compare_all``, or rows of a table of them.
        card, name, origin: as for `label_curves`.
        margin: half the width of a grey band in which two methods count as similar; 0 for none.
    """
    panels = {}
    for pair in pairs:
        panels.setdefault((str(pair["a"]), str(pair["b"])), []).append(pair)
    labels = [float(p["n_labels"]) for p in pairs]
    size = {"width": 8, "height": 0.8 + 1.25 * len(panels)}
    with canvas(len(panels), 1, sharex=True, sharey=True, squeeze=False, **size) as (figure, axes):
        for axis, ((a, b), own) in zip(axes[:, 0], panels.items(), strict=True):
            axis.axhline(0, color="0.4", lw=1)
            if margin:
                axis.axhspan(-100 * margin, 100 * margin, color="0.9", lw=0, zorder=0)
            curves.draw_differences(axis, own)
            axis.set_title(f"{a} minus {b}", loc="left", fontsize=9)
            axis.set(xscale="log", ylabel="points")
            axis.set_yscale("symlog", linthresh=LINEAR)
        low, high = axes[0, 0].get_ylim()
        ends = [
            sign * max(t for t in OUTER if t <= sign * end)
            for sign, end in ((-1, low), (1, high))
            if sign * end >= OUTER[0]
        ]
        axes[0, 0].set_yticks([t for t in (*TICKS, *ends) if low <= t <= high], minor=False)
        for axis in axes[:, 0]:
            axis.tick_params(axis="y", labelsize=8)
        axis.yaxis.set_major_formatter(lambda x, _: f"{x:+g}" if x else "0")
        axis.yaxis.set_minor_locator(NullLocator())
        curves.budget_axis(axes[-1, 0], labels)
    words = [verdict(p) for p in pairs]
    band = f"The grey band is ±{100 * margin:g} points. " if margin else ""
    said = [
        f"{p['a']} minus {p['b']} with {p['n_labels']} labels {100 * p['mean']:+.1f} "
        f"({100 * p['low']:+.1f} to {100 * p['high']:+.1f})"
        for p in pairs
    ]
    return Plate(
        figure,
        name,
        f"Paired differences of balanced accuracy, in points (hundredths; the axis is logarithmic "
        f"beyond ±{LINEAR}), with 95% intervals over "
        f"label draws, the test galaxies, and {covered(int(max(p['n_seeds'] for p in pairs)))}. Of "
        f"{len(pairs)} comparisons {words.count('better')} are in favour of the method named "
        f"first, {words.count('worse')} against it; the others are grey. {band}{origin} "
        f"{source_tag(card)}",
        "Differences by budget: " + "; ".join(said) + ".",
    )


def bought(
    galaxies: GalaxySet,
    chosen: Mapping[str, np.ndarray],
    scores: Mapping[str, float],
    columns: int = 10,
    name: str = "fig-bought",
) -> Plate:
    """Show the first galaxies that each strategy buys, with what they turned out to be.

    Args:
        galaxies: the set.
        chosen: strategy -> rows of the set, in the order of purchase.
        scores: strategy -> balanced accuracy of a probe that learned from them.
        columns: galaxies shown of each. name: of the figure.
    """
    said = []
    options = {"squeeze": False, "layout": "compressed"}
    height = 1.02 * len(chosen) + 0.2
    with canvas(len(chosen), columns, width=8, height=height, **options) as (figure, axes):
        for axis in axes.flat:
            axis.set_axis_off()
        for line, (strategy, rows) in zip(axes, chosen.items(), strict=True):
            labels = galaxies.labels[rows]
            pictures = to_rgb(galaxies.images[rows[:columns]], galaxies.card)
            for axis, picture, label in zip(line, pictures, labels, strict=False):
                axis.imshow(picture, origin="lower")
                kind = ("early", "late")[label]
                dark = {"fc": "black", "ec": "none", "alpha": 0.6, "pad": 0.8}
                style = {"color": "white", "fontsize": 6, "bbox": dark}
                axis.text(0.05, 0.05, kind, transform=axis.transAxes, **style)
            text = f"{strategy}: {(labels == 0).sum()} early, {(labels == 1).sum()} late"
            text += f"; balanced accuracy {scores[strategy]:.3f}"
            line[0].set_title(" ", fontsize=9)  # keeps the room
            at = {"transform": line[0].transAxes, "in_layout": False}
            line[0].text(0, 1.07, text, fontsize=9, **at)
            said.append(text)
    counts = {len(rows) for rows in chosen.values()}
    n = " or ".join(map(str, sorted(counts)))
    return Plate(
        figure,
        name,
        f"The first {columns} of {n} galaxies bought by each strategy in one draw, the types they "
        "turned out to have, and the balanced accuracy on test galaxies of a logistic probe that "
        f"learned from all {n}. {source_tag(galaxies.card)}",
        "Rows of galaxy pictures. " + "; ".join(said) + ".",
    )
