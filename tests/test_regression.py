"""Numbers that can be predicted are, errors are what they are called, intervals hold the truth."""

import numpy as np
import pytest

from galclr_utils import regression
from galclr_utils import regression_comparison as comparison
from galclr_utils.regression import Predictions, errors


@pytest.fixture
def linear():
    random = np.random.default_rng(0)
    x = random.normal(size=(1200, 8))
    return x, 3 * x[:, 0] - 2 * x[:, 1] + 4 + random.normal(0, 0.5, 1200)


@pytest.mark.parametrize("kind", regression.KINDS)
def test_a_linear_target_is_recovered(linear, kind):
    x, t = linear
    found = errors(t[600:], regression.fit_regression(kind, x[:600], t[:600], x[600:]))
    assert found["rmse"] < 0.75 and abs(found["bias"]) < 0.15 and found["r2"] > 0.95


def test_only_the_network_bends():
    x = np.random.default_rng(0).normal(size=(3000, 2)).astype("f4")
    t = x[:, 0] ** 2
    straight, bent = (
        errors(t[1000:], regression.fit_regression(kind, x[:1000], t[:1000], x[1000:]))["r2"]
        for kind in regression.KINDS
    )
    assert straight < 0.05 and bent > 0.8


@pytest.mark.parametrize("kind", regression.KINDS)
def test_the_unit_of_the_target_does_not_matter(linear, kind):
    x, t = linear
    a, b = (
        regression.fit_regression(kind, x[:200], u, x[200:300])
        for u in (t[:200], 100 * t[:200] + 7)
    )
    np.testing.assert_allclose(100 * a + 7, b, rtol=1e-3, atol=0.5)


def test_errors_of_known_answers():
    t = np.random.default_rng(0).normal(3, 2, 5001)
    assert errors(t, np.full(5001, t.mean()))["r2"] == pytest.approx(0, abs=1e-9)
    off = t + np.random.default_rng(1).normal(0.5, 1, 5001)
    off[:20] += 1000  # gross errors
    found = errors(t, off)
    assert found["scatter"] == pytest.approx(1, abs=0.05) and found["rmse"] > 10


def test_what_cannot_be_learned_is_refused():
    x = np.ones((4, 2))
    with pytest.raises(ValueError, match="did you mean 'ridge'"):
        regression.fit_regression("rigde", x, [1, 2, 3, 4], x)
    with pytest.raises(ValueError, match="not finite"):
        regression.fit_regression("ridge", x, [1, 2, np.nan, 4], x)
    with pytest.raises(ValueError, match="expected one number"):
        regression.fit_regression("ridge", x, [1, 2], x)


def test_the_resampled_value_is_the_value(linear):
    _, t = linear
    t = t + 1e4  # digits that the zero point takes must not be missing from the variance
    predicted = t + np.random.default_rng(1).normal(0, 1, (2, 1200))
    curves = comparison.bootstrap_errors(t, predicted, [0, 0], [0, 1], n_resamples=50)
    for name in regression.ERRORS:
        value = np.mean([errors(t, p)[name] for p in predicted])
        assert curves[name].shape == (51,)
        assert curves[name][0] == pytest.approx(value, abs=0.01), name


def test_the_interval_is_as_wide_as_the_luck_of_the_test_galaxies():
    """The RMSE of n Gaussian errors scatters by sigma over the root of 2 n."""
    t = np.zeros(2000)
    predicted = np.random.default_rng(2).normal(size=(1, 2000))
    curve = comparison.bootstrap_errors(t, predicted, [0], [0])["rmse"]
    assert curve[1:].std() == pytest.approx(1 / np.sqrt(4000), rel=0.15)


@pytest.fixture
def predictions(galaxies):
    """Three methods on the T-types: one that knows, one that knows less, one that knows nothing."""
    t = np.asarray(galaxies.catalog["ttype"], float)

    def knows(noise):
        def method(train, t_train, test, seed, draw):
            assert np.array_equal(t_train, t[train].astype("f4"))
            return t[test] + np.random.default_rng([seed, draw]).normal(0, noise, len(test))

        return method

    methods = {"good": knows(0.5), "poor": knows(2.0)}
    methods["mean"] = lambda train, t_train, test, seed, draw: np.full(len(test), t_train.mean())
    return regression.score_regressions(methods, galaxies, [40, 0], n_draws=2)


def test_methods_are_told_apart(predictions):
    assert len(predictions.table) == 12 and predictions.predicted.shape == (12, 64)
    table = comparison.summary(predictions)
    r2 = dict(zip(table["method"], table["r2"], strict=True))
    assert r2["good"] > 0.9 > r2["poor"] > r2["mean"] and r2["mean"] < 0.05
    better = comparison.compare(predictions, "good", "poor", 40)
    assert better["beats"] and better["mean"] == pytest.approx(1.5, abs=0.4)
    assert comparison.compare(predictions, "poor", "good", 40, "r2")["high"] < 0
    same = comparison.compare(predictions, "good", "good", 0)
    assert (same["mean"], same["low"], same["high"]) == (0, 0, 0)
    with pytest.raises(ValueError, match="did you mean 'good'"):
        comparison.compare(predictions, "god", "poor", 40)


def test_a_single_run_has_a_star(predictions):
    first = predictions.runs("good", 40)[:1]
    one = Predictions(predictions.table[first], predictions.predicted[first], predictions.t)
    assert comparison.grid(comparison.summary(one))["RMSE"][0].endswith("*")
    assert not comparison.grid(comparison.summary(predictions))["RMSE"][0].endswith("*")


def test_a_set_without_t_types_has_none(galaxies):
    assert len(regression.known(galaxies, "train")) == 256
    assert len(regression.known(galaxies, "train", "no such column")) == 0
    with pytest.raises(ValueError, match="no such column: got 0 numbers in train and 0 in test"):
        regression.score_regressions({}, galaxies, [10], column="no such column")


def test_features_of_each_pretraining_seed_are_used_for_its_runs(linear):
    x, t = linear
    noise = np.random.default_rng(1).normal(size=x.shape)
    fit = regression.regressor({7: x, 8: noise}, "ridge")
    train, test = np.arange(600), np.arange(600, 1200)
    good, bad = (errors(t[test], fit(train, t[train], test, seed, 0))["r2"] for seed in (7, 8))
    assert good > 0.95 and bad < 0.1


def test_the_network_of_pixels_predicts_numbers(galaxies):
    """The CNN of the other chapters, for a number that its pixels plainly show."""
    from galclr_utils.galaxy_views import GalaxyViews
    from galclr_utils.normalize import Normalize
    from galclr_utils.supervised import SupervisedCNN

    flux = galaxies.images.mean(axis=(1, 2, 3), dtype=np.float32)
    catalog = galaxies.catalog.copy()
    catalog["brightness"] = np.log10(flux.clip(1e-3))
    mine = type(galaxies)(galaxies.images, catalog, galaxies.card)
    normalize = Normalize.fit(mine.images[:256], "asinh", mine.card["sky_rms"])
    views = GalaxyViews(normalize, sky_rms=mine.card["sky_rms"])
    recipe = {"min_steps": 60, "epochs": 1, "batch_size": 32, "precision": "32-true"}
    cnn = SupervisedCNN(mine, views, representation_dim=8, task="regression", **recipe)
    found = regression.score_regressions({"CNN": cnn}, mine, [0], 1, column="brightness")
    assert found.table["r2"][0] > 0.5
