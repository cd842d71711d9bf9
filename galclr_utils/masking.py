"""Replace a galaxy's neighbours on its stamp by sky, to ask what they do to a representation."""

# N images, C bands, H, W pixels (rows, columns)

from __future__ import annotations

import numpy as np
from scipy import ndimage

from galclr_utils import checks
from galclr_utils.dataset import check_stamps, hash_unit

SMOOTHING_PX = 1.0  # Gaussian sigma of the picture in which sources are found
MARGIN_PX = 1  # by which what is replaced is larger than what is found
CENTRE_PX = 2  # a source that comes this near to the centre is the galaxy


def mask_neighbours(images, ids, sky_rms, threshold: float = 3.0) -> np.ndarray:
    """Return stamps in which every source but the central one is replaced by sky.

    Sources are connected pixels above the sky, in the mean of the bands, each in units of its sky
    noise, slightly smoothed. One that reaches the centre is the galaxy and is kept; the others,
    with a margin, become the sky of their stamp (the median of the pixels without source) and
    noise. What touches the galaxy at the threshold is taken for a part of it: there is no
    deblending here. On display units, which are not linear, the noise is only something like noise.

    Args:
        images: float (N, C, H, W), in the set's units.
        ids: (N,), names of the galaxies: the noise of a stamp depends on its galaxy's name alone.
        sky_rms: (C,), rms of the sky per band in the set's units: ``card["sky_rms"]``.
        threshold: how far above the sky a source begins, in units of the smoothed noise; (0, 100].
    Returns:
        (N, C, H, W), of the given dtype; the given images stay as they are.
    Raises:
        ValueError: images of another shape, or not one id for each.

    >>> sky = np.random.default_rng(0).normal(0, 0.02, size=(1, 3, 32, 32)).astype(np.float32)
    >>> sky[:, :, 14:18, 14:18] += 1  # the galaxy
    >>> sky[:, :, 4:7, 25:28] += 2  # a star
    >>> masked = mask_neighbours(sky, ["a"], sky_rms=[0.02, 0.02, 0.02])
    >>> bool(masked[0, :, 15, 15].min() > 0.9), bool(masked[0, :, 5, 26].max() < 0.1)
    (True, True)
    """
    rms = np.asarray(checks.numbers("sky_rms", sky_rms, 0, np.inf), np.float32)
    check_stamps(images, len(rms), "images")
    threshold = checks.number("threshold", threshold, 0, 100, low_open=True)
    if len(ids) != len(images):
        raise ValueError(f"ids: got {len(ids)} for {len(images)} images, expected one for each")
    result = np.array(images)
    for k, seed in enumerate(hash_unit(ids)):
        stamp = np.asarray(images[k], np.float32)
        others, source = _others(stamp, rms, threshold)
        if not others.any():
            continue
        random = np.random.default_rng(int(seed * 2**48))
        free = ~source
        sky = np.median(stamp[:, free], axis=1) if free.any() else np.zeros(len(rms))
        noise = random.normal(size=(len(rms), int(others.sum()))) * rms[:, None]
        result[k][:, others] = sky[:, None] + noise
    return result


def _others(stamp: np.ndarray, rms: np.ndarray, threshold: float) -> tuple:
    """Return which pixels (H, W) belong to other sources, with margin, and which to any source."""
    height, width = stamp.shape[1:]
    sky = np.median(_border(stamp), axis=1)
    light = ((stamp - sky[:, None, None]) / np.maximum(rms, 1e-12)[:, None, None]).mean(axis=0)
    smooth = ndimage.gaussian_filter(light, SMOOTHING_PX, mode="nearest")
    # noise of the mean of C bands, smoothed by a Gaussian: sigma / (2 sqrt(pi) s)
    noise = 1 / np.sqrt(len(rms)) / (2 * np.sqrt(np.pi) * SMOOTHING_PX)
    source = smooth > threshold * noise
    found, _ = ndimage.label(source, structure=np.ones((3, 3)))
    y, x = np.ogrid[:height, :width]
    near = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) <= CENTRE_PX
    central = np.isin(found, np.unique(found[near & source])) & source
    wide = np.ones((2 * MARGIN_PX + 1,) * 2, bool)
    others = ndimage.binary_dilation(source & ~central, wide) & ~central
    return others, source


def _border(stamp: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of a stamp (C, H, W) as (C, border pixels)."""
    edge = np.ones(stamp.shape[1:], bool)
    edge[2:-2, 2:-2] = False
    return stamp[:, edge]
