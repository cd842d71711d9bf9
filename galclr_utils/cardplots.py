"""Draw what a data card shows: where the galaxies are on the sky, how bright and how distant."""

# N galaxies

from __future__ import annotations

import numpy as np
from astropy.table import Table

from galclr_utils.datacard import values
from galclr_utils.dataset import SPLITS
from galclr_utils.plates import COLORS, TYPES, Plate, canvas, source_tag

SPLIT_COLORS = {"train": "0.55", "val": "#009E73", "test": "#CC79A7"}  # not those of the types
SMALL_DEG = 10.0  # a set within this distance of its centre is drawn as a piece of sky
MOST = 30_000  # points of a plot
PANELS = {"mag_r": "r [mag]", "z": "redshift", "ttype": "T-type"}


def footprint(catalog: Table, card: dict) -> Plate | None:
    """Draw where the galaxies lie on the sky, in an equal-area map; None without positions.

    A small piece of sky is drawn as offsets from its centre: right ascension times the cosine of
    the declination, so that areas are equal there, too. East is left.
    """
    ra, dec = values(catalog, "ra"), values(catalog, "dec")
    seen = np.flatnonzero(np.isfinite(ra + dec))
    if not len(seen):
        return None
    ra, dec, split = ra[seen] % 360, dec[seen], np.asarray(catalog["split"], str)[seen]
    middle, height, radius = centre(ra, dec)
    small = radius < SMALL_DEG
    middle = middle if small else round(middle / 30) * 30 % 360
    order = np.random.default_rng(0).permutation(len(ra))[:MOST]
    options = {} if small else {"subplot_kw": {"projection": "mollweide"}}
    with canvas(1, 1, width=7.5, height=4.6, **options) as (figure, axis):
        east = -((ra - middle + 180) % 360 - 180)
        x = east * np.cos(np.radians(dec)) if small else np.radians(east)
        y = dec - height if small else np.radians(dec)
        style = {"lw": 0, "alpha": 0.7, "rasterized": True}
        size = 14 if len(ra) < 3000 else 3
        for name in SPLITS:
            own = order[split[order] == name]
            n = int((split == name).sum())
            if n:
                axis.scatter(
                    x[own], y[own], size, color=SPLIT_COLORS[name], label=f"{name} ({n})", **style
                )
        if small:
            axis.set_aspect("equal")
            axis.set(xlabel=f"offset from RA {middle:.2f}° [degrees, east is left]")
            axis.set(ylabel=f"offset from Dec {height:.2f}° [degrees]")
            axis.xaxis.set_major_formatter(lambda tick, _: f"{0 - tick:g}")
        else:
            axis.grid(color="0.85", lw=0.5)
            ticks = np.arange(-120, 121, 60)
            labels = [f"{(middle - tick) % 360:.0f}°" for tick in ticks]
            axis.set_xticks(np.radians(ticks), labels, fontsize=8)
            axis.tick_params(labelsize=8)
            for label in axis.get_xticklabels():  # they stand among the galaxies
                label.set_bbox({"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 1})
        figure.legend(loc="outside upper center", ncols=3, markerscale=2.5 if size < 5 else 1)
    span = "a piece of sky" if small else "the sky in Mollweide's equal-area projection"
    thinned = f" Of them {len(order)} are drawn, at random." if len(order) < len(ra) else ""
    where = (
        f"within {radius:.1f}° of RA {middle:.1f}°, Dec {height:+.1f}°"
        if small
        else f"declinations from {dec.min():+.1f}° to {dec.max():+.1f}°"
    )
    counts = ", ".join(f"{(split == n).sum()} {n}" for n in SPLITS if (split == n).any())
    return Plate(
        figure,
        "fig-card-sky",
        f"Where the galaxies lie: {span}, {where}, in {cells(ra, dec)} cells of about a square "
        f"degree. {len(ra)} of {len(catalog)} have a position.{thinned} {source_tag(card)}",
        f"A map of {len(ra)} galaxies ({counts}): {span}, {where}.",
    )


def centre(ra: np.ndarray, dec: np.ndarray) -> tuple[float, float, float]:
    """Return the mean direction of positions, and the distance of the farthest from it; degrees.

    >>> [round(float(x), 2) for x in centre(np.array([359.0, 1.0]), np.array([0.0, 0.0]))]
    [0.0, 0.0, 1.0]
    """
    a, d = np.radians(ra), np.radians(dec)
    points = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    mean = points.mean(axis=1)
    mean = mean / max(np.linalg.norm(mean), 1e-12)
    far = np.degrees(np.arccos(np.clip(mean @ points, -1, 1)).max())
    middle = np.degrees(np.arctan2(mean[1], mean[0])) % 360
    return float(round(middle, 9) % 360), float(np.degrees(np.arcsin(mean[2]))), float(far)


def cells(ra: np.ndarray, dec: np.ndarray) -> int:
    """Count the cells of about a square degree that hold a galaxy, as the splits use them.

    >>> cells(np.array([10.1, 10.2, 12.5]), np.array([0.5, 0.6, 0.5]))
    2
    """
    row = np.floor(dec)
    column = np.floor(ra % 360 * np.cos(np.radians(row + 0.5)))
    return len(np.unique(np.stack([row, column]), axis=1).T)


def distributions(catalog: Table, card: dict) -> Plate | None:
    """Draw magnitudes, redshifts and T-types by class; None where none of them is known."""
    names = [name for name in PANELS if np.isfinite(values(catalog, name)).any()]
    if not names:
        return None
    label, said = np.asarray(catalog["label"]), []
    kinds = {kind: label == value for kind, value in {**TYPES, "unknown": -1}.items()}
    kinds = {kind: own for kind, own in kinds.items() if own.any()}
    styles = {"early": {"histtype": "stepfilled", "alpha": 0.45}, "late": {"histtype": "step"}}
    styles["unknown"] = {"histtype": "step", "ls": "--"}
    with canvas(1, len(names), width=2.6 * len(names) + 0.6, height=2.9, squeeze=False) as (
        figure,
        axes,
    ):
        for axis, name in zip(axes[0], names, strict=True):
            column = values(catalog, name)
            low, high = np.nanquantile(column, [0.002, 0.998])
            edges = np.linspace(low, high if high > low else low + 1, 31)
            for kind, own in kinds.items():
                shown = column[own & np.isfinite(column)]
                axis.hist(shown, edges, lw=1.8, color=COLORS[kind], label=kind, **styles[kind])
                if len(shown):
                    said.append(f"median {PANELS[name]} {np.median(shown):.3g} for {kind}")
            axis.set(xlabel=PANELS[name])
        axes[0, 0].set_ylabel("galaxies")
        handles = axes[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper center", ncols=len(kinds))
    counts = ", ".join(f"{int(own.sum())} {kind}" for kind, own in kinds.items())
    titles = [PANELS[name].partition(" [")[0] for name in names]
    return Plate(
        figure,
        "fig-card-light",
        f"How the classes differ in what is known without a picture: {', '.join(titles)} ({counts} "
        f"galaxies; the outermost 0.2 per cent at each end are not drawn). {source_tag(card)}",
        f"Histograms by class: {'; '.join(said)}.",
    )
