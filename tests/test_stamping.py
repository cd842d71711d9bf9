"""Stamps have their galaxy in the middle, in all bands alike, and every request gets a row."""

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.table import Table
from photutils.aperture import CircularAperture, aperture_photometry
from photutils.centroids import centroid_2dg
from synthetic_frames import CENTRE, SCALE, disc_image, tan_wcs, write_field
from test_frames import write_mask

from galclr_utils.stamping import cut

FLUX = (10.0, 20.0, 30.0)  # of every star, in g, r, i
PIXELS = [(90.0, 80.0), (150.3, 121.7), (221.62, 150.45), (95.5, 160.5), (230.1, 75.9)]


def sky_of(pixels, band="r"):
    """Positions of pixels (x, y) of a band, as rows of a catalogue."""
    ra, dec = tan_wcs(band).all_pix2world(*np.transpose(pixels), 0)
    return Table({"id": [f"s{k}" for k in range(len(ra))], "ra": ra, "dec": dec})


def centroid(image, at=None, half=8):
    """Where the light of the middle of a stamp has its centre, by a Gaussian fit: x, y."""
    at = (image.shape[1] - 1) / 2 if at is None else at
    box = Cutout2D(np.asarray(image, float), np.broadcast_to(at, 2), 2 * half + 1)
    return np.add(centroid_2dg(box.data), box.origin_original)


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """One field with five stars on no sky; the catalogue of their true positions."""
    stars = sky_of(PIXELS)
    folder = tmp_path_factory.mktemp("field")
    return write_field(folder, [(ra, dec, FLUX) for ra, dec in stars["ra", "dec"]]), stars


@pytest.mark.parametrize("orientation", ["north", "frame"])
@pytest.mark.parametrize("size", [64, 49])
def test_stars_are_in_the_middle_in_all_bands(field, orientation, size):
    paths, stars = field
    stamps, table = cut(stars, paths, size, orientation=orientation)
    assert stamps.shape == (5, 3, size, size) and stamps.dtype == np.float32
    assert set(table["status"]) == {"ok"}
    middles = np.array([[centroid(band) for band in stamp] for stamp in stamps])
    assert np.abs(middles - middles[:, 1:2]).max() < 0.02  # between the bands
    assert np.abs(middles - (size - 1) / 2).max() < 0.02


@pytest.mark.parametrize("orientation", ["north", "frame"])
@pytest.mark.parametrize("size, scale", [(64, 0.396), (96, 0.2), (32, 0.792), (40, 0.6), (24, 1.3)])
def test_flux_is_kept_whatever_the_pixel(field, orientation, size, scale):
    paths, stars = field
    stamps, table = cut(stars[:2], paths, size, scale, orientation)
    sums = stamps.astype(float).sum(axis=(2, 3))
    assert np.allclose(sums / FLUX, 1, atol=0.005)
    # the box of 6" holds nearly all of a star of 1.3", and i is the brightest band
    assert np.allclose(table["bright_flux"], FLUX[2], rtol=0.03)


def test_an_extended_galaxy_keeps_its_flux_and_its_profile(tmp_path):
    galaxy = sky_of([(160.3, 118.8)])
    ra, dec = galaxy["ra"][0], galaxy["dec"][0]
    paths = write_field(tmp_path, edit=lambda band, image, wcs: disc_image(wcs, ra, dec, 100.0))
    for orientation, size, scale in (("north", 128, 0.396), ("frame", 64, 0.792)):
        stamps, _ = cut(galaxy, paths, size, scale, orientation)
        assert np.allclose(stamps[0].astype(float).sum(axis=(1, 2)), 100, rtol=0.005)
    # what lies within one scale length, counted in the frame and on the stamp
    native, wcs = fits.getdata(paths[0]).astype(float), tan_wcs("g")
    stamps, _ = cut(galaxy, paths, 128)
    for arcsec in (2.0, 5.0, 10.0):
        at = wcs.all_world2pix(ra, dec, 0)
        expected = aperture_photometry(native, CircularAperture(at, arcsec / SCALE))
        got = aperture_photometry(stamps[0, 0], CircularAperture((63.5, 63.5), arcsec / 0.396))
        assert got["aperture_sum"][0] == pytest.approx(expected["aperture_sum"][0], rel=0.005)


def test_a_level_sky_follows_the_area_of_the_pixels(tmp_path):
    paths = write_field(tmp_path, edit=lambda band, image, wcs: image + 0.5)
    for scale in (0.396, 0.3, 0.792, 1.1):
        stamps, _ = cut(sky_of([(160, 120)]), paths, 32, scale)
        assert np.allclose(stamps, 0.5 * (scale / SCALE) ** 2, rtol=2e-4)


def test_north_is_up_and_east_is_left(tmp_path):
    galaxy = SkyCoord(*CENTRE, unit="deg")
    north, east = (galaxy.directional_offset_by(a * u.deg, 8 * u.arcsec) for a in (0, 90))
    sources = [(c.ra.deg, c.dec.deg, FLUX) for c in (north, east)]
    catalog = Table({"ra": [CENTRE[0]], "dec": [CENTRE[1]]})
    stamps, _ = cut(catalog, write_field(tmp_path, sources))
    step = 8 / 0.396
    for x, y in ((31.5, 31.5 + step), (31.5 - step, 31.5)):
        assert np.allclose(centroid(stamps[0, 1], (x, y)), (x, y), atol=0.02)


def test_the_frames_orientation_keeps_its_rows_and_columns(tmp_path):
    catalog = sky_of([(150, 120), (150, 140), (170, 120)])  # the others are 20 pixels up and right
    sources = [(ra, dec, FLUX) for ra, dec in catalog["ra", "dec"]][1:]
    stamps, _ = cut(catalog[:1], write_field(tmp_path, sources), orientation="frame")
    step = 20 * SCALE / 0.396
    for x, y in ((31.5, 31.5 + step), (31.5 + step, 31.5)):
        assert np.allclose(centroid(stamps[0, 1], (x, y)), (x, y), atol=0.02)


def test_the_edge_of_the_frame_is_counted_and_left_empty(tmp_path):
    catalog = sky_of([(10, 120), (160, 225.0), (160, 120)])
    paths = write_field(tmp_path, [(ra, dec, FLUX) for ra, dec in catalog["ra", "dec"]])
    stamps, table = cut(catalog, paths, orientation="frame")
    assert table["status"].tolist() == ["flagged", "flagged", "ok"]
    # i lies 5.45 pixels to the left of r, so 10.5 - 5.45 pixels of its half stamp are left
    blank = [1 - (32 + 10.5 - 5.45) / 64, 1 - (32 + 14.5 - 3.21) / 64, 0]
    assert np.allclose(table["blank_fraction"], blank, atol=1 / 64)
    assert np.allclose(table["edge_px"], [10.5 - 5.45, 14.5 - 3.21, 120.5 - 8.64], atol=0.1)
    assert "i: 42" in table["reason"][0] and "without data" in table["reason"][0]
    empty = (stamps[0] == 0).mean(axis=(1, 2))
    assert empty[2] == pytest.approx(table["blank_fraction"][0])
    for stamp in stamps[:2]:  # the light there is has not moved, and nothing rings
        assert np.allclose(centroid(stamp[1]), 31.5, atol=0.02) and stamp.min() > -0.01


def test_pixels_without_a_number_do_not_spread(tmp_path):
    def hole(band, image, wcs):
        image[125:130, 170:180] = np.nan if band == "g" else image[125:130, 170:180]
        return image

    catalog = sky_of([(160, 120)])
    paths = write_field(tmp_path, [(*catalog["ra", "dec"][0], FLUX)], edit=hole)
    stamps, table = cut(catalog, paths, orientation="frame")
    assert np.isfinite(stamps).all()
    assert table["blank_fraction"][0] == pytest.approx(50 / 64**2, rel=0.25)
    assert table["status"][0] == "flagged" and table["reason"][0].startswith("g: ")
    assert np.allclose(stamps[0].astype(float).sum(axis=(1, 2)), FLUX, rtol=0.005)


def test_a_missing_band_fails_and_says_which(field):
    paths, stars = field
    stamps, table = cut(stars, [path for path in paths if "-i-" not in path.name])
    assert set(table["status"]) == {"failed"} and set(table["missing_bands"]) == {"i"}
    assert set(table["reason"]) == {"i: no frame"}
    assert np.isnan(stamps[:, 2]).all() and np.isfinite(stamps[:, :2]).all()


def test_broken_files_fail_their_galaxies_only(tmp_path):
    there, elsewhere = sky_of(PIXELS), sky_of(PIXELS)
    elsewhere["ra"] += 1.0
    paths = write_field(tmp_path, field=30)
    other = write_field(tmp_path, field=31, centre=(CENTRE[0] + 1.0, CENTRE[1]))
    other[0].write_bytes(other[0].read_bytes()[:-500])  # cut short
    other[2].write_bytes(b"<html>503")
    catalog = Table(np.concatenate([np.array(there), np.array(elsewhere)]))
    stamps, table = cut(catalog, paths + other)
    assert table["status"].tolist() == ["ok"] * 5 + ["failed"] * 5
    assert set(table["missing_bands"][5:]) == {"gi"}
    assert set(table["cut_from"]) == {"004510-4-0030", "004510-4-0031"}
    for reason in table["reason"][5:]:
        assert "frame-g-004510-4-0031" in reason and "frame-i-004510-4-0031" in reason
        assert "a web page" in reason
    assert np.isnan(stamps[5:, [0, 2]]).all() and np.isfinite(stamps[:, 1]).all()


def test_every_request_has_its_row(field):
    paths, stars = field
    catalog = Table({"name": list("abcd"), "ra": [10.0, np.nan, *stars["ra"][:2]]})
    catalog["dec"] = [0.0, 5.0, *stars["dec"][:2]]
    catalog["status"] = "of an earlier cut"
    stamps, table = cut(catalog, paths)
    assert table["name"].tolist() == list("abcd") and len(stamps) == 4
    assert table["status"].tolist() == ["failed", "failed", "ok", "ok"]
    assert set(table["reason"][:2]) == {"no frame at hand holds the position"}
    assert table["missing_bands"].tolist() == ["gri", "gri", "", ""]
    assert np.isnan(stamps[:2]).all() and np.isnan(table["bright_flux"][:2]).all()


def test_a_position_off_one_band_fails_in_it(tmp_path):
    catalog = sky_of([(3, 120)])  # i ends 5.45 pixels earlier
    _, table = cut(catalog, write_field(tmp_path))
    assert table["status"][0] == "failed" and table["missing_bands"][0] == "i"
    assert "i: the position is off the frame" in table["reason"][0]


def test_the_field_with_all_bands_goes_first(tmp_path):
    catalog = sky_of([(30, 120)])
    whole = write_field(tmp_path, field=30)
    better = write_field(
        tmp_path, field=12, bands="gr", centre=(catalog["ra"][0], catalog["dec"][0])
    )
    assert cut(catalog, whole + better)[1]["cut_from"][0] == "004510-4-0030"
    assert cut(catalog, whole[:2] + better)[1]["cut_from"][0] == "004510-4-0012"


def test_no_order_changes_a_stamp(tmp_path, field):
    paths, stars = field
    paths = paths + write_field(tmp_path, field=31, centre=(CENTRE[0], CENTRE[1] + 0.01))
    stamps, table = cut(stars, paths)
    assert len(set(table["cut_from"])) == 2
    order = [3, 0, 4, 1, 2]
    again, rows = cut(stars[order], paths[::-1])
    assert np.array_equal(again, stamps[order])
    assert rows["id"].tolist() == stars["id"][order].tolist()
    assert rows["cut_from"].tolist() == table["cut_from"][order].tolist()
    alone, _ = cut(stars[2:3], paths)
    assert np.array_equal(alone[0], stamps[2])


def test_saturated_and_interpolated_pixels_are_counted(tmp_path, field):
    paths, stars = field
    saturated = [(76, 79, 227, 232)]  # 4 x 6 pixels beside the last star, in the r frame
    masks = [tmp_path / f"fpM-004510-{band}4-0030.fit" for band in "rg"]
    write_mask(masks[0], {"SATUR": saturated})
    write_mask(masks[1], {"CR": [(0, 239, 0, 319)]})
    _, table = cut(stars[[4, 2]], paths, orientation="frame", mask_paths=masks)
    assert np.allclose(table["masked_fraction"], 1)
    assert np.allclose(table["saturated_fraction"], [24 / 64**2, 0])
    assert table["status"].tolist() == ["flagged", "ok"]
    assert table["reason"][0] == "r: 0.6% of the stamp saturated"
    _, table = cut(stars[4:], paths)
    assert np.isnan(table["saturated_fraction"][0]) and np.isnan(table["masked_fraction"][0])


def test_wrong_requests_are_refused(field):
    paths, stars = field
    hours = Table({"ra": ["13h21m36s"], "dec": [36.8]})
    for words, call in {
        "no column dec": lambda: cut(stars["id", "ra"], paths),
        "column ra of .*expected degrees": lambda: cut(hours, paths),
        "no row": lambda: cut(stars[:0], paths),
        "got no file": lambda: cut(stars, []),
        "are the same frame": lambda: cut(stars, [*paths, Path("elsewhere") / paths[0].name]),
        "size: got 3": lambda: cut(stars, paths, 3),
        "arcsec_per_pixel: got 0": lambda: cut(stars, paths, arcsec_per_pixel=0),
        "orientation: got 'up'": lambda: cut(stars, paths, orientation="up"),
        "fpM-004510-r4-0030.fit": lambda: cut(stars, paths, mask_paths=["mask.fit"]),
        "archive's name": lambda: cut(stars, [*paths, "notes.txt"]),
    }.items():
        with pytest.raises(ValueError, match=words):
            call()
