"""Find galaxies that look alike, by exact search, and measure how alike they are.

The search compares a query with every galaxy, a block of queries at a time: one matrix product. It
is exact, has no settings, and its cost is the number of queries times that of galaxies.
"""

# N galaxies, Q queries, K neighbours, D features, C bands, H, W pixels, B resamples, P pairs

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from galclr_utils.checks import choice, did_you_mean, number
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder
from galclr_utils.metrics import unit
from galclr_utils.normalize import Normalize
from galclr_utils.transforms import Orientation, Seeing

METRICS = ("cosine", "euclidean")
AT_ONCE = 2**24  # distances in memory
RESAMPLES = 500


def search(
    queries: np.ndarray,
    points: np.ndarray,
    k: int = 10,
    own: np.ndarray | None = None,
    metric: str = "cosine",
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest points of each query, nearest first, and how far they are.

    Args:
        queries: (Q, D). points: (N, D).
        k: how many; no more than there are (others).
        own: int (Q,), the row of each query among the points, which is left out; -1 for a query
            that is none of them; None if no query is.
        metric: ``"cosine"``: 1 minus the cosine, 0 to 2; or ``"euclidean"``.
    Returns:
        rows int64 (Q, k) and distances float32 (Q, k).
    Raises:
        ValueError: no points, or points and queries of different width.

    >>> points = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    >>> search(points, points, k=1, own=np.arange(4))[0].ravel()
    array([1, 0, 3, 2])
    """
    choice("metric", metric, METRICS)
    queries, points = np.asarray(queries, np.float32), np.asarray(points, np.float32)
    if queries.ndim != 2 or points.ndim != 2 or queries.shape[1] != points.shape[1]:
        raise ValueError(
            f"queries: got shape {queries.shape} for points of shape {points.shape}, expected "
            "(Q, D) and (N, D): describe both by the same encoder"
        )
    k = min(number("k", k, 1, np.inf, integer=True), len(points) - (own is not None))
    if k < 1:
        raise ValueError(f"points: got {len(points)}, expected at least one other than the query")
    if metric == "cosine":
        queries, points = unit(queries), unit(points)
    length = np.einsum("ij,ij->i", points, points)
    rows, far = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    size = max(1, AT_ONCE // len(points))
    for start in range(0, len(queries), size):
        block = slice(start, start + size)
        q = queries[block]
        square = length - 2 * (q @ points.T)  # but for the query's own length, which orders nothing
        if own is not None:
            inside = np.flatnonzero(np.asarray(own)[block] >= 0)
            square[inside, np.asarray(own)[block][inside]] = np.inf
        some = np.argpartition(square, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(square, some, axis=1)
        order = np.lexsort((some, found))  # equal distances: the first in the catalogue
        rows[block] = np.take_along_axis(some, order, axis=1)
        square = np.take_along_axis(found, order, axis=1)
        square = np.maximum(square + np.einsum("ij,ij->i", q, q)[:, None], 0)
        far[block] = square / 2 if metric == "cosine" else np.sqrt(square)
    return rows, far


def search_image(
    encoder: Encoder,
    stamp: np.ndarray,
    points: np.ndarray,
    k: int = 10,
    orientations: int = 8,
    centre: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Search with a picture that is not in the set: embed it, then look.

    Args:
        encoder: the encoder that described the points.
        stamp: (C, H, W), cut, binned and scaled as the stamps of the set, in its units.
        points: (N, D), less ``centre``.
        k: how many to find.
        orientations: as for the points.
        centre: (D,), what was taken off the points.
    Returns:
        rows int64 (k,) and cosine distances float32 (k,).

    >>> stamps = np.random.default_rng(0).random((5, 3, 16, 16), dtype="f4")
    >>> encoder = Encoder("cnn4", 8)
    >>> rows, far = search_image(encoder, np.rot90(stamps[3], axes=(1, 2)), encoder.embed(stamps))
    >>> int(rows[0])
    3
    """
    if np.ndim(stamp) != 3 or np.shape(stamp)[0] != encoder.n_bands:
        raise ValueError(
            f"stamp: got shape {np.shape(stamp)}, expected ({encoder.n_bands}, H, W): one picture, "
            "its bands first"
        )
    h = encoder.embed(np.ascontiguousarray(stamp)[None], orientations=orientations)
    rows, far = search(h - centre, points, k)
    return rows[0], far[0]


class Pixels:
    """The principal components of the training galaxies' pixels, as features for any stamp.

    The same components as ``baselines.pca_features``, which describes only the set itself.

    Args:
        galaxies: the data set. normalize: that of the encoder.
        n_components: D. n_fit: as many training galaxies at most. seed: which ones.
    """

    def __init__(
        self,
        galaxies: GalaxySet,
        normalize: Normalize,
        n_components: int = 64,
        n_fit: int = 10_000,
        seed: int = 0,
    ):
        from sklearn.decomposition import PCA

        if not len(train := galaxies.indices("train")):
            raise ValueError("train split: got no galaxies, expected some to find the components")
        few = np.sort(np.random.default_rng(seed).permutation(train)[:n_fit])
        self.normalize = normalize
        x = self._flat(galaxies.images[few])
        n = min(number("n_components", n_components, 1, np.inf, integer=True), *x.shape)
        self.pca = PCA(n, svd_solver="randomized", random_state=seed).fit(x)

    def _flat(self, images: np.ndarray) -> np.ndarray:
        return self.normalize(torch.from_numpy(np.asarray(images, "f4"))).flatten(1).numpy()

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return the components (N, D) of stamps (N, C, H, W) in the set's units."""
        return self.pca.transform(self._flat(images)).astype(np.float32)

    def error(self, images: np.ndarray) -> np.ndarray:
        """Return float32 (N,): the mean squared pixel, of [0, 1], that the components miss."""
        x = self._flat(images)
        return np.mean((x - self.pca.inverse_transform(self.pca.transform(x))) ** 2, axis=1)


# --- queries -----------------------------------------------------------------------------------


def row_of(galaxies: GalaxySet, query_id: str) -> int:
    """Return the row of a galaxy by its id.

    Raises:
        ValueError: no such galaxy.
    """
    ids = np.asarray(galaxies.catalog["id"], str)
    if not len(found := np.flatnonzero(ids == str(query_id))):
        near = did_you_mean(query_id, ids[:20_000])
        raise ValueError(f"query_id: got {query_id!r}, which none of {len(ids)} galaxies has{near}")
    return int(found[0])


def examples(
    galaxies: GalaxySet, rows: np.ndarray, points: np.ndarray, n: int = 3
) -> dict[str, int]:
    """Choose galaxies to search with: one of each kind that every astronomer knows.

    Where labels, axis ratios and magnitudes are known: of the flattest tenth of the late types, of
    the roundest tenth of the late types, and of the early types, each time among the brighter half
    the one most like the others, that is, without a star beside it. Else n galaxies that lie far
    from each other in the space: the one farthest from the mean, then always the one farthest from
    those chosen.

    Args:
        galaxies: the data set.
        rows: (N,) the galaxies to choose from.
        points: (N, D) their place in a space. n: how many, where the catalogue cannot tell.
    Returns:
        What it is called -> its place among ``rows``.
    """
    labels, catalog = galaxies.labels[rows], galaxies.catalog
    place = unit(points - points.mean(axis=0))
    if {"axis_ratio", "mag_r"} <= set(catalog.colnames):
        flat, faint = (np.asarray(catalog[c][rows], float) for c in ("axis_ratio", "mag_r"))
        late, early = (np.flatnonzero((labels == v) & np.isfinite(flat + faint)) for v in (1, 0))
        if len(late) and len(early):
            tenth = -(-len(late) // 10)
            order = late[np.argsort(flat[late], kind="stable")]
            kinds = {"edge-on disc": order[:tenth], "face-on late": order[-tenth:], "early": early}
            chosen = {}
            for name, some in kinds.items():
                bright = some[faint[some] <= np.median(faint[some])]
                middle = place[bright].mean(axis=0)
                chosen[name] = int(bright[np.argmax(place[bright] @ middle)])
            return chosen
    chosen = [int(np.argmax(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    while len(chosen) < min(n, len(rows)):
        chosen.append(int(np.argmin((place @ place[chosen].T).max(axis=1))))
    return {f"galaxy {k + 1}": row for k, row in enumerate(chosen)}


# --- how alike neighbours are ------------------------------------------------------------------


@lru_cache(maxsize=4)
def resampled(n: int, n_resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return how often each of n is taken: float32 (1 + B, n), ones first; kept to be used again.

    >>> resampled(3, 2).sum(axis=1)
    array([3., 3., 3.], dtype=float32)
    """
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_resamples)
    weights = np.vstack([np.ones(n), drawn]).astype(np.float32)
    weights.flags.writeable = False
    return weights


def mean_curve(values: np.ndarray, groups=None, over=None, n_resamples: int = RESAMPLES):
    """Return a mean over galaxies and its bootstrap resamples, (1 + B,), the mean itself first.

    Curves of the same number of galaxies meet the same resamples, so their difference is paired.

    Args:
        values: (Q,) one a query galaxy.
        groups: (Q,) classes; the mean is then taken in each and averaged over the classes.
        over: (Q,) what to divide by: the ratio of two means. Without groups only.

    >>> mean_curve(np.array([1.0, 1.0, 0.0]), groups=[0, 0, 1])[0]
    np.float64(0.5)
    """
    n = len(values)
    weights, values = resampled(n, n_resamples), np.asarray(values, np.float32)
    groups = np.zeros(n) if groups is None else np.asarray(groups)
    below = np.ones(n, np.float32) if over is None else np.asarray(over, np.float32)
    with np.errstate(invalid="ignore"):  # a resample without one of the classes
        parts = [
            weights @ np.where(groups == g, values, 0) / (weights @ np.where(groups == g, below, 0))
            for g in np.unique(groups)
        ]
    return np.mean(parts, axis=0, dtype=np.float64)


def agreement(points, labels, k: int = 20, metric: str = "cosine") -> np.ndarray:
    """Return the share of neighbours with the galaxy's own label, among the first 1, 2, ... k.

    Classes count equally: chance is one half for two. Galaxies without a label are nobody's
    neighbours. The intervals are over the query galaxies; those they are found among stay.

    Returns:
        (k, 1 + B), see `mean_curve`.

    >>> angle = np.repeat([0.0, 1.5], 20) + np.linspace(0, 0.1, 40)
    >>> share = agreement(np.stack([np.cos(angle), np.sin(angle)], 1), np.repeat([0, 1], 20), k=5)
    >>> share.shape, float(share[-1, 0])
    ((5, 501), 1.0)
    """
    known = np.flatnonzero(np.asarray(labels) >= 0)
    x, y = np.asarray(points)[known], np.asarray(labels)[known]
    rows = search(x, x, k, np.arange(len(x)), metric)[0]
    share = np.cumsum(y[rows] == y[:, None], axis=1) / np.arange(1, rows.shape[1] + 1)
    return np.array([mean_curve(column, y) for column in share.T])


def difference(points, values, k: int = 10, metric: str = "cosine") -> np.ndarray:
    """Return how much neighbours differ in a property, as a share of how much strangers do.

    The mean absolute difference of a galaxy from its k nearest, over that from all others: 0 if
    neighbours are equal, 1 if they are strangers. Unlike R2 it does not hang on a few outliers.

    Args:
        points: (N, D). values: (N,), those with NaN are left out. k, metric: see `search`.
    Returns:
        (1 + B,), see `mean_curve`; NaN where fewer than three are known or all are equal.

    >>> angle = np.linspace(0, 3, 100)
    >>> circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> bool(difference(circle, angle, k=2)[0] < 0.1)
    True
    """
    values = np.asarray(values, float)
    known = np.flatnonzero(np.isfinite(values))
    x, v = np.asarray(points)[known], values[known]
    if len(v) < 3 or np.ptp(v) == 0:
        return np.full(1 + RESAMPLES, np.nan)
    rows = search(x, x, k, np.arange(len(x)), metric)[0]
    near = np.abs(v[rows] - v[:, None]).mean(axis=1)
    return mean_curve(near, over=from_strangers(v))


def from_strangers(values) -> np.ndarray:
    """Return the mean absolute difference of each value from all others, float64 (N,).

    Args:
        values: (N,), N > 1, without NaN.

    >>> from_strangers([0, 1, 5])
    array([3. , 2.5, 4.5])
    """
    order = np.argsort(values)
    v = np.asarray(values, float)[order]
    below = np.cumsum(v) - v
    above = v.sum() - below - v
    result, n = np.empty(len(v)), np.arange(len(v))
    result[order] = (n * v - below + above - n[::-1] * v) / (len(v) - 1)
    return result


# --- the same galaxy, again --------------------------------------------------------------------


def copies(images: np.ndarray, sky_rms, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the same galaxies as another observation might show them.

    Args:
        images: (N, C, H, W) in the set's units.
        sky_rms: (C,), ``card["sky_rms"]``. seed: of angles and noise.
    Returns:
        float32 (N, C, H, W) by name: "turned" by any angle, half of them mirrored; "noisier", with
        as much noise again as the sky has; "worse seeing", blurred by a sigma of 1 pixel; "shifted"
        by a pixel to a side, or up or down; "stored again", with a hundredth of the sky's noise.
    """
    random = torch.Generator().manual_seed(seed)
    stamps = torch.from_numpy(np.asarray(images, np.float32))
    rms = torch.tensor(sky_rms, dtype=torch.float32)[:, None, None]
    noise = torch.randn(stamps.shape, generator=random) * rms
    sides = torch.randint(4, (len(stamps),), generator=random).tolist()
    moves = [(1, -1), (-1, -1), (1, -2), (-1, -2)]
    moved = [s.roll(*moves[side]) for s, side in zip(stamps, sides, strict=True)]
    made = {
        "turned": Orientation()(stamps, random),
        "noisier": stamps + noise,
        "worse seeing": Seeing().apply(stamps, {"sigma_px": torch.ones(len(stamps))}),
        "shifted": torch.stack(moved),
        "stored again": stamps + 0.01 * noise.flip(0),
    }
    return {name: x.numpy() for name, x in made.items()}


def rank_of_own(queries, points, own, metric: str = "cosine") -> np.ndarray:
    """Return at which place a search finds the galaxy that each query is a copy of, int64 (Q,).

    1 is the first place. Points as near as the own one stand before it, so that a space in which
    all galaxies are one earns nothing.

    >>> rank_of_own([[1, 0.2]], [[0, 1], [1, 0], [1, 1]], own=[1])
    array([1])
    """
    choice("metric", metric, METRICS)
    queries, points = np.asarray(queries, np.float32), np.asarray(points, np.float32)
    if metric == "cosine":
        queries, points = unit(queries), unit(points)
    square = np.einsum("ij,ij->i", points, points) - 2 * (queries @ points.T)
    of_own = square[np.arange(len(queries)), own]
    return (square <= of_own[:, None]).sum(axis=1)


def closest_pairs(points, n: int, k: int = 5, metric: str = "cosine") -> tuple:
    """Return the n pairs that are nearest to each other, int64 (n, 2), and how far they are apart.

    Looked for among each galaxy's k nearest, which misses a pair only in a crowd of copies.

    >>> closest_pairs(np.array([[1, 0], [0, 1], [1, 0.1], [-1, 0]]), n=1)[0]
    array([[0, 2]])
    """
    rows, far = search(points, points, k, np.arange(len(points)), metric)
    pairs = np.stack([np.repeat(np.arange(len(rows)), rows.shape[1]), rows.ravel()], axis=1)
    pairs, first = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    far = far.ravel()[first]
    order = np.argsort(far, kind="stable")[:n]
    return pairs[order], far[order]


def pairs_within(points, limit: float, metric: str = "cosine") -> np.ndarray:
    """Return the pairs that are nearer to each other than a limit, int64 (P, 2)."""
    pairs, far = closest_pairs(points, n=20 * len(points), k=20, metric=metric)
    return pairs[far < limit]
