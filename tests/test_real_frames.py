"""Stamps of two real SDSS fields: GALCLR_REAL_DATA=DIR make test-real.

DIR holds ``sdss_frames/``: the frames of two fields in g, r, i, a list of positions, and SDSS's own
list of stars in one of them. Where a star is, and how bright, is asked of that list or measured by
photutils on the stamps: nothing here is told by the code that is tested.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import mad_std, sigma_clipped_stats
from astropy.table import Table
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.centroids import centroid_2dg
from photutils.detection import DAOStarFinder
from scipy import ndimage
from scipy.spatial import cKDTree

from galclr_utils.frames import frame_name, read_frame, read_outline
from galclr_utils.stamping import cut

pytestmark = pytest.mark.real_data
FIELDS = ((4510, 4, 30), (3918, 3, 213))
EDGE, BLENDED, CHILD, SATURATED = 1 << 2, 1 << 3, 1 << 4, 1 << 18  # bits of FLAGS


@pytest.fixture(scope="module")
def folder():
    found = Path(os.environ.get("GALCLR_REAL_DATA", "")) / "sdss_frames"
    if not os.environ.get("GALCLR_REAL_DATA") or not found.is_dir():
        pytest.skip("GALCLR_REAL_DATA names no folder with sdss_frames/")
    return found


@pytest.fixture(scope="module")
def catalogue(folder):
    """Stars of SDSS that lie on field 30 or beside it, with their pixels in its r frame."""
    stars = Table(fits.getdata(folder / "calibObj-004510-4-star.fits.gz"))
    stars["ra"], stars["dec"] = stars["RA"], stars["DEC"]
    outline = read_outline(folder / frame_name(4510, 4, 30, "r"))
    near = outline.margin_px(stars["ra"], stars["dec"]) > -200
    stars = stars[near]
    stars["margin"] = outline.margin_px(stars["ra"], stars["dec"])
    stars["x"], stars["y"] = outline.wcs.all_world2pix(stars["ra"], stars["dec"], 0)
    return stars


def alone(pixels, brightness, radius_px, share):
    """Which sources (N, 2) have no other within a radius that is brighter than a share of them."""
    groups = cKDTree(pixels).query_ball_point(pixels, radius_px)
    return np.array(
        [
            all(brightness[j] <= share * brightness[k] for j in group if j != k)
            for k, group in enumerate(groups)
        ]
    )


def detections(path):
    """What photutils finds on a frame, stars and galaxies: pixels (N, 2) and peaks (N,)."""
    image = fits.getdata(path).astype(float)
    found = DAOStarFinder(6 * mad_std(image), 3.0)(image)
    return np.transpose([found["x_centroid"], found["y_centroid"]]), np.asarray(found["peak"])


def centroids(stamps):
    """Middle of the light in the middle of each stamp, in each band: (N, 3, 2)."""
    half, middle = 7, stamps.shape[-1] // 2
    boxes = stamps[..., middle - half : middle + half, middle - half : middle + half]
    at = [[centroid_2dg(band.astype(float)) for band in stamp] for stamp in boxes]
    return np.array(at) + middle - half


@pytest.mark.parametrize("field", FIELDS)
def test_the_bands_lie_on_each_other(folder, field):
    pixels, peak = detections(folder / frame_name(*field, "r"))
    stars = pixels[alone(pixels, peak, 18, 0.01) & (peak > 2) & (peak < 60)]
    outline = read_outline(folder / frame_name(*field, "r"))
    ra, dec = outline.wcs.all_pix2world(*stars.T, 0)
    stamps, table = cut(Table({"ra": ra, "dec": dec}), folder.glob("frame-*"))
    whole = (table["status"] == "ok") & (table["bright_flux"] > 10)
    at = centroids(stamps[whole])
    for band, name in ((0, "g"), (2, "i")):
        off = np.hypot(*(at[:, band] - at[:, 1]).T)
        print(f"\n{field} {name}-r: {len(off)} stars, median {np.median(off):.3f} px", end="")
        assert len(off) >= 20 and np.median(off) < 0.1


def test_catalogued_stars_are_in_the_middle(folder, catalogue):
    flags = np.bitwise_or.reduce(catalogue["FLAGS"][:, 1:4], axis=1)
    flux = catalogue["PSFFLUX"][:, 2]
    good = (flags & (EDGE | BLENDED | CHILD | SATURATED)) == 0
    good &= (flux > 3) & (flux < 600) & (catalogue["margin"] > 40)
    good &= alone(np.transpose([catalogue["x"], catalogue["y"]]), flux, 20, 0.01)
    stamps, _ = cut(catalogue[good]["ra", "dec"], folder.glob("frame-*-004510-*"))
    off = np.hypot(*np.moveaxis(centroids(stamps) - 31.5, -1, 0)) * 0.396
    print(f"\n{good.sum()} stars, median {np.median(off, axis=0).round(3)} arcsec in g, r, i")
    assert good.sum() >= 20 and (np.median(off, axis=0) < 0.1).all()


def test_the_flux_of_isolated_stars_is_that_of_the_catalogue(folder, catalogue):
    """In the radius of 7.43" of SDSS's aperture 6, above a local sky, neighbours mirrored away.

    Children, which photo cut out of a blend, stand on another source and are not isolated.
    """
    flags = np.bitwise_or.reduce(catalogue["FLAGS"][:, 1:4], axis=1)
    flux, size = catalogue["PSFFLUX"][:, 1:4], 112
    at = np.transpose([catalogue["x"], catalogue["y"]])
    glare, _ = cKDTree(at[(flux > 1000).any(axis=1)]).query(at)
    pixels, peak = detections(folder / frame_name(4510, 4, 30, "r"))
    distance, match = cKDTree(pixels).query(at)
    good = (distance < 2) & alone(pixels, peak, 30, 0.02)[match] & (glare > 150)
    good &= ((flags & (EDGE | CHILD | SATURATED)) == 0) & (catalogue["margin"] > 50)
    good &= (flux[:, 1] > 15) & (flux[:, 1] < 600)
    stars = catalogue[good]
    stamps, _ = cut(stars["ra", "dec"], folder.glob("frame-*-004510-*"), size)
    for band in range(3):
        expected = stars["APERFLUX6"][:, band + 1]
        rows = np.flatnonzero((expected > 15) & (flux[good, band] > 15))
        ratio = np.array([_aperture(stamps[k, band].astype(float)) for k in rows]) / expected[rows]
        print(f"\n{'gri'[band]}: {np.sort(ratio).round(3)}", end="")
        assert len(rows) >= 5 and abs(np.median(ratio) - 1) < 0.03


def _aperture(stamp, radius_px=7.43 / 0.396):
    """Flux around the middle; what belongs to another source is replaced by its mirror image."""
    middle = (len(stamp) - 1) / 2
    y, x = np.indices(stamp.shape) - middle
    smooth = ndimage.gaussian_filter(stamp, 1.0)
    sources, _ = ndimage.label(smooth > 3 * mad_std(smooth))
    own = sources[int(middle) : int(middle) + 2, int(middle) : int(middle) + 2].max()
    other = ndimage.binary_dilation((sources > 0) & (sources != own), iterations=2)
    mirror, mirrored = stamp[::-1, ::-1], other[::-1, ::-1]
    clean = np.where(other, np.where(mirrored, 0, mirror), stamp)
    ring = (np.hypot(x, y) > 25) & (np.hypot(x, y) < 50) & ~other
    sky = sigma_clipped_stats(stamp[ring])[0]
    aperture = CircularAperture((middle, middle), radius_px)
    return aperture_photometry(clean - sky, aperture)["aperture_sum"][0]


def test_all_positions_get_a_stamp(folder):
    positions = Table.read(folder / "positions.csv")
    stamps, table = cut(positions, folder.glob("frame-*"), 96)
    assert len(table) == 60 and not (table["status"] == "failed").any()
    assert all(name.startswith("00") for name in table["cut_from"])
    assert [str(name) for name in table["cut_from"]] == [str(name) for name in positions["field"]]
    assert np.isfinite(stamps).all()


def test_the_noise_of_the_sky_is_that_of_the_recipe(folder):
    for field in FIELDS:
        for band in "gri":
            frame = read_frame(folder / frame_name(*field, band))
            assert np.median(frame.noise()) == pytest.approx(mad_std(frame.image), rel=0.1)
