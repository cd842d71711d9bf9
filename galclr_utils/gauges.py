"""Draw how fast things are: each returns a Plate whose caption and alt text come from its data.

N galaxies.
"""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from galclr_utils import reports, timings
from galclr_utils.plates import Plate, canvas
from galclr_utils.timings import Benchmark

OURS, THEIRS, AIM = "#0072B2", "0.7", "#D55E00"
PARTS = {  # of the time of a step: colour and hatching, so that grey print tells them apart, too
    "data": ("#000000", ""),
    "augmentation": ("#E69F00", "////"),
    "loss": ("#CC79A7", "...."),
    "network": ("#56B4E9", ""),
}
LINES = {  # a colour and a marker for each stage
    "simulate": ("#000000", "s"),
    "prepare": ("#E69F00", "D"),
    "duplicates": ("#F0E442", "d"),
    "open": ("0.55", "."),
    "pretrain": ("#0072B2", "o"),
    "embed": ("#56B4E9", "P"),
    "knn": ("#009E73", "v"),
    "pca": ("#CC79A7", "X"),
    "probe": ("#D55E00", "^"),
    "umap": ("#7B3F00", "*"),
}


def ratios(speed: Benchmark) -> Plate:
    """Draw the ratios that were measured: how many times faster, and which share of the limit.

    A bar is the median over rounds, its thin line the lowest to the highest round, and a thick
    upright mark the aim. What has a unit (the overhead in ms) is left to the table. A ratio that
    was measured in a second way ("NAME, no hue") stands below the first.
    """
    shown = []
    for r in speed.facts["ratios"]:
        if ", ms" not in r["name"]:
            again = (
                o for o in speed.facts.get("others", []) if o["name"].startswith(r["name"] + ",")
            )
            shown += [r, *again]
    shares = [r for r in shown if reports.at_most(r) or "GEMM" in r["name"]]
    groups = {"times as fast": [r for r in shown if r not in shares], "share (1 is all)": shares}
    groups = {title: rows for title, rows in groups.items() if rows}
    heights = [len(rows) for rows in groups.values()]
    options = {"squeeze": False, "height_ratios": heights, "height": 0.8 + 0.42 * sum(heights)}
    with canvas(len(groups), 1, width=7.5, **options) as (figure, axes):
        for axis, (title, rows) in zip(axes[:, 0], groups.items(), strict=True):
            place = np.arange(len(rows))
            value = np.array([r["value"] for r in rows])
            spread = [
                value - [r["low"] for r in rows],
                np.array([r["high"] for r in rows]) - value,
            ]
            style = {"color": OURS, "height": 0.55, "ecolor": "black", "capsize": 3}
            axis.barh(place, value, xerr=spread, **style)
            for k, r in enumerate(rows):
                if r.get("target") is not None:
                    axis.plot([r["target"]] * 2, [k - 0.4, k + 0.4], color=AIM, lw=3)
                text = f" {timings.digits(r['value'])}"
                axis.annotate(text, (max(r["high"], r.get("target") or 0), k), va="center")
            axis.axvline(1, color="0.5", lw=1, ls=":")
            labels = [f"{r['name']} (at most)" if reports.at_most(r) else r["name"] for r in rows]
            axis.set(yticks=place, yticklabels=labels, xlabel=title, xlim=(0, None))
            axis.margins(x=0.12)
            axis.invert_yaxis()
    judged = [r for r in shown if r.get("target") is not None]
    n_met = sum(reports.met(r) for r in judged)
    said = [
        f"{r['name']} {timings.digits(r['value'])} "
        f"({timings.digits(r['low'])} to {timings.digits(r['high'])})"
        for r in shown
    ]
    return Plate(
        figure,
        "fig-ratios",
        "What was gained, and how near the limit that is. Bars: medians over rounds; thin lines: "
        f"the lowest to the highest round; orange marks: the aims. Of the {len(judged)} aims drawn "
        f"here {n_met} are reached. {speed.origin}",
        "Horizontal bars: " + "; ".join(said) + ".",
    )


def anatomy(bars: dict[str, dict[str, float]], whole: dict[str, float], origin: str) -> Plate:
    """Draw where the time of a step goes: one stacked bar for each pipeline.

    Args:
        bars: for each pipeline the milliseconds of each of its parts, by the names in `PARTS`.
            What was measured alone is added up here.
        whole: milliseconds of a step when all parts run together, for the pipelines where that
            was measured; drawn as a diamond.
        origin: what the caption ends with.
    """
    said = []
    height = 1.5 + 0.5 * len(bars)
    with canvas(1, 1, width=7.5, height=height) as (figure, axis):
        for k, (name, parts) in enumerate(bars.items()):
            start, total = 0.0, sum(parts.values())
            for part, ms in parts.items():
                color, hatch = PARTS[part]
                style = {"color": color, "hatch": hatch, "edgecolor": "white", "height": 0.6}
                axis.barh(k, ms, left=start, label=part if k == 0 else None, **style)
                if ms > 0.09 * max(sum(p.values()) for p in bars.values()):
                    text = {"ha": "center", "va": "center", "fontsize": 9}
                    box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"}
                    axis.text(start + ms / 2, k, f"{ms / total:.0%}", bbox=box, **text)
                start += ms
            if name in whole:
                mark = {"color": "black", "ms": 8, "mfc": "white", "mew": 1.5, "zorder": 5}
                label = "measured together" if name == next(iter(whole)) else None
                axis.plot(whole[name], k, "D", label=label, **mark)
            shares = ", ".join(f"{part} {ms / total:.0%}" for part, ms in parts.items())
            together = f", measured together {whole[name]:.0f} ms" if name in whole else ""
            said.append(f"{name}: {total:.0f} ms a step ({shares}{together})")
        axis.set(yticks=range(len(bars)), yticklabels=list(bars), xlabel="milliseconds a step")
        axis.set_xlim(left=0)
        axis.invert_yaxis()
        figure.legend(loc="outside upper center", ncols=len(PARTS) + 1, fontsize=9)
    return Plate(
        figure,
        "fig-anatomy",
        "Where the time of a training step goes. Each part was measured alone, and they are added "
        "up; a diamond is the step as a whole, where that was measured too. Numbers are shares of "
        f"the bar. {'. '.join(said)}. {origin}",
        "Stacked horizontal bars of milliseconds. " + "; ".join(said) + ".",
    )


def growth(measured: Benchmark) -> Plate:
    """Draw time and memory against the number of galaxies, on logarithmic axes.

    The legend gives the exponents of time that the benchmark fitted; the grey line is linear. The
    memory is a stage's own, without mapped files, where that was measured.
    """
    table, fits = measured.table, measured.facts["exponents"]
    own = "own_gb" if "own_gb" in table.colnames else "peak_gb"
    said = []
    with canvas(1, 2, width=8.5, height=4.4, sharex=True) as (figure, (left, right)):
        for stage in dict.fromkeys(table["stage"]):
            rows = table[table["stage"] == stage]
            rows.sort("n")
            color, marker = LINES.get(stage, ("0.5", "."))
            style = {"color": color, "marker": marker, "ms": 5, "lw": 1}
            style["ls"] = "--" if stage == "umap" else "-"
            power = np.atleast_1d(fits.get(stage, {}).get("time", np.nan))[0]
            power = reports.slope(rows["n"], rows["seconds"]) if not np.isfinite(power) else power
            label, words = f"{stage}, $N^{{{power:.2f}}}$", f"time as N to the {power:.2f}"
            if not reports.straight(measured, stage):
                label, words = stage, "time as no power of N"
            if reports.verdict(measured, stage) == "undecided":
                label, words = f"{label} (?)", f"{words} (undecided)"
            left.plot(rows["n"], rows["seconds"], label=label, **style)
            last = rows[-1]
            cost = f"{timings.digits(last['seconds'])} s"
            if stage not in reports.PARTS:
                right.plot(rows["n"], rows[own], **style)
                if np.isfinite(last[own]):
                    cost += f" and {timings.digits(last[own])} GB"
                    if own == "own_gb" and np.isfinite(last["peak_gb"]):
                        cost += f" ({timings.digits(last['peak_gb'])} GB with mapped files)"
            said.append(f"{stage} {cost} at {last['n']:,.0f} galaxies, {words}")
        n = np.array([table["n"].min(), table["n"].max()])
        top = table["seconds"].max()
        left.plot(n, top * n / n[1] * 2, color="0.8", lw=3, zorder=0, label="linear")
        held = "peak memory of its own [GB]" if own == "own_gb" else "peak memory [GB]"
        for axis, title in ((left, "time [s]"), (right, held)):
            axis.set(xscale="log", yscale="log", xlabel="galaxies N", title=title)
        right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        right.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        right.yaxis.set_minor_formatter(NullFormatter())
        figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    memory = ""
    if parts := [stage for stage in reports.PARTS if stage in table["stage"]]:
        memory = (
            f"The memory of {' and '.join(parts)} is that of prepare, of which they are parts. "
        )
    if own == "own_gb" and len(most := table[np.isfinite(table["peak_gb"])]):
        most = most[np.argmax(most["peak_gb"])]
        stage = reports.PARTS.get(most["stage"], most["stage"])
        memory += (
            "Memory is without files that are mapped; with them it is up to "
            f"{timings.digits(most['peak_gb'])} GB ({stage}, {most['n']:,.0f} galaxies). "
        )
    return Plate(
        figure,
        "fig-growth",
        "Time and peak memory of each stage against the number of galaxies. On these axes a power "
        "law is a straight line, and its slope the exponent, given in the legend for the times; a "
        "question mark: it may be worse than linear; no exponent: the times lie on no line. The "
        f"thick grey line is linear. UMAP (dashed) has sizes of its own. {memory}{measured.origin}",
        "Curves on logarithmic axes. " + "; ".join(said) + ".",
    )


def precision(measured: Benchmark) -> Plate:
    """Draw bf16 against fp32: the pairs of each seed, and the intervals of their difference."""
    pairs, table = measured.facts["paired"], measured.table
    names = [f"{p['probe']}, {p['n_labels']} labels" for p in pairs]
    with canvas(1, 2, width=8.5, height=1.5 + 0.55 * len(pairs)) as (figure, (left, right)):
        for k, p in enumerate(pairs):
            rows = table[(table["probe"] == p["probe"]) & (table["n_labels"] == p["n_labels"])]
            for seed in np.unique(rows["seed"]):
                both = [
                    np.mean(own["balanced_accuracy"]) if len(own) else np.nan
                    for own in (_precision(rows, seed, half) for half in (False, True))
                ]
                left.plot(both, [k - 0.16, k + 0.16], color="0.6", lw=1, zorder=0)
                left.plot(both[0], k - 0.16, "o", color="0.3", mfc="white", ms=5)
                left.plot(both[1], k + 0.16, "^", color=OURS, ms=5)
            ends = [[p["mean"] - p["low"]], [p["high"] - p["mean"]]]
            right.errorbar(p["mean"], k, xerr=ends, fmt="^", color=OURS, capsize=3)
        left.plot([], [], "o", color="0.3", mfc="white", label="fp32")
        left.plot([], [], "^", color=OURS, label="bf16")
        right.axvline(0, color="0.5", lw=1)
        right.xaxis.set_major_locator(MaxNLocator(4))
        place = {"ylim": (len(pairs) - 0.5, -0.5), "yticks": range(len(pairs))}
        left.set(**place, yticklabels=names, xlabel="balanced accuracy, a seed each")
        right.set(**place, yticklabels=[], xlabel="balanced accuracy, bf16 minus fp32")
        figure.legend(loc="outside upper center", ncols=2)
    apart = [p for p in pairs if p["low"] > 0 or p["high"] < 0]
    said = [
        f"{name} {p['mean']:+.4f} ({p['low']:+.4f} to {p['high']:+.4f})"
        for name, p in zip(names, pairs, strict=True)
    ]
    n_seeds = len(np.unique(table["seed"]))
    return Plate(
        figure,
        "fig-precision",
        f"Probes on encoders pretrained in bf16 and in fp32, from {n_seeds} seeds. Left: the two "
        "trainings of a seed, joined by a line. Right: their mean difference with its 95% "
        f"interval; {len(apart)} of {len(pairs)} exclude zero. {measured.origin}",
        "Pairs of points, and intervals of the difference bf16 minus fp32: "
        + "; ".join(said)
        + ".",
    )


def _precision(rows, seed, half: bool):
    """Return the rows of one seed that were trained in bf16, or in fp32."""
    own = np.array([str(name).startswith("bf16") for name in rows["precision"]])
    return rows[(rows["seed"] == seed) & (own == half)]
