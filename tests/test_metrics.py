"""The scores agree with scikit-learn, and the intervals cover what they claim to cover."""

import time

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from sklearn.neighbors import KNeighborsClassifier

from galclr_utils import metrics


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


def test_scores_agree_with_scikit_learn(random):
    labels = random.random(997) < 0.7
    p_late = np.round(np.clip(0.3 * labels + random.random(997) * 0.8, 0, 1), 2)  # with ties
    found, called = metrics.scores(labels.astype(int), p_late), p_late > 0.5
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(labels, called))
    assert found["precision"] == pytest.approx(reference.precision_score(labels, called))
    assert found["recall"] == pytest.approx(reference.recall_score(labels, called))
    assert found["roc_auc"] == pytest.approx(reference.roc_auc_score(labels, p_late))
    balanced = reference.balanced_accuracy_score(labels, called)
    assert found["balanced_accuracy"] == pytest.approx(balanced)


def test_calibration_error_of_honest_and_of_overconfident_probabilities(random):
    p_late = random.random(40_000)
    labels = (random.random(40_000) < p_late).astype(int)
    assert metrics.scores(labels, p_late)["ece"] < 0.02
    assert metrics.scores(labels, (p_late > 0.5).astype(float))["ece"] == pytest.approx(0.25, 0.05)


def test_what_is_undefined_is_nan_and_the_rest_is_given():
    found = metrics.scores([0, 0, 1], [0.1, 0.2, 0.3])
    assert np.isnan(found["precision"]) and found["accuracy"] == pytest.approx(2 / 3)
    assert np.isnan(metrics.scores([1, 1], [0.9, 0.4])["roc_auc"])


@pytest.mark.parametrize(
    "labels, p_late, message",
    [
        ([0, 1], [0.2], "got shape .*one probability for each"),
        ([], [], "at least one labelled galaxy"),
        ([0, 1, -1], [0.1, 0.2, 0.3], r"got \[-1\], expected 0 \(early\) or 1 \(late\)"),
        ([0, 1], [0.2, 1.2], "outside"),
        ([0, 1], [0.2, np.nan], "not finite"),
    ],
)
def test_scores_refuse_what_cannot_be_scored(labels, p_late, message):
    with pytest.raises(ValueError, match=message):
        metrics.scores(labels, p_late)


def test_the_value_is_the_mean_over_seeds_of_the_mean_over_draws():
    labels = np.array([0, 1, 1, 1])
    p_late = np.array([[0, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], float)  # accuracy 1, .5, .25
    found = metrics.interval(labels, p_late, seeds=[0, 0, 1], draws=[0, 1, 0], score="accuracy")
    assert found["mean"] == pytest.approx((0.75 + 0.25) / 2)
    assert (found["n_seeds"], found["n_runs"], found["n_galaxies"]) == (2, 3, 4)


def test_one_run_has_the_binomial_interval_of_its_galaxies(random):
    labels, p_late, seeds, draws = simulated_runs(random, 1, 1, 2000)
    found = metrics.interval(labels, p_late, seeds, draws, "accuracy", n_resamples=4000)
    width = 2 * 1.96 * np.sqrt(found["mean"] * (1 - found["mean"]) / 2000)
    assert found["high"] - found["low"] == pytest.approx(width, rel=0.08)


def test_few_runs_give_the_unbiased_variance_of_their_mean():
    """Two draws 0.2 apart: the error of their mean is 0.1, not the 0.07 of the plain bootstrap."""
    labels = np.tile([0, 1], 5000)
    p_late = np.tile(labels.astype(float), (2, 1))
    p_late[1, :2000] = 1 - p_late[1, :2000]
    curve = metrics.bootstrap(labels, p_late, [0, 0], [0, 1], 4000)["accuracy"]
    assert curve[1:].std() == pytest.approx(0.1, rel=0.05)


def test_more_draws_cannot_shrink_the_interval_to_nothing(random):
    labels, p_late, _, _ = simulated_runs(random, 1, 1, 500)
    one = metrics.interval(labels, p_late, [0], [0])
    many = metrics.interval(labels, np.repeat(p_late, 200, axis=0), [0] * 200, range(200))
    assert many["high"] - many["low"] == pytest.approx(one["high"] - one["low"], rel=0.15)


def test_scatter_between_seeds_and_draws_widens_the_interval(random):
    def width(**scatter):
        runs = simulated_runs(random, 4, 5, 4000, **scatter)
        found = metrics.interval(*runs, "accuracy")
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
        found = metrics.interval(*runs, "accuracy", n_resamples=300)
        covered += found["low"] <= 0.8 <= found["high"]
    assert covered / 150 > 0.9


def test_a_paired_difference_sees_what_two_intervals_hide(random):
    labels, p_late, seeds, draws = simulated_runs(random, 2, 3, 600)
    p_late[1:] = p_late[0]  # galaxies that are hard for one run are hard for all
    worse = p_late.copy()
    right = np.flatnonzero((p_late[0] > 0.5) == labels)[:18]
    worse[:, right] = 1 - worse[:, right]
    a, b = (metrics.interval(labels, p, seeds, draws, "accuracy") for p in (p_late, worse))
    found = metrics.paired_difference(labels, p_late, worse, seeds, draws, "accuracy")
    assert a["low"] < b["high"]
    assert found["mean"] == pytest.approx(0.03) and found["beats"] is True
    back = metrics.paired_difference(labels, worse, p_late, seeds, draws, "accuracy")
    assert back["beats"] is False and back["high"] == pytest.approx(-found["low"])


def test_no_difference_is_not_a_victory(random):
    labels, p_late, seeds, draws = simulated_runs(random, 1, 5, 600)
    found = metrics.paired_difference(labels, p_late, p_late, seeds, draws)
    assert found["low"] == found["mean"] == found["high"] == 0 and found["beats"] is False


def test_a_false_victory_is_rare():
    """Two methods of the same quality: one in forty may win by chance, hardly more."""
    wins = 0
    for k in range(200):
        random = np.random.default_rng(1000 + k)
        labels, a, seeds, draws = simulated_runs(random, 1, 5, 300, between=0.02)
        rate = 0.8 + random.normal(0, 0.02, (5, 1))
        b = np.where(random.random((5, 300)) < rate, labels, 1 - labels)
        wins += metrics.paired_difference(labels, a, b, seeds, draws, n_resamples=300)["beats"]
    assert wins / 200 < 0.06


def test_the_order_of_rows_does_not_matter(random):
    labels, p_late, seeds, draws = simulated_runs(random, 2, 3, 100)
    shuffled = random.permutation(6)
    rows = (labels, p_late[shuffled], seeds[shuffled], draws[shuffled])
    assert metrics.interval(*rows) == metrics.interval(labels, p_late, seeds, draws)


def test_one_undefined_run_does_not_spoil_resamples_without_it():
    p_late = np.array([[0.1, 0.9, 0.8, 0.3], [0.1, 0.2, 0.3, 0.4]])  # nothing late in run 2
    curve = metrics.bootstrap([0, 1, 1, 0], p_late, [0, 0], [0, 1])["precision"]
    assert np.isnan(curve[0]) and 0.3 < np.isnan(curve[1:]).mean() < 0.7


def test_wrong_layouts_are_refused():
    with pytest.raises(ValueError, match="one row for each run"):
        metrics.bootstrap([0, 1], [[0.1, 0.9]], seeds=[0, 1], draws=[0, 0])
    with pytest.raises(ValueError, match="score: got 'f1', expected one of accuracy"):
        metrics.interval([0, 1], [[0.1, 0.9]], [0], [0], score="f1")


def test_a_thousand_resamples_of_fifty_runs_take_seconds_at_most(random):
    runs = simulated_runs(random, 10, 5, 2000)
    start = time.process_time()
    metrics.bootstrap(*runs, n_resamples=1000)
    assert time.process_time() - start < 5  # measured: well under 1; room for slow machines


def test_neighbours_agree_with_scikit_learn(random):
    train, h, y = random.normal(size=(300, 8)), random.normal(size=(2100, 8)), None
    y = (train[:, 0] > 0).astype(int)
    other = KNeighborsClassifier(15, metric="cosine").fit(train, y)
    found = metrics.knn_p_late(train, y, h)
    assert np.allclose(found, other.predict_proba(h)[:, 1])
    truth = (h[:, 0] > 0).astype(int)
    assert metrics.knn_accuracy(train, y, h, truth) == pytest.approx(other.score(h, truth))


def test_neighbours_ignore_length_and_clamp_k(random):
    train, h = random.normal(size=(5, 3)), random.normal(size=(4, 3))
    y = np.array([1, 1, 1, 0, 0])
    assert np.allclose(metrics.knn_p_late(train, y, h, k=15), 0.6)
    scaled = metrics.knn_p_late(train * [[1], [9], [0.1], [3], [1]], y, h * 7, k=1)
    assert np.array_equal(scaled, metrics.knn_p_late(train, y, h, k=1))


def test_tensors_of_any_precision_are_taken(random):
    z = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    same = metrics.uniformity(z.detach().numpy())
    assert metrics.uniformity(z) == same
    assert metrics.uniformity(z.to(torch.bfloat16)) == pytest.approx(same, abs=0.05)


def test_alignment_runs_from_same_to_unrelated_to_opposite(random):
    z = random.normal(size=(2000, 64))
    assert metrics.alignment(z, 3 * z) == pytest.approx(0, abs=1e-6)
    assert metrics.alignment(z, random.normal(size=z.shape)) == pytest.approx(2, abs=0.02)
    assert metrics.alignment(z, -z) == pytest.approx(4)


def test_uniformity_matches_the_sum_over_pairs_in_blocks(random):
    z = random.normal(size=(1100, 5))  # more than one block
    u = torch.nn.functional.normalize(torch.tensor(z), dim=1)
    pairs = torch.pdist(u).pow(2).mul(-2).exp().mean().log().item()
    assert metrics.uniformity(z) == pytest.approx(pairs, abs=1e-4)
    assert metrics.uniformity(np.ones((10, 4))) == pytest.approx(0, abs=1e-5)


def test_feature_spread_tells_a_collapse(random):
    healthy = random.normal(size=(2000, 32))
    assert metrics.feature_spread(healthy) == pytest.approx(1, abs=0.02)
    point = 1 + 1e-3 * random.normal(size=(2000, 32))
    assert metrics.feature_spread(point) < 0.01
    line = random.normal(size=(2000, 1)) * random.normal(size=(1, 32))
    assert metrics.feature_spread(line) > 0.7  # a line is not a point: this check does not see it


def test_shapes_that_do_not_fit_are_refused(random):
    with pytest.raises(ValueError, match="two views of the same galaxies"):
        metrics.alignment(np.ones((3, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match="at least 2"):
        metrics.uniformity(np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"expected \(N, D\)"):
        metrics.feature_spread(np.ones(3))
    with pytest.raises(ValueError, match=r"expected \(N, D\), \(N,\) and \(T, D\)"):
        metrics.knn_p_late(np.ones((3, 2)), [0, 1], np.ones((4, 2)))
