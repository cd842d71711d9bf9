"""Pictures from SDSS: what is asked for, what it should cost, and what counts as a picture."""

import bz2
import math
import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from sky_server import SkyServer, fits_bytes, frame_bytes

from galclr_utils import sdss
from galclr_utils.downloads import read_journal
from galclr_utils.fetch import polite_session

REAL = Path(os.environ.get("GALCLR_REAL_DATA", "/nowhere")) / "sdss_frames"


def galaxies():
    """Five galaxies in three fields; two of the fields are in one run."""
    catalog = Table({"id": list("abcde"), "ra": [180.0, 180.1, 181, 182, 0.0]})
    catalog["dec"] = [0.0, 0.1, -1.25, 2, 89.0]
    catalog["run"], catalog["rerun"] = [4510, 4510, 4510, 94, 94], 301
    catalog["camcol"], catalog["field"] = [4, 4, 4, 1, 1], [30, 30, 31, 7, 7]
    return catalog


@pytest.fixture
def server():
    with SkyServer() as running:
        for job in sdss.frame_jobs(galaxies(), base_url=running.url + "/frames"):
            running.files[urlsplit(job.url).path] = frame_bytes(len(running.files))
        yield running


def get(server, way, folder, **options):
    session = polite_session(retries=1, backoff_s=0.01)
    base = "/frames" if way == "frames" else "/hips2fits"
    quick = {"rate_hz": 1000, "timeout_s": 20, "backoff_s": 0.01, "session": session}
    quick["base_url"] = server.url + base
    return sdss.download(galaxies(), way, folder, **quick | options)


def test_the_address_of_a_frame_is_the_archives():
    assert sdss.frame_jobs(galaxies()[:1], bands="i")[0].url == (
        "https://data.sdss.org/sas/dr17/eboss/photoObj/frames/301/4510/4/"
        "frame-i-004510-4-0030.fits.bz2"
    )


def test_each_field_is_asked_for_once_in_each_band():
    jobs = sdss.frame_jobs(galaxies())
    assert len(jobs) == 9 == len({job.filename for job in jobs})
    assert jobs == sdss.frame_jobs(galaxies()[::-1]), "in the same order, whatever the catalogue's"


def test_a_cut_out_is_asked_for_as_the_service_wants():
    jobs = sdss.cutout_jobs(galaxies(), size_px=90, arcsec_per_pixel=0.4)
    assert [job.filename for job in jobs[:4]] == ["a-g.fits", "a-r.fits", "a-i.fits", "b-g.fits"]
    words = {k: v for k, (v,) in parse_qs(urlsplit(jobs[8].url).query, strict_parsing=True).items()}
    assert math.isclose(float(words.pop("fov")), 90 * 0.4 / 3600, rel_tol=1e-6)
    assert float(words.pop("ra")) == 181 and float(words.pop("dec")) == -1.25
    assert words == {
        "hips": "CDS/P/SDSS9/i",
        "width": "90",
        "height": "90",
        "projection": "TAN",
        "coordsys": "icrs",
        "format": "fits",
    }


def test_what_is_missing_in_the_catalogue_is_named():
    with pytest.raises(ValueError, match="got no camcol, field: take it from query"):
        sdss.frame_jobs(galaxies()["id", "run"])
    with pytest.raises(ValueError, match="galaxy b: got ra nan"):
        catalog = galaxies()
        catalog["ra"][1] = np.nan
        sdss.cutout_jobs(catalog)
    with pytest.raises(ValueError, match="expected one of cutouts, frames"):
        sdss.plan(galaxies(), "frame")


def test_the_plan_states_files_size_and_time_and_starts_nothing(server, tmp_path):
    base = {"base_url": server.url}
    row = sdss.plan(galaxies(), "frames", tmp_path / "not" / "yet", **base)[0]
    assert (row["galaxies"], row["files"]) == (5, 9)
    assert math.isclose(row["gigabytes"], 9 * 3.4e-3)
    assert math.isclose(row["hours"], 9 * 3.4 / 2 / 3600), "the line is slower than the rate"
    row = sdss.plan(galaxies(), "cutouts", tmp_path, rate_hz=1, **base)[0]
    assert row["files"] == 15 and math.isclose(row["hours"], 15 / 3600)
    assert row["gigabytes_free"] > 0
    assert not server.asked and not list(tmp_path.iterdir())


def test_the_size_in_the_plan_is_that_of_a_cut_out():
    body = fits_bytes(np.zeros((64, 64)))
    row = sdss.plan(galaxies()[:1], "cutouts", bands="g")[0]
    assert math.isclose(row["gigabytes"], len(body) / 1e9)


@pytest.mark.parametrize("way", sdss.WAYS)
def test_pictures_arrive(server, tmp_path, way):
    assert not len(get(server, way, tmp_path))
    paths = sorted(tmp_path.rglob("*.fits*"))
    assert len(paths) == {"frames": 9, "cutouts": 15}[way] == server.count()
    for path in paths:
        pixels, header = fits.getdata(path, header=True)
        assert pixels.shape == ((8, 12) if way == "frames" else (64, 64))
    if way == "cutouts":
        assert header["CRVAL1"] == 0 and math.isclose(header["CDELT2"], 0.396 / 3600, rel_tol=1e-5)


STRANGE = {
    "frames": {
        "not bz2": (fits_bytes(np.ones((4, 4))), "expected a frame in bz2"),
        "half of it": (frame_bytes()[:-40], "expected a frame in bz2"),
        "no FITS in it": (bz2.compress(b"hello" * 99), "expected a FITS image in bz2, got b'hello"),
    },
    "cutouts": {
        "a note": (b'{"title": "Unknown HiPS"}', "expected a FITS image, got b.*Unknown HiPS"),
        "another size": (fits_bytes(np.ones((8, 8))), r"expected 64x64 pixels, got.*\(8, 8\)"),
        "outside": (fits_bytes(np.full((64, 64), np.nan)), "is the galaxy within the survey"),
        "nothing there": (fits_bytes(np.zeros((64, 64))), "is the galaxy within the survey"),
        "half of it": (fits_bytes(np.ones((64, 64)))[:9000], "not what was asked for"),
    },
}


@pytest.mark.filterwarnings("ignore:File may have been truncated")  # astropy, of half a file
@pytest.mark.parametrize(("way", "what"), [(way, what) for way in STRANGE for what in STRANGE[way]])
def test_what_is_no_picture_is_a_failure_with_its_reason(server, tmp_path, way, what):
    body, expected = STRANGE[way][what]
    part = {"frames": "frame-r-000094", "cutouts": "ra=181.0000000"}[way]
    server.faults[part] = [(200, body, "application/fits")] * 9
    failures = get(server, way, tmp_path)
    assert failures["key"].tolist() == (
        ["frame-r-000094-1-0007.fits.bz2"] if way == "frames" else ["c-g", "c-r", "c-i"]
    )
    assert re.search(expected, failures["reason"][0])


def test_a_passing_fault_leaves_no_trace(server, tmp_path):
    server.faults = {"frame-g-004510-4-0030": [503], "frame-i-004510-4-0030": ["truncated"]}
    server.faults["frame-i-000094"] = ["html"]
    assert not len(get(server, "frames", tmp_path))
    assert sorted(read_journal(tmp_path)["tries"]) == [1] * 6 + [2] * 3


def test_cut_outs_are_called_nanomaggies_only_once_they_were_compared():
    assert sdss.image_facts("cutouts")["units"] == "UNVERIFIED"
    assert sdss.image_facts("cutouts", units_checked=True)["units"] == "nanomaggy"
    facts = sdss.image_facts("frames", base_url="file:///mirror/frames")
    assert facts == {"way": "frames", "service": "file:///mirror/frames", "units": "nanomaggy"}
    assert sdss.image_facts("cutouts")["hips"]["r"] == "CDS/P/SDSS9/r"


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="set GALCLR_REAL_DATA")
def test_real_frames_pass_the_check_and_have_the_stated_size():
    paths = sorted(REAL.glob("frame-*.bz2"))
    for path in paths:
        sdss.check_frame(path)
        _, band, run, camcol, field = path.name.split(".")[0].split("-")
        row = Table({"run": [int(run)], "camcol": [int(camcol)], "field": [int(field)]})
        assert Path(sdss.frame_jobs(row, bands=band)[0].filename).name == path.name
    mean = np.mean([path.stat().st_size for path in paths])
    assert abs(mean / sdss.FRAME_BYTES - 1) < 0.1
