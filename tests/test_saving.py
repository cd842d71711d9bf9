"""Two curves that are known to be a factor apart give that factor, and bounds say so."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import saving
from galclr_utils.score_table import Scores

BUDGETS = (10, 30, 100, 300, 1000, 3000)


def accuracy(n, shift=1.0):
    """Rise from 0.6 to 0.9 with the logarithm of shift * n, then stay."""
    return np.clip(0.6 + 0.1 * np.log10(np.asarray(n) * shift / 10), 0.5, 0.9)


def made(curves, n_draws=1, n_galaxies=1000, seed=None, budgets=BUDGETS):
    """Return runs of methods whose share of right answers is given: exactly, or by chance."""
    truth = np.tile([0, 1], n_galaxies // 2)
    random, rows, p_late = np.random.default_rng(seed), [], []
    for method, curve in curves.items():
        for n, right in zip(budgets, curve, strict=True):
            for draw in range(n_draws):
                wrong = np.arange(n_galaxies) < 2 * round((1 - right) * n_galaxies / 2)
                if seed is not None:
                    wrong = random.random(n_galaxies) > right
                rows.append((method, n, 0, draw))
                p_late.append(np.abs(truth - wrong))
    table = Table(rows=rows, names=("method", "n_labels", "seed", "draw"))
    return Scores(table, np.array(p_late, np.float32), truth, np.arange(n_galaxies))


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_known_shift_is_the_saving(factor):
    scores = made({"quick": accuracy(BUDGETS, factor), "slow": accuracy(BUDGETS)}, n_galaxies=2000)
    found = saving.label_saving(scores, "quick", "slow", share=0.95, n_resamples=100)
    assert found["target"] == pytest.approx(0.95 * accuracy(3000), abs=1e-3)
    assert found["saving"] == pytest.approx(factor, rel=0.03)
    assert found["bound"] == "crossed" and found["low"] <= found["saving"] <= found["high"]
    assert found["n_reference"] / found["n_method"] == pytest.approx(found["saving"])


def test_the_first_crossing_counts_and_lies_between_budgets_in_the_logarithm():
    n, where = saving.crossing([10, 1000, 2000, 4000], [[0.6], [0.8], [0.6], [0.9]], [0.7])
    assert n == pytest.approx(100) and where == 0
    n, where = saving.crossing([10, 1000], [[0.6], [0.8]], [0.8])
    assert n == pytest.approx(1000) and where == 0, "reached at the last budget is reached"
    n, where = saving.crossing([50], [[0.6, 0.9]], [0.7, 0.7])
    assert n.tolist() == pytest.approx([50, 50]) and where.tolist() == [1, -1]


def test_what_is_not_crossed_is_bounded_and_said_to_be():
    flat = {"at once": np.full(6, 0.9), "slow": accuracy(BUDGETS), "never": np.full(6, 0.6)}
    scores = made(flat, n_galaxies=2000)
    found = saving.label_saving(scores, "at once", "slow", 0.97, 100)
    assert found["bound"] == "at least" and found["n_method"] == 10
    assert found["at_least"] == 1 and found["high"] == np.inf and np.isfinite(found["low"])
    found = saving.label_saving(scores, "never", "slow", 0.97, 100)
    assert found["bound"] == "at most" and found["n_method"] == 3000
    assert found["at_most"] == 1 and found["low"] == 0 and found["high"] < 1
    found = saving.label_saving(scores, "slow", "at once", 0.97, 100)  # the reference begins above
    assert found["bound"] == "at most" and found["n_reference"] == 10
    found = saving.label_saving(scores, "at once", "at once", 0.97, 100)
    assert found["bound"] == "unknown" and np.isnan(found["saving"]) and found["unknown"] == 1
    assert saving.told(found) == "unknown"


def test_a_method_saves_nothing_against_itself():
    scores = made({"a": accuracy(BUDGETS)}, n_draws=3, seed=1)
    found = saving.label_saving(scores, "a", "a", 0.95)
    assert found["saving"] == found["low"] == found["high"] == 1, "the resamples are the same"


def test_only_runs_that_both_have_count():
    """A slow method has two draws of three, and one with all labels."""
    scores = made({"a": accuracy(BUDGETS, 3), "b": accuracy(BUDGETS)}, n_draws=3, seed=2)
    method, n, draw = (np.asarray(scores.table[c]) for c in ("method", "n_labels", "draw"))
    kept = (method == "a") | ((draw < 2) & ((n < 3000) | (draw == 0)))
    few = Scores(scores.table[kept], scores.p_late[kept], scores.label, scores.id)
    found = saving.label_saving(few, "a", "b", 0.9)
    assert found["n_runs"] == 2 and found["n_seeds"] == 1
    unpaired = few.p_late.copy()
    unpaired[(method[kept] == "a") & (draw[kept] == 2)] = 0  # a draw that only one of them has
    spoiled = Scores(few.table, unpaired, few.label, few.id)
    assert saving.label_saving(spoiled, "a", "b", 0.9) == found
    few.table["seed"] = np.where(few.table["method"] == "a", 0, 1)
    with pytest.raises(ValueError, match="no seed and draw in common"):
        saving.label_saving(few, "a", "b")


def test_the_order_of_rows_does_not_matter():
    scores = made({"a": accuracy(BUDGETS, 3), "b": accuracy(BUDGETS)}, n_draws=3, seed=3)
    order = np.random.default_rng(0).permutation(len(scores.table))
    mixed = Scores(scores.table[order], scores.p_late[order], scores.label, scores.id)
    assert saving.label_saving(mixed, "a", "b", 0.95) == saving.label_saving(scores, "a", "b", 0.95)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Eighty studies of two curves that are a factor 3 apart."""
    truth, held, wide = 3, 0, []
    for seed in range(80):
        curves = {"a": accuracy(BUDGETS, truth), "b": accuracy(BUDGETS)}
        scores = made(curves, n_draws=2, n_galaxies=600, seed=seed)
        found = saving.label_saving(scores, "a", "b", share=0.92, n_resamples=200)
        held += found["low"] <= truth <= found["high"]
        wide.append(np.log(found["high"] / found["low"]))
    assert held / 80 >= 0.88, held
    assert np.median(wide) < np.log(20), "an interval that says everything says nothing"


def test_the_curve_over_shares_agrees_with_the_single_saving():
    scores = made({"a": accuracy(BUDGETS, 3), "b": accuracy(BUDGETS)}, n_draws=2, seed=4)
    table = saving.saving_curve(scores, "a", "b", shares=[0.9, 0.97])
    one = saving.label_saving(scores, "a", "b", 0.97)
    assert {name: table[name][1] for name in table.colnames} == pytest.approx(one, nan_ok=True)
    assert table["target"][0] < table["target"][1]


def test_shares_and_names_are_checked():
    scores = made({"a": accuracy(BUDGETS)})
    with pytest.raises(ValueError, match=r"share: got 97, expected"):
        saving.label_saving(scores, "a", "a", 97)
    with pytest.raises(ValueError, match="method: got 'b', expected one of a"):
        saving.label_saving(scores, "a", "b")
