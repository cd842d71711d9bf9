"""Neighbours go, the galaxy stays, and what is put in their place looks like sky."""

import numpy as np
import pytest

from galclr_utils.masking import mask_neighbours

RMS = [0.02, 0.03, 0.04]


@pytest.fixture
def stamps():
    """Forty galaxies with a Gaussian profile; the odd ones have a star in a corner."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] - 15.5
    galaxy = np.exp(-0.5 * (x**2 + y**2) / 3**2)
    star = 3 * np.exp(-0.5 * ((x - 12) ** 2 + (y + 12) ** 2))
    images = np.stack([galaxy + (k % 2) * star for k in range(40)])[:, None] * np.ones((1, 3, 1, 1))
    noise = random.normal(size=images.shape) * np.reshape(RMS, (3, 1, 1))
    return (images + noise).astype(np.float32)


IDS = [f"g{k}" for k in range(40)]


def test_the_galaxy_stays_and_the_star_goes(stamps):
    masked = mask_neighbours(stamps, IDS, RMS)
    inner = (..., slice(10, 22), slice(10, 22))
    assert np.mean(masked[inner] != stamps[inner]) < 0.01
    corner = masked[1::2, :, 1:7, 25:31]
    assert stamps[1::2, :, 1:7, 25:31].max() > 2 and corner.max() < 0.3


def test_the_sky_that_is_put_in_has_its_noise_band_by_band(stamps):
    masked = mask_neighbours(stamps, IDS, RMS)
    new = (masked != stamps)[1::2, 0]
    assert new.mean() > 0.02
    for band, rms in enumerate(RMS):
        values = masked[1::2, band][new]
        assert abs(values.mean()) < 0.3 * rms and values.std() == pytest.approx(rms, rel=0.15)


def test_a_stamp_without_neighbours_is_left_alone_but_for_peaks_of_noise(stamps):
    masked = mask_neighbours(stamps, IDS, RMS)
    assert np.mean((masked != stamps)[::2]) < 0.02
    assert np.array_equal(mask_neighbours(stamps, IDS, RMS, threshold=100)[::2], stamps[::2])


def test_a_galaxy_is_masked_alike_in_any_company_and_the_input_is_kept(stamps):
    before = stamps.copy()
    whole, part = mask_neighbours(stamps, IDS, RMS), mask_neighbours(stamps[5:9], IDS[5:9], RMS)
    assert np.array_equal(whole[5:9], part) and np.array_equal(stamps, before)
    assert mask_neighbours(stamps.astype(np.float16), IDS, RMS).dtype == np.float16


def test_a_pedestal_of_the_sky_is_kept(stamps):
    masked = mask_neighbours(stamps + 0.5, IDS, RMS)
    new = masked != stamps + np.float32(0.5)
    assert masked[new].mean() == pytest.approx(0.5, abs=0.02)


def test_wrong_input_is_named(stamps):
    with pytest.raises(ValueError, match="ids: got 39 for 40 images"):
        mask_neighbours(stamps, IDS[1:], RMS)
    with pytest.raises(ValueError, match="threshold"):
        mask_neighbours(stamps, IDS, RMS, threshold=0)
