"""Write SIMULATED SDSS frames with known stars and galaxies, for the tests of what cuts them."""

import bz2
import io

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from scipy.special import erf

SHAPE = (240, 320)
CENTRE = (200.4, 36.8)  # ra, dec of the r band's reference pixel
SCALE = 0.3961  # arcsec
# where the bands lie against each other: pixels along columns and rows, turned by degrees
OFFSETS = {"g": (7.3, -8.64, 0.011), "r": (0.0, 0.0, 0.0), "i": (-5.45, 3.21, -0.007)}


def tan_wcs(band="r", centre=CENTRE, turn=80.7, scale=SCALE, shape=SHAPE):
    """A tangent plane, turned as a drift scan is."""
    dx, dy, more = OFFSETS[band]
    angle = np.radians(turn + more)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], centre
    wcs.wcs.crpix = [shape[1] / 2 + 1 + dx, shape[0] / 2 + 0.5 + dy]
    turned = [[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]]
    wcs.wcs.cd = np.array(turned) * scale / 3600
    return wcs


def star_image(wcs, stars, fwhm_px=3.2, shape=SHAPE):
    """Gaussian stars ``(ra, dec, flux)``, integrated over each pixel; no noise."""
    sigma = fwhm_px / 2.3548 * np.sqrt(2)
    image = np.zeros(shape)
    for ra, dec, flux in stars:
        x, y = (float(v) for v in wcs.all_world2pix(ra, dec, 0))
        across, along = (
            np.diff(0.5 * erf((np.arange(n + 1) - 0.5 - at) / sigma))
            for n, at in zip(shape[::-1], (x, y), strict=True)
        )
        image += flux * np.outer(along, across)
    return image


def disc_image(wcs, ra, dec, flux, scale_px=5.0, shape=SHAPE, fine=5):
    """An inclined exponential disc of known total flux, averaged over each pixel; no seeing."""
    x, y = (float(v) for v in wcs.all_world2pix(ra, dec, 0))
    side = (np.arange(shape[1] * fine) + 0.5) / fine - 0.5 - x
    up = (np.arange(shape[0] * fine) + 0.5) / fine - 0.5 - y
    radius = np.hypot(side[None, :], up[:, None] / 0.6) / scale_px
    light = np.exp(-radius).reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3))
    return flux * light / (2 * np.pi * 0.6 * scale_px**2)


def frame_bytes(image, wcs, run=4510, camcol=4, field=30, band="r", sky=100.0, calibration=0.005):
    """The FITS file of a frame, laid out as the archive does: image, calibration, sky, table."""
    header = wcs.to_header()
    for key in [key for key in header if key.startswith(("PC", "CDELT"))]:
        del header[key]
    for (row, column), value in np.ndenumerate(wcs.wcs.cd):
        header[f"CD{row + 1}_{column + 1}"] = value
    words = {"RUN": run, "CAMCOL": camcol, "FILTER": band, "BUNIT": "nanomaggy"}
    header.update(words | {"FRAME": field + 8, "RADECSYS": "ICRS"})
    height, width = image.shape
    coarse = np.full((1, 20, 24), sky, np.float32)
    x, y = (np.linspace(-0.4, n - 0.6, m)[None] for n, m in ((24, width), (20, height)))
    tables = [
        Table({"ALLSKY": coarse, "XINTERP": x.astype("f4"), "YINTERP": y.astype("f4")}),
        Table({"RUN": [run], "FIELD": np.array([field], np.int32)}),
    ]
    hdus = [fits.PrimaryHDU(image.astype(np.float32), header)]
    hdus.append(fits.ImageHDU(np.full(width, calibration, np.float32)))
    file = io.BytesIO()
    fits.HDUList(hdus + [fits.BinTableHDU(table) for table in tables]).writeto(file)
    return file.getvalue()


def write_field(folder, sources=(), bands="gri", field=30, centre=CENTRE, edit=None, **wcs_words):
    """Write one frame a band; ``sources`` are stars ``(ra, dec, flux in g, r, i)``.

    ``edit(band, image, wcs)`` returns a changed image. Returns the paths.
    """
    paths = []
    for band in bands:
        wcs = tan_wcs(band, centre, **wcs_words)
        stars = [(ra, dec, flux["gri".index(band)]) for ra, dec, flux in sources]
        image = star_image(wcs, stars)
        image = edit(band, image, wcs) if edit else image
        path = folder / f"frame-{band}-004510-4-{field:04d}.fits.bz2"
        path.write_bytes(bz2.compress(frame_bytes(image, wcs, field=field, band=band)))
        paths.append(path)
    return paths
