"""The SIMULATED survey: noise, photometry against truth, blocks and processes."""

import itertools

import numpy as np
import pytest
import torch

from galclr_utils import population, profiles, simulate, workers


def sersic_stamp(n, r50=3.0, fwhm=1.0):
    """Render one noiseless, round Sersic profile of unit flux: (64, 64)."""
    shape, _ = profiles.sersic(*profiles.ellipse_coordinates(0, 0, 0), r50, n, 1.0)
    light = np.repeat(shape[None], 3, axis=0)
    return profiles.collect(profiles.blur(light, np.full(3, fwhm)))[1]


def sample(n=64, seed=0, **changed):
    galaxies = population.sample(n, np.random.default_rng(seed))
    return galaxies | {name: np.full_like(galaxies[name], v) for name, v in changed.items()}


@pytest.fixture(scope="module")
def first_block():
    return simulate.block(seed=5, k=0)


# ------------------------------------------------------------------------------------- pixels


def test_dust_lane_leaves_the_total_flux_and_darkens_the_plane():
    alike = dict(axis_ratio=0.2, bulge_to_total=0.2, arm_strength=0, knot_fraction=0, is_bar=False)
    alike |= dict(bar_fraction=0, disc_scale=2.0, position_angle=0.0, offset=0.0, r50=3.0)
    clear, dusty = (sample(1, **alike, dust=dust) for dust in (0.0, 2.0))
    rng = np.random.default_rng
    rows = [simulate.render(rng(3), galaxies, noise=False)[0] for galaxies in (clear, dusty)]
    assert rows[1].sum() == pytest.approx(rows[0].sum(), rel=0.02)
    assert rows[1][0, 32, 32] < 0.95 * rows[0][0, 32, 32]


def test_noise_is_that_of_sky_and_galaxy():
    rng = np.random.default_rng(0)
    empty = np.zeros((200, 3, 64, 64), np.float32)
    sky = simulate.draw_noise(rng, empty, np.zeros((200, 3)))
    expected = np.sqrt(simulate.SKY / simulate.ELECTRONS)
    np.testing.assert_allclose(sky.std((0, 2, 3)), expected, rtol=0.01)
    bright = simulate.draw_noise(rng, empty + 1, np.zeros((200, 3)))
    expected = np.sqrt((simulate.SKY + 1) / simulate.ELECTRONS)
    np.testing.assert_allclose(bright.std((0, 2, 3)), expected, rtol=0.01)


def test_noiseless_stamps_are_the_noisy_ones_without_noise():
    galaxies = sample(8)
    noisy = simulate.render(np.random.default_rng(1), galaxies)
    clean = simulate.render(np.random.default_rng(1), galaxies, noise=False)
    residual = (noisy - clean)[:, 1]
    assert 0.8 < np.median(residual.std((1, 2))) / np.sqrt(simulate.SKY[1] / 950) < 1.5
    assert abs(residual.mean()) < 0.01


def test_stamps_are_float32_finite_and_centred(first_block):
    images, _ = first_block
    assert images.dtype == np.float32
    assert images.shape == (64, 3, 64, 64)
    assert np.isfinite(images).all()
    centre, corner = images[:, 1, 28:36, 28:36].mean(), np.median(images[:, 1, :8, :8])
    assert centre > 20 * abs(corner)


# ---------------------------------------------------------------------------------- catalogue


def test_measured_photometry_is_near_the_truth(first_block):
    _, rows = first_block
    difference = rows["mag_r"] - rows["true_mag_r"]
    assert abs(np.median(difference)) < 0.12  # Petrosian magnitudes miss some light of spheroids
    assert 0 < np.std(difference) < 0.5  # measured, not copied
    assert abs(np.median(rows["g_r"] - rows["true_g_r"])) < 0.1
    assert np.all(np.abs(np.quantile(rows["concentration"], [0.05, 0.95]) - 2.5) < 1)


def test_petrosian_measures_of_a_known_profile():
    """An exponential disc has r90/r50 = 2.32, and nearly all of its light is Petrosian."""
    stamp = 100 * sersic_stamp(1, fwhm=0.5)
    measured = simulate.measure(np.broadcast_to(stamp, (1, 3, 64, 64)), np.zeros(1))
    assert measured["mag_r"][0] == pytest.approx(22.5 - 5, abs=0.02)
    assert measured["r50"][0] == pytest.approx(3.0, rel=0.05)
    assert measured["concentration"][0] == pytest.approx(2.32, rel=0.05)
    assert measured["g_r"][0] == pytest.approx(0, abs=1e-5)


def test_spheroids_are_more_concentrated_than_discs():
    stamps = [sersic_stamp(n) for n in (1, 4)]
    images = 100 * np.repeat(np.array(stamps)[:, None], 3, axis=1)
    disc, spheroid = simulate.measure(images, np.zeros(2))["concentration"]
    assert spheroid > disc + 0.3


def test_extinction_is_corrected_in_the_catalogue():
    images = 100 * np.repeat(sersic_stamp(1)[None, None], 3, axis=1)
    clear, dusty = (simulate.measure(images, np.array([ebv])) for ebv in (0.0, 0.1))
    assert clear["mag_r"][0] - dusty["mag_r"][0] == pytest.approx(0.2285, abs=1e-4)
    assert clear["g_r"][0] - dusty["g_r"][0] == pytest.approx(0.1018, abs=1e-4)


def test_an_empty_stamp_is_measured_without_a_nan():
    measured = simulate.measure(np.zeros((1, 3, 64, 64), np.float32), np.zeros(1))
    assert all(np.isfinite(value).all() for value in measured.values())


def test_catalogue_columns_and_ids(first_block):
    _, rows = first_block
    wanted = "id label ttype z mag_r r50 g_r r_i concentration psf_fwhm ebv axis_ratio true_label"
    assert set(wanted.split()) <= set(rows.colnames)
    assert rows["id"][63] == "sim-5-0000063"
    assert set(np.unique(rows["label"])) <= {0, 1}
    np.testing.assert_array_equal(rows["true_label"], rows["ttype"] > 0)


# ------------------------------------------------------------------------------------- survey


def gather(source):
    images, rows = zip(*source.blocks(), strict=True)
    return np.concatenate(images), [tuple(row) for table in rows for row in table]


def test_any_number_of_processes_makes_the_same_survey():
    n = 3 * 64 + 5  # the last block is cut
    alone, rows_alone = gather(simulate.survey(n, seed=3, workers=1))
    together, rows_together = gather(simulate.survey(n, seed=3, workers=2))
    np.testing.assert_array_equal(alone, together)
    assert rows_alone == rows_together
    assert len(rows_alone) == n


def test_torch_threads_do_not_matter(first_block):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        images, _ = simulate.block(seed=5, k=0)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(images, first_block[0])


def test_a_longer_survey_begins_with_the_shorter_one():
    short, rows_short = gather(simulate.survey(70, seed=2, workers=1))
    long, rows_long = gather(simulate.survey(130, seed=2, workers=1))
    np.testing.assert_array_equal(short, long[:70])
    assert rows_short == rows_long[:70]
    assert not np.array_equal(short[0], gather(simulate.survey(1, seed=4))[0][0])


def test_label_scatter_leaves_the_pixels_alone(first_block):
    images, rows = simulate.block(seed=5, k=0, label_scatter=0.0)
    np.testing.assert_array_equal(images, first_block[0])
    np.testing.assert_array_equal(rows["label"], rows["true_label"])


def test_a_huge_survey_starts_at_once():
    """It is made as it is read: a billion galaxies would not fit anywhere."""
    blocks = simulate.survey(10**9, workers=1).blocks()
    ids = [rows["id"][0] for _, rows in itertools.islice(blocks, 2)]
    assert ids == ["sim-0-0000000", "sim-0-0000064"]


def test_survey_says_that_it_is_simulated():
    source = simulate.survey(10, seed=1, label_scatter=0.8)
    assert source.name == "SIMULATED"
    assert source.units == "nanomaggy"
    assert source.bands == ("g", "r", "i")
    assert source.stamp == (3, 64, 64)
    assert source.facts["simulated"] is True
    assert source.facts["label_scatter"] == 0.8
    assert "SIMULATED" in source.facts["note"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "n: got 0, expected a whole number"),
        ({"n": 10, "seed": -1}, "seed: got -1"),
        ({"n": 10, "label_scatter": "much"}, "label_scatter: got 'much'"),
        ({"n": 10, "workers": 1.5}, "workers: got 1.5"),
    ],
)
def test_wrong_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        simulate.survey(**wrong)


def test_a_survey_takes_the_cores_that_it_was_lent(monkeypatch):
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: {5, 7}, raising=False)
    started = []

    def record(workers, context, initializer):
        started.append(workers)
        raise InterruptedError

    monkeypatch.setattr(workers, "ProcessPoolExecutor", record)
    with pytest.raises(InterruptedError):
        next(simulate.survey(10_000).blocks())
    monkeypatch.delattr(workers.os, "sched_getaffinity")  # as on macOS
    with pytest.raises(InterruptedError):
        next(simulate.survey(10_000).blocks())
    assert started == [2, 64]
