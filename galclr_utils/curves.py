"""Draw on one axis what the figures on label efficiency are made of: curves, steps, differences."""

# K budgets

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.table import Table

from galclr_utils.scoreboard import VERDICT_COLORS, verdict

TAUGHT = "supervised CNN"
LEARNED = ("SimCLR", "MoCo")  # first words of methods that begin with a pretrained encoder
HERO, BLACK, GREY = ("#0072B2", "o"), ("#000000", "s"), "0.72"
STEP = "#D55E00"  # of the saving
OTHERS = (  # colour and marker, in the order of the methods of a panel
    ("#D55E00", "^"),
    ("#009E73", "D"),
    ("#CC79A7", "v"),
    ("#E69F00", "P"),
    ("#56B4E9", "X"),
    ("#8C6D31", "<"),
    ("#5B3A8C", ">"),
    ("#8B1A1A", "p"),
    ("#2F6B1F", "h"),
    ("#E377C2", "d"),
    ("#17808C", "*"),
)
ENDS = ("", "_low", "_high")


def rows_of(summary: Table, method: str) -> Table:
    """Return the rows of a method, budgets rising."""
    rows = summary[np.asarray(summary["method"]) == method]
    rows.sort("n_labels")
    return rows


def most_draws(summary: Table) -> int:
    """Return the largest number of label draws that a method has for a seed."""
    return int(np.max(np.asarray(summary["n_runs"]) // np.asarray(summary["n_seeds"])))


def styles_of(methods: list[str], hero: str) -> dict[str, tuple[str, str, str]]:
    """Return colour, marker and line of each method of a panel; the two that stand out keep theirs.

    What is done with a representation gives the colour; where it was not learned as the hero's was,
    the line is dashed.

    >>> styles_of(["SimCLR + kNN", "MoCo + kNN"], hero="SimCLR + fully connected")["MoCo + kNN"]
    ('#D55E00', '^', '--')
    """
    own, free = hero.split()[0], [m for m in methods if m not in (hero, TAUGHT)]
    kinds = {hero.split(maxsplit=1)[-1]: HERO}
    for m in free:
        kind = m.split(maxsplit=1)[-1] if m.split()[0] in LEARNED else m
        kinds.setdefault(kind, OTHERS[(len(kinds) - 1) % len(OTHERS)])
    styles = {}
    for m in free:
        learned = m.split()[0] in LEARNED
        style = kinds[m.split(maxsplit=1)[-1] if learned else m]
        styles[m] = (*style, "--" if learned and m.split()[0] != own else "-")
    return styles | known_styles(hero, methods)


def known_styles(hero: str, methods: list[str]) -> dict[str, tuple[str, str, str]]:
    """Return the styles of the two that stand out, as far as a panel has them."""
    known = {TAUGHT: (*BLACK, "-"), hero: (*HERO, "-")}
    return {m: style for m, style in known.items() if m in methods}


def draw_curve(axis, rows: Table, style: tuple, shift: float, band: bool) -> None:
    """Draw one curve with its interval, as a band or as thin bars."""
    (color, marker, line), at = style, np.asarray(rows["n_labels"], float)
    value, low, high = (np.asarray(rows[f"balanced_accuracy{end}"], float) for end in ENDS)
    thin = {"color": color, "lw": 2.2 if band else 1.3, "marker": marker, "ms": 5 if band else 4}
    thin |= {"ls": line, "mfc": "white" if line == "--" else color}
    if band:
        axis.fill_between(at, low, high, color=color, alpha=0.16, lw=0, zorder=2)
        axis.plot(at, value, zorder=5, **thin)
    else:
        axis.plot(at * shift, value, zorder=4, **thin)
        axis.vlines(at * shift, low, high, color=color, lw=1, alpha=0.6, zorder=3)


def draw_panel(axis, summary: Table, styles: dict[str, tuple], hero: str) -> None:
    """Draw a panel of curves, the two that stand out with bands, and name them."""
    ends = {}
    for k, (method, style) in enumerate(styles.items()):
        rows, shift = rows_of(summary, method), 1.02 ** (k - len(styles) / 2)
        draw_curve(axis, rows, style, shift, band=method in (hero, TAUGHT))
        ends[method] = float(rows["balanced_accuracy"][-1]), style[0]
    write_at_end(axis, ends)
    axis.set(xscale="log", ylabel="balanced accuracy")
    axis.grid(axis="y", color="0.93")


def draw_step(axis, found: Mapping, left: float, right: float) -> None:
    """Draw a saving as the step from the reference to the method, its interval as a pale bar."""
    target, n_own, n_other = (float(found[k]) for k in ("target", "n_method", "n_reference"))
    style = {"color": STEP, "zorder": 6}
    near, far = (n_other / max(found[k], 1e-9) for k in ("high", "low"))
    inside = [max(near, left), min(far, right)]
    axis.plot(inside, [target] * 2, lw=9, alpha=0.3, solid_capstyle="butt", **style)
    arrow = {"arrowstyle": "-|>", "color": STEP, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", (n_own, target), (n_other, target), zorder=7, arrowprops=arrow)
    axis.plot([n_own, n_other], [target] * 2, "|", ms=12, mew=2, **style)


def draw_savings(axis, rows: Table, color: str, shift: float, frame: tuple) -> None:
    """Draw the savings of a method against the target; bounds are open triangles, not joined."""
    x = 100 * np.asarray(rows["share"], float) + shift
    y, low, high = (np.asarray(rows[name], float) for name in ("saving", "low", "high"))
    axis.vlines(x, low.clip(*frame), high.clip(*frame), color=color, lw=2.2, alpha=0.45)
    joined = np.where(np.asarray(rows["bound"]) == "crossed", y, np.nan)
    axis.plot(x, joined, color=color, lw=1.2, label=rows["method"][0])
    for bound, marker in {"crossed": "o", "at least": "^", "at most": "v"}.items():
        own = np.asarray(rows["bound"]) == bound
        face = color if bound == "crossed" else "white"
        axis.plot(x[own], y[own], marker, color=color, mfc=face, ms=7)


def draw_differences(axis, pairs: list[Mapping]) -> None:
    """Draw the differences of one pair of methods, in points, coloured by verdict."""
    for p in pairs:
        word = verdict(p)
        color, marker = VERDICT_COLORS[word], "D" if word == "not distinguished" else "o"
        mean, low, high = (100 * float(p[k]) for k in ("mean", "low", "high"))
        axis.plot([p["n_labels"]] * 2, [low, high], color=color, lw=2)
        axis.plot(p["n_labels"], mean, marker, color=color, ms=5)


def write_at_end(axis, ends: dict[str, tuple[float, str]]) -> None:
    """Write each method's name to the right of its curve's end, none upon another."""
    low, high = axis.get_ylim()
    need = 0.055 * (high - low) * 3.4 / (axis.figure.get_figheight() / len(axis.figure.axes))
    names = sorted(ends, key=lambda name: ends[name][0])
    place = np.array([ends[name][0] for name in names])
    for _ in range(200):  # push neighbours apart until all have room
        gap = need - np.diff(place)
        if (gap <= 1e-9).all():
            break
        push = np.clip(gap, 0, None) / 2
        place[:-1] -= push
        place[1:] += push
    room = low + need / 2, high - need / 2  # inside the frame, the upper end first
    place += min(room[1] - place[-1], 0)
    place += max(room[0] - place[0], 0)
    outside = {"transform": axis.get_yaxis_transform(), "clip_on": False}
    for name, y in zip(names, place, strict=True):
        end, color = ends[name]
        axis.plot([1.005, 1.03], [end, y], color=color, lw=0.8, **outside)
        text = "0.45" if color == GREY else color
        axis.text(1.036, y, name, fontsize=8, va="center", color=text, **outside)
    axis.set_ylim(low, high)


def budget_axis(axis, labels) -> None:
    """Label the logarithmic axis of budgets with numbers, leaving out what would overlap."""
    budgets, shown = sorted({int(n) for n in labels}), []
    for n in reversed(budgets):
        if not shown or np.log(shown[-1] / n) > 0.08 * np.log(budgets[-1] / budgets[0]):
            shown.append(n)
    axis.set_xlabel("labels seen")
    axis.set_xticks(budgets, [f"{n:,}" if n in shown else "" for n in budgets])
    axis.minorticks_off()


def told_scores(summary: Table, method: str) -> str:
    """Say a method's scores in words."""
    rows = rows_of(summary, method)
    pairs = zip(rows["n_labels"], rows["balanced_accuracy"], strict=True)
    return f"{method} " + ", ".join(f"{value:.3f} with {n}" for n, value in pairs)
