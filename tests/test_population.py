"""The SIMULATED population: flux limit, published relations, label scatter, repeatability."""

import astropy.cosmology
import numpy as np
import pytest

from galclr_utils import population


def draw(n=20_000, seed=1, label_scatter=1.1):
    return population.sample(n, np.random.default_rng(seed), label_scatter)


@pytest.fixture(scope="module")
def galaxies():
    return draw()


def test_same_state_same_galaxies_another_state_others(galaxies):
    again, other = draw(), draw(seed=2)
    for name, values in galaxies.items():
        np.testing.assert_array_equal(values, again[name], err_msg=name)
    assert not np.array_equal(galaxies["z"], other["z"])


def test_every_parameter_is_finite_and_one_row_a_galaxy(galaxies):
    for name, values in galaxies.items():
        assert len(values) == 20_000, name
        assert np.isfinite(values).all(), name


def test_sample_is_flux_and_redshift_limited(galaxies):
    assert galaxies["z"].min() >= 0.01
    assert galaxies["z"].max() <= 0.15
    assert galaxies["mag_r"].max() < population.MAG_LIMIT + 0.05  # a grid cell's width
    assert np.quantile(galaxies["mag_r"], 0.9) > population.MAG_LIMIT - 0.2  # and filled to it


def test_apparent_magnitude_is_luminosity_at_that_distance(galaxies):
    distance = astropy.cosmology.FlatLambdaCDM(H0=70, Om0=0.3).distmod(galaxies["z"]).value
    expected = galaxies["absolute_mag"] + distance + population.k_correction(galaxies["z"])
    np.testing.assert_allclose(galaxies["mag_r"], expected, atol=2e-3)


def test_nearby_counts_follow_the_euclidean_slope(galaxies):
    """Counts of a uniform nearby population rise as 10^(0.6 m); the z limit flattens them."""
    bright, brighter = (np.sum(galaxies["mag_r"] < m) for m in (16.0, 15.0))
    assert 0.4 < np.log10(bright / brighter) < 0.65


def test_flux_carries_colour_and_extinction(galaxies):
    mags = 22.5 - 2.5 * np.log10(galaxies["flux"])
    reddening = galaxies["ebv"] * (3.303 - 2.285)
    np.testing.assert_allclose(mags[:, 0] - mags[:, 1], galaxies["g_r"] + reddening, atol=1e-9)
    np.testing.assert_allclose(mags[:, 1], galaxies["mag_r"] + 2.285 * galaxies["ebv"], atol=1e-9)


def test_sizes_follow_shen_2003():
    at = np.full(3, -20.5)
    sizes = population.physical_sizes(at, np.array([-5.0, 3.0, 3.0]), np.array([0.0, 0.0, 1.0]))
    early, late, one_sigma = sizes
    assert early == pytest.approx(10 ** (0.4 * 0.6 * 20.5 - 4.63))
    assert late > early
    assert np.log(one_sigma / late) == pytest.approx(0.25 + 0.23 / 2, abs=0.01)  # at the knee


def test_types_differ_as_real_ones_do_but_overlap(galaxies):
    late = galaxies["true_label"] == 1
    assert 0.4 < late.mean() < 0.75
    for name, sign in (("g_r", 1), ("bulge_to_total", 1), ("arm_strength", -1)):
        assert sign * (galaxies[name][~late].mean() - galaxies[name][late].mean()) > 0.1, name
    red = galaxies["g_r"] > np.median(galaxies["g_r"][~late])
    assert red[late].mean() > 0.05  # colour alone does not give the type


def test_ellipticals_have_no_disc_features(galaxies):
    elliptical = galaxies["bulge_to_total"] == 1
    assert 0.05 < elliptical.mean() < 0.4
    for name in ("arm_strength", "bar_fraction", "knot_fraction", "dust", "colour_step"):
        assert not galaxies[name][elliptical].any(), name


def test_label_scatter_changes_labels_only(galaxies):
    perfect = draw(label_scatter=0.0)
    for name in galaxies:
        if name != "label":
            np.testing.assert_array_equal(galaxies[name], perfect[name], err_msg=name)
    np.testing.assert_array_equal(perfect["label"], perfect["true_label"])


def test_label_scatter_flips_more_labels_the_larger_it_is():
    flips = []
    for scatter in (0.8, 1.1, 1.6):
        galaxies = draw(label_scatter=scatter)
        flips.append(np.mean(galaxies["label"] != galaxies["true_label"]))
    assert flips[0] < flips[1] < flips[2]
    assert flips[1] == pytest.approx(0.055, abs=0.01)


def test_small_galaxies_are_labelled_worse():
    t_type, deviate = np.full(20_000, 1.0), np.random.default_rng(0).normal(size=20_000)
    small = population.human_labels(t_type, np.full(20_000, 0.8), 1.1, deviate)
    large = population.human_labels(t_type, np.full(20_000, 6.0), 1.1, deviate)
    assert np.mean(small == 0) > np.mean(large == 0) + 0.05


def test_k_correction_is_exact_at_its_redshift():
    assert population.k_correction(0.1) == pytest.approx(-2.5 * np.log10(1.1))
