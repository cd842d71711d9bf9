"""Map representations to two dimensions with UMAP, and say how far the map can be trusted."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet
from galclr_utils.provenance import whole_file

# N galaxies, D representation

FEW = 20_000  # points of which all distances are soon computed: no search has to be compiled


def choose(rows: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Return ``n`` of the rows, drawn without replacement and sorted; all if there are fewer.

    >>> choose(np.arange(100, 110), 3, seed=0)
    array([105, 106, 109])
    """
    rows = np.asarray(rows)
    if len(rows) <= n:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, n, replace=False))


def umap_map(
    h: np.ndarray, seed: int = 0, n_neighbors: int = 15, min_dist: float = 0.1
) -> np.ndarray:
    """Lay representations out in the plane so that near neighbours stay near (McInnes et al. 2018).

    The distance is the cosine distance, which is what NT-Xent trained. The axes of the map have no
    units and no meaning; distances between far groups, and their sizes, mean little.

    Args:
        h: float (N, D), N > 3.
        seed: fixes the layout; with a seed UMAP runs on one thread.
        n_neighbors: the size of the neighbourhoods that are kept, 2 to N - 1.
        min_dist: how close points may lie, 0 to 1.
    Returns:
        float32 (N, 2).
    """
    from sklearn.neighbors import NearestNeighbors

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses widgets that nobody asked for
        from umap import UMAP

    if len(h) < 4:
        raise ValueError(f"h: got {len(h)} galaxies, expected at least 4 to make a map")
    neighbours = min(number("n_neighbors", n_neighbors, 2, 10_000, integer=True), len(h) - 1)
    h, settings = np.asarray(h, "f4"), {"metric": "cosine", "random_state": seed, "n_jobs": 1}
    settings |= {"n_neighbors": neighbours, "min_dist": number("min_dist", min_dist, 0, 1)}
    if len(h) <= FEW:
        search = NearestNeighbors(n_neighbors=neighbours, metric="cosine").fit(h)
        settings["precomputed_knn"] = search.kneighbors(h)[::-1]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"precomputed_knn\[2\]")  # no other points will be mapped
        return UMAP(**settings).fit_transform(h).astype("f4")


def nearest(points: np.ndarray, k: int = 10, metric: str = "cosine") -> np.ndarray:
    """Return the rows of each galaxy's k nearest others, nearest first, int64 (N, k).

    Args:
        points: (N, D) representations, or (N, 2) map positions (then ``metric="euclidean"``).
        k: how many; no more than there are others.

    >>> nearest(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]]), k=1).ravel()
    array([1, 0, 3, 2])
    """
    from sklearn.neighbors import NearestNeighbors

    k = min(k, len(points) - 1)
    return NearestNeighbors(n_neighbors=k, metric=metric).fit(points).kneighbors()[1]


def own_share(points: np.ndarray, labels: np.ndarray, k: int = 10, metric: str = "cosine"):
    """Return for each galaxy the share of its k nearest that carry its own label.

    Args:
        points, k, metric: as for `nearest`.
        labels: (N,) 0 early, 1 late, -1 unknown; the unknown are nobody's neighbours.
    Returns:
        float64 (N,), NaN where the label is unknown.
    """
    labels = np.asarray(labels)
    known = np.flatnonzero(labels >= 0)
    own = labels[known]
    share = np.full(len(labels), np.nan)
    neighbours = nearest(np.asarray(points)[known], k, metric)
    share[known] = (own[neighbours] == own[:, None]).mean(axis=1)
    return share


def neighbour_agreement(points: np.ndarray, labels: np.ndarray, k: int = 10, metric="cosine"):
    """Return `own_share` averaged over the galaxies of each class, then over the classes.

    The classes count equally (chance is 0.5 for two), so an abundant class cannot make it large.

    >>> neighbour_agreement(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]]), [0, 0, 1, 1], k=1)
    1.0
    """
    labels, share = np.asarray(labels), own_share(points, labels, k, metric)
    return float(np.mean([share[labels == c].mean() for c in np.unique(labels[labels >= 0])]))


def neighbour_r2(h: np.ndarray, values: np.ndarray, k: int = 10) -> float:
    """Return how well a galaxy's value is told by the mean of its k nearest others in h.

    R2 is 1 minus the squared error over the variance: 1 if neighbours tell all, about -1/k if they
    are strangers (a mean of k strangers is that much worse than the mean of all). No galaxy is its
    own neighbour.

    Args:
        h: (N, D) representations.
        values: (N,) what is known of each galaxy; those with NaN are left out.
    Returns:
        NaN where the values do not differ, or fewer than three are known.

    >>> angle = np.linspace(0, 3, 200)
    >>> round(neighbour_r2(np.stack([np.cos(angle), np.sin(angle)], axis=1), angle), 2)
    1.0
    """
    values = np.asarray(values, float)
    known = np.isfinite(values)
    values = values[known]
    if len(values) < 3 or not (variance := values.var()):
        return float("nan")
    told = values[nearest(np.asarray(h)[known], k)].mean(axis=1)
    return float(1 - np.mean((values - told) ** 2) / variance)


PROPERTIES = {  # what a catalogue may know of a galaxy, and how figures and tables call it
    "ttype": "T-type",
    "g_r": "g − r [mag]",
    "mag_r": "r [mag]",
    "r50": "R50 [arcsec]",
    "axis_ratio": "axis ratio",
    "psf_fwhm": "seeing FWHM [arcsec]",
    "concentration": "concentration",
    "z": "redshift",
}


def known_properties(galaxies: GalaxySet, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the catalogue knows of some galaxies: title -> float64 (n,), NaN where unknown.

    A property that fewer than half of them have, or that is the same for all, is left out. If none
    is left, the mean pixel stands in.
    """
    found = {}
    for name in (name for name in PROPERTIES if name in galaxies.catalog.colnames):
        values = np.asarray(galaxies.catalog[name][rows], float)
        if np.isfinite(values).mean() >= 0.5 and np.nanstd(values) > 0:
            found[PROPERTIES[name]] = values
    if not found:
        found["mean pixel"] = galaxies.images[rows].mean(axis=(1, 2, 3), dtype=float)
    return found


def trustworthiness(h: np.ndarray, positions: np.ndarray, k: int = 15) -> float:
    """Return how far near neighbours on the map are near in h too: 1 if all, 0.5 by chance."""
    from sklearn.manifold import trustworthiness as score

    return float(score(h, positions, n_neighbors=min(k, len(h) // 2 - 1), metric="cosine"))


def save_map(run: Path, ids, positions: np.ndarray, labels) -> Path:
    """Write ``embedding/umap.csv``: id, x, y, label; whole or not at all."""
    path = Path(run) / "embedding" / "umap.csv"
    table = Table({"id": ids, "x": positions[:, 0], "y": positions[:, 1], "label": labels})
    with whole_file(path) as part:
        table.write(part, format="ascii.csv", overwrite=True)
    return path
