"""Temperatures mend what is too sure, inside the budget, and areas reward honest doubts."""

import numpy as np
import pytest

from galclr_utils import calibration, metrics


@pytest.fixture(scope="module")
def honest():
    """Labels drawn from their probabilities: perfectly calibrated by construction."""
    random = np.random.default_rng(0)
    p = random.beta(0.7, 0.7, 4000)
    return np.int8(random.random(4000) < p), p


def test_a_perfect_classifier_needs_no_temperature_and_a_boaster_gets_his(honest):
    labels, p = honest
    assert calibration.fit_temperature(labels, p) == pytest.approx(1, abs=0.06)
    p = p.clip(0.05, 0.95)  # beyond, log-odds times three are cut off
    boast = calibration.cooled(p, 1 / 3)  # three times too sure
    assert calibration.fit_temperature(labels, boast) == pytest.approx(3, rel=0.1)
    mended = calibration.cooled(boast, 3.0)
    assert np.abs(mended - p).max() < 1e-3
    assert ((boast > 0.5) == (p > 0.5)).all(), "no decision changes"


def test_calibration_error_sinks_to_chance_with_the_right_temperature(honest):
    labels, p = honest
    boast = calibration.cooled(p, 1 / 3)
    bad, good = (calibration.calibration(labels, [q], [0], [0], 100) for q in (boast, p))
    assert bad["ece"] > 5 * good["ece"] and good["ece"] < 2 * good["ece_chance"]
    assert bad["brier"] > good["brier_high"] and bad["log_loss"] > good["log_loss"]
    assert good["brier_low"] < good["brier"] < good["brier_high"]


def test_brier_of_runs_is_the_mean_of_their_own(honest):
    labels, p = honest
    runs = np.array([p, 1 - p])
    found = calibration.calibration(labels, runs, [0, 0], [0, 1], 50)["brier"]
    assert found == pytest.approx(np.mean([np.mean((q - labels) ** 2) for q in runs]))


def test_held_out_galaxies_are_judged_by_who_did_not_learn_them_and_none_is_free():
    rows, y, calls = np.arange(100, 140), np.arange(40) % 2, []

    def spy(train, y_train, test, seed, draw):
        assert not set(train) & set(test) and set(train) | set(test) <= set(rows)
        assert (y_train == train % 2).all()
        calls.append(len(test))
        return test / 1000

    p, truth = calibration.held_out(spy, rows, y, seed=3, draw=1)
    assert calls == [8] * 5 and sorted(p) == pytest.approx(sorted(rows / 1000))
    assert (np.round(1000 * p) % 2 == truth).all(), "labels stay with their galaxies"
    p, _ = calibration.held_out(spy, rows, y, used=1)
    assert len(p) == 8 and len(calls) == 6
    with pytest.raises(ValueError, match="2 of each type"):
        calibration.held_out(spy, rows[:3], [0, 0, 1])


def test_reliability_of_honest_probabilities_lies_on_the_diagonal(honest):
    labels, p = honest
    table = calibration.reliability(labels, np.array([p, p]))
    assert len(table) == 10 and table["n"].sum() == 4000
    inside = (table["low"] <= table["p"]) & (table["p"] <= table["high"])
    assert inside.sum() >= 8
    assert (table["low"] <= table["late"]).all() and (table["late"] <= table["high"]).all()


def test_abstention_pays_for_honest_doubts_only(honest):
    labels, p = honest
    coverage, accuracy = calibration.risk_coverage(labels, p)
    plain = np.mean((p > 0.5) == labels)
    assert coverage[-1] == 1 and accuracy[-1] == pytest.approx(plain)
    assert accuracy[len(p) // 2] > plain + 0.05
    area = calibration.area_covered(labels, [p], [0], [0], 50)
    assert area["mean"] == pytest.approx(accuracy.mean(), abs=1e-3)
    blind = np.where(p > 0.5, 0.5, -0.5) * np.random.default_rng(1).random(len(p)) + 0.5
    assert calibration.area_covered(labels, [blind], [0], [0], 50)["mean"] == pytest.approx(
        plain, abs=0.02
    ), "sureness at random is worth nothing"
    assert area["low"] > plain
    cooled = calibration.cooled(p, 2.0)
    assert metrics.scores(labels, cooled)["roc_auc"] == pytest.approx(
        metrics.scores(labels, p)["roc_auc"], abs=1e-3
    )
