"""Label draws are stratified, nested, and fair; of numbers they are the same galaxies."""

import numpy as np
import pytest

from galclr_utils import label_draws


@pytest.fixture
def labels():
    """Seventy early, thirty late and some unknown in a hundred."""
    random = np.random.default_rng(3)
    return random.choice([0, 1, -1], p=[0.63, 0.27, 0.1], size=3000).astype(np.int8)


@pytest.mark.parametrize("n", [10, 100, 999])
def test_draws_hold_the_classes_in_proportion(labels, n):
    drawn = label_draws.draw_labels(labels, n)
    fraction = np.mean(labels[labels >= 0])
    assert len(set(drawn)) == n and labels[drawn].min() == 0
    assert abs(labels[drawn].sum() - n * fraction) <= 1


def test_draws_are_nested_and_differ_between_draws_and_seeds(labels):
    hundred, thousand = (set(label_draws.draw_labels(labels, n, draw=2)) for n in (100, 1000))
    assert hundred < thousand < set(label_draws.draw_labels(labels, 0, draw=2))
    first = set(label_draws.draw_labels(labels, 100, draw=0, seed=0))
    assert len(first & set(label_draws.draw_labels(labels, 100, draw=1, seed=0))) < 20
    assert len(first & set(label_draws.draw_labels(labels, 100, draw=0, seed=1))) < 20
    assert first == set(label_draws.draw_labels(labels, 100, draw=0, seed=0))


def test_the_order_has_a_place_for_the_unlabelled():
    """So that a budget of numbers draws the galaxies that a budget of labels draws."""
    some = np.array([0, 1, 1, -1] * 100)
    order = label_draws.stratified_order(some, 0)
    assert sorted(order) == list(range(400))
    assert np.bincount(some[order[:40]] + 1).tolist() == [10, 10, 20]


def test_all_labels_are_all_that_are_known(labels):
    assert sorted(label_draws.draw_labels(labels, 0)) == np.flatnonzero(labels >= 0).tolist()


def test_every_galaxy_is_drawn_as_often_as_any_other():
    labels = np.array([0] * 40 + [1] * 10)
    drawn = [label_draws.draw_labels(labels, 20, draw) for draw in range(1000)]
    times = np.bincount(np.concatenate(drawn), minlength=50)
    assert abs(times - 400).max() < 5 * np.sqrt(1000 * 0.4 * 0.6)


def test_what_cannot_be_drawn_is_refused(labels):
    with pytest.raises(ValueError, match=r"got 5000, but the training split has 27\d\d labelled"):
        label_draws.draw_labels(labels, 5000)
    with pytest.raises(ValueError, match=r"early types only in 10 labels.*expected early and late"):
        label_draws.draw_labels(np.zeros(50, int), 10)
    with pytest.raises(ValueError, match="no types only in 0 labels"):
        label_draws.draw_labels(np.full(5, -1), 0)
    with pytest.raises(ValueError, match="a whole number"):
        label_draws.draw_labels(labels, 10.5)


def test_draws_are_those_of_the_labels_and_nested():
    labels = np.random.default_rng(0).integers(0, 2, 300)
    same = label_draws.draw_numbers(labels, 50, draw=3, seed=1)
    assert np.array_equal(same, label_draws.draw_labels(labels, 50, draw=3, seed=1))
    labels[::3] = -1  # a number but no label: drawn too
    some, more = (set(label_draws.draw_numbers(labels, n)) for n in (60, 200))
    assert some < more and (labels[sorted(some)] == -1).sum() == 20
    with pytest.raises(ValueError, match="got 301"):
        label_draws.draw_numbers(labels, 301)
