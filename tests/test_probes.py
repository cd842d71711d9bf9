"""Probes learn what can be learned, and repeat themselves."""

import numpy as np
import pytest

from galclr_utils import metrics, probes


def two_clouds(n, distance=1.5, n_dimensions=16, seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    shift = np.zeros(n_dimensions)
    shift[0] = distance
    return random.normal(size=(n, n_dimensions)) + np.outer(2 * y - 1, shift), y


@pytest.mark.parametrize("kind", probes.KINDS)
@pytest.mark.parametrize("n", [8, 40, 400])
def test_probes_learn_what_can_be_learned(kind, n):
    """The best possible accuracy is 0.93; more labels bring a probe nearer to it."""
    x, y = two_clouds(n + 2000)
    p_late = probes.fit_probe(kind, x[:n], y[:n], x[n:], seed=1)
    floor = {8: 0.55, 40: 0.70, 400: 0.86}[n]
    assert metrics.scores(y[n:], p_late)["accuracy"] > floor
    assert p_late.shape == (2000,) and p_late.dtype == np.float32


@pytest.mark.parametrize("kind", ["fully connected", "logistic", "svm"])
def test_probabilities_are_honest(kind):
    x, y = two_clouds(4000, distance=0.5)
    p_late = probes.fit_probe(kind, x[:1000], y[:1000], x[1000:])
    assert metrics.scores(y[1000:], p_late)["ece"] < 0.06


def test_only_the_network_bends_its_boundary():
    """Late inside a ring of early: no straight cut finds it."""
    x = np.random.default_rng(0).normal(size=(3000, 2))
    y = (np.linalg.norm(x, axis=1) < 1.18).astype(int)
    accuracy = {
        kind: metrics.scores(y[1000:], probes.fit_probe(kind, x[:1000], y[:1000], x[1000:]))
        for kind in ("fully connected", "logistic")
    }
    assert accuracy["fully connected"]["accuracy"] > 0.9 > 0.6 > accuracy["logistic"]["accuracy"]


def test_a_support_vector_machine_bends_its_boundary_too():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    y = (np.linalg.norm(x, axis=1) < 1.18).astype(int)
    p_late = probes.fit_probe("svm", x[:500], y[:500], x[500:])
    assert metrics.scores(y[500:], p_late)["accuracy"] > 0.9
    assert 0 <= p_late.min() < 0.1 and 0.9 < p_late.max() <= 1


def test_a_support_vector_machine_says_one_half_where_nothing_is_to_be_known():
    x, y = two_clouds(1000, distance=0)
    p_late = probes.fit_probe("svm", x[:400], y[:400], x[400:])
    assert abs(p_late - 0.5).mean() < 0.1


@pytest.mark.parametrize("scale", [0.1, 1, 10])
def test_a_support_vector_machine_decides_with_ten_labels_in_any_unit(scale):
    """In a space that is narrow against the kernel it would call all galaxies the commoner type."""
    x, y = two_clouds(3000, distance=2, n_dimensions=64)
    rows = np.concatenate([np.flatnonzero(y == 0)[:4], np.flatnonzero(y == 1)[:6]])
    p_late = probes.fit_probe("svm", scale * x[rows], y[rows], scale * x[1000:])
    assert metrics.scores(y[1000:], p_late)["balanced_accuracy"] > 0.7
    assert 0.2 < np.mean(p_late > 0.5) < 0.8


def test_a_support_vector_machine_is_tuned_on_few_of_many_labels(monkeypatch):
    """Its probabilities hold for the rest: the order of the labels plays no part."""
    monkeypatch.setattr(probes, "SVM_TUNING", 300)
    x, y = two_clouds(3000, distance=0.5)
    order = np.argsort(y[:2000], kind="stable")  # all early types first
    p_late = probes.fit_probe("svm", x[order], y[order], x[2000:])
    found = metrics.scores(y[2000:], p_late)
    assert found["ece"] < 0.08 and found["balanced_accuracy"] > 0.64


def test_standardised_features_have_no_units():
    x = np.random.default_rng(0).normal(size=(600, 16))
    scaled = x * np.logspace(-4, 4, 16) - np.logspace(-4, 4, 16)
    scaled[:, 3] = x[:, 3] = 7.0  # a feature that says nothing is no trouble either
    rows = np.arange(400)
    a, b = probes.standardise(x, rows), probes.standardise(scaled, rows)
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert not a[:, 3].any()


def test_decorrelated_features_are_uncorrelated_and_ordered_in_scale():
    random = np.random.default_rng(0)
    x = random.normal(size=(2000, 6)) @ random.normal(size=(6, 6)) * [1, 1, 1, 1, 10, 0.01]
    covariance = np.cov(probes.decorrelate(x, np.arange(2000)).T)
    assert abs(covariance - np.diag(np.diag(covariance))).max() < 1e-3
    assert np.diag(covariance).max() < 1, "no axis is blown up"


def test_preparing_features_looks_at_training_galaxies_only():
    x = np.random.default_rng(0).normal(size=(300, 4)) * [1, 2, 3, 4]
    other = x.copy()
    other[200:] += 100
    rows = np.arange(200)
    for prepare in (probes.standardise, probes.decorrelate):
        np.testing.assert_array_equal(prepare(x, rows)[:200], prepare(other, rows)[:200])


@pytest.mark.parametrize("kind", probes.KINDS)
def test_the_same_seed_gives_the_same_probabilities(kind):
    x, y = two_clouds(300)
    a, b = (probes.fit_probe(kind, x[:100], y[:100], x[100:], seed=5) for _ in range(2))
    assert np.array_equal(a, b)
    if kind == "fully connected":
        other = probes.fit_probe(kind, x[:100], y[:100], x[100:], seed=6)
        assert not np.array_equal(a, other)


def test_a_probe_leaves_the_global_random_numbers_alone():
    import torch

    x, y = two_clouds(60)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    probes.fit_probe("fully connected", x[:40], y[:40], x[40:])
    assert torch.rand(1) == expected


def test_probes_refuse_one_class_and_unknown_kinds():
    with pytest.raises(ValueError, match=r"got only \[1\], expected both 0 and 1"):
        probes.fit_probe("logistic", np.ones((4, 2)), [1, 1, 1, 1], np.ones((2, 2)))
    with pytest.raises(ValueError, match="did you mean 'logistic'"):
        probes.fit_probe("logistc", np.ones((4, 2)), [0, 1, 1, 1], np.ones((2, 2)))
    with pytest.raises(ValueError, match="kind: got 'forest'"):
        probes.probe(np.ones((4, 2)), "forest")


def test_features_of_each_pretraining_seed_are_used_for_its_runs():
    x, y = two_clouds(400, distance=3)
    noise = np.random.default_rng(0).normal(size=x.shape)
    fit = probes.probe({7: x, 8: noise}, "knn")
    train, test = np.arange(200), np.arange(200, 400)
    good, bad = (fit(train, y[train], test, seed, 0) for seed in (7, 8))
    assert metrics.scores(y[test], good)["accuracy"] > 0.95
    assert metrics.scores(y[test], bad)["accuracy"] < 0.65
