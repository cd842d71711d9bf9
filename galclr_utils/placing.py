"""Put the light of a source on whole frames, between the pixels of each band where it lies."""

# C = 3 bands (g, r, i), H, W pixels of a frame, S = 144 grid points a side

from __future__ import annotations

import functools

import numpy as np
from scipy import fft

from galclr_utils import profiles
from galclr_utils.profiles import GRID, GUARD, STAMP


def add_light(images: np.ndarray, light: np.ndarray, psf, at: np.ndarray, points: int = 2) -> None:
    """Blur the light of one source and add it to the frames, in each band where it lies there.

    Between two pixels it is moved by the phase of its Fourier transform, which is exact for light
    that a PSF has blurred. What falls off the frame is lost, as on a detector.

    Args:
        images: float32 (3, H, W), changed in place.
        light: (3, S, S) above the atmosphere, its centre in the middle of the grid.
        psf: (3,) FWHM in arcsec.
        at: (3, 2), x and y of the centre on each band's pixels, from 0.
        points: grid points to a pixel's side: 2; or 1 for light drawn with all lengths halved.
    """
    blurred = fft.rfft2(profiles.blur(light, np.asarray(psf) * points / 2))
    side = GRID // points
    corner = np.rint(at - (side - 1) / 2).astype(int)
    rest = (at - (side - 1) / 2 - corner) * points
    along, up = fft.rfftfreq(GRID), fft.fftfreq(GRID)[:, None]
    for image, band, (x, y), (dx, dy) in zip(images, blurred, corner, rest, strict=True):
        moved = fft.irfft2(band * np.exp(-2j * np.pi * (along * dx + up * dy)), s=(GRID, GRID))
        patch = moved.reshape(side, points, side, points).sum((1, 3)) * _faded(side)
        low, high = max(y, 0), min(y + side, image.shape[0])
        left, right = max(x, 0), min(x + side, image.shape[1])
        if low < high and left < right:
            image[low:high, left:right] += patch[low - y : high - y, left - x : right - x]


@functools.cache
def _faded(side: int) -> np.ndarray:
    """Return a window (side, side): 1 inside, falling to 0 over the rim, so that no edge shows."""
    inwards = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    rim = GUARD if side < 2 * STAMP else 4 * GUARD
    ramp = np.sin(np.pi / 2 * np.clip(inwards / rim, 0, 1)) ** 2
    return np.outer(ramp, ramp).astype(np.float32)
