"""What is bought may depend on labels that were bought before, and on no other."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import choosing, scoring
from galclr_utils.dataset import GalaxySet

every_strategy = pytest.mark.parametrize("strategy", choosing.STRATEGIES)


@pytest.fixture(scope="module")
def offer():
    """Four hundred galaxies in two overlapping clouds, one for each type."""
    random = np.random.default_rng(0)
    labels = (random.random(400) < 0.4).astype(int)
    return random.normal(size=(400, 6)) + 1.5 * labels[:, None], labels


@every_strategy
def test_labels_that_were_not_bought_are_never_read(offer, strategy):
    h, labels = offer
    bought = choosing.buy(strategy, h, labels, 30, seed=3)
    assert len(set(bought)) == len(bought) == 30
    poisoned = np.full(len(labels), -77)
    poisoned[bought] = labels[bought]
    assert np.array_equal(choosing.buy(strategy, h, poisoned, 30, seed=3), bought)
    other = 1 - labels
    other[bought] = labels[bought]
    assert np.array_equal(choosing.buy(strategy, h, other, 30, seed=3), bought)


@every_strategy
def test_the_seed_decides(offer, strategy):
    h, labels = offer
    first, again, other = (choosing.buy(strategy, h, labels, 20, seed=s) for s in (1, 1, 2))
    assert np.array_equal(first, again) and set(first) != set(other)


def test_uncertain_galaxies_lie_between_the_types(offer):
    h, labels = offer
    distance = np.abs(h.sum(axis=1) - 4.5)  # from the plane between the clouds
    bought = choosing.buy("uncertain", h, labels, 50)
    assert distance[bought[10:]].mean() < 0.6 * distance.mean()


def test_typical_galaxies_cover_the_clusters_and_sit_in_their_middle():
    random = np.random.default_rng(1)
    centres = 10 * np.eye(8)[:5]
    place = np.repeat(np.arange(5), [300, 100, 50, 20, 10])
    h = random.normal(size=(480, 8)) + centres[place]
    found = choosing.typical(h, 5)
    assert sorted(place[found]) == [0, 1, 2, 3, 4], "one of each, however rare"
    assert place[found[0]] == 0, "the largest first"
    off = np.linalg.norm(h - centres[place], axis=1)
    assert off[found].mean() < off.mean()


def test_more_typical_galaxies_than_clusters(monkeypatch):
    monkeypatch.setattr(choosing, "MOST_CLUSTERS", 4)
    h = np.random.default_rng(2).normal(size=(100, 3))
    assert len(set(choosing.typical(h, 30))) == 30


@every_strategy
def test_where_one_class_was_bought_one_buys_on(strategy):
    h = np.random.default_rng(3).normal(size=(200, 4))
    labels = np.zeros(200, int)
    labels[7] = 1
    bought = choosing.buy(strategy, h, labels, 5)
    assert bought[-1] == 7 or (strategy == "uncertain" and 7 in bought)
    assert len(bought) == len(set(bought)) >= 5
    with pytest.raises(ValueError, match="bought all 200 galaxies"):
        choosing.buy(strategy, h, np.zeros(200, int), 5)


def set_of(labels, split):
    catalog = Table({"id": np.arange(len(labels)).astype(str), "label": labels, "split": split})
    card = {"units": "display", "bands": ["g", "r", "i"]}
    return GalaxySet(np.zeros((len(labels), 3, 4, 4), "f2"), catalog, card)


def test_a_buyer_competes_with_the_same_number_of_labels(offer):
    h, labels = offer
    galaxies = set_of(labels, np.repeat(["train", "test"], [300, 100]))
    methods = {s: choosing.bought_by(s, {0: h}, galaxies) for s in choosing.STRATEGIES}
    scores = scoring.score_methods(methods, galaxies, [40], n_draws=2)
    assert scores.table["balanced_accuracy"].min() > 0.85
    with pytest.raises(ValueError, match="strategy: got 'best'"):
        choosing.bought_by("best", h, galaxies)


def test_the_line_lies_right_though_the_bought_shares_are_wrong():
    """Late types are rare; half of the uncertain ones are late. Both types must fare alike.

    With the shares of what was bought, late types would be found a quarter less often than early
    ones.
    """
    random = np.random.default_rng(4)
    labels = (random.random(6000) < 0.15).astype(int)
    h = random.normal(size=(6000, 4)) + 1.2 * labels[:, None]
    galaxies = set_of(labels, np.repeat(["train", "test"], 3000))
    train, test = galaxies.indices("train"), galaxies.indices("test")
    seed = choosing.fit_seed(0, 0)
    bought = choosing.buy("uncertain", h[train], labels[train], 300, seed)
    share = labels[train][bought].mean()
    assert share > 0.35, "the shares of what was bought are wrong"
    p_late = choosing.bought_by("uncertain", h, galaxies)(train[:300], None, test, 0, 0)
    plain = choosing.fit_probe("logistic", h[train][bought], labels[train][bought], h[test], seed)
    early, late = labels[test] == 0, labels[test] == 1
    assert abs(np.mean(p_late[late] > 0.5) - np.mean(p_late[early] <= 0.5)) < 0.1
    assert np.mean(plain[late] > share) - np.mean(plain[early] <= share) < -0.15


def test_the_line_is_drawn_without_labels_and_the_order_stays(offer):
    h, labels = offer
    split = np.repeat(["train", "test"], [300, 100])
    hidden = labels.copy()
    hidden[np.flatnonzero(split == "train")[50:]] = -1
    galaxies, test = set_of(hidden, split), np.arange(300, 400)
    taken = np.arange(50)
    p_late = choosing.bought_by("stratified", h, galaxies)(taken, None, test, 0, 0)
    plain = choosing.fit_probe("logistic", h[taken], labels[taken], h, choosing.fit_seed(0, 0))
    share = plain[:300].mean()  # of galaxies without a label, too
    odds = plain[test] / (1 - plain[test]) * (1 - share) / share
    assert np.allclose(p_late, odds / (1 + odds), atol=1e-4)
    assert np.array_equal(np.argsort(p_late), np.argsort(plain[test]))
