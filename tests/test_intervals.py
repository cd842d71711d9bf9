"""Intervals hold the truth as often as they say, and a false victory is rare."""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from galclr_utils import intervals, metrics


@pytest.fixture
def random():
    return np.random.default_rng(7)


def simulated_runs(random, n_seeds, n_draws, n_galaxies, recall=0.8, between=0.0, seed_scatter=0.0):
    """Runs whose recall varies between draws and seeds, on galaxies half of them late."""
    labels = random.integers(2, size=n_galaxies)
    seeds = np.repeat(np.arange(n_seeds), n_draws)
    draws = np.tile(np.arange(n_draws), n_seeds)
    rate = recall + random.normal(0, seed_scatter, n_seeds)[seeds]
    rate = rate + random.normal(0, between, len(seeds))
    correct = random.random((len(seeds), n_galaxies)) < rate[:, None]
    return labels, np.where(correct, labels, 1 - labels).astype(float), seeds, draws


def test_the_value_is_the_mean_over_seeds_of_the_mean_over_draws():
    labels = np.array([0, 1, 1, 1])
    p_late = np.array([[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], float)  # accuracy 1, .5, .25
    found = intervals.interval(labels, p_late, seeds=[0, 0, 1], draws=[0, 1, 0], score="accuracy")
    assert found["mean"] == pytest.approx((0.75 + 0.25) / 2)
    assert (found["n_seeds"], found["n_runs"], found["n_galaxies"]) == (2, 3, 4)


def test_one_run_has_the_binomial_interval_of_its_galaxies(random):
    labels, p_late, seeds, draws = simulated_runs(random, 1, 1, 2000)
    found = intervals.interval(labels, p_late, seeds, draws, "accuracy", n_resamples=4000)
    width = 2 * 1.96 * np.sqrt(found["mean"] * (1 - found["mean"]) / 2000)
    assert found["high"] - found["low"] == pytest.approx(width, rel=0.08)


def test_few_runs_give_the_unbiased_variance_of_their_mean():
    """Two draws 0.2 apart: the error of their mean is 0.1, not the 0.07 of the plain bootstrap."""
    labels = np.tile([0, 1], 5000)
    p_late = np.tile(labels.astype(float), (2, 1))
    p_late[1, :2000] = 1 - p_late[1, :2000]
    curve = intervals.bootstrap(labels, p_late, [0, 0], [0, 1], 4000)["accuracy"]
    assert curve[1:].std() == pytest.approx(0.1, rel=0.05)


def test_more_draws_cannot_shrink_the_interval_to_nothing(random):
    labels, p_late, _, _ = simulated_runs(random, 1, 1, 500)
    one = intervals.interval(labels, p_late, [0], [0])
    many = intervals.interval(labels, np.repeat(p_late, 200, axis=0), [0] * 200, range(200))
    assert many["high"] - many["low"] == pytest.approx(one["high"] - one["low"], rel=0.15)


def test_scatter_between_seeds_and_draws_widens_the_interval(random):
    def width(**scatter):
        runs = simulated_runs(random, 4, 5, 4000, **scatter)
        found = intervals.interval(*runs, "accuracy")
        return found["high"] - found["low"]

    galaxies_only = width()
    assert width(between=0.05) > 1.5 * galaxies_only
    assert width(seed_scatter=0.05) > 3 * galaxies_only


def test_intervals_cover_the_truth():
    """Draws, seeds and galaxies all vary; the interval holds the true accuracy as often as said."""
    covered = 0
    for k in range(150):
        random = np.random.default_rng(k)
        runs = simulated_runs(random, 3, 5, 400, between=0.02, seed_scatter=0.01)
        found = intervals.interval(*runs, "accuracy", n_resamples=300)
        covered += found["low"] <= 0.8 <= found["high"]
    assert covered / 150 > 0.9


def test_a_paired_difference_sees_what_two_intervals_hide(random):
    labels, p_late, seeds, draws = simulated_runs(random, 2, 3, 600)
    p_late[1:] = p_late[0]  # galaxies that are hard for one run are hard for all
    worse = p_late.copy()
    right = np.flatnonzero((p_late[0] > 0.5) == labels)[:18]
    worse[:, right] = 1 - worse[:, right]
    a, b = (intervals.interval(labels, p, seeds, draws, "accuracy") for p in (p_late, worse))
    found = intervals.paired_difference(labels, p_late, worse, seeds, draws, "accuracy")
    assert a["low"] < b["high"]
    assert found["mean"] == pytest.approx(0.03) and found["beats"] is True
    back = intervals.paired_difference(labels, worse, p_late, seeds, draws, "accuracy")
    assert back["beats"] is False and back["high"] == pytest.approx(-found["low"])


def test_no_difference_is_not_a_victory(random):
    labels, p_late, seeds, draws = simulated_runs(random, 1, 5, 600)
    found = intervals.paired_difference(labels, p_late, p_late, seeds, draws)
    assert found["low"] == found["mean"] == found["high"] == 0 and found["beats"] is False


def test_a_false_victory_is_rare():
    """Two methods of the same quality: one in forty may win by chance, hardly more."""
    wins = 0
    for k in range(200):
        random = np.random.default_rng(1000 + k)
        labels, a, seeds, draws = simulated_runs(random, 1, 5, 300, between=0.02)
        rate = 0.8 + random.normal(0, 0.02, (5, 1))
        b = np.where(random.random((5, 300)) < rate, labels, 1 - labels)
        wins += intervals.paired_difference(labels, a, b, seeds, draws, n_resamples=300)["beats"]
    assert wins / 200 < 0.06


def test_the_order_of_rows_does_not_matter(random):
    labels, p_late, seeds, draws = simulated_runs(random, 2, 3, 100)
    shuffled = random.permutation(6)
    rows = (labels, p_late[shuffled], seeds[shuffled], draws[shuffled])
    assert intervals.interval(*rows) == intervals.interval(labels, p_late, seeds, draws)


def test_one_undefined_run_does_not_spoil_resamples_without_it():
    p_late = np.array([[0.1, 0.9, 0.8, 0.3], [0.1, 0.2, 0.3, 0.4]])  # nothing late in run 2
    curve = intervals.bootstrap([0, 1, 1, 0], p_late, [0, 0], [0, 1])["precision"]
    assert np.isnan(curve[0]) and 0.3 < np.isnan(curve[1:]).mean() < 0.7


def test_wrong_layouts_are_refused():
    for resampled in (intervals.bootstrap, intervals.areas):
        with pytest.raises(ValueError, match="one row for each run"):
            resampled([0, 1], [[0.1, 0.9]], seeds=[0, 1], draws=[0, 0])
    with pytest.raises(ValueError, match="score: got 'f1', expected one of accuracy"):
        intervals.interval([0, 1], [[0.1, 0.9]], [0], [0], score="f1")


def test_a_thousand_resamples_of_fifty_runs_take_seconds_at_most(random):
    runs = simulated_runs(random, 10, 5, 2000)
    start = time.process_time()
    intervals.bootstrap(*runs, n_resamples=1000)
    assert time.process_time() - start < 5  # measured: well under 1; room for slow machines


def test_weighted_areas_agree_with_scikit_learn(random):
    labels = random.integers(2, size=60)
    p_late = (labels + random.normal(0, 1, (3, 60))).round(1)  # with ties
    p_late = (p_late - p_late.min()) / np.ptp(p_late)
    weights = random.integers(0, 3, (4, 60)).astype(float)
    expected = [[roc_auc_score(labels, p, sample_weight=w) for w in weights] for p in p_late]
    np.testing.assert_allclose(metrics.weighted_auc(labels, p_late, weights), expected, rtol=1e-5)


def test_areas_are_compared_like_the_other_scores(random):
    labels = random.integers(2, size=400)
    noise = random.normal(0, 1, (4, 400))
    good, poor = (1 / (1 + np.exp(-(labels * s + noise))) for s in (2.0, 1.5))
    layout = [0, 0, 1, 1], [0, 1, 0, 1]
    found = intervals.paired_difference(labels, good, poor, *layout, "roc_auc")
    areas = [[metrics.scores(labels, p)["roc_auc"] for p in runs] for runs in (good, poor)]
    assert found["mean"] == pytest.approx(np.mean(areas[0]) - np.mean(areas[1])) and found["beats"]
    one = intervals.interval(labels, good, *layout, "roc_auc")
    assert one["low"] < one["mean"] < one["high"] and found["high"] - found["low"] < 0.1
    with pytest.raises(ValueError, match="score: got 'roc'"):
        intervals.interval(labels, good, *layout, "roc")
