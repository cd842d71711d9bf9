"""Shapes come out as the theory says, turn with the galaxy, and are measured once."""

import numpy as np
import pytest
from astropy.table import Table
from scipy.stats import spearmanr

from galclr_utils import morphology
from galclr_utils.dataset import GalaxySet
from galclr_utils.morphology import FEATURES, measure, morphology_features, segment

NOISE = 0.02


def stamp(profile="disc", x0=0.0, seed=0, lump=0.0):
    """A round galaxy of 64x64 pixels: exponential disc or de Vaucouleurs spheroid."""
    y, x = np.mgrid[:64, :64] - 31.5
    r = np.hypot(x - x0, y)
    image = 5 * np.exp(-r / 4) if profile == "disc" else 200 * np.exp(-7.67 * (r / 8) ** 0.25)
    image = image + lump * np.exp(-((x - 8) ** 2 + y**2) / 8)
    return image + np.random.default_rng(seed).normal(0, NOISE, image.shape)


def shape_of(image, rms=NOISE):
    values, flag = measure(image, rms)
    return dict(zip(FEATURES, values, strict=True)) | {"flag": flag}


@pytest.fixture(scope="module")
def disc():
    return shape_of(stamp())


def test_an_exponential_disc_is_what_it_should_be(disc):
    """r80/r20 is 3.63 for a disc (C = 2.8; less inside 1.5 Petrosian radii), and it is round."""
    assert 2.5 < disc["concentration"] < 2.85
    assert abs(disc["asymmetry"]) < 0.04
    assert disc["ellipticity"] < 0.03
    assert disc["flag"] == 0


def test_a_spheroid_is_more_concentrated_and_less_equal_than_a_disc(disc):
    spheroid = shape_of(stamp("spheroid"))
    assert spheroid["concentration"] > disc["concentration"] + 0.5
    assert spheroid["gini"] > disc["gini"] + 0.05
    assert spheroid["m20"] < disc["m20"] - 0.2


def test_a_lopsided_galaxy_is_asymmetric(disc):
    few, many = (shape_of(stamp(lump=lump))["asymmetry"] for lump in (0.5, 2.0))
    assert disc["asymmetry"] + 0.03 < few < many - 0.03


@pytest.mark.parametrize("turns", [1, 2])
def test_turning_a_galaxy_changes_nothing(turns):
    """A stamp has an even number of pixels, and the search for the centre a tolerance."""
    upright = stamp(lump=1.0)
    a, b = (np.array(measure(image, NOISE)[0]) for image in (upright, np.rot90(upright, turns)))
    np.testing.assert_allclose(a, b, atol=0.02)


def test_a_neighbour_is_told_apart_and_masked(disc):
    y, x = np.mgrid[:64, :64]
    star = 20 * np.exp(-((x - 56) ** 2 + (y - 52) ** 2) / 4)
    image = stamp() + star
    labels, galaxy = segment(image, NOISE)
    assert galaxy == labels[32, 32] != labels[52, 56] > 0
    beside = shape_of(image)
    assert abs(beside["concentration"] - disc["concentration"]) < 0.1
    assert abs(beside["asymmetry"] - disc["asymmetry"]) < 0.05


def test_the_short_way_measures_what_statmorph_measures(galaxies):
    """The definitions are its own; only apertures and the search for the centre are quicker."""
    import warnings

    from statmorph import SourceMorphology

    warnings.simplefilter("ignore")
    rms = float(np.linalg.norm(galaxies.card["sky_rms"]) / 3)
    for row in range(3):
        image = galaxies.images[row].mean(axis=0, dtype=np.float64)
        labels, galaxy = segment(image, rms)
        whole = SourceMorphology(image, labels, galaxy, gain=1.0)
        ours, _ = measure(image, rms)
        theirs = [whole[name] for name in FEATURES.values()]
        np.testing.assert_allclose(ours, theirs, atol=0.02, err_msg=f"galaxy {row}")


def test_shapes_go_with_the_truth(galaxies, run):
    """Of 80 SIMULATED galaxies: the catalogue's concentration and axis ratio are found again."""
    rows = np.arange(80)
    features, note = morphology_features(galaxies, run, rows, workers=1)
    assert features.shape == (384, 7) and np.isfinite(features[:80]).all()
    assert np.isnan(features[80:]).all() and "of 80 galaxies" in note
    found = dict(zip(FEATURES, features[:80].T, strict=True))
    catalog = galaxies.catalog[:80]
    assert spearmanr(found["concentration"], catalog["concentration"])[0] > 0.4
    assert spearmanr(found["ellipticity"], catalog["axis_ratio"])[0] < -0.7
    assert spearmanr(found["radius"], catalog["r50"])[0] > 0.6


def small_set(images, split="train"):
    n = len(images)
    catalog = Table({"id": np.arange(n).astype(str), "label": np.ones(n, int)})
    catalog["split"] = [split] * n
    card = {"units": "nanomaggy", "bands": ["r"], "sky_rms": [NOISE], "sha256": f"of {n} stamps"}
    return GalaxySet(np.asarray(images, np.float32)[:, None], catalog, card)


def test_what_is_measured_is_kept_and_the_rest_added(tmp_path, monkeypatch):
    galaxies = small_set([stamp(seed=k) for k in range(4)])
    first, _ = morphology_features(galaxies, tmp_path, [0, 1])
    monkeypatch.setattr(morphology, "measure", lambda *_: (np.full(len(FEATURES), 9.0), 0))
    both, _ = morphology_features(galaxies, tmp_path)
    assert np.array_equal(both[:2], first[:2]) and (both[2:] == 9).all()
    other = small_set([stamp(seed=k) for k in range(3)])
    anew, _ = morphology_features(other, tmp_path)
    assert (anew == 9).all(), "other galaxies, other measurements"


def test_an_interruption_loses_one_block_at_most(tmp_path, monkeypatch):
    galaxies = small_set([stamp(seed=k) for k in range(4)])
    monkeypatch.setattr(morphology, "SHARD", 2)
    measured, taken = morphology.measure, []

    def breaks(image, rms):
        if len(taken) == 3:
            raise KeyboardInterrupt
        taken.append(1)
        return measured(image, rms)

    monkeypatch.setattr(morphology, "measure", breaks)
    with pytest.raises(KeyboardInterrupt):
        morphology_features(galaxies, tmp_path)
    monkeypatch.setattr(morphology, "measure", lambda *_: (np.full(len(FEATURES), 9.0), 0))
    features, _ = morphology_features(galaxies, tmp_path)
    assert (features[:2] != 9).all() and (features[2:] == 9).all()


def test_where_most_fail_there_are_no_features(tmp_path):
    empty = small_set(np.random.default_rng(0).normal(0, NOISE, (4, 32, 32)))
    features, reason = morphology_features(empty, tmp_path)
    assert features is None and "of 4 galaxies" in reason


def test_the_sky_of_a_picture_is_its_rim():
    stamps = np.zeros((2, 8, 8)) + np.reshape([0.1, 0.3], (2, 1, 1))
    stamps[:, 3:5, 3:5] = 1
    np.testing.assert_allclose(morphology.sky_level(stamps), [0.1, 0.3])
