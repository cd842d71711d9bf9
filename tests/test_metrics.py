"""The scores agree with scikit-learn, and the space is measured as it is defined."""

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from sklearn.neighbors import KNeighborsClassifier

from galclr_utils import metrics


@pytest.fixture
def random():
    return np.random.default_rng(7)


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
