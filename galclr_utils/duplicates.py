"""Find galaxies that appear twice, so that no test galaxy is also trained on."""

# N galaxies, C bands, H, W pixels, P pairs

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from astropy.table import Table
from scipy.spatial import cKDTree

ARCSEC = np.pi / 180 / 3600
SAME = 0.9995  # correlation of the pixels of one picture, but for rounding
SIMILAR = 0.985  # of copies with another scale or compression, ...
WHITENED = 0.85  # ... with this cosine once the light that all galaxies share is taken out,
SAME_WHITENED = 0.97  # which is nearer to 1 for the same pixels
ENOUGH = 1000  # galaxies needed to know what they share
COMPONENTS, SEARCH_IN = 128, 16
TREES, LEAF = 20, 500  # of the search; more trees find more, smaller leaves cost less
BLOCK = 2048


def duplicates(images: np.ndarray, catalog: Table, flux: bool = False) -> dict[str, np.ndarray]:
    """Return which rows to drop so that each galaxy is there once, by reason.

    Of two copies the one in test stays, then the one in validation, then the labelled one, then
    the first. A test galaxy is never dropped for its looks or position: at worst it stays twice.

    Args:
        images: (N, C, H, W), perhaps a memmap; it is read in blocks.
        catalog: ``id`` and ``label``, perhaps ``split``, and ``ra``, ``dec`` in degrees.
        flux: whether the pixels are linear flux, see `near_identical`.
    Returns:
        ``{"same id": rows, "same position": rows, "near-identical pixels": rows}``.

    >>> noise = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype("float32")
    >>> catalog = Table({"id": ["a", "b", "c"], "label": [-1, 0, 1]})
    >>> found = duplicates(noise[[0, 1, 0]], catalog)
    >>> {reason: rows.tolist() for reason, rows in found.items()}
    {'same id': [], 'same position': [], 'near-identical pixels': [0]}
    """
    splits = np.asarray(catalog["split"]) if "split" in catalog.colnames else np.zeros(len(catalog))
    unlabelled = np.asarray(catalog["label"]) < 0
    rank = np.select([splits == "test", splits == "val", ~unlabelled], [0, 1, 2], 3)
    searches = {
        "same id": same_id(catalog),
        "same position": same_position(catalog),
        "near-identical pixels": near_identical(images, flux),
    }
    gone = np.zeros(len(catalog), dtype=bool)
    found = {}
    for reason, pairs in searches.items():
        before = gone.copy()
        for pair in pairs:
            keep, drop = sorted(pair, key=lambda row: (rank[row], row))
            is_test = rank[drop] == 0 and reason != "same id"
            if not (gone[keep] or is_test):
                gone[drop] = True
        found[reason] = np.flatnonzero(gone & ~before)
    return found


def same_id(catalog: Table) -> np.ndarray:
    """Return the pairs of rows that share an id, int (P, 2)."""
    ids = np.asarray(catalog["id"], dtype=str)
    order = np.argsort(ids, kind="stable")
    twin = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    return np.stack([order[twin], order[twin + 1]], axis=1)


def same_position(catalog: Table, within_arcsec: float = 1.0) -> np.ndarray:
    """Return the pairs of rows closer on the sky than ``within_arcsec``, int (P, 2).

    >>> same_position(Table({"ra": [359.9999, 0.0001, 5.0], "dec": [0.0, 0.0, 0.0]}))
    array([[0, 1]])
    """
    if not {"ra", "dec"} <= set(catalog.colnames):
        return np.empty((0, 2), dtype=np.int64)
    ra, dec = (np.radians(np.asarray(catalog[name], dtype=float)) for name in ("ra", "dec"))
    known = np.flatnonzero(np.isfinite(ra + dec))
    ra, dec = ra[known], dec[known]
    unit = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return known[cKDTree(unit).query_pairs(within_arcsec * ARCSEC, output_type="ndarray")]


def near_identical(images: np.ndarray, flux: bool = False) -> np.ndarray:
    """Return the pairs of stamps that show the same pixels, int (P, 2).

    All smooth galaxies correlate: two ellipticals reach 0.99. So the light that galaxies share is
    taken out, by whitening their principal components. What is left (neighbours, arms, noise) is
    close only for copies. `_neighbours` proposes pairs, which keeps the work at N log N and the
    memory to 128 numbers a galaxy.

    Pictures of one galaxy may differ in scale and compression. The limits for them were chosen by
    eye on 13,387 real pictures from two collections with about 25 copies between them: 23 pairs
    are found and all 23 are copies. Few pictures (less than 1000) cannot tell what they share, and
    stamps in flux have a common scale and their own noise: there only the same pixels count, and
    the catalogue's positions find the rest.

    Args:
        images: (N, C, H, W).
        flux: whether the pixels are linear flux. Then bright centres are compressed, so that the
            noise of each stamp has its say.
    """
    some = images[np.unique(np.linspace(0, len(images) - 1, 500).astype(int))].astype(np.float32)
    noise = 1.4826 * np.median(np.abs(some - np.median(some)))
    softening = 3 * float(noise) if flux else 0.0
    if len(images) < ENOUGH:
        pixels = np.concatenate(list(_unit_pixels(images, softening)))
        return np.argwhere(np.triu(pixels @ pixels.T, 1) > SAME)
    sample = np.unique(np.linspace(0, len(images) - 1, 20_000).astype(int))
    pixels = np.concatenate(list(_unit_pixels(images, softening, sample)))
    mean = pixels.mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov(pixels - mean, rowvar=False))
    used = np.flatnonzero(variance > 1e-7 * variance[-1])[::-1][:COMPONENTS]
    if not len(used):  # all are blank
        return np.empty((0, 2), dtype=np.int64)
    whiten = (axes[:, used] / np.sqrt(variance[used])).astype(np.float32)
    del pixels
    z, shown, n = np.empty((len(images), len(used)), np.float32), np.arange(len(images)), 0
    for at, pixels in zip(
        range(0, len(images), BLOCK), _unit_pixels(images, softening), strict=True
    ):
        rows = np.flatnonzero(pixels.any(axis=1))  # blank stamps would all be near each other
        z[n : n + len(rows)] = (pixels[rows] - mean) @ whiten
        shown[n : n + len(rows)] = at + rows
        n += len(rows)
    least, whitened = (SAME, SAME_WHITENED) if flux else (SIMILAR, WHITENED)
    pairs = shown[_neighbours(z[:n], whitened)]
    pixels = (_unit_pixels(images, softening, rows) for rows in pairs.T)
    blocks = zip(*pixels, strict=True)
    correlation = [np.einsum("ij,ij->i", first, second) for first, second in blocks]
    return pairs[np.concatenate([np.empty(0), *correlation]) > least]


def _neighbours(z: np.ndarray, cosine: float) -> np.ndarray:
    """Return the pairs of points whose cosine is above a limit, int (P, 2), sorted.

    All pairs would be too many. So the points are halved along a random direction, the halves
    again, until few are left together, and these are compared: a random projection tree (Dasgupta &
    Freund 2008). Two copies are near each other in all directions and seldom on two sides; where
    they are, another tree finds them. One tree found three in four of the copies in real pictures,
    twenty found what all pairs give. Of copies with a cosine of 0.86 twenty find 99% among 20,000
    galaxies and 88% among 400,000.

    Args:
        z: float32 (N, K), whitened: the leading components are where the halving looks. It is
            changed: to length one.
        cosine: the limit.
    """
    random, leading, found = np.random.default_rng(0), z[:, :SEARCH_IN].copy(), []
    for start in range(0, len(z), BLOCK):  # in place: z may be the largest thing in memory
        some = z[start : start + BLOCK]
        some /= np.linalg.norm(some, axis=1, keepdims=True) + 1e-12
    unit = z
    for _ in range(TREES):
        leaves = [random.permutation(len(z))]  # equal points are not always parted alike
        while len(leaves[0]) > LEAF:
            along = leading @ random.normal(size=leading.shape[1]).astype(np.float32)
            ranked = (rows[np.argsort(along[rows], kind="stable")] for rows in leaves)
            leaves = [half for rows in ranked for half in np.array_split(rows, 2)]
        for rows in leaves:
            pairs = rows[np.argwhere(np.triu(unit[rows] @ unit[rows].T, 1) > cosine)]
            found.append(np.sort(pairs, axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _unit_pixels(
    images: np.ndarray, softening: float, rows: np.ndarray | None = None
) -> Iterable[np.ndarray]:
    """Yield the stamps averaged to at most 16x16 pixels, without mean, of length one, in blocks.

    A blank stamp becomes zeros: it equals nothing. ``softening`` above 0 is that of an asinh.
    """
    import torch  # here, so that the processes that make a set do without its 400 MB
    from torch.nn.functional import adaptive_avg_pool2d

    rows = np.arange(len(images)) if rows is None else rows
    side = min(16, images.shape[-1])
    for start in range(0, len(rows), BLOCK):
        block = torch.from_numpy(images[rows[start : start + BLOCK]].astype(np.float32))
        block = torch.asinh(block / softening) if softening else block
        pixels = adaptive_avg_pool2d(block, side).flatten(1).numpy()
        least = 1e-6 * (1 + np.linalg.norm(pixels, axis=1, keepdims=True))  # of what is rounded
        pixels = pixels - pixels.mean(axis=1, keepdims=True)
        length = np.linalg.norm(pixels, axis=1, keepdims=True)
        yield np.where(length > least, pixels / np.maximum(length, least), 0)
