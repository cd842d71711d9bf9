"""The SIMULATED sky: all light where it belongs, the same by seed, marked, with its faults."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from photutils.centroids import centroid_2dg

from galclr_utils import labels, mocksky, population, sdss, sky, skystudy, sources
from galclr_utils.frames import BANDS, read_frame, read_outline
from galclr_utils.provenance import read_json
from galclr_utils.skyserver import VOTES
from galclr_utils.stamping import cut_field

SMALL = {"n_fields": 1, "n_per_field": 20, "shape": (300, 400)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return mocksky.make(tmp_path_factory.mktemp("mock") / "sky", **SMALL)


def centred(galaxies, k):
    return list(mocksky._rows(galaxies))[k]


@pytest.mark.parametrize("points", [1, 2])
@pytest.mark.parametrize("at", [(80.0, 90.0), (80.3, 89.61), (79.5, 90.5)])
def test_light_is_put_where_it_belongs_and_none_is_lost(points, at):
    """A point source, at whole pixels and between them, on both scales of the grid."""
    light = np.zeros((3, mocksky.GRID, mocksky.GRID), np.float32)
    mocksky.profiles.add_points(light, 0.0, 0.0, np.array([[1.0, 2.0, 3.0]]))
    images = np.zeros((3, 180, 170), np.float32)
    mocksky.add_light(images, light, (1.4, 1.3, 1.2), np.array([at, at, (60.2, 100.7)]), points)
    assert images.sum(axis=(1, 2)) == pytest.approx([1, 2, 3], rel=0.005)
    for image, (x, y) in zip(images, (at, at, (60.2, 100.7)), strict=True):
        corner = int(x) - 8, int(y) - 8
        box = image[corner[1] :, corner[0] :][:17, :17]
        assert np.allclose(np.add(centroid_2dg(box), corner), (x, y), atol=0.01)


def test_a_galaxy_keeps_its_flux_and_its_centre():
    """The wings of the largest spheroids reach beyond the grid; all others are whole to 1%."""
    galaxies = population.sample(60, np.random.default_rng(3))
    whole, drawn, off = [], [], []
    y, x = np.mgrid[:240, :240]
    for k, row in enumerate(mocksky._rows(galaxies)):
        points = 1 if row.r50 > mocksky.LARGE else 2
        light = mocksky._draw(np.random.default_rng(k), row, points)
        images = np.zeros((3, 240, 240), np.float32)
        at = np.array([(120.3, 119.6), (119.9, 120.45), (120.0, 120.0)])
        mocksky.add_light(images, light, population.SEEING, at, points)
        drawn.append(images.sum(axis=(1, 2)) / light.sum(axis=(1, 2)))
        whole.append(images.sum(axis=(1, 2)) / row.flux)
        if row.bulge_to_total == 1:  # a spheroid is even: no arms, no dust
            centre = [(images[1] * a).sum() / images[1].sum() for a in (x, y)]
            off.append(np.hypot(*np.subtract(centre, at[1])))
    assert np.quantile(np.abs(np.array(drawn) - 1), 0.9) < 0.01
    assert np.median(np.abs(np.array(whole) - 1)) < 0.005
    assert np.quantile(np.abs(np.array(whole) - 1), 0.9) < 0.03
    assert len(off) > 5 and np.max(off) < 0.05


def test_a_large_galaxy_looks_the_same_on_both_scales_of_the_grid():
    """Drawn with halved lengths it has the light of the usual drawing, where that is not cut."""
    galaxies = population.sample(200, np.random.default_rng(4))
    k = int(np.argmin(np.abs(galaxies["r50"] - 2.0) + 9 * (galaxies["axis_ratio"] < 0.6)))
    pictures = []
    for points in (1, 2):
        row = centred(galaxies, k)
        images = np.zeros((3, 160, 160), np.float32)
        light = mocksky._draw(np.random.default_rng(0), row, points)
        mocksky.add_light(images, light, population.SEEING, np.full((3, 2), 80.25), points)
        pictures.append(images)
    gap = np.abs(pictures[0] - pictures[1]).max() / pictures[1].max()
    assert gap < 0.05


def test_it_is_laid_out_like_downloads_and_can_be_read_as_they_are(folder):
    sample = sky.read_sample(folder)
    assert {"id", "ra", "dec", "mag_r", "psf_fwhm", "dr7objid"} <= set(sample.colnames)
    missing = {name for names in VOTES.values() for name in names} - set(sample.colnames)
    assert not missing
    for job in sdss.frame_jobs(sample[:1]):
        frame = read_frame(folder / "frames" / job.filename)
        assert frame.image.shape == SMALL["shape"]
        assert np.median(frame.noise()) == pytest.approx(_scatter(frame.image), rel=0.2)


def _scatter(image):
    return 1.4826 * np.median(np.abs(image - np.median(image)))


def test_bands_are_displaced_and_the_stamps_are_not(folder):
    sample = sky.read_sample(folder)
    frames = skystudy.open_field(folder, sample[:1])
    assert set(frames) == set(BANDS)
    own = sample[:16]  # those after it lie at the edge
    even = np.asarray(own["true_ttype"]) < 0  # no arms
    places = [f.outline.wcs.all_world2pix(own["ra"], own["dec"], 0) for f in frames.values()]
    assert np.hypot(*(np.array(places[0]) - places[1])).min() > 5  # g and r, pixels
    stamps, flags = cut_field(frames, own)
    assert "failed" not in flags["status"] and even.sum() > 2
    centre = skystudy.centroids(stamps[even])
    apart = np.hypot(*(centre - centre[:, 1:2]).transpose(2, 0, 1))
    assert np.median(apart[:, [0, 2]]) < 0.1 and np.median(np.hypot(*centre[:, 1].T)) < 0.1


def test_it_says_everywhere_that_it_is_simulated(folder):
    assert read_json(folder / "sky.json")["simulated"] is True
    assert "SIMULATED" in read_json(folder / "sky.json")["note"]
    sample = Table.read(folder / "sample.fits")
    assert sample.meta["SURVEY"] == "SIMULATED"
    assert all(str(name).startswith("SIMULATED-") for name in sample["id"])
    paths = sorted(folder.rglob("frame-*"))
    assert len(paths) == 3 * 3 - 1  # bands and fields, without the one that is missing
    for path in paths:
        if not path.name.endswith("r-999999-5-0102.fits.bz2"):  # cut short on purpose
            assert read_outline(path).run == mocksky.RUN
            assert fits.getheader(path)["OBJECT"] == "SIMULATED"


def test_the_same_seed_makes_the_same_sky_and_another_makes_another(folder, tmp_path):
    again = mocksky.make(tmp_path / "again", **SMALL)
    other = mocksky.make(tmp_path / "other", **SMALL, seed=1)
    for path in folder.rglob("frame-*"):
        name = path.relative_to(folder)
        assert (again / name).read_bytes() == path.read_bytes()
        assert (other / name).read_bytes() != path.read_bytes()
    first, second = (Table.read(f / "sample.fits") for f in (folder, again))
    assert all(np.array_equal(first[n], second[n], equal_nan=first[n].dtype.kind == "f")
               for n in first.colnames)  # fmt: skip


def test_what_was_made_is_kept_and_other_settings_make_it_anew(tmp_path):
    made = mocksky.make(tmp_path / "sky", **SMALL)
    stamp = (made / "sample.fits").stat().st_mtime_ns
    mocksky.make(tmp_path / "sky", **SMALL)
    assert (made / "sample.fits").stat().st_mtime_ns == stamp
    mocksky.make(tmp_path / "sky", **(SMALL | {"n_per_field": 21}))
    assert len(Table.read(made / "sample.fits")) == 21 + sum(mocksky.FAULTY.values())


def test_the_faults_come_out_as_failures_with_reasons(folder, tmp_path):
    found = sources.prepare(
        str(tmp_path), source="sdss", source_path=str(folder), val_fraction=0, test_fraction=0.4
    )
    failures = Table.read(folder / "failures.csv", format="ascii.csv")
    what = dict(zip(*np.unique(np.asarray(failures["what"], str), return_counts=True), strict=True))
    assert what["a file is not there"] == mocksky.FAULTY["no i frame"]
    assert what["a file cannot be read"] == mocksky.FAULTY["r frame cut short"]
    assert len(what) > 2, "galaxies at the edge are lost, too"
    assert len(found) + len(failures) == len(Table.read(folder / "sample.fits"))
    assert found.card["simulated"] and "SIMULATED" in found.card["source"]
    assert (found.catalog["bright_flux"] > 3000).any(), "a bright star beside a galaxy"


def test_a_worse_night_is_a_worse_night():
    at = (0, 8, 0)
    better, _, _ = mocksky.simulate_field(*at, 1.0, 1.0, (300, 400))
    worse, _, rows = mocksky.simulate_field(*at, 1.5, 4.0, (300, 400))
    ratio = _scatter(worse[1]) / _scatter(better[1])
    assert ratio == pytest.approx(2, rel=0.1)  # root of four
    assert rows["psf_fwhm"][0] == pytest.approx(1.5 * population.SEEING[1], rel=0.3)


def test_volunteers_lean_to_early_and_debiased_votes_do_not():
    galaxies = population.sample(4000, np.random.default_rng(0))
    votes = Table(mocksky.simulate_votes(galaxies, np.random.default_rng(1)))
    assert votes["p_el"] + votes["p_cs"] + votes["p_dk"] + votes["p_mg"] == pytest.approx(1)
    assert votes["p_cw"] + votes["p_acw"] + votes["p_edge"] == pytest.approx(votes["p_cs"])
    late = {}
    for kind in ("raw", "debiased"):
        given = np.asarray(labels.apply_rule(votes, "gz1", votes=kind)["label"])
        late[kind] = (given == 1).sum()
        known = given >= 0
        assert (given[known] == galaxies["true_label"][known]).mean() > 0.9
    assert late["debiased"] > late["raw"]
    given = np.asarray(labels.apply_rule(votes, "gz1")["label"])
    strict = np.asarray(labels.apply_rule(votes, "gz1", threshold=0.95)["label"])
    true = {name: (own == galaxies["true_label"])[own >= 0].mean()
            for name, own in (("given", given), ("strict", strict))}  # fmt: skip
    assert true["strict"] > true["given"], "clear cases are easy"
    assert (strict >= 0).sum() < 0.8 * (given >= 0).sum()


def test_galaxies_are_as_dense_as_is_said():
    degrees2 = np.prod(mocksky.SHAPE) * (mocksky.SCALE / 3600) ** 2
    assert 150 < 100 / degrees2 / 47 < 300  # main-sample galaxies: 47 to a square degree


def test_what_is_asked_is_checked(tmp_path):
    with pytest.raises(ValueError, match="no room for so many"):
        mocksky.make(tmp_path / "sky", n_fields=1, n_per_field=400, shape=(240, 320))
    with pytest.raises(ValueError, match="n_fields: got 0"):
        mocksky.make(tmp_path / "sky", n_fields=0)
    assert not (tmp_path / "sky").exists()
