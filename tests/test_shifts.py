"""Stamps change as they say, nothing else changes, and what is invariant is found to be so."""

import numpy as np
import pytest
import torch
from astropy.table import Table

from galclr_utils import GalaxySet, comparison, shifts
from galclr_utils.encoders import Encoder
from galclr_utils.normalize import Normalize
from galclr_utils.pretrain import pretrain
from galclr_utils.provenance import read_json
from galclr_utils.transforms import GalaxyViews


@pytest.fixture(scope="module")
def stamps(galaxies):
    return np.asarray(galaxies.images[:32], np.float32)


def test_versions_keep_galaxies_to_learn_from_as_they_are(galaxies):
    learn, judged = galaxies.indices("train")[:20], galaxies.indices("test")[:10]
    same = galaxies.images[judged]
    made = shifts.versions(galaxies, learn, judged, {"a": same, "b": same * 2})
    assert np.array_equal(made.images[:20], galaxies.images[learn])
    assert np.array_equal(made.images[30:], same * 2)
    assert np.array_equal(made.labels[made.indices("test")], np.tile(galaxies.labels[judged], 2))
    with pytest.raises(ValueError, match="b: got"):
        shifts.versions(galaxies, learn, judged, {"b": same[:3]})


def test_each_version_gets_its_own_answers(galaxies):
    learn, judged = galaxies.indices("train")[:40], galaxies.indices("test")
    pictures = {"a": galaxies.images[judged], "b": 0 * galaxies.images[judged]}
    made = shifts.versions(galaxies, learn, judged, pictures)

    def oracle_of_bright(train, y, test, seed, draw):
        lit = made.images[test].any(axis=(1, 2, 3))
        return np.where(lit, made.labels[test], 1 - made.labels[test])

    scores = comparison.score_methods({"m": oracle_of_bright}, made, [20], n_draws=2)
    parts = shifts.by_version(scores, ["a", "b"])
    assert parts["b"].id.tolist() == galaxies.catalog["id"][judged].tolist()
    table = shifts.score_versions(parts, ["m"])
    assert table["mean"].tolist() == [1, 0] and table["change"].tolist() == [0, -1]


def test_recolouring_gives_the_asked_colour_and_keeps_the_light(stamps):
    wanted = np.array([0.2, 0.3, 0.5])
    changed = shifts.recolour(stamps, wanted, {"units": "nanomaggy"})
    assert shifts.band_shares(changed) == pytest.approx(np.tile(wanted, (len(stamps), 1)), abs=0.02)
    light = shifts.band_light(stamps).sum(1)
    assert shifts.band_light(changed).sum(1) == pytest.approx(light, rel=0.03)
    own = shifts.recolour(stamps, shifts.band_shares(stamps), {"units": "nanomaggy"})
    assert np.abs(own - stamps).max() < 1e-3, "its own colour changes nothing"


def test_without_colour_all_bands_show_one_picture(stamps):
    flat = shifts.luminance(stamps, [0.2, 0.3, 0.5], {"units": "nanomaggy"})
    sky = shifts.sky_level(stamps)[..., None, None]
    assert np.allclose((flat - sky)[:, 0] / 0.2, (flat - sky)[:, 2] / 0.5, atol=1e-3)
    picture = shifts.recolour(stamps.clip(0, 1), [0.8, 0.1, 0.1], {"units": "display"})
    assert picture.min() >= 0 and picture.max() <= 1


def test_partners_are_of_the_other_type():
    labels = np.array([0, 0, 1, 1, 1])
    partner = shifts.partners(labels, seed=4)
    assert (labels[partner] == 1 - labels).all()
    with pytest.raises(ValueError, match="one class only"):
        shifts.partners([1, 1])


def test_blur_reaches_the_seeing_that_was_asked_for():
    y, x = np.mgrid[:48, :48] - 23.5
    own = 3.0 / shifts.FWHM
    star = np.exp(-(x**2 + y**2) / (2 * own**2))[None, None].astype(np.float32)
    card = {"units": "nanomaggy", "sky_rms": [0.0]}
    worse = shifts.degrade(star, card, shifts.blur_to([3.0], 6.0))[0, 0]
    width = np.sqrt((worse * x**2).sum() / worse.sum()) * shifts.FWHM
    assert width == pytest.approx(6.0, rel=0.02) and worse.sum() == pytest.approx(star.sum())


@pytest.mark.parametrize(("blur", "depth"), [(0.0, 1.0), (1.5, 1.0), (0.0, 4.0), (2.0, 3.0)])
def test_the_sky_has_the_depth_that_was_asked_for(blur, depth):
    rms = np.array([0.1, 0.2, 0.4])
    sky = np.random.default_rng(0).normal(size=(64, 3, 32, 32)) * rms[:, None, None]
    worse = shifts.degrade(sky, {"units": "nanomaggy", "sky_rms": rms}, blur, depth)
    assert worse.std(axis=(0, 2, 3)) == pytest.approx(depth * rms, rel=0.02)


def test_no_degradation_changes_nothing_and_nonsense_is_refused(stamps, galaxies):
    assert np.array_equal(shifts.degrade(stamps, galaxies.card), stamps)
    with pytest.raises(ValueError, match="depth"):
        shifts.degrade(stamps, galaxies.card, depth=0.5)
    with pytest.raises(ValueError, match="blur_px"):
        shifts.degrade(stamps, galaxies.card, blur_px=np.nan)


def test_seeing_comes_from_the_catalogue_or_says_what_it_is(galaxies):
    found, where = shifts.seeing_px(galaxies, [0, 1])
    known = np.asarray(galaxies.catalog["psf_fwhm"])[:2] / 0.792
    assert found == pytest.approx(known) and where == "the catalogue"
    bare = Table(galaxies.catalog["id", "split", "label"])
    found, where = shifts.seeing_px(GalaxySet(galaxies.images, bare, galaxies.card), [0, 1])
    assert found == pytest.approx([1.43 / 0.792] * 2) and "assumed" in where


def test_the_arms_differ_in_their_bands_only(galaxies):
    colour, blind = (shifts.arm(galaxies, 100, grey) for grey in (False, True))
    assert colour.catalog["id"].tolist() == blind.catalog["id"].tolist()
    assert (blind.labels == -1).all() and not len(blind.indices("test"))
    assert len(blind.indices("train")) == 100 and blind.images.shape[1] == 1
    mean = np.asarray(colour.images, np.float32).mean(axis=1)
    assert np.abs(blind.images[:, 0] - mean).max() < 0.01 * np.abs(mean).max()


def test_arms_are_pretrained_alike_and_kept(galaxies, run):
    views = GalaxyViews.for_set(galaxies, band_scaling=0.2)
    pretrain(run, views, epochs=1, batch_size=32, temperature=0.3, precision="32-true")
    encoders = shifts.pretrain_arms(run, galaxies, 1, 64, seed=5, precision="32-true")
    assert {name: e.n_bands for name, e in encoders.items()} == {
        "colour arm": 3,
        "luminance arm": 1,
    }
    folders = [run / "audit" / name / "pretrain" for name in ("colour", "luminance")]
    records = [read_json(folder / "settings.json") for folder in folders]
    assert records[0]["settings"] == records[1]["settings"]
    assert records[0]["settings"]["temperature"] == 0.3 and records[0]["settings"]["seed"] == 5
    assert [r["views"]["band_scaling"] for r in records] == [0.2, 0.2]
    before = (folders[0] / "encoder.pt").stat().st_mtime_ns
    shifts.pretrain_arms(run, galaxies, 1, 64, seed=5, precision="32-true")
    assert (folders[0] / "encoder.pt").stat().st_mtime_ns == before
    assert shifts.pretrain_arms(run, galaxies, 0, 64) == {}


class Brightness(Encoder):
    """See the mean of all pixels, and nothing else: blind to where they are."""

    def forward(self, normalised):
        return normalised.mean(dim=(1, 2, 3))[:, None].repeat(1, self.representation_dim)


def test_who_sees_the_brightness_only_is_blind_to_mirrors_and_not_to_zoom():
    random = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] - 15.5
    size = random.uniform(2, 5, (200, 1, 1, 1))
    images = np.exp(-np.hypot(x, y)[None, None] / size).repeat(3, 1).astype(np.float32)
    views = GalaxyViews(Normalize("identity"), sky_rms=[0.02] * 3, zoom=1.5)
    encoder = Brightness("cnn4", 2)
    still = shifts.moved(encoder, views, images, "orientation")
    zoom = shifts.moved(encoder, views, images, "zoom")
    assert still["distance"] < 0.05 and still["cosine"] > 0.99
    assert zoom["distance"] > 5 * still["distance"] and zoom["r2"] > 0.5 > still["r2"]


def test_every_step_has_numbers_that_were_drawn():
    views = GalaxyViews(Normalize("identity"), sky_rms=[0.02] * 3)
    for step in views.steps:
        params = views.only(step).draw((50, 3, 16, 16), torch.Generator().manual_seed(0))
        drawn = shifts._numbers(step, params[step])
        assert drawn.shape[0] == 50 and (drawn.std(axis=0) > 0).all(), step
