"""Choose which galaxies to have labelled, when only so many labels can be paid for.

The usual protocol draws labels stratified by class. That needs the labels of all galaxies to begin
with, so nobody can buy that way. What one can do: buy at random; buy what is typical of each
region of the representation, which needs no label at all; or buy in rounds, each time the galaxies
that a first classifier finds hardest to tell.
"""

# N galaxies, D representation, n labels bought, T test galaxies

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from galclr_utils.checks import choice, number
from galclr_utils.dataset import GalaxySet
from galclr_utils.label_draws import fit_seed
from galclr_utils.metrics import at_even_odds, unit
from galclr_utils.probes import Method, fit_probe

STRATEGIES = ("random", "typical", "uncertain")
MOST_CLUSTERS = 500  # as in Hacohen et al. 2022
NEIGHBOURS = 20  # that say how typical a galaxy is; as there
ROUNDS = 5  # in which uncertain galaxies are bought; the first is a start without a classifier


def buy(strategy: str, features, labels, n_labels: int, seed: int = 0) -> np.ndarray:
    """Return the galaxies to have labelled, in the order in which they are bought.

    - ``random``: each galaxy is as likely as any other.
    - ``typical``: as many clusters as labels (k-means on h, scaled to length 1), and of each the
      galaxy in the densest place; no label is looked at (TypiClust, Hacohen et al. 2022, section
      3.2).
    - ``uncertain``: a fifth of the labels at random, then four times a fifth: those whose late and
      early probabilities are nearest to each other, by logistic regression on what was bought so
      far (margin sampling, Scheffer et al. 2001).

    A buyer sees the label of a galaxy only once it is bought: no other label is read here. He does
    not know the classes, so the first galaxies may all be of one. A classifier then cannot be
    trained, and there is nothing to do but to buy on at random until the other class turns up. Of
    what was bought more than asked for, the result is that much longer.

    Args:
        strategy: one of the three.
        features: (N, D) of the galaxies on offer, of order 1 (see `probes.decorrelate`).
        labels: (N,) 0 early, 1 late: what a galaxy's label is, if it is bought.
        n_labels: n, from 2 to N.
        seed: of what is random.
    Returns:
        int64, positions in ``features``: n of them, or more where one class was missing.
    Raises:
        ValueError: more labels than galaxies, or only one class among all of them.

    >>> random = np.random.default_rng(0)
    >>> labels = np.arange(300) % 2
    >>> h = random.normal(size=(300, 8)) + 3 * labels[:, None]
    >>> for strategy in STRATEGIES:
    ...     bought = buy(strategy, h, labels, n_labels=20)
    ...     print(strategy, len(set(bought)))
    random 20
    typical 20
    uncertain 20
    """
    choice("strategy", strategy, STRATEGIES)
    x, labels = np.asarray(features, np.float32), np.asarray(labels)
    n_labels = number("n_labels", n_labels, 2, len(x), integer=True)
    random = np.random.default_rng(seed)
    if strategy == "typical":
        return _until_both(typical(x, n_labels, seed), labels, random)
    if strategy == "random":
        return _until_both(random.permutation(len(x))[:n_labels], labels, random)
    share = max(2, math.ceil(n_labels / ROUNDS))
    bought = _until_both(random.permutation(len(x))[:share], labels, random)
    while len(bought) < n_labels:
        left = np.setdiff1d(np.arange(len(x)), bought)
        p_late = fit_probe("logistic", x[bought], labels[bought], x[left], seed)
        order = np.argsort(np.abs(p_late - 0.5), kind="stable")
        bought = np.concatenate([bought, left[order[: min(share, n_labels - len(bought))]]])
    return bought


def typical(features, n: int, seed: int = 0) -> np.ndarray:
    """Return the most typical galaxy of each of n clusters, the largest cluster first.

    A galaxy is the more typical, the smaller its mean distance to the 20 nearest of its cluster. No
    more than 500 clusters are made; where more galaxies are wanted, the clusters take turns, each
    with its next most typical.

    Args:
        features: (N, D). n: how many. seed: of the clustering.
    Returns:
        (n,) int64 positions.

    >>> h = np.random.default_rng(0).normal(size=(60, 2)) * 0.1 + np.repeat(np.eye(2) * 5, 30, 0)
    >>> sorted(typical(h, n=2) // 30)
    [np.int64(0), np.int64(1)]
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans

    x, k = unit(features), min(n, MOST_CLUSTERS)
    kind = KMeans if k <= 50 else MiniBatchKMeans  # as the authors' program does
    cluster = kind(k, n_init=3, random_state=seed).fit_predict(x)
    place = np.empty((len(x), 2))
    for c in range(k):
        members = np.flatnonzero(cluster == c)
        place[members, 0] = _rank_of_typical(x[members])
        place[members, 1] = -len(members)
    return np.lexsort((place[:, 1], place[:, 0]))[:n]


def _rank_of_typical(x) -> np.ndarray:
    """Return 0 for the galaxy in the densest place of a cluster (n, D), 1 for the next, ..."""
    if len(x) < 3:
        return np.arange(len(x))
    near = min(NEIGHBOURS, len(x) - 1)
    distance = np.empty(len(x))
    for start in range(0, len(x), 1024):
        squared = 2 - 2 * x[start : start + 1024] @ x.T  # of unit vectors
        nearest = np.partition(squared, near, axis=1)[:, : near + 1]
        distance[start : start + 1024] = np.sqrt(nearest.clip(0)).mean(axis=1)
    return np.argsort(np.argsort(distance, kind="stable"))


def _until_both(bought, labels, random) -> np.ndarray:
    """Buy on at random, one by one, until both classes are there."""
    seen = set(labels[bought].tolist())
    left = random.permutation(np.setdiff1d(np.arange(len(labels)), bought))
    for k in left:
        if len(seen) > 1:
            break
        bought = np.append(bought, k)
        seen.add(int(labels[k]))
    if len(seen) < 2:
        raise ValueError(
            f"labels: bought all {len(labels)} galaxies and got {seen} only, expected early and "
            "late: a classifier needs both"
        )
    return bought


def bought_by(strategy: str, features, galaxies: GalaxySet) -> Method:
    """Return the method that buys its own labels, and trains logistic regression on them.

    For `scoring.score_methods`: of the labels that are drawn there only the *number* is used.
    (Where all that was bought for it is of one class, a few more are bought: see `buy`.) The
    exception is ``stratified``, which takes the draw as it is, and which nobody could buy.

    The shares of the types among bought galaxies say nothing of the sample: uncertain ones are
    half and half whatever it holds. So the line is drawn as if both types were equally common, from
    the share of late types that the classifier itself expects among all training galaxies
    (`equal_by_expectation`).

    Args:
        strategy: of `buy`, or ``stratified``.
        features: (N, D) of all galaxies of the set; or pretraining seed -> (N, D).
        galaxies: the set; on offer are those of ``train`` that have a label.
    """
    choice("strategy", strategy, (*STRATEGIES, "stratified"))

    def fit(train, y_train, test, seed, draw):
        x = features[seed] if isinstance(features, Mapping) else features
        bought, own_seed = np.asarray(train), fit_seed(seed, draw)
        if strategy != "stratified":
            offered = galaxies.labelled("train")
            bought = buy(strategy, x[offered], galaxies.labels[offered], len(train), own_seed)
            bought = offered[bought]
        everyone = galaxies.indices("train")
        asked = x[np.concatenate([everyone, test])]
        p_late = fit_probe("logistic", x[bought], galaxies.labels[bought], asked, own_seed)
        return equal_by_expectation(p_late[len(everyone) :], p_late[: len(everyone)])

    return fit


def equal_by_expectation(p_late, of_sample) -> np.ndarray:
    """Return probabilities as if early and late types were equally common, without any label.

    The mean probability of a sample is the share of late types that the classifier expects there.
    It holds for galaxies that were chosen by their features too, where the share of the labels
    does not: what was chosen tells of p(features), not of p(late | features). So it moves the line
    (`metrics.at_even_odds`).

    Args:
        p_late: (T,) in [0, 1]. of_sample: (N,), of the same classifier for galaxies of the sample.
    Returns:
        float32 (T,).

    >>> equal_by_expectation([0.1, 0.2, 0.9], of_sample=[0.1, 0.3]).round(2)
    array([0.31, 0.5 , 0.97], dtype=float32)
    """
    share = np.clip(np.mean(of_sample, dtype=np.float64), 1e-6, 1 - 1e-6)
    return at_even_odds(p_late, share)
