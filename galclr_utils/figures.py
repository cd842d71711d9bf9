"""Draw galaxies: each returns a Plate whose caption and alt text come from its data."""

from __future__ import annotations

import numpy as np

from galclr_utils.dataset import GalaxySet
from galclr_utils.plates import COLORS, TYPES, Plate, canvas, source_tag, to_rgb

# pictures are square: this layout keeps the gaps between rows and columns alike
PICTURES = {"squeeze": False, "layout": "compressed"}


def gallery(galaxies: GalaxySet, columns: int = 8, seed: int = 0) -> Plate:
    """Show training galaxies in colour: early types above, late below; any if unlabelled."""
    random, labels = np.random.default_rng(seed), galaxies.labels
    train = galaxies.indices("train")
    kinds = {name: train[labels[train] == value] for name, value in TYPES.items()}
    kinds = {name: rows for name, rows in kinds.items() if len(rows)} or {"unlabelled": train}
    shape = (2 * len(kinds), columns)
    with canvas(*shape, width=7.5, height=0.95 * shape[0] + 0.4, **PICTURES) as (figure, axes):
        for axis in axes.flat:
            axis.set_axis_off()
        for pair, (name, rows) in zip(axes.reshape(-1, 2 * columns), kinds.items(), strict=True):
            chosen = random.choice(rows, min(2 * columns, len(rows)), replace=False)
            pictures = to_rgb(galaxies.images[chosen], galaxies.card)
            for axis, picture in zip(pair, pictures, strict=False):
                axis.imshow(picture, origin="lower")
            pair[0].set_title(name, loc="left", fontweight="bold")
    drawn = " and ".join(f"{min(2 * columns, len(rows))} {name}" for name, rows in kinds.items())
    size = galaxies.images.shape[-1]
    scale = galaxies.card.get("arcsec_per_pixel")
    width = f", {size * scale:.0f} arcseconds wide" if scale else ""
    caption = f"{drawn} galaxies drawn at random from the training split, {size} pixels{width}. "
    return Plate(
        figure,
        "fig-gallery",
        caption + "i, r and g are shown as red, green and blue. " + source_tag(galaxies.card),
        f"Rows of small colour pictures: {drawn} galaxies.",
    )


def catalogue(galaxies: GalaxySet, names=("g_r", "concentration", "r50", "mag_r")) -> Plate:
    """Draw how early and late training galaxies differ in what a catalogue knows without images."""
    catalog, rows = galaxies.catalog, galaxies.labelled("train")
    names = [n for n in names if n in catalog.colnames]
    titles = {"g_r": "g − r [mag]", "mag_r": "r [mag]", "r50": "R50 [arcsec]"}
    titles["concentration"] = "concentration R90/R50"
    styles = {"early": {"histtype": "stepfilled", "alpha": 0.45}, "late": {"histtype": "step"}}
    labels, said = galaxies.labels[rows], []
    with canvas(1, max(1, len(names)), height=2.6, squeeze=False) as (figure, axes):
        for axis, name in zip(axes[0], names, strict=True):
            values = np.asarray(catalog[name][rows], float)
            edges = np.linspace(*np.nanquantile(values, [0.005, 0.995]), 30)
            for kind, value in TYPES.items():
                own = values[(labels == value) & np.isfinite(values)]
                axis.hist(own, edges, lw=1.8, color=COLORS[kind], label=kind, **styles[kind])
                if len(own):
                    said.append(f"median {name} {np.median(own):.2f} for {kind} types")
            axis.set(xlabel=titles.get(name, name), yticks=[])
        axes[0, 0].set_ylabel("galaxies")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return Plate(
        figure,
        "fig-catalogue",
        f"What the catalogue says of {len(rows)} labelled training galaxies. R50 and R90 are the "
        f"radii that hold 50 and 90 per cent of the light. {source_tag(galaxies.card)}",
        "Histograms of early and late types: " + ", ".join(said) + ".",
    )


def label_scatter(galaxies: GalaxySet, flips: dict[float, float], own: float) -> Plate:
    """Draw how the classifier's uncertainty turns T-types into labels.

    Args:
        galaxies: a simulated set, with ``ttype`` and ``label``.
        flips: for each scatter, the share of galaxies whose label differs from the true type.
        own: the scatter of this set.
    """
    known = galaxies.labels >= 0
    t_type, labels = np.asarray(galaxies.catalog["ttype"], float)[known], galaxies.labels[known]
    edges = np.arange(-5, 8.01, 0.5)
    place = np.digitize(t_type, edges) - 1
    bins = [k for k in range(len(edges) - 1) if (place == k).sum() >= 10]
    share = [labels[place == k].mean() for k in bins]
    with canvas(1, 2, height=2.8) as (figure, (left, right)):
        left.plot(edges[bins] + 0.25, share, "o-", color=COLORS["late"], ms=4)
        left.axvline(0, color="0.6", lw=1)
        left.set(xlabel="true T-type", ylabel="share labelled late", ylim=(-0.03, 1.03))
        right.plot(list(flips), [100 * f for f in flips.values()], "s-", color="0.2", ms=5)
        right.axvline(own, color="0.6", lw=1, ls="--")
        right.set(
            xlabel="label scatter [T-types]", ylabel="labels that are wrong [%]", ylim=(0, None)
        )
    words = ", ".join(f"{100 * share:.1f}% at {scatter:g}" for scatter, share in flips.items())
    ends = [f"{100 * share[k]:.0f}% at T = {edges[bins[k]] + 0.25:g}" for k in (0, -1) if bins]
    ends = ", then ".join(ends) or "too few galaxies to say"
    return Plate(
        figure,
        "fig-label-scatter",
        f"Left: how often a galaxy of a given true T-type is labelled late, at the scatter of this "
        f"set ({own:g}, dashed on the right). Right: the share of wrong labels that other scatters "
        "would give the same galaxies, their errors drawn anew (so the set itself, at its own "
        f"scatter, may have a few more or less). {source_tag(galaxies.card)}",
        f"Left, the share labelled late: {ends}. Right, wrong labels: {words}.",
    )


def views(galaxies: GalaxySet, pictures: dict, pair: tuple, sky: float = 0.0) -> Plate:
    """Show galaxies (rows) under each transform (columns), and a quiz of two views of each.

    Args:
        pictures: column title -> (n, C, H, W) stamps in [0, 1], the same n galaxies in each; the
            first column is set apart.
        pair: view 1 of the galaxies, and view 2 in another order; both (n, C, H, W).
        sky: the value of an empty sky, [0, 1), which is drawn black.
    """
    rows, gap = len(pair[0]), [None]
    titles = list(pictures)
    columns = titles[:1] + gap + titles[1:] + gap + ["view 1"] + gap + ["view 2"]
    shown = pictures | {"view 1": pair[0], "view 2": pair[1]}
    widths = [1 if title else 0.25 for title in columns]
    height = 8.5 / sum(widths) * rows + 0.3
    options = PICTURES | {"width_ratios": widths}
    with canvas(rows, len(columns), width=8.5, height=height, **options) as (figure, axes):
        for axis in axes.flat:
            axis.set_axis_off()
        for column, title in zip(axes.T, columns, strict=True):
            if title:
                column[0].set_title(title, fontsize=7)
                stamps = (np.asarray(shown[title]) - sky) / (1 - sky)
                for axis, picture in zip(column, to_rgb(stamps, {"units": "display"}), strict=True):
                    axis.imshow(picture, origin="lower")
        for row in range(rows):
            axes[row, -4].text(0.5, 0.5, chr(ord("a") + row), ha="center", va="center")
            axes[row, -2].text(0.5, 0.5, row + 1, ha="center", va="center")
    black = ", but that the grey of an empty sky is drawn black" if sky else ""
    seen = f"This is what the network sees{black}."
    return Plate(
        figure,
        "fig-views",
        f"{rows} training galaxies, one a row: as observed, under each transform alone, and on the "
        f"right under all of them together, view 2 in another order than view 1. {seen} "
        f"{source_tag(galaxies.card)}",
        f"A grid of {rows} rows of galaxy pictures; the columns are {', '.join(titles)}; then view "
        "1, lettered, and view 2, numbered, in another order.",
    )
