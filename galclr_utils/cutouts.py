"""Read the cut-out of a galaxy in one band, and see that it is this galaxy's."""

# H, W pixels

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

OFF_CENTRE_PX = 1.5  # that a cut-out's centre may be from the galaxy: half a pixel is usual


def read_cutout(path: Path, row, size_px: int, arcsec_per_pixel: float) -> np.ndarray:
    """Read a cut-out, and see that it is the galaxy's.

    Args:
        path: of the file. row: with ra and dec. size_px, arcsec_per_pixel: as it was asked for.
    Returns:
        float32 (size_px, size_px), NaN where there is no datum; units as they came.
    Raises:
        ValueError: it cannot be read, has another size, or lies elsewhere.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            pixels, header = np.array(hdus[0].data, np.float32), hdus[0].header
    except Exception as error:  # the library has many
        raise ValueError(f"{path}: expected a FITS image, got: {error}") from error
    if pixels.shape != (size_px, size_px):
        raise ValueError(f"{path}: got {pixels.shape}, expected {size_px}x{size_px} pixels")
    if {"CTYPE1", "CRPIX1", "CRVAL1"} <= set(header):
        wcs = WCS(header).celestial
        x, y = wcs.all_world2pix(float(row["ra"]), float(row["dec"]), 0)
        off = max(abs(x - (size_px - 1) / 2), abs(y - (size_px - 1) / 2))
        scale = np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))) * 3600
        if not off <= OFF_CENTRE_PX or abs(scale / arcsec_per_pixel - 1) > 0.01:
            raise ValueError(
                f"{path}: its centre is {off:.1f} pixels from the galaxy and its pixels are "
                f"{scale:.3f} arcsec, expected at most {OFF_CENTRE_PX} and {arcsec_per_pixel}"
            )
    return pixels
