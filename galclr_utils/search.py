"""Find the galaxies that look most like one, by exact search.

The search compares a query with every galaxy, a block of queries at a time: one matrix product. It
is exact, has no settings, and its cost is the number of queries times that of galaxies.
"""

# N galaxies, Q queries, k neighbours, D features, C bands, H, W pixels, P pairs

from __future__ import annotations

import numpy as np

from galclr_utils.checks import choice, did_you_mean, number
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder
from galclr_utils.metrics import unit

METRICS = ("cosine", "euclidean")
AT_ONCE = 2**24  # distances in memory


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


# --- the same galaxy, again --------------------------------------------------------------------


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
