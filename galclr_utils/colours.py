"""Measure the colour of galaxies on their stamps, and give them another.

The light of a band is what lies above the sky; a galaxy's colour is how its light is shared among
the bands. Another colour scales the bands and leaves the shape.
"""

# N galaxies, C bands, H, W pixels, T galaxies with a type

from __future__ import annotations

import numpy as np

from galclr_utils.dataset import GalaxySet

# --- measured ----------------------------------------------------------------------------------


def colour(galaxies: GalaxySet) -> tuple[np.ndarray, str]:
    """Return one colour of every galaxy, the larger the redder, and how it was measured.

    Args:
        galaxies: the data set.
    Returns:
        float64 (N,) in magnitudes, NaN where unknown: the catalogue's ``g_r``, or, where there is
        none, that of the two bluest bands within the inner half of the stamp; and its name.

    >>> from astropy.table import Table
    >>> catalog = Table({"id": ["a"], "label": [1], "split": ["test"], "g_r": [0.5]})
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> colour(GalaxySet(np.ones((1, 3, 8, 8), np.float32), catalog, card))
    (array([0.5]), 'g − r of the catalogue')
    """
    if "g_r" in galaxies.catalog.colnames:
        known = np.asarray(galaxies.catalog["g_r"], np.float64)
        if np.isfinite(known).mean() >= 0.95:
            return known, "g − r of the catalogue"
    bands = galaxies.card["bands"]
    if len(bands) < 2:
        raise ValueError(f"bands: got {bands}, expected two or more: one band has no colour")
    light = band_light(galaxies.images)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = -2.5 * np.log10(light[:, 0] / light[:, 1])
    return np.where(np.isfinite(found), found, np.nan), f"{bands[0]} − {bands[1]} of the stamp"


def band_light(images) -> np.ndarray:
    """Return the light of each band within the inner half of stamps, above the sky at the corners.

    Args:
        images: (N, C, H, W).
    Returns:
        float64 (N, C), in the set's units; it may be negative where there is only noise.
    """
    height, width = images.shape[-2:]
    y, x = (np.arange(n) - (n - 1) / 2 for n in (height, width))
    inner = (x**2 + y[:, None] ** 2) < (min(height, width) / 4) ** 2
    blocks = [slice(k, k + 1024) for k in range(0, len(images), 1024)]
    parts = []
    for b in blocks:
        stamps = np.asarray(images[b], np.float32)
        parts.append((stamps - sky_level(stamps)[..., None, None])[..., inner].sum(-1, dtype="f8"))
    return np.concatenate(parts)


def sky_level(images) -> np.ndarray:
    """Return the median of the pixels in the corners of stamps (..., H, W): what no source has."""
    return np.median(corners(images), axis=-1)


def corners(images) -> np.ndarray:
    """Return the pixels of the four corners of stamps (..., H, W), each a sixth of a side wide."""
    size = max(2, min(images.shape[-2:]) // 6)
    ends = [slice(0, size), slice(-size, None)]
    parts = [images[..., a, b].reshape(*images.shape[:-2], -1) for a in ends for b in ends]
    return np.concatenate(parts, axis=-1)


def band_shares(images) -> np.ndarray:
    """Return the share of each band in the light of stamps, float64 (N, C): their colour.

    Light is that of the inner half (`band_light`). Shares below 0.02, which noise makes of
    the faintest galaxies, are raised to it.
    """
    light = np.maximum(band_light(images), 0)
    total = light.sum(axis=1, keepdims=True)
    equal = 1 / light.shape[1]
    shares = np.divide(light, total, out=np.full_like(light, equal), where=total > 0)
    shares = shares.clip(0.02)
    return shares / shares.sum(axis=1, keepdims=True)


# --- changed -----------------------------------------------------------------------------------


def recolour(images, shares, card: dict) -> np.ndarray:
    """Give galaxies another colour: scale each band as a whole, and leave all light in all.

    The shape and the colour *gradients* stay, so does the sky's level; the noise of a band is
    scaled with it. Neighbours are recoloured too.

    Args:
        images: (N, C, H, W) in the set's units.
        shares: (C,) or (N, C), the shares of the bands to give them; see `band_shares`.
        card: of the set: display units stay in [0, 1].
    Returns:
        float32 (N, C, H, W).

    >>> stamps = np.zeros((1, 2, 12, 12), np.float32)
    >>> stamps[:, :, 4:8, 4:8] = np.reshape([1.0, 3.0], (1, 2, 1, 1))
    >>> band_shares(recolour(stamps, [0.5, 0.5], {"units": "nanomaggy"}))
    array([[0.5, 0.5]])
    """
    stamps = np.asarray(images, np.float32)
    sky = sky_level(stamps)[..., None, None]
    factor = (np.asarray(shares) / band_shares(stamps)).astype(np.float32)
    return _kept(sky + (stamps - sky) * factor[..., None, None], card)


def partners(labels, seed: int = 0) -> np.ndarray:
    """Give every galaxy one of the other type at random, to swap colours with.

    Args:
        labels: (T,) 0 early, 1 late. seed: of the draw.
    Returns:
        int64 (T,) positions.

    >>> partners([0, 1, 1])[1:]
    array([0, 0])
    """
    labels, random = np.asarray(labels), np.random.default_rng(seed)
    kinds = {value: np.flatnonzero(labels == value) for value in (0, 1)}
    if not all(map(len, kinds.values())):
        raise ValueError("labels: got one class only, expected early and late types")
    return np.array([random.choice(kinds[1 - value]) for value in labels])


def luminance(images, shares, card: dict) -> np.ndarray:
    """Take all colour from galaxies: every band shows the same picture, the sum of all of them.

    Colour gradients, such as a red bulge in a blue disc, go too; the noise becomes the same in all
    bands.

    Args:
        images, card: as for `recolour`.
        shares: (C,), how the light is given to the bands: the colour that all galaxies get.
    Returns:
        float32 (N, C, H, W).
    """
    stamps = np.asarray(images, np.float32)
    sky = sky_level(stamps)[..., None, None]
    light = (stamps - sky).sum(axis=1, keepdims=True)
    return _kept(sky + light * np.reshape(np.asarray(shares, np.float32), (-1, 1, 1)), card)


def _kept(images, card: dict) -> np.ndarray:
    """Return pictures in [0, 1], and flux as it is."""
    return images.clip(0, 1) if card["units"] == "display" else images
