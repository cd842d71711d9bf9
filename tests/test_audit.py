"""Groups, pairs and bins find what was put there, and nothing else."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import audit
from galclr_utils.score_table import Scores


def scores_of(labels, p_late):
    """One method, "m", with a row of probabilities for each draw."""
    p_late = np.atleast_2d(np.asarray(p_late, np.float32))
    table = Table({"method": ["m"] * len(p_late), "n_labels": [10] * len(p_late)})
    table["seed"], table["draw"] = 0, np.arange(len(p_late))
    return Scores(table, p_late, np.asarray(labels), np.arange(len(labels)).astype(str))


@pytest.fixture(scope="module")
def population():
    """Colours and types that go together, with exceptions."""
    random = np.random.default_rng(0)
    labels = random.integers(2, size=2000)
    return random.normal(0.8 - 0.3 * labels, 0.12), labels


def test_the_border_is_the_one_of_highest_balanced_accuracy(population):
    values, labels = population

    def score(border):
        return np.mean(values[labels == 1] <= border) + np.mean(values[labels == 0] > border)

    border = audit.colour_border(values, labels)
    assert score(border) >= max(map(score, np.linspace(0.3, 1, 300))) - 1e-9
    assert border == pytest.approx(0.65, abs=0.05)
    with pytest.raises(ValueError, match="one class only"):
        audit.colour_border(values, np.ones(len(values)))


def test_who_knows_the_colour_only_is_right_with_the_rule_and_wrong_against_it(population):
    values, labels = population
    border = audit.colour_border(values, labels)
    scores = scores_of(labels, values <= border)
    groups = audit.colour_groups(values, labels, border)
    assert sum(mask.sum() for mask in groups.values()) == len(labels)
    table = audit.score_groups(scores, ["m"], groups)
    found = dict(zip(table["group"], table["mean"], strict=True))
    assert found == {"red early": 1, "blue late": 1, "blue early": 0, "red late": 0}


def test_pairs_of_equal_colour_make_colour_a_coin_and_shape_stays_right(population):
    values, labels = population
    pairs = audit.matched_pairs(values, labels, 0.01)
    assert len(pairs) > 100 and len(np.unique(pairs)) == pairs.size
    assert (labels[pairs] == [0, 1]).all()
    assert np.abs(np.diff(values[pairs])).max() <= 0.01
    by_colour = audit.score_of(scores_of(labels, values <= 0.65), "m", pairs.ravel())
    assert by_colour["low"] <= 0.5 <= by_colour["high"]
    by_shape = audit.score_of(scores_of(labels, labels), "m", pairs.ravel())
    assert by_shape["mean"] == 1


def test_no_pairing_has_more_pairs():
    """Early at 1, 2, 3 and late at 2, 3, 4: matched within 1, all three find a partner."""
    assert len(audit.matched_pairs([1, 2, 3, 2, 3, 4], [0, 0, 0, 1, 1, 1], 1)) == 3
    assert audit.matched_pairs([1.0, 2.0], [0, 1]).shape == (0, 2)


def test_bins_hold_the_same_number_of_galaxies_and_find_where_a_method_fails():
    random = np.random.default_rng(1)
    labels, values = random.integers(2, size=1200), random.random(1200)
    wrong_when_faint = np.where(values > 0.75, 1 - labels, labels)
    values[:10] = np.nan
    table = audit.score_bins(scores_of(labels, wrong_when_faint), ["m"], values, n_bins=4)
    assert table["mean"].tolist() == pytest.approx([1, 1, 1, 0], abs=0.05)
    assert np.ptp(table["n_galaxies"]) <= 1 and table["n_galaxies"].sum() == 1190
    assert len(audit.score_bins(scores_of(labels, labels), ["m"], np.full(1200, np.nan))) == 0
    assert set(table["n_runs"]) == {1}
    few = audit.score_bins(scores_of(labels[:50], labels[:50]), ["m"], values[10:60], n_bins=9)
    assert len(few) == 2, "no bin with fewer than 20 galaxies"


def test_who_sees_through_noisy_labels_is_better_against_the_truth():
    random = np.random.default_rng(2)
    truth = random.integers(2, size=2000)
    labels = np.where(random.random(2000) < 0.1, 1 - truth, truth)
    table = audit.against_truth(scores_of(labels, truth), truth)
    row = table[0]
    ceiling = np.mean(truth == labels)
    assert row["labels"] == pytest.approx(ceiling) and row["truth"] == 1
    assert row["gain_low"] > 0.05, "beyond doubt"
    parrot = audit.against_truth(scores_of(labels, labels), truth)[0]
    assert parrot["gain_high"] < 0 and parrot["labels"] == 1


def test_a_group_without_galaxies_has_no_score():
    empty = audit.score_groups(scores_of([0, 1], [0.2, 0.9]), ["m"], {"none": [False, False]})
    assert np.isnan(empty["mean"][0]) and empty["n_galaxies"][0] == 0 and empty["n_runs"][0] == 1
