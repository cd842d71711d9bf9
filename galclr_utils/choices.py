"""Draw what helped and what did not: stored ablations, each a difference from one base."""

# V variants (one change each)

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib import colormaps
from scipy import stats

from galclr_utils.checks import choice
from galclr_utils.differences import BASE, CONTROL, SCORES, SPACES, VERDICTS, Study, verdict
from galclr_utils.plates import Plate, canvas, source_tag

MARKS = {  # a colour and a marker for what a difference says
    "better": ("#0072B2", "^"),
    "worse": ("#D55E00", "v"),
    "not told apart": ("#777777", "o"),
}


def dots(study: Study, groups: list[str], name: str) -> Plate | None:
    """Draw differences from the base, a line a variant and a panel a score, group by group.

    Args:
        study: the stored study.
        groups: which, in this order; absent ones are left out.
        name: of the figure.
    Returns:
        The plate; None where the study has none of the groups.
    """
    table, record = study.table, study.record
    lines = [line for group in groups for line in table if line["group"] == group]
    if not lines:
        return None
    place, ticks = _places(lines)
    with canvas(1, len(SCORES), width=8.2, height=1.0 + 0.19 * (place[-1] + 1), sharey=True) as (
        figure,
        axes,
    ):
        for axis, (score, title) in zip(axes, SCORES.items(), strict=True):
            _panel(axis, lines, place, score)
            axis.set_title(title)
        axes[0].set_yticks(place, [str(line["variant"]) for line in lines], fontsize=8)
        axes[0].set_ylim(place[-1] + 0.9, place[0] - 0.9)
        beside = -20 - 4.8 * max(len(str(line["variant"])) for line in lines)
        for group, at in ticks.items():
            axes[0].annotate(
                group, (0, at), xytext=(beside, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", va="center", fontsize=8, weight="bold",
            )  # fmt: skip
        axes[1].set_xlabel("difference of the balanced accuracy from the base [points]")
    words = [verdict(line) for line in lines]
    counts = {word: words.count(word) for word in VERDICTS}
    of_base = table.meta["base_seeds"]
    said = "; ".join(
        f"{line['group']} {line['variant']} "
        + ", ".join(f"{100 * line[score]:+.1f}" for score in SCORES)
        for line in lines
    )
    drawn = np.isfinite([line[f"{score}_chance"] for line in lines for score in SCORES]).any()
    band = "Nothing was repeated with other seeds, so that no difference can be told from chance."
    if drawn:
        band = (
            "Triangles: outside the band of chance; circles: inside. The grey band holds 95% of "
            f"what another seed makes of the base ({of_base} seeds); one difference in twenty is "
            "outside by chance."
        )
    return Plate(
        figure,
        name,
        "Differences from the base, in points of balanced accuracy; right is better. A number "
        f"stands beside a mark that would lie outside the panel. {band} Of {len(lines)} variants "
        f"{counts['helped']} helped (two scores or three say so, and none the reverse), "
        f"{counts['hurt']} hurt, {counts['mixed']} did both, {counts['not told apart']} are not "
        "told apart from the base. "
        f"{source_tag(record)}",
        f"Differences from the base in points ({', '.join(SCORES.values())}): {said}.",
    )


def _places(lines) -> tuple[np.ndarray, dict]:
    """Return where lines stand, with a gap between groups, and the middle of each group."""
    groups = [line["group"] for line in lines]
    starts = np.cumsum([0] + [a != b for a, b in pairwise(groups)])
    place = np.arange(len(lines)) + 0.8 * starts
    return place, {g: place[[k for k, o in enumerate(groups) if o == g]].mean() for g in groups}


def _panel(axis, lines, place, score: str) -> None:
    """Draw one score: the band, a stem and a mark each; beyond the edge a mark with its number."""
    value = 100 * np.array([line[score] for line in lines], float)
    band = 100 * np.array([line[f"{score}_chance"] for line in lines], float)
    edge = 1.15 * max(np.nanquantile(np.abs(value), 0.9), np.nanmax(np.append(band, 0.3)))
    for y, x, half, line in zip(place, value, band, lines, strict=True):
        axis.fill_betweenx([y - 0.5, y + 0.5], -half, half, color="0.88", lw=0, zorder=0)
        color, marker = MARKS[line[f"{score}_says"]]
        shown = float(np.clip(x, -edge, edge))
        axis.plot([0, shown], [y, y], color=color, lw=1)
        axis.plot(shown, y, marker, color=color, ms=5)
        if shown != x:
            side = "left" if x < 0 else "right"
            at = (4 if x < 0 else -4, 0)
            style = {"ha": side, "va": "bottom", "fontsize": 7, "color": color}
            axis.annotate(f"{x:+.1f}", (shown, y), at, textcoords="offset points", **style)
    axis.axvline(0, color="0.3", lw=1)
    axis.set_xlim(-1.08 * edge, 1.08 * edge)
    axis.tick_params(axis="y", length=0)


def spaces(study: Study) -> Plate:
    """Draw what the same pretrainings score before h, in h and behind it."""
    rows, record = study.rows, study.record
    groups = np.asarray(rows["group"], str)
    order = ["_pooled", "", "_z"]
    trained = rows[(groups != CONTROL)]
    base, said = rows[groups == BASE], []
    with canvas(1, len(SCORES), width=8.2, height=3.2, sharey=True) as (figure, axes):
        for axis, (score, title) in zip(axes, SCORES.items(), strict=True):
            curves = np.array([[row[score + s] for s in order] for row in trained], float)
            axis.plot(range(3), curves.T, color="0.82", lw=0.7, zorder=1)
            mean = np.array([np.mean(base[score + s]) for s in order], float)
            axis.plot(range(3), mean, "o-", color="#0072B2", lw=2, zorder=3, label="base")
            for k, row in enumerate(rows[groups == CONTROL]):
                y = [float(row[score + s]) for s in order]
                style = {"color": ("#D55E00", "#009E73")[k % 2], "ls": "--", "lw": 1.2}
                mark = "sv"[k % 2]
                axis.plot(range(3), y, marker=mark, label=str(row["variant"]), **style)
            axis.set_xticks(range(3), [SPACES[s] for s in order])
            axis.set_xlim(-0.3, 2.3)
            axis.set_title(title)
            axis.grid(axis="y", color="0.93")
            told = ", ".join(f"{SPACES[s]} {v:.3f}" for s, v in zip(order, mean, strict=True))
            said.append(f"{title}: base {told}")
        axes[0].set_ylabel("balanced accuracy")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return Plate(
        figure,
        "fig-choices-spaces",
        "The same pretrainings judged in three places: the pooled features of the trunk, h, "
        "and the projection z behind the head. Thin lines are variants, the thick one is the mean "
        f"of the base. Controls have no head, and so no z. {source_tag(record)}",
        "; ".join(said) + ".",
    )


def growth(study: Study) -> Plate | None:
    """Draw scores against how much was learned from: more epochs, or more galaxies.

    The groups ``epochs`` and ``galaxies`` are drawn, with the base; None where both are absent.
    """
    rows, record = study.rows, study.record
    groups = np.asarray(rows["group"], str)
    own = rows[np.isin(groups, [BASE, "epochs", "galaxies"])]
    if (own["group"] == BASE).all():
        return None
    n, epochs = (np.asarray(own[c], float) for c in ("n_train", "epochs"))
    sizes = sorted(set(n.tolist()))
    styles = dict(zip(sizes, zip(_shades(len(sizes)), "vsoD^P*X" * 9, strict=False), strict=True))
    said = []
    with canvas(1, len(SCORES), width=8.2, height=3.3) as (figure, axes):
        for axis, (score, title) in zip(axes, SCORES.items(), strict=True):
            y = np.asarray(own[score], float)
            for size in sizes:
                here = n == size
                seen = np.unique(epochs[here])
                mean = [y[here & (epochs == e)].mean() for e in seen]
                color, marker = styles[size]
                axis.plot(size * seen, mean, marker=marker, color=color, label=f"{size:.0f}")
                told = zip(seen, mean, strict=True)
                said.append(
                    f"{title}, {size:.0f}: " + ", ".join(f"{m:.3f} x{e:.0f}" for e, m in told)
                )
            axis.set(xscale="log", title=title, xlabel="galaxies shown in all")
            shown = np.unique((n * epochs).round(-3))
            axis.set_xticks(shown, [f"{x / 1000:.0f}k" for x in shown])
            axis.minorticks_off()
            axis.grid(axis="y", color="0.93")
        axes[0].set_ylabel("balanced accuracy")
        handles, labels = axes[0].get_legend_handles_labels()
        style = {"title": "different galaxies", "ncols": len(sizes), "fontsize": 8}
        figure.legend(handles, labels, loc="outside lower center", **style)
    return Plate(
        figure,
        "fig-choices-growth",
        "Balanced accuracy against how many galaxies were shown in all, each in two views: "
        "different galaxies times epochs. A line joins equal numbers of different galaxies; points "
        "above each other took the same number of steps. The mean over seeds where there are more "
        f"than one. {source_tag(record)}",
        "; ".join(said) + ".",
    )


def _shades(n: int) -> list:
    """Return n colours from light to dark that colour-blind readers can order."""
    return [colormaps["viridis_r"](x) for x in np.linspace(0.15, 0.95, n)]


def agreement(one: Study, other: Study, score: str = "knn") -> Plate | None:
    """Draw the differences of one study against those of another, for the changes they share.

    Args:
        one, other: stored studies.
        score: which.
    Returns:
        The plate; None where fewer than three changes are in both.
    """
    choice("score", score, SCORES)
    records, tables = (one.record, other.record), (one.table, other.table)
    names = [record["name"] for record in records]
    maps = [{(r["group"], str(r["variant"])): 100 * float(r[score]) for r in t} for t in tables]
    shared = [key for key in maps[0] if key in maps[1]]
    if len(shared) < 3:
        return None
    x, y = (np.array([m[key] for key in shared]) for m in maps)
    rank = stats.spearmanr(x, y)[0]
    same = float(np.mean(np.sign(x) == np.sign(y)))
    with canvas(1, 1, width=5.2, height=4.6) as (figure, axis):
        bands = [100 * float(np.nanmean(t[f"{score}_chance"])) for t in tables]
        axis.axvspan(-bands[0], bands[0], color="0.92", lw=0, zorder=0)
        axis.axhspan(-bands[1], bands[1], color="0.92", lw=0, zorder=0)
        axis.axvline(0, color="0.4", lw=0.8)
        axis.axhline(0, color="0.4", lw=0.8)
        axis.plot(x, y, "o", color="#0072B2", ms=5)
        wide, high = (np.ptp(values) + 1e-9 for values in (x, y))
        named = []  # the farthest points; no two names in one place
        for k in np.argsort(-np.hypot(x / (x.std() + 1e-9), y / (y.std() + 1e-9))):
            near = [abs(x[k] - x[n]) < wide / 4 and abs(y[k] - y[n]) < high / 20 for n in named]
            if len(named) < 6 and not any(near):
                named.append(k)
        for k in named:
            left = x[k] > np.mean(axis.get_xlim())  # text grows towards the middle
            style = {"xytext": (-4 if left else 4, 4), "ha": "right" if left else "left"}
            where = {"textcoords": "offset points", "fontsize": 7} | style
            axis.annotate(" ".join(shared[k]), (x[k], y[k]), **where)
        axis.set_xlabel(f"{names[0]}: difference from its base [points]")
        axis.set_ylabel(f"{names[1]}: difference from its base [points]")
    return Plate(
        figure,
        "fig-choices-agreement",
        f"Does a change that helps in one study help in the other? {SCORES[score]}, a point a "
        f"change that both made ({len(shared)}); grey bands are chance. Rank correlation "
        f"{rank:+.2f}; the same sign in {same:.0%}. {' '.join(source_tag(r) for r in records)}",
        f"Differences of {len(shared)} changes in two studies, rank correlation {rank:+.2f}.",
    )
