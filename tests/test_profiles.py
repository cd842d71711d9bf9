"""Shapes on the grid and their pixels, against GalSim and against what they must conserve."""

from types import SimpleNamespace

import numpy as np
import pytest

from galclr_utils import profiles


def stamp_of(n, r50, axis_ratio, angle, x, y, fwhm):
    """Render one noiseless Sersic profile of unit flux: (64, 64)."""
    along, across = profiles.ellipse_coordinates(x, y, angle)
    profile, cusp = profiles.sersic(along, across, r50, n, axis_ratio)
    light = np.repeat(profile[None], 3, axis=0)
    profiles.add_points(light, x, y, cusp * np.ones((1, 3)))
    return profiles.collect(profiles.blur(light, np.full(3, fwhm)))[1]


@pytest.mark.parametrize("n", [1, 2, 4, 6])
@pytest.mark.parametrize(("r50", "axis_ratio"), [(0.8, 0.6), (2.0, 1.0), (5.0, 0.6)])
def test_sersic_agrees_with_galsim(n, r50, axis_ratio):
    galsim = pytest.importorskip("galsim")
    shape = n, r50, axis_ratio, 0.5, 0.1, -0.07, 1.43
    accurate = galsim.GSParams(maximum_fft_size=16384)
    galaxy = galsim.Sersic(n, half_light_radius=r50 * np.sqrt(axis_ratio), gsparams=accurate)
    galaxy = galaxy.shear(q=axis_ratio, beta=0.5 * galsim.radians).shift(0.1, -0.07)
    seen = galsim.Convolve(galaxy, galsim.Kolmogorov(fwhm=1.43))
    expected = seen.drawImage(nx=64, ny=64, scale=profiles.PIXEL).array
    got = stamp_of(*shape)
    assert got.sum() == pytest.approx(expected.sum(), rel=2e-3)
    assert np.abs(got - expected).max() < 0.01 * expected.max()


def test_half_of_the_light_lies_within_r50():
    along, across = profiles.ellipse_coordinates(0, 0, 0.3)
    profile, cusp = profiles.sersic(along, across, 2.5, 2.0, 0.5)
    inside = profile[along**2 + (across / 0.5) ** 2 < 2.5**2].sum() + cusp
    assert inside == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("x", [0.0, 0.05, 0.099, 0.15])
def test_a_point_keeps_its_flux_place_and_width(x):
    light = np.zeros((3, profiles.GRID, profiles.GRID), np.float32)
    profiles.add_points(light, x, 0.0, np.ones((1, 3)))
    stamp = profiles.collect(profiles.blur(light, np.full(3, 1.43)))[1]
    centred = np.zeros_like(light)
    profiles.add_points(centred, 0.0, 0.0, np.ones((1, 3)))
    reference = profiles.collect(profiles.blur(centred, np.full(3, 1.43)))[1]
    axis = (np.arange(64) - 31.5) * profiles.PIXEL
    near = abs(axis) < 5
    assert stamp.sum() == pytest.approx(1, abs=2e-3)
    profile, other = stamp[:, near].sum(0), reference[:, near].sum(0)
    mean = (axis[near] * profile).sum() / profile.sum()
    assert mean == pytest.approx(x, abs=5e-3)
    variance = (axis[near] ** 2 * profile).sum() / profile.sum() - mean**2
    assert variance == pytest.approx((axis[near] ** 2 * other).sum() / other.sum(), rel=0.02)


def test_a_point_beyond_the_grid_adds_nothing():
    light = np.zeros((3, profiles.GRID, profiles.GRID), np.float32)
    profiles.add_points(light, [40.0, -40.0], [0.0, 40.0], np.ones((2, 3)))
    assert not light.any()


def test_seeing_has_the_width_asked_for():
    light = np.zeros((3, profiles.GRID, profiles.GRID), np.float32)
    profiles.add_points(light, 0.0, 0.0, np.ones((1, 3)))
    rows = profiles.blur(light, np.array([1.0, 1.5, 2.0]))[:, profiles.GRID // 2]
    axis = (np.arange(profiles.GRID) - (profiles.GRID - 1) / 2) * profiles.STEP
    for profile, fwhm in zip(rows, (1.0, 1.5, 2.0), strict=True):
        peak = np.interp(0, axis, profile)
        right = axis > 0
        half = np.interp(-0.5 * peak, -profile[right], axis[right])
        assert 2 * half == pytest.approx(fwhm, rel=0.05)  # the grid cell widens it a little


def test_arms_move_light_but_add_none():
    galaxy = SimpleNamespace(axis_ratio=0.9, disc_scale=2.0, arm_strength=1.0, arm_sense=1.0)
    galaxy.arm_pitch, galaxy.arm_number, galaxy.arm_phases = 0.3, 2, np.array([0.1, 1.0, 2.0, 3.0])
    along, across = profiles.ellipse_coordinates(0, 0, 0)
    smooth, arms = profiles.spiral_arms(along, across, galaxy)
    assert arms.sum() == pytest.approx(smooth.sum(), rel=1e-5)
    assert np.abs(arms - smooth).max() > 0.1 * smooth.max()


@pytest.mark.parametrize("axis_ratio", [0.3, 0.9])
def test_bar_has_unit_flux_and_a_dust_lane_needs_an_edge_on_disc(axis_ratio):
    galaxy = SimpleNamespace(axis_ratio=axis_ratio, disc_scale=2.0, dust=1.0)
    galaxy.bar_length, galaxy.bar_angle = 2.0, 0.5
    axes = profiles.ellipse_coordinates(0, 0, 0.4)
    assert profiles.bar(*axes, galaxy).sum() == pytest.approx(1, abs=1e-4)
    assert (profiles.dust_lane(*axes, galaxy).max() > 0.5) == (axis_ratio < 0.5)
