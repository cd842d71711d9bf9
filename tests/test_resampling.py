"""The spline keeps flux and noise, and what has no datum stays without one."""

import numpy as np
import pytest
from synthetic_frames import CENTRE, SCALE, tan_wcs

from galclr_utils.resampling import galaxy_grid, resample

SHAPE = (200, 200)
WCS = tan_wcs("g", shape=SHAPE)  # turned, and its middle between pixels


def blob(x, y, sigma=1.4):
    """A star with the seeing of a good night, off the middle."""
    return np.exp(-0.5 * ((x - 111.3) ** 2 + (y - 88.6) ** 2) / sigma**2)


@pytest.mark.parametrize("frame", [None, WCS])
@pytest.mark.parametrize("size, scale", [(64, 0.396), (33, 1.2)])
def test_the_grid_is_centred_and_of_the_scale_asked_for(size, scale, frame):
    grid = galaxy_grid(*CENTRE, size, scale, frame)
    assert np.allclose(grid.all_world2pix(*CENTRE, 0), (size - 1) / 2)
    steps = np.hypot(*grid.wcs.cd) * 3600  # along x, along y
    assert np.allclose(steps, scale) and np.linalg.det(grid.wcs.cd) < 0
    if frame is None:
        assert np.allclose(grid.wcs.cd * 3600, [[-scale, 0], [0, scale]])


@pytest.mark.parametrize("frame", [None, WCS])
@pytest.mark.parametrize("scale", [0.396, 0.25])
def test_every_pixel_is_the_image_at_its_place_times_the_ratio_of_areas(scale, frame):
    y, x = np.indices(SHAPE)
    grid = galaxy_grid(*CENTRE, 80, scale, frame)
    flux, blank, _ = resample(blob(x, y), WCS, grid, 80)
    y, x = np.indices(flux.shape)
    truth = blob(*WCS.all_world2pix(*grid.all_pix2world(x, y, 0), 0)) * (scale / SCALE) ** 2
    assert not blank.any() and flux.dtype == np.float32
    assert truth.max() > 0.3 and np.abs(flux - truth).max() < 0.004 * truth.max()


def test_a_coarser_grid_sums_a_finer_one():
    y, x = np.indices(SHAPE)
    coarse, _, _ = resample(blob(x, y), WCS, galaxy_grid(*CENTRE, 20, 1.188), 20)
    fine, _, _ = resample(blob(x, y), WCS, galaxy_grid(*CENTRE, 60, 0.396), 60)
    assert np.allclose(coarse, fine.reshape(20, 3, 20, 3).sum(axis=(1, 3)), atol=1e-6)
    assert coarse.sum() == pytest.approx(2 * np.pi * 1.4**2, rel=1e-3)


def test_pixels_without_a_number_are_blank_and_do_not_spread():
    y, x = np.indices(SHAPE)
    whole, grid = blob(x, y), galaxy_grid(*CENTRE, 64, 0.396)
    holed = np.where((y > 105) & (y < 110), np.nan, whole)
    flux, blank, _ = resample(holed, WCS, grid, 64)
    clean, _, _ = resample(whole, WCS, grid, 64)
    assert blank.mean() == pytest.approx(4 / 64, rel=0.1)  # four rows, however they are turned
    assert (flux[blank] == 0).all() and np.isfinite(flux).all()
    assert np.abs(flux - clean)[~blank].max() < 1e-3


def test_a_mask_comes_out_where_it_went_in():
    mask = np.zeros((2, *SHAPE), bool)
    mask[1, 80:90, 100:120] = True
    grid = galaxy_grid(*CENTRE, 64, 0.396)
    _, blank, marked = resample(np.zeros(SHAPE), WCS, grid, 64, mask)
    assert not blank.any() and not marked[0].any()
    assert marked[1].sum() == pytest.approx(200 * (SCALE / 0.396) ** 2, rel=0.1)
    y, x = np.argwhere(marked[1]).mean(axis=0)
    at = WCS.all_world2pix(*grid.all_pix2world(x, y, 0), 0)
    assert np.allclose(at, (109.5, 84.5), atol=0.3)


def test_noise_is_nearly_kept_and_nearly_white():
    image = np.random.default_rng(0).normal(size=SHAPE)
    flux, _, _ = resample(image, WCS, galaxy_grid(*CENTRE, 96, 0.396), 96)
    assert 0.88 < flux.std() < 0.96
    assert abs(np.corrcoef(flux[:, 1:].ravel(), flux[:, :-1].ravel())[0, 1]) < 0.2
