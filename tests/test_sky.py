"""A folder of downloads as a source: which galaxies it gives, in which order, unit and words."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from small_sky import EACH, N, SmallSky, objid
from test_unitcheck import acquired

from galclr_utils import cutting, sdss, sky
from galclr_utils.dataset import UNITS
from galclr_utils.sources import prepare

REAL = Path(os.environ.get("GALCLR_REAL_DATA", "/nowhere")) / "sdss_frames"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """All of the small sky, downloaded once in both ways; tests work on copies."""
    folder = tmp_path_factory.mktemp("sky")
    with SmallSky() as server:
        for way in sdss.WAYS:
            acquired(server, folder / way, "--way", way)
        yield server, folder


@pytest.fixture(params=sdss.WAYS)
def way(request):
    return request.param


@pytest.fixture
def folder(done, way, tmp_path):
    return shutil.copytree(done[1] / way, tmp_path / "sky")


def read(source):
    blocks = list(source.blocks())
    return np.concatenate([images for images, _ in blocks]), [
        str(name) for _, rows in blocks for name in rows["id"]
    ]


def lose(folder, way, k, band):
    """Remove a picture of galaxy k; return how many galaxies needed it."""
    if way == "cutouts":
        (folder / way / f"{objid(k)}-{band}.fits").unlink()
        return 1
    next((folder / way).rglob(f"frame-{band}-*-{30 + k // EACH:04d}.fits.bz2")).unlink()
    return EACH


def test_a_source_is_what_the_contract_says(done, folder, way):
    source = sky.sdss(folder)
    assert source.name == f"SDSS DR17, {'frames' if way == 'frames' else 'cut-outs'}"
    assert (source.units, source.bands, source.n) == ("nanomaggy", ("g", "r", "i"), N)
    assert source.stamp == (3, 64, 64) and source.arcsec_per_pixel == 0.396
    images, ids = read(source)
    assert images.dtype == np.float32 and images.shape == (N, 3, 64, 64)
    assert sorted(ids) == sorted(objid(k) for k in range(N))
    flux = {row["id"]: row["flux"] for row in done[0].galaxies}
    y, x = np.indices((64, 64)) - 31.5
    measured = images[:, :, np.hypot(x, y) < 13].sum(axis=-1)
    expected = np.array([flux[name] for name in ids])[:, None] * [0.6, 1.0, 1.3]
    np.testing.assert_allclose(measured, expected, rtol=0.02)


def test_rows_have_the_sample_labels_by_a_stated_rule_and_the_flags_of_the_stamp(folder):
    source = sky.sdss(folder)
    _, rows = next(source.blocks())
    sample = Table.read(folder / "sample.fits")
    assert {*sample.colnames, *"label ttype stamp_status blank_fraction edge_px".split()} <= set(
        rows.colnames
    )
    number = {objid(k): k for k in range(N)}
    for row in rows:
        k = number[str(row["id"])]
        assert row["label"] == (-1 if k % 3 == 0 else k % 2), (
            "no votes in Galaxy Zoo 1; early; late"
        )
    assert source.facts["labels"]["rule"]["threshold"] == 0.8
    assert set(sky.sdss(folder, rule="gz2").facts["labels"]) >= {"rule", "source", "note"}
    strict = next(sky.sdss(folder, threshold=0.88).blocks())[1]
    assert (strict["label"] != 0).all() and (strict["label"] == 1).any()
    none = sky.sdss(folder, rule="none")
    assert (next(none.blocks())[1]["label"] == -1).all() and "none" in none.facts["labels"]


def test_labels_of_a_published_catalogue_are_joined(folder, tmp_path, done):
    galaxies = done[0].galaxies[:4]
    table = Table({"OBJID": [f"58772295276743945{k}" for k in range(4)], "RA": galaxies["ra"]})
    table["DEC"], table["P_EL"], table["P_CS"] = galaxies["dec"], 0.1, 0.9
    table["NVOTE"], table["P_EL_DEBIASED"], table["P_CS_DEBIASED"] = 40, 0.05, 0.95
    table.write(tmp_path / "zoo.csv", format="ascii.csv")
    source = sky.sdss(folder, tmp_path / "zoo.csv")
    labels = np.concatenate([rows["label"] for _, rows in source.blocks()])
    assert (labels == 1).sum() == 4 and (labels == -1).sum() == N - 4
    assert source.facts["labels"]["join"]["matched"] == 4
    own = Table({"id": [objid(0), objid(1)], "label": ["late", "early"]})
    own.write(tmp_path / "own.csv", format="ascii.csv")
    blocks = sky.sdss(folder, tmp_path / "own.csv").blocks()
    labels = np.concatenate([rows["label"] for _, rows in blocks])
    assert sorted(labels) == [-1] * (N - 2) + [0, 1]


@pytest.mark.filterwarnings("ignore:File may have been truncated")  # astropy, of half a file
def test_galaxies_without_a_stamp_are_counted_and_listed(folder, way):
    lost = lose(folder, way, 2, "g")
    broken = next((folder / way).rglob(f"*{objid(7)}-r.fits" if way == "cutouts" else "*r*-0031.*"))
    broken.write_bytes(broken.read_bytes()[:5000])
    torn = 1 if way == "cutouts" else EACH
    source = sky.sdss(folder)
    assert source.facts["left_out"] == {"a file cannot be read": torn, "a file is not there": lost}
    images, ids = read(source)
    assert len(ids) == source.n == N - lost - torn == len(images)
    failures = Table.read(folder / "failures.csv", format="ascii.csv", converters={"id": str})
    assert not set(failures["id"]) & set(ids) and len(failures) + len(ids) == N
    reason = str(failures["reason"][failures["id"] == objid(2)][0])
    assert reason.startswith("g: ") and "it was downloaded, and is gone" in reason
    assert "download it again" in str(failures["reason"]) or way == "cutouts"


def test_galaxies_off_the_frame_or_on_its_rim_are_left_out(done, tmp_path):
    folder = shutil.copytree(done[1] / "frames", tmp_path / "sky")
    sample = Table.read(folder / "sample.fits")
    wcs = done[0].wcs("r", 0)
    for k, x in ((0, -30), (1, 12)):  # outside; 12 pixels from the edge
        sample["ra"][k], sample["dec"][k] = (float(v) for v in wcs.all_pix2world(x, 120, 0))
    sample.write(folder / "sample.fits", overwrite=True)
    source = sky.sdss(folder)
    assert source.facts["left_out"] == {
        "off the frame": 1,
        "too much of the stamp without data": 1,
    }


def test_a_cut_out_of_another_place_is_no_stamp(done, tmp_path):
    folder = shutil.copytree(done[1] / "cutouts", tmp_path / "sky")
    shutil.copy(folder / f"cutouts/{objid(1)}-g.fits", folder / f"cutouts/{objid(0)}-g.fits")
    assert sky.sdss(folder).n == N - 1
    assert "pixels from the galaxy" in (folder / "failures.csv").read_text()


def test_blank_pixels_of_a_cut_out_become_sky_and_are_told(done, tmp_path):
    folder = shutil.copytree(done[1] / "cutouts", tmp_path / "sky")
    for k, columns in ((0, 1), (1, 30)):
        with fits.open(folder / f"cutouts/{objid(k)}-g.fits", mode="update") as hdus:
            hdus[0].data[:, :columns] = np.nan
    source = sky.sdss(folder)
    assert source.facts["left_out"] == {"too much of the stamp without data": 1}
    images, rows = next(source.blocks())
    assert rows["stamp_status"][0] == "flagged" and rows["blank_fraction"][0] == 1 / 64
    assert (images[0, 0, :, 0] == 0).all() and np.isfinite(images).all()


def test_neither_the_order_of_the_sample_nor_of_the_files_matters(folder, monkeypatch):
    monkeypatch.setattr(cutting, "PIECE", 7)
    images, ids = read(sky.sdss(folder))
    sample = Table.read(folder / "sample.fits")
    sample[::-1].write(folder / "sample.fits", overwrite=True)
    shutil.rmtree(folder / f"stamps-{sky.read_facts(folder)['way']}")
    again, same = read(sky.sdss(folder))
    assert ids == same
    np.testing.assert_array_equal(images, again)


def test_what_was_cut_is_not_cut_again_unless_it_changed(folder, way, monkeypatch):
    monkeypatch.setattr(cutting, "PIECE", 4)
    asked = []
    for name in ("_cut_frames", "_cut_outs"):
        whole = getattr(cutting, name)
        monkeypatch.setattr(
            cutting, name, lambda *a, whole=whole: asked.append(len(a[1])) or whole(*a)
        )
    sky.sdss(folder)
    assert asked == [4] * 4
    sky.sdss(folder)
    assert len(asked) == 4
    lose(folder, way, 12, "i")
    sky.sdss(folder)
    assert len(asked) == 5, "one piece has lost a file"
    assert len(list((folder / f"stamps-{way}").glob("*.npy"))) == 4, "the old one is gone"


def test_processes_change_nothing(done, tmp_path, monkeypatch):
    folder = shutil.copytree(done[1] / "frames", tmp_path / "sky")
    images, ids = read(sky.sdss(folder))
    monkeypatch.setattr(cutting, "PIECE", 4)
    shutil.rmtree(folder / "stamps-frames")
    again, same = read(sky.sdss(folder, workers=2))
    assert ids == same
    np.testing.assert_array_equal(images, again)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: (f / "sample.fits").unlink(), "sample.fits: no such file; expected the sample"),
        (lambda f: shutil.rmtree(f / "cutouts"), "got no pictures, expected cutouts"),
        (lambda f: (f / "sky.json").write_text("{"), "expected a readable JSON"),
        (lambda f: [p.unlink() for p in (f / "cutouts").glob("*.fits")], "no galaxy of 16 has a"),
    ],
)
def test_what_is_missing_is_named(done, tmp_path, damage, expected):
    folder = shutil.copytree(done[1] / "cutouts", tmp_path / "sky")
    damage(folder)
    with pytest.raises(ValueError, match=expected):
        sky.sdss(folder)


def test_cut_outs_of_unknown_unit_are_refused_and_the_way_out_is_told(done, tmp_path):
    folder = shutil.copytree(done[1] / "cutouts", tmp_path / "sky")
    (folder / "sky.json").unlink()
    with pytest.raises(ValueError, match=r"unit of these cut-outs is unknown.*--check-units"):
        prepare(tmp_path / "run", source="sdss", source_path=folder)
    galaxies = prepare(tmp_path / "run", source="sdss", source_path=folder, units="nanomaggy")
    assert "NOT compared" in galaxies.card["facts"][0]["unit"]
    assert galaxies.card["units"] in UNITS
    with pytest.raises(ValueError, match=r"units .of sdss.: got 'display'"):
        prepare(tmp_path / "run", source="sdss", source_path=folder, units="display")


def test_a_factor_that_was_measured_is_applied(done, tmp_path):
    folder = shutil.copytree(done[1] / "cutouts", tmp_path / "sky")
    before, _ = read(sky.sdss(folder))
    told = json.loads((folder / "sky.json").read_text())
    told["units"]["factor"] = [2.0, 3.0, 4.0]
    (folder / "sky.json").write_text(json.dumps(told))
    source = sky.sdss(folder)
    after, _ = read(source)
    np.testing.assert_allclose(after, before * np.float32([2, 3, 4])[:, None, None])
    assert "multiplied by 2, 3, 4" in source.facts["unit"]


def test_a_simulated_sky_says_so_everywhere(done, tmp_path):
    folder = shutil.copytree(done[1] / "frames", tmp_path / "sky")
    (folder / "sky.json").write_text('{"simulated": true, "way": "frames", "name": "a toy"}')
    galaxies = prepare(tmp_path / "run", source="sdss", source_path=folder, n_galaxies=0)
    assert galaxies.card["simulated"] and "SIMULATED" in galaxies.card["source"]
    assert "SDSS" not in galaxies.card["source"] and "SIMULATED" in galaxies.card["notes"][0]
    assert galaxies.card["facts"][0]["name"] == "a toy"


def test_a_set_is_made_once_and_again_when_a_download_changes(folder, way, tmp_path):
    asked = {"source": "sdss", "source_path": folder, "n_galaxies": 0}
    when = lambda: (tmp_path / "run/dataset/images.npy").stat().st_mtime_ns  # noqa: E731
    first = prepare(tmp_path / "run", **asked)
    made = when()
    assert len(first) == N and first.images.shape == (N, 3, 32, 32)
    (folder / "failures.csv").unlink()
    prepare(tmp_path / "run", **asked)
    assert when() == made, "what is derived is no input"
    sample = Table.read(folder / "sample.fits")
    sample[1:].write(folder / "sample.fits", overwrite=True)
    assert len(prepare(tmp_path / "run", **asked)) == N - 1 and when() != made


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="set GALCLR_REAL_DATA")
def test_two_real_fields_give_all_their_galaxies(tmp_path):
    places = Table.read(REAL / "positions.csv")
    sample = places["ra", "dec"]
    sample["id"] = [f"galaxy {k}" for k in range(len(places))]
    for k, name in enumerate(("run", "camcol", "field")):
        sample[name] = [int(str(field).split("-")[k]) for field in places["field"]]
    sample.write(tmp_path / "sample.fits")
    for job in sdss.frame_jobs(sample):
        path = tmp_path / "frames" / job.filename
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REAL / path.name, path)
    source = sky.sdss(tmp_path)
    assert source.n == len(places) == 60 and source.facts["left_out"] == {}
    assert source.facts["labels"].startswith("none")
    images, rows = next(source.blocks())
    assert np.isfinite(images).all() and (rows["bright_flux"] > 1).all()
