"""Draw maps of a representation: each returns a Plate with texts made from its data.

All of them show the same map in the same square, so that a place in one is found in the others.
"""

from __future__ import annotations

import numpy as np

from galclr_utils.atlas import neighbour_agreement
from galclr_utils.dataset import GalaxySet
from galclr_utils.plates import COLORS, MARKERS, TYPES, Plate, canvas, source_tag, to_rgb


def umap(
    positions: np.ndarray,
    labels: np.ndarray,
    settings: str,
    card: dict,
    space: str = "the representation h",
    name: str = "fig-umap",
) -> Plate:
    """Draw the map, early and late types told apart by colour and marker, as the poster's figure 2.

    Args:
        positions: (N, 2) from ``atlas.umap_map``.
        labels: (N,) 0 early, 1 late, -1 unknown.
        settings: UMAP's parameters, for the caption.
        space: what was mapped, for the caption.
        name: of the figure.
    """
    labels = np.asarray(labels)
    counts = {}
    with canvas(1, 1, width=5.8, height=5.8) as (figure, axis):
        for kind, value in {"unknown": -1, **TYPES}.items():
            own = positions[labels == value]
            if len(own):
                counts[kind] = len(own)
                style = {"s": 11, "alpha": 0.65, "lw": 0, "marker": MARKERS[kind]}
                axis.scatter(*own.T, color=COLORS[kind], label=f"{kind} ({len(own)})", **style)
        _frame(axis, positions)
        axis.set(xlabel="UMAP 1", ylabel="UMAP 2")
        figure.legend(loc="outside upper center", ncols=len(counts), markerscale=2)
    labelled = len(counts) > ("unknown" in counts)
    shown = "Colour and marker show the labels, which took no part in it." if labelled else ""
    return Plate(
        figure,
        name,
        f"The map that UMAP makes of {len(positions)} test galaxies from {space} ({settings}). "
        f"{shown} {source_tag(card)}".replace("  ", " "),
        f"A square scatter of {' and '.join(f'{n} {kind}' for kind, n in counts.items())} "
        f"galaxies{_mixing(positions, labels)}.",
    )


def _frame(axis, positions: np.ndarray) -> None:
    """Give an axis the limits and the square shape that all maps share, without ticks."""
    low, high = positions.min(0), positions.max(0)
    margin = 0.03 * (high - low) + 1e-9
    (left, bottom), (right, top) = low - margin, high + margin
    axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axis.set_box_aspect(1)


def _mixing(positions: np.ndarray, labels: np.ndarray) -> str:
    """Say how far the types are mixed on a map, for those who do not see it."""
    if len(np.unique(labels[labels >= 0])) < 2:
        return ""
    share = neighbour_agreement(positions, labels, metric="euclidean")
    return (
        f"; of the ten points nearest to one, {share:.0%} are of its own type, where 50% would be "
        "chance"
    )


def umap_pictures(galaxies: GalaxySet, rows: np.ndarray, positions: np.ndarray, n=16) -> Plate:
    """Draw the map as pictures: in each cell of a grid, the galaxy nearest to its centre."""
    low, high = positions.min(0), positions.max(0)
    place = (positions - low) / np.maximum(high - low, 1e-9) * n
    cell = np.minimum(place.astype(int), n - 1)
    off_centre = np.linalg.norm(place - cell - 0.5, axis=1)
    nearest: dict[tuple, int] = {}
    for k in np.argsort(off_centre):
        nearest.setdefault(tuple(cell[k]), int(k))
    size = galaxies.images.shape[-1]
    board = np.ones((n * size, n * size, 3), "f4")
    chosen = np.array(list(nearest.values()))
    for (x, y), picture in zip(
        nearest, to_rgb(galaxies.images[rows[chosen]], galaxies.card), strict=True
    ):
        board[y * size : (y + 1) * size, x * size : (x + 1) * size] = picture
    with canvas(1, 1, width=7.0, height=7.0) as (figure, axis):
        axis.imshow(board, origin="lower")
        axis.set_axis_off()
    return Plate(
        figure,
        "fig-umap-pictures",
        f"The same map as pictures: in each of {n}x{n} cells, the galaxy nearest to its centre; "
        f"cells without a galaxy are white. {source_tag(galaxies.card)}",
        f"{len(nearest)} small galaxy pictures, placed where they lie on the map.",
    )


def umap_properties(positions: np.ndarray, properties: dict[str, np.ndarray], card: dict) -> Plate:
    """Colour the map by what is known of each galaxy: does the representation encode it?

    Args:
        positions: (N, 2).
        properties: title with unit -> (N,) values; those that are not known (NaN) are left out.
    """
    columns = min(3, len(properties))
    rows = -(-len(properties) // columns)
    size = {"width": 2.95 * columns, "height": 2.75 * rows}
    with canvas(rows, columns, squeeze=False, **size) as (figure, axes):
        for axis in axes.flat[len(properties) :]:
            axis.set_axis_off()
        for axis, (title, values) in zip(axes.flat, properties.items(), strict=False):
            low, high = np.nanquantile(values, [0.02, 0.98])
            style = {"c": values, "s": 4, "lw": 0, "cmap": "viridis", "vmin": low, "vmax": high}
            figure.colorbar(axis.scatter(*positions.T, **style), ax=axis, shrink=0.85)
            _frame(axis, positions)
            axis.set_title(title)
    names = ", ".join(properties)
    return Plate(
        figure,
        "fig-umap-properties",
        f"The same map, coloured by {names}. Colours end at the 2nd and 98th percentile. "
        f"{source_tag(card)}",
        f"Copies of the map, coloured by {names}.",
    )
