"""Images in a folder: pictures and FITS."""

import numpy as np
import pytest
from astropy.io import fits as pyfits
from astropy.wcs import WCS
from PIL import Image

from galclr_utils.folders import _pixel_scale, fits, pictures

RNG = np.random.default_rng(0)
FLUX = RNG.normal(size=(3, 3, 16, 16)).astype(">f4")
NAMES = ("007", "a-b", "c_d")


def sky(scale=0.396):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150, 2], [8, 8]
    c, s = np.cos(0.3) * scale / 3600, np.sin(0.3) * scale / 3600
    wcs.wcs.cd = [[-c, s], [s, c]]
    return wcs


def header(unit="nanomaggy", scale=0.396, **more):
    head = sky(scale).to_header()
    if unit:
        head["BUNIT"] = unit
    head.update(more)
    return head


def write_cubes(folder, names=NAMES, **more):
    for name, cube in zip(names, FLUX, strict=False):
        pyfits.writeto(folder / f"{name}.fits", cube, header(**more), overwrite=True)


def read(source):
    blocks = list(source.blocks())
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1]["id"] for b in blocks])


def write_pictures(folder, ending=".png", names=NAMES, size=(16, 16), mode="RGB"):
    shape = size if mode == "L" else (*size, 3)
    pixels = RNG.integers(0, 256, (len(names), *shape), dtype=np.uint8)
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(folder / f"{name}{ending}")
    return pixels


def test_pictures_become_g_r_i_between_0_and_1(tmp_path):
    pixels = write_pictures(tmp_path)
    (tmp_path / "c.csv").write_text("id,label\nc_d,late\n007,early\na-b,\n")
    source = pictures(tmp_path, tmp_path / "c.csv")
    ((images, rows),) = source.blocks()
    assert (source.units, source.stamp) == ("display", (3, 16, 16))
    assert rows["id"].tolist() == ["007", "a-b", "c_d"] and rows["label"].tolist() == [0, -1, 1]
    # red shows i, green r, blue g
    np.testing.assert_allclose(images[1, 2], pixels[1, :, :, 0] / 255, rtol=1e-6)
    np.testing.assert_allclose(images[1, 0], pixels[1, :, :, 2] / 255, rtol=1e-6)


def test_jpegs_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("galclr_utils.folders.block_length", lambda stamp: 2)
    write_pictures(tmp_path, ".JPG")
    source = pictures(tmp_path)
    assert [len(rows) for _, rows in source.blocks()] == [2, 1]
    assert all((rows["label"] == -1).all() for _, rows in source.blocks())


def test_pictures_that_do_not_fit_are_named(tmp_path):
    write_pictures(tmp_path)
    write_pictures(tmp_path, names=["z"], size=(12, 16))
    with pytest.raises(ValueError, match=r"z.png: got 16x12 pixels but 007.png has 16x16"):
        read(pictures(tmp_path))
    write_pictures(tmp_path, names=["z"], mode="L")
    with pytest.raises(ValueError, match=r"z.png: expected a colour picture \(RGB\), got mode L"):
        read(pictures(tmp_path))
    write_pictures(tmp_path, ".jpg", names=["z"])
    with pytest.raises(ValueError, match="have the same id"):
        pictures(tmp_path)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_truncated_picture_is_named(tmp_path, ending):
    write_pictures(tmp_path, ending, size=(64, 64))
    broken = tmp_path / f"a-b{ending}"
    broken.write_bytes(broken.read_bytes()[:2000])
    with pytest.raises(ValueError, match=rf"a-b{ending}: expected a whole JPEG or PNG, got"):
        read(pictures(tmp_path))


def test_an_empty_or_missing_folder_is_named(tmp_path):
    for reader in (pictures, fits):
        with pytest.raises(ValueError, match="an empty set"):
            reader(tmp_path)
        with pytest.raises(ValueError, match="none: expected a folder"):
            reader(tmp_path / "none")


def test_unmatched_pictures_are_counted(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "c.csv").write_text("id,label\n007,early\nx,late\n")
    with pytest.raises(ValueError, match=r"2 images without a row .*'a-b'.* and 1 rows without"):
        pictures(tmp_path, tmp_path / "c.csv")


def test_cubes_become_native_nanomaggies(tmp_path):
    write_cubes(tmp_path, unit="nanomaggies", BANDS="g,r,i")
    (tmp_path / "c.csv").write_text("id,label\nc_d,late\n007,early\na-b,\n")
    source = fits(tmp_path, tmp_path / "c.csv")
    images, ids = read(source)
    assert ids.tolist() == list(NAMES) and source.units == "nanomaggy"
    assert images.dtype == np.float32 and images.dtype.isnative
    np.testing.assert_array_equal(images, FLUX)
    assert source.arcsec_per_pixel == pytest.approx(0.396, rel=1e-6)


@pytest.mark.parametrize("mark", ["-", "_"])
def test_one_file_a_band_is_put_together(tmp_path, mark):
    for name, cube in zip(NAMES, FLUX, strict=True):
        for band, image in zip("gri", cube, strict=True):
            head = header(FILTER=f"SDSS_{band}")
            pyfits.writeto(tmp_path / f"{name}{mark}{band}.fits", image, head)
    images, ids = read(fits(tmp_path))
    np.testing.assert_array_equal(images, FLUX)
    assert sorted(ids.tolist()) == sorted(NAMES)
    (tmp_path / f"a-b{mark}r.fits").unlink()
    with pytest.raises(ValueError, match="galaxy 'a-b' has no file in band r"):
        fits(tmp_path)


def test_the_pixel_scale_is_astropys():
    rotated = sky(0.27)
    assert _pixel_scale(rotated.to_header()) == pytest.approx(0.27, rel=1e-6)  # PC and CDELT
    keys = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
    cd = pyfits.Header(dict(zip(keys, rotated.wcs.cd.flat, strict=True)))
    assert _pixel_scale(cd) == pytest.approx(0.27, rel=1e-6)
    assert _pixel_scale(pyfits.Header({"PIXSCALE": 0.5})) == 0.5
    assert _pixel_scale(pyfits.Header()) is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"unit": ""}, "got BUNIT 'absent', expected 'nanomaggy': convert"),
        ({"unit": "adu"}, "got BUNIT 'adu'"),
        ({"BANDS": "i,r,g"}, "got BANDS = 'i,r,g', expected g, r, i"),
        ({"FILTERS": "gir"}, "got FILTERS = 'gir'"),
        ({"FILTER": "r"}, "got FILTER = 'r'"),
    ],
)
def test_a_wrong_unit_or_band_order_is_refused(tmp_path, more, expected):
    write_cubes(tmp_path, **more)
    with pytest.raises(ValueError, match=expected) as error:
        fits(tmp_path)
    assert "007.fits" in str(error.value)


@pytest.mark.parametrize(
    "unit", ["nmgy", "nanomaggies/pixel", "Nanomaggy", "nanomaggies per pixel"]
)
def test_the_unit_has_several_spellings(tmp_path, unit):
    write_cubes(tmp_path, unit=unit)
    assert fits(tmp_path).n == 3


@pytest.mark.parametrize(
    ("cube", "more", "expected"),
    [
        (FLUX[0][:, :12, :12], {}, r"c_d.fits: got \(3, 12, 12\)"),
        (FLUX[0], {"scale": 0.3}, r"c_d.fits: got .* of 0.3"),
        (FLUX[0].transpose(1, 2, 0), {}, r"c_d.fits: expected .*use images.transpose"),
        (FLUX[0][0], {}, r"c_d.fits: got one band \(16, 16\), expected a cube"),
        (np.where(FLUX[0] > 1, np.nan, FLUX[0]), {}, r"c_d.fits \(id 'c_d'\): pixel .* is nan"),
    ],
)
def test_a_galaxy_unlike_the_others_is_named(tmp_path, cube, more, expected):
    write_cubes(tmp_path)
    pyfits.writeto(tmp_path / "c_d.fits", cube, header(**more), overwrite=True)
    with pytest.raises(ValueError, match=expected):
        read(fits(tmp_path))


@pytest.mark.filterwarnings("ignore:File may have been truncated", "ignore:Error validating")
def test_a_truncated_fits_is_named(tmp_path):
    write_cubes(tmp_path)
    for length in (4000, 1000, 0):
        (tmp_path / "a-b.fits").write_bytes((tmp_path / "007.fits").read_bytes()[:length])
        with pytest.raises(ValueError, match=r"a-b.fits: expected a complete FITS image, got"):
            read(fits(tmp_path))


def test_bands_on_different_grids_are_refused(tmp_path):
    for band in "gri":
        size = 14 if band == "i" else 16
        pyfits.writeto(tmp_path / f"a-{band}.fits", FLUX[0, 0, :size, :size], header())
    with pytest.raises(ValueError, match=r"a-i.fits: got \(14, 14\).*one grid"):
        fits(tmp_path)


def test_a_bad_pixel_names_the_file_of_its_band(tmp_path):
    for name, cube in zip(NAMES, FLUX, strict=True):
        for band, image in zip("gri", cube.copy(), strict=True):
            image[2, 3] = np.nan if (name, band) == ("a-b", "r") else 0
            pyfits.writeto(tmp_path / f"{name}-{band}.fits", image, header())
    with pytest.raises(ValueError, match=r"a-b-r.fits \(id 'a-b'\): pixel \(2, 3\) in band r"):
        read(fits(tmp_path))
