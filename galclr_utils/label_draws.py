"""Draw whose labels are bought: at random, the types in proportion, small budgets inside large."""

# N galaxies, n labels in a budget

from __future__ import annotations

import numpy as np

from galclr_utils.checks import number


def draw_labels(labels, n_labels: int, draw: int = 0, seed: int = 0) -> np.ndarray:
    """Draw the galaxies whose labels are bought: stratified, and nested in larger budgets.

    Within each class the galaxies get a random order; the classes are then interleaved in
    proportion to their size, and the first n are taken. So every budget holds the classes as the
    whole does, and the 100 of a draw are among its 1000.

    Args:
        labels: (N,) of the training galaxies: 0 early, 1 late, -1 unknown (never drawn).
        n_labels: n; 0 means all that are known.
        draw, seed: which draw; each pair is another random order.
    Returns:
        (n,) int64 positions in ``labels``.
    Raises:
        ValueError: fewer labels than asked for, or one class only.

    >>> labels = np.array([0, 1, 1, 1] * 50)
    >>> drawn = draw_labels(labels, n_labels=20)
    >>> np.bincount(labels[drawn]), set(drawn) <= set(draw_labels(labels, n_labels=100))
    (array([ 5, 15]), True)
    """
    labels = np.asarray(labels)
    known = np.flatnonzero(labels >= 0)
    n_labels = number("n_labels", n_labels, 0, np.inf, integer=True) or len(known)
    if n_labels > len(known):
        raise ValueError(
            f"n_labels: got {n_labels}, but the training split has {len(known)} labelled galaxies; "
            "ask for fewer, or 0 for all"
        )
    drawn = known[stratified_order(labels[known], [seed, draw])[:n_labels]]
    classes = np.unique(labels[drawn])
    if len(classes) < 2:
        have = {0: "early", 1: "late"}[int(classes[0])] if len(classes) else "no"
        raise ValueError(
            f"labels: got {have} types only in {n_labels} labels (of {len(known)} known), expected "
            "early and late: a classifier needs both"
        )
    return drawn


def draw_numbers(labels, n_labels: int, draw: int = 0, seed: int = 0) -> np.ndarray:
    """Draw the galaxies whose numbers are bought: the very ones whose labels are.

    Where all have a label, the galaxies are those of `draw_labels`; the unlabelled are a
    class of their own here. So budgets are nested, and the two tasks are compared fairly.

    Args:
        labels: (n,) of the training galaxies with a number: 0 early, 1 late, -1 unknown.
        n_labels: how many; 0 means all.
        draw, seed: which draw; each pair is another random order.
    Returns:
        int64 positions in ``labels``.

    >>> set(draw_numbers([0, 1] * 25, 5)) < set(draw_numbers([0, 1] * 25, 20))
    True
    """
    if n_labels > len(labels):
        raise ValueError(
            f"n_labels: got {n_labels}, but the training split has {len(labels)} numbers; ask for "
            "fewer, or 0 for all"
        )
    return stratified_order(np.asarray(labels), [seed, draw])[: n_labels or len(labels)]


def stratified_order(labels, seed) -> np.ndarray:
    """Return a random order (n,) of galaxies: the first few hold the classes as the whole does."""
    random = np.random.default_rng(seed)
    place = np.empty(len(labels))
    for value in (0, 1, -1):
        members = random.permutation(np.flatnonzero(labels == value))
        place[members] = (np.arange(len(members)) + 0.5) / max(len(members), 1)
    return np.argsort(place, kind="stable")


def fit_seed(seed: int, draw: int) -> int:
    """Return the seed of what is random in one fit: another one for every run.

    >>> fit_seed(0, 1) != fit_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence([seed, draw]).generate_state(1)[0] >> 1)
