"""A frame is what its name says and whole, or the error names the file; a position is found."""

import bz2

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from synthetic_frames import CENTRE, SCALE, SHAPE, frame_bytes, tan_wcs, write_field

from galclr_utils.frames import (
    Outline,
    frame_name,
    locate,
    parse_name,
    read_frame,
    read_mask,
    read_outline,
)

NAME = "frame-r-004510-4-0030.fits"


@pytest.fixture
def content():
    random = np.random.default_rng(0)
    return frame_bytes(random.normal(0, 0.02, SHAPE), tan_wcs())


def test_a_frame_comes_back_as_it_was_written(tmp_path):
    image = np.random.default_rng(0).normal(0, 0.02, SHAPE).astype(np.float32)
    content = frame_bytes(image, tan_wcs())
    for ending, packed in (("", content), (".bz2", bz2.compress(content))):
        (tmp_path / (NAME + ending)).write_bytes(packed)
        frame = read_frame(tmp_path / (NAME + ending))
        assert np.array_equal(frame.image, image) and frame.image.dtype == np.dtype("=f4")
        outline = read_outline(tmp_path / (NAME + ending))
        assert outline.key == frame.outline.key == (4510, 4, 30) and outline.band == "r"
        assert outline.shape == SHAPE and outline.arcsec_per_pixel == pytest.approx(SCALE)
        at = outline.wcs.all_world2pix(*CENTRE, 0)
        assert np.allclose(at, [SHAPE[1] / 2, SHAPE[0] / 2 - 0.5], atol=1e-6)


def test_names_go_both_ways():
    assert parse_name("/mirror/" + frame_name(94, 1, 5, "i")) == (94, 1, 5, "i")
    for wrong in ((4510, 7, 30, "r"), (4510, 4, 30, "y"), (1234567, 4, 30, "r")):
        with pytest.raises(ValueError, match="camcol"):
            frame_name(*wrong)
    with pytest.raises(ValueError, match=r"galaxy.fits: expected the archive's name"):
        parse_name("galaxy.fits")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_a_file_cut_short_is_refused(tmp_path, content, share):
    for ending, packed in (("", content), (".bz2", bz2.compress(content))):
        path = tmp_path / (NAME + ending)
        path.write_bytes(packed[: int(share * len(packed))])
        with pytest.raises(ValueError, match=f"{path}: expected a complete SDSS file"):
            read_frame(path)


def test_a_changed_byte_is_noticed_by_the_checksum(tmp_path, content):
    packed = bytearray(bz2.compress(content))
    packed[len(packed) // 2] ^= 1
    (tmp_path / (NAME + ".bz2")).write_bytes(packed)
    with pytest.raises(ValueError, match="expected a complete SDSS file"):
        read_frame(tmp_path / (NAME + ".bz2"))


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>504", b"\n <HTML>", b"<?xml version='1'"])
@pytest.mark.parametrize("reader", [read_frame, read_outline])
def test_a_web_page_is_no_frame(tmp_path, page, reader):
    path = tmp_path / (NAME + ".bz2")
    path.write_bytes(page)
    with pytest.raises(ValueError, match=r"0030.fits.bz2.*a web page"):
        reader(path)


def test_other_contents_are_named(tmp_path, content):
    def refused(content, words, name=NAME, reader=read_frame):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=words) as error:
            reader(path)
        assert str(path) in str(error.value)

    image = np.zeros(SHAPE)
    for reader in (read_frame, read_outline):
        refused(
            content, "band 'r', run 4510, camcol 4, expected band 'g'", NAME.replace("-r-", "-g-")
        )
        refused(
            content, "camcol 4, expected band 'r', run 4510, camcol 5", NAME.replace("-4-", "-5-")
        )
        for key in ("CRVAL1", "CD2_1", "FILTER", "CTYPE2"):
            refused(
                content.replace(f"{key:8s}=".encode(), b"NOTHING ="), f"no {key}", reader=reader
            )
        refused(content.replace(b"nanomaggy", b"adu      "), "BUNIT 'adu'", reader=reader)
        refused(b"", "complete SDSS file", reader=reader)
    refused(frame_bytes(image, tan_wcs(), field=31), "field 31 in HDU 3, expected 30")
    refused(content, "the archive's name", "r.fits")
    with pytest.raises(ValueError, match="no such file"):
        read_frame(tmp_path / frame_name(1, 1, 1, "r"))


def test_the_noise_is_that_of_photons_and_detector(tmp_path):
    image = np.zeros(SHAPE)
    image[100, 50] = 5.0  # 1000 counts at 0.005 nanomaggies a count
    for run, dark in ((1400, 6.25), (4510, 7.5625)):  # i band, camera column 4
        path = tmp_path / frame_name(run, 4, 30, "i").removesuffix(".bz2")
        path.write_bytes(frame_bytes(image, tan_wcs(), run=run, band="i", sky=100))
        noise = read_frame(path).noise()
        assert noise[10, 10] == pytest.approx(0.005 * np.sqrt(100 / 4.885 + dark), rel=1e-5)
        assert noise[100, 50] == pytest.approx(0.005 * np.sqrt(1100 / 4.885 + dark), rel=1e-5)


def test_the_noise_needs_the_sky(tmp_path):
    with fits.open(write_field(tmp_path, bands="r")[0]) as hdus:
        hdus[0].writeto(tmp_path / NAME)
    frame = read_frame(tmp_path / NAME)
    with pytest.raises(ValueError, match="no calibration vector"):
        frame.noise()


def test_a_mask_file_gives_bad_and_saturated_pixels(tmp_path):
    write_mask(
        tmp_path / "fpM-004510-r4-0030.fit", {"SATUR": [(3, 5, 10, 11)], "CR": [(0, 0, 7, 9)]}
    )
    bad, saturated = read_mask(tmp_path / "fpM-004510-r4-0030.fit", (20, 30))
    truth = np.zeros((20, 30), bool)
    truth[3:6, 10:12] = True
    assert np.array_equal(saturated, truth)
    truth[0, 7:10] = True
    assert np.array_equal(bad, truth)
    (tmp_path / "fpM-004510-g4-0030.fit").write_bytes(b"<html>not found")
    with pytest.raises(ValueError, match=r"fpM-004510-g4-0030.fit.*a web page"):
        read_mask(tmp_path / "fpM-004510-g4-0030.fit", (20, 30))


def write_mask(path, boxes):
    """An fpM file: a table of boxes (rmin, rmax, cmin, cmax) a plane, then the planes' names."""
    planes = "INTERP SATUR NOTCHECKED OBJECT BRIGHTOBJECT BINOBJECT CATOBJECT SUBTRACTED GHOST CR"
    hdus = [fits.PrimaryHDU()]
    for plane in planes.split():
        rows = np.array(boxes.get(plane, []), np.int32).reshape(-1, 4)
        names = ("rmin", "rmax", "cmin", "cmax")
        hdus.append(fits.BinTableHDU(Table(dict(zip(names, rows.T, strict=True)))))
    names = [f"S_MASK_{plane}" for plane in planes.split()] + ["S_NMASK_TYPES"]
    words = {"defName": ["S_MASKTYPE"] * 11, "attributeName": names, "Value": np.arange(11)}
    fits.HDUList([*hdus, fits.BinTableHDU(Table(words))]).writeto(path)


def test_the_field_farthest_inside_is_chosen():
    """Two fields that overlap by 40 rows, and one far away; margins counted by hand."""
    first = tan_wcs(turn=0)
    second = first.deepcopy()
    second.wcs.crpix = first.wcs.crpix - [0, SHAPE[0] - 40]  # begins 200 rows later
    outlines = [
        Outline(None, 1, 1, k, "r", wcs, SHAPE)
        for k, wcs in enumerate((tan_wcs(centre=(20, -10)), first, second))
    ]
    rows = np.array([-3, 100, 205, 225, 300, 460])  # in pixels of the first field
    ra, dec = first.all_pix2world(np.full(6, 150.0), rows, 0)
    index, margin = locate([*ra, np.nan], [*dec, 0], outlines)
    assert index.tolist() == [-1, 1, 1, 2, 2, -1, -1]
    expected = [np.nan, 100.5, 34.5, 25.5, 100.5, np.nan, np.nan]
    assert np.allclose(margin, expected, atol=1e-3, equal_nan=True)


def test_the_order_of_the_requests_does_not_matter():
    outlines = [Outline(None, 1, 1, k, "r", tan_wcs(turn=30 * k), SHAPE) for k in range(3)]
    random = np.random.default_rng(0)
    ra, dec = (
        CENTRE[0] + random.uniform(-0.03, 0.03, 200),
        CENTRE[1] + random.uniform(-0.03, 0.03, 200),
    )
    index, margin = locate(ra, dec, outlines)
    assert set(index) == {-1, 0, 1, 2}
    again, margins = locate(ra[::-1], dec[::-1], outlines)
    assert np.array_equal(index[::-1], again)
    assert np.array_equal(margin[::-1], margins, equal_nan=True)
