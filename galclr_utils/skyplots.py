"""Draw the sky and what is cut out of it: each returns a Plate with texts made from its data."""

# N galaxies, C = 3 bands (g, r, i), H, W pixels

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.table import Table

from galclr_utils.atlas import PROPERTIES
from galclr_utils.dataset import bin_pixels
from galclr_utils.frames import BANDS, Frame
from galclr_utils.inspections import TITLES
from galclr_utils.plates import COLORS, Plate, canvas, source_tag, to_rgb

WIDEST = 1100  # pixels of a field that are drawn; more are binned
TITLES = TITLES | PROPERTIES | {"n_neighbours": "neighbours on the stamp"}
ENDS = ("this run", "the sky")
STYLES = {
    "this run": {"histtype": "stepfilled", "alpha": 0.4, "color": "#777777"},
    "the sky": {"histtype": "step", "lw": 1.8, "color": "#000000"},
}
MARKED = {"early": "early", "late": "late", "unknown": "no label", "lost": "no stamp"}


def field(frame: Frame, kinds: Mapping[str, Table], card: dict) -> Plate:
    """Show a whole frame in one band, with the galaxies of the sample marked.

    Args:
        frame: of the band to show.
        kinds: "early", "late", "unknown" or "lost" -> rows with ra and dec.
        card: of the set, for the caption.
    """
    height, width = frame.image.shape
    fold = -(-width // WIDEST)
    image = np.nan_to_num(frame.image[: height // fold * fold, : width // fold * fold])
    small = bin_pixels(image, fold, "mean")
    sky = 1.4826 * np.median(np.abs(small - np.median(small)))
    shown = np.arcsinh(small / (2 * sky))
    styles = {"early": ("o", COLORS["early"]), "late": ("^", COLORS["late"])}
    styles |= {"unknown": ("s", COLORS["unknown"]), "lost": ("X", "#CC79A7")}
    counts = {kind: len(rows) for kind, rows in kinds.items() if len(rows)}
    with canvas(width=7.5, height=7.5 * height / width + 0.5) as (figure, axis):
        extent = (-0.5, width - 0.5, -0.5, height - 0.5)
        axis.imshow(shown, origin="lower", cmap="gray_r", vmin=-1, vmax=5, extent=extent)
        for kind in counts:
            rows, (marker, color) = kinds[kind], styles[kind]
            x, y = frame.outline.wcs.all_world2pix(rows["ra"], rows["dec"], 0)
            style = {"facecolors": "none", "edgecolors": color, "linewidths": 1.2}
            style = style if kind != "lost" else {"c": color, "linewidths": 0}
            size = 90 if kind != "lost" else 40
            axis.scatter(x, y, s=size, marker=marker, label=MARKED[kind], **style)
        axis.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
        figure.legend(loc="outside lower center", ncols=4)
    scale = frame.outline.arcsec_per_pixel / 60
    told = ", ".join(f"{n} {MARKED[kind]}" for kind, n in counts.items())
    name = f"run {frame.outline.run}, camera column {frame.outline.camcol}"
    return Plate(
        figure,
        "fig-sky-field",
        f"Field {frame.outline.field} of {name}, whole, in {frame.outline.band}: "
        f"{width * scale:.1f} by {height * scale:.1f} arcminutes, as the detector saw it, dark on "
        f"white. Marked are the galaxies of the sample: {told}. {source_tag(card)}",
        f"A picture of stars and galaxies, with {sum(counts.values())} galaxies marked: {told}.",
    )


def bands(same: np.ndarray, stamp: np.ndarray, off: np.ndarray, rest: np.ndarray, card) -> Plate:
    """Show the three bands of a galaxy twice: on the same pixels of the frames, and by WCS.

    Args:
        same: (3, H, W), the same pixels of each frame. stamp: (3, H, W), cut by each band's WCS.
        off: (3, 2), where the WCS says the galaxy lies on each band's pixels, minus the r band's.
        rest: (3, 2), the centre of its light on the stamp, minus the r band's.
        card: of the set, in nanomaggies.
    """
    with canvas(2, 4, width=7.5, height=4.3, layout="compressed") as (figure, axes):
        for axis_row, pixels, moved, kind in zip(
            axes, (same, stamp), (off, rest), ("same pixels", "by WCS"), strict=True
        ):
            middle = (np.array(pixels.shape[:0:-1]) - 1) / 2
            for axis, band, image, at in zip(axis_row, BANDS, pixels, moved, strict=False):
                grey = np.arcsinh(image / (2 * np.mean(card["sky_rms"])))
                axis.imshow(grey, origin="lower", cmap="gray", vmin=-0.5, vmax=4.5)
                axis.plot(*middle, "+", color="#E69F00", ms=14, mew=1.2)
                axis.set_title(f"{band}: {at[0]:+.2f}, {at[1]:+.2f} px", fontsize=8)
            axis_row[3].imshow(to_rgb(pixels[None], card)[0], origin="lower")
            axis_row[3].set_title("i, r, g as colours", fontsize=8)
            axis_row[0].set_ylabel(kind)
        for axis in axes.flat:
            axis.set(xticks=[], yticks=[])
    apart, left = (float(np.hypot(*moved.T).max()) for moved in (off, rest))
    return Plate(
        figure,
        "fig-sky-bands",
        "One galaxy in three bands. Above: the same pixels of the three frames, with the place of "
        f"the galaxy in r marked; the WCS put it up to {apart:.1f} pixels from there. Below, north "
        f"up: each band cut by its own WCS; the centres of its light agree to {left:.2f} pixel. "
        f"Numbers: x and y, from where it is in r. {source_tag(card)}",
        "Two rows of three grey pictures and a colour one. Above, the galaxy is displaced by up to "
        f"{apart:.1f} pixels between bands and has coloured fringes; below, by {left:.2f} pixel.",
    )


def sheet(kinds: Mapping[str, tuple], card: dict, name: str, what: str) -> Plate:
    """Show rows of stamps in colour, each with a few words below.

    Args:
        kinds: title -> (stamps (n, 3, H, W), n texts); NaN, where a band is missing, counts as 0.
        card: of the set, in nanomaggies.
        name: of the figure. what: the caption's first words.
    """
    kinds = {title: pair for title, pair in kinds.items() if len(pair[0])}
    columns = max(len(stamps) for stamps, _ in kinds.values())
    shape = {"width": 7.8, "height": 1.28 * len(kinds) + 0.2, "squeeze": False}
    with canvas(len(kinds), columns, layout="compressed", **shape) as (figure, axes):
        for axis in axes.flat:
            axis.set_axis_off()
        for row, (title, (stamps, texts)) in zip(axes, kinds.items(), strict=True):
            pictures = to_rgb(np.nan_to_num(stamps), card)
            for axis, picture, text in zip(row, pictures, texts, strict=False):
                axis.imshow(picture, origin="lower")
                axis.text(0.5, -0.04, text, transform=axis.transAxes, fontsize=6, ha="center",
                          va="top")  # fmt: skip
            row[0].set_title("T", fontsize=8, alpha=0)  # keeps the room for the words, which are
            words = row[0].text(0, 1.06, title, transform=row[0].transAxes, weight="bold", size=8)
            words.set_in_layout(False)  # left out, or their column would be as wide as they
    told = "; ".join(f"{title}: {len(stamps)}" for title, (stamps, _) in kinds.items())
    return Plate(
        figure,
        name,
        f"{what}; i, r and g as red, green and blue. {told}. {source_tag(card)}",
        f"Rows of small colour pictures. {told}.",
    )


def shift(facts: Mapping[str, tuple], sources: Mapping[str, str]) -> Plate:
    """Draw in what the stamps of the sky differ from those that the network knows.

    Args:
        facts: property -> (values of the run, values of the sky).
        sources: "this run" and "the sky" -> what they are, for the caption.
    """
    rows = -(-len(facts) // 3)
    said = []
    with canvas(rows, 3, height=2.1 * rows + 0.4, squeeze=False) as (figure, axes):
        for axis in axes.flat[len(facts) :]:
            axis.set_axis_off()
        for axis, (name, pair) in zip(axes.flat, facts.items(), strict=False):
            pair = [np.asarray(v, float)[np.isfinite(v)] for v in pair]
            edges = np.linspace(*np.quantile(np.concatenate(pair), [0.005, 0.995]), 24)
            if name == "n_neighbours":
                edges = np.arange(-0.5, min(max(map(np.max, pair)), 8) + 1)
            for end, values in zip(ENDS, pair, strict=True):
                axis.hist(values, edges, density=True, label=end, **STYLES[end])
            axis.set(xlabel=TITLES.get(name, name), yticks=[])
            middles = [float(np.median(values)) for values in pair]
            said.append(f"{TITLES.get(name, name)}: {middles[0]:.2f} and {middles[1]:.2f}")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    what = "; ".join(f"{end}: {sources[end].rstrip('.')}" for end in ENDS)
    return Plate(
        figure,
        "fig-sky-shift",
        f"Galaxies that the network was pretrained on, and those of the sky, each drawn to the "
        f"same area. Medians, {ENDS[0]} and {ENDS[1]}: {'; '.join(said)}. {what}.",
        f"Pairs of histograms. Medians, {ENDS[0]} and {ENDS[1]}: {'; '.join(said)}.",
    )


def transfer(scores: Table, n_labels: int, card: dict) -> Plate:
    """Draw the balanced accuracy of methods on the sky, with their intervals.

    Args:
        scores: rows ``group`` (what they cost), ``method``, mean, low, high.
        n_labels: labels of the sky that were bought.
        card: of the sky's set.
    """
    groups = list(dict.fromkeys(scores["group"]))
    place, ticks, at = [], [], 0.0
    for group in groups:
        own = scores[np.asarray(scores["group"]) == group]
        ticks.append((at - 0.75, group))
        place += [at + k for k in range(len(own))]
        at = place[-1] + 2.0
    with canvas(width=7.5, height=0.27 * (place[-1] + 1) + 1.1) as (figure, axis):
        for y, row in zip(place, scores, strict=True):
            color = "#0072B2" if "SimCLR" in row["method"] or "MoCo" in row["method"] else "#444444"
            axis.plot([row["low"], row["high"]], [y, y], color=color, lw=2)
            axis.plot(row["mean"], y, "o", color=color, ms=5)
        axis.set_yticks(place, list(scores["method"]), fontsize=8)
        for y, group in ticks:
            axis.annotate(group, (0, y), xycoords=("axes fraction", "data"), xytext=(-190, 0),
                          textcoords="offset points", fontsize=8, weight="bold", va="center",
                          annotation_clip=False)  # fmt: skip
        axis.set(
            ylim=(place[-1] + 0.7, -1.3), xlabel="balanced accuracy on the sky's test galaxies"
        )
        axis.grid(axis="x", color="0.92")
        axis.axvline(0.5, color="0.6", lw=1, ls="--")
    said = "; ".join(f"{r['method']} {r['mean']:.3f}" for r in scores)
    return Plate(
        figure,
        "fig-sky-scores",
        f"Early and late types told apart on the sky. Above: without a label of the sky. Below: "
        f"with {n_labels} of its labels, the same for all. Bars are 95% intervals over label draws "
        "where there is more than one, and test galaxies; one pretraining. Dashed: knowing "
        f"nothing. {source_tag(card)}",
        f"Balanced accuracies with intervals: {said}.",
    )
