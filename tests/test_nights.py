"""Another night is as bad as was asked for, and nothing else changes."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, nights


@pytest.fixture(scope="module")
def stamps(galaxies):
    return np.asarray(galaxies.images[:32], np.float32)


def test_blur_reaches_the_seeing_that_was_asked_for():
    y, x = np.mgrid[:48, :48] - 23.5
    own = 3.0 / nights.FWHM
    star = np.exp(-(x**2 + y**2) / (2 * own**2))[None, None].astype(np.float32)
    card = {"units": "nanomaggy", "sky_rms": [0.0]}
    worse = nights.degrade(star, card, nights.blur_to([3.0], 6.0))[0, 0]
    width = np.sqrt((worse * x**2).sum() / worse.sum()) * nights.FWHM
    assert width == pytest.approx(6.0, rel=0.02) and worse.sum() == pytest.approx(star.sum())


@pytest.mark.parametrize(("blur", "depth"), [(0.0, 1.0), (1.5, 1.0), (0.0, 4.0), (2.0, 3.0)])
def test_the_sky_has_the_depth_that_was_asked_for(blur, depth):
    rms = np.array([0.1, 0.2, 0.4])
    sky = np.random.default_rng(0).normal(size=(64, 3, 32, 32)) * rms[:, None, None]
    worse = nights.degrade(sky, {"units": "nanomaggy", "sky_rms": rms}, blur, depth)
    assert worse.std(axis=(0, 2, 3)) == pytest.approx(depth * rms, rel=0.02)


def test_no_degradation_changes_nothing_and_nonsense_is_refused(stamps, galaxies):
    assert np.array_equal(nights.degrade(stamps, galaxies.card), stamps)
    with pytest.raises(ValueError, match="depth"):
        nights.degrade(stamps, galaxies.card, depth=0.5)
    with pytest.raises(ValueError, match="blur_px"):
        nights.degrade(stamps, galaxies.card, blur_px=np.nan)


def test_seeing_comes_from_the_catalogue_or_says_what_it_is(galaxies):
    found, where = nights.seeing_px(galaxies, [0, 1])
    known = np.asarray(galaxies.catalog["psf_fwhm"])[:2] / 0.792
    assert found == pytest.approx(known) and where == "the catalogue"
    bare = Table(galaxies.catalog["id", "split", "label"])
    found, where = nights.seeing_px(GalaxySet(galaxies.images, bare, galaxies.card), [0, 1])
    assert found == pytest.approx([1.43 / 0.792] * 2) and "assumed" in where


def test_copies_are_other_observations_of_the_same_galaxy(galaxies):
    stamps, rms = galaxies.images[:40].astype("f4"), galaxies.card["sky_rms"]
    made = nights.copies(stamps, rms, seed=1)
    added = (made["noisier"] - stamps).std(axis=(0, 2, 3))
    np.testing.assert_allclose(added, rms, rtol=0.05)
    moved = [
        any(np.array_equal(copy, np.roll(s, step, axis)) for step in (1, -1) for axis in (1, 2))
        for copy, s in zip(made["shifted"], stamps, strict=True)
    ]
    assert all(moved)
    np.testing.assert_allclose(made["worse seeing"].sum(), stamps.sum(), rtol=1e-3)
    again = nights.copies(stamps, rms, seed=1)
    assert all(np.array_equal(made[kind], again[kind]) for kind in made)
    assert not np.array_equal(made["turned"], nights.copies(stamps, rms, seed=2)["turned"])
