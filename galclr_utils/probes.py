"""Classify galaxies from frozen representations with few labels.

A probe is a small classifier on features that stay as they are. How well it does says how much of
the galaxies' type the features hold, and how many labels it takes to read it off.
"""

# N galaxies, D representation, n labels in a budget, T test galaxies

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from galclr_utils import metrics
from galclr_utils.checks import choice
from galclr_utils.device import one_thread
from galclr_utils.label_draws import fit_seed, stratified_order

KINDS = ("fully connected", "logistic", "knn", "svm")
EPOCHS = 60  # of the fully connected probe
SVM_GRID = (
    (1, 0.3),
    (1, 1),
    (10, 0.1),
    (10, 0.3),
    (100, 0.1),
)  # C, and width in units of 1/(D variance)
SVM_TUNING = 2000  # labels at most, of the budget, that choose between these

# (training rows, their labels, test rows, pretraining seed, draw) -> p_late of the test rows
Method = Callable[[np.ndarray, np.ndarray, np.ndarray, int, int], np.ndarray]


def standardise(features, rows) -> np.ndarray:
    """Give every feature mean 0 and variance 1 over some galaxies: for columns of many units.

    Args:
        features: (N, D). rows: the training galaxies; their labels are not needed.
    Returns:
        float32 (N, D); a feature that is the same everywhere becomes 0.

    >>> standardise([[1.0, 7.0], [3.0, 7.0], [5.0, 7.0]], [0, 1])
    array([[-1.,  0.],
           [ 1.,  0.],
           [ 3.,  0.]], dtype=float32)
    """
    x = np.asarray(features, np.float64)
    mean, scatter = x[rows].mean(axis=0), x[rows].std(axis=0)
    constant = scatter <= 1e-6 * np.abs(mean) + 1e-12
    return np.where(constant, 0, (x - mean) / np.where(constant, 1, scatter)).astype(np.float32)


def decorrelate(features, rows) -> np.ndarray:
    """Turn a space to its principal axes and bring their scales nearer to each other.

    A representation has a few directions of large variance and many of small; what tells the types
    apart may lie in either. Each axis is divided by the root of its variance plus the mean variance
    of all: the large ones no longer drown the small, and the small, which may be noise, are not
    blown up. All learned and pixel features are treated alike; it helps all of them on validation
    galaxies, PCA and random weights most.

    Args:
        features: (N, D). rows: the training galaxies; their labels are not needed.
    Returns:
        float32 (N, D).

    >>> x = np.random.default_rng(0).normal(size=(5000, 2)) * [10.0, 0.1]
    >>> decorrelate(x, np.arange(5000)).std(axis=0).round(2)
    array([0.01, 0.82], dtype=float32)
    """
    x = np.asarray(features, np.float64)
    x = x - x[rows].mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov(x[rows].T))
    scale = np.sqrt(variance.clip(min=0) + variance.mean())
    return (x @ axes / np.maximum(scale, 1e-12)).astype(np.float32)


def fit_probe(kind: str, x_train, y_train, x_test, seed: int = 0) -> np.ndarray:
    """Train one probe on representations and return its probabilities for others.

    Everything is decided inside the given labels. The features should be of order 1: see
    `standardise` and `decorrelate`. Neighbours take them as they are.

    - ``fully connected``: the poster's probe, here with one hidden layer; see `fully_connected`.
    - ``logistic``: logistic regression, its penalty chosen by 5-fold cross-validation.
    - ``knn``: the vote of the 15 nearest by cosine, of half the labels where those are fewer than
      30; nothing is trained.
    - ``svm``: a support vector machine with class probabilities; see `support_vectors`.

    Args:
        kind: one of the four.
        x_train: (n, D). y_train: (n,) 0 early, 1 late.
        x_test: (T, D).
        seed: of initial weights, order and folds.
    Returns:
        p_late, (T,) float32.

    >>> random = np.random.default_rng(0)
    >>> y = np.arange(200) % 2
    >>> x = random.normal(size=(200, 8)) + 2 * y[:, None] - 1
    >>> for kind in KINDS:
    ...     p_late = fit_probe(kind, x[:100], y[:100], x[100:])
    ...     print(p_late.shape, metrics.scores(y[100:], p_late)["accuracy"] > 0.9)
    (100,) True
    (100,) True
    (100,) True
    (100,) True
    """
    choice("kind", kind, KINDS)
    x_train, x_test = np.asarray(x_train, np.float32), np.asarray(x_test, np.float32)
    y_train = np.asarray(y_train)
    if len(classes := np.unique(y_train)) < 2:
        raise ValueError(f"y_train: got only {classes.tolist()}, expected both 0 and 1")
    if kind == "knn":
        return metrics.knn_p_late(x_train, y_train, x_test, k=min(15, len(y_train) // 4 * 2 + 1))
    fits = {"fully connected": fully_connected, "logistic": logistic, "svm": support_vectors}
    with one_thread():
        return fits[kind](x_train, y_train, x_test, seed)


def logistic(x_train, y_train, x_test, seed: int = 0) -> np.ndarray:
    """Fit a logistic regression whose penalty is chosen by cross-validation inside the labels.

    Five stratified folds, log-loss; below 50 labels, or fewer than 5 of a class, a fixed C = 0.1.
    Arguments and result as for `fit_probe`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    strengths = 10.0 ** np.arange(-3, 2)
    best = 0.1
    if len(y_train) >= 50 and np.bincount(y_train).min() >= 5:
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        losses = []
        for c in strengths:
            model = LogisticRegression(C=c, max_iter=500)
            p = cross_val_predict(model, x_train, y_train, cv=folds, method="predict_proba")
            losses.append(-np.log(np.clip(p[np.arange(len(p)), y_train], 1e-9, 1)).mean())
        best = strengths[int(np.argmin(losses))]
    model = LogisticRegression(C=best, max_iter=500).fit(x_train, y_train)
    return model.predict_proba(x_test)[:, 1].astype(np.float32)


def fully_connected(x_train, y_train, x_test, seed: int = 0) -> np.ndarray:
    """Train the poster's probe, a fully connected network; one hidden layer of 128 is our choice.

    The schedule is fixed, so that no label is spent on saying when to stop: 60 epochs, the rate
    falling to zero along half a cosine, with dropout and weight decay, or 100 labels would be
    learned by heart. Arguments and result as for `fit_probe`.
    """
    loss = F.binary_cross_entropy_with_logits
    return small_network(x_train, y_train, x_test, seed, loss).sigmoid().numpy()


def small_network(x_train, targets, x_test, seed: int, loss_of: Callable) -> torch.Tensor:
    """Train the network of `fully_connected` on a loss; return what it gives for others, (T,).

    Args:
        x_train: (n, D). targets: (n,) of order 1. x_test: (T, D).
        seed: of initial weights and order.
        loss_of: (n,) outputs, (n,) targets -> their mean loss.
    """
    x, y, x_test = (torch.as_tensor(a, dtype=torch.float32) for a in (x_train, targets, x_test))
    batch_size = 64 if len(x) < 2000 else 256
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 1)
        network = nn.Sequential(*layers)
        optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=3, fused=True)
        n_steps = EPOCHS * math.ceil(len(x) / batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        for _ in range(EPOCHS):
            for batch in torch.randperm(len(x)).split(batch_size):
                loss = loss_of(network(x[batch])[:, 0], y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    with torch.inference_mode():
        return network.eval()(x_test)[:, 0]


def support_vectors(x_train, y_train, x_test, seed: int = 0) -> np.ndarray:
    """Fit a support vector machine with probabilities, as Huertas-Company et al. 2011 classified.

    An RBF kernel, whose width is counted in units of the features' own scatter: in a space that is
    narrow against the kernel (`decorrelate` makes such) all galaxies look alike, and a few labels
    then make nothing but their commoner class. Penalty and width come from 5-fold cross-validation
    inside the labels, by log-loss, of at most 2000 of them; a logistic curve through the distances
    that the folds left out makes probabilities of distances (Platt 1999). Below 50 labels, or fewer
    than 5 of a class, all three are fixed. Arguments and result as for `fit_probe`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.svm import SVC

    y_train = np.asarray(y_train)
    scatter = x_train.shape[1] * (float(x_train.var()) or 1.0)

    def machine(penalty, width):
        return SVC(C=penalty, gamma=width / scatter, cache_size=500)

    best, slope, offset = (10, 0.1), 2.0, 0.0
    if len(y_train) >= 50 and np.bincount(y_train).min() >= 5:
        some = stratified_order(y_train, seed)[:SVM_TUNING]
        folds, least = StratifiedKFold(5, shuffle=True, random_state=seed), np.inf
        for setting in SVM_GRID:
            x, y = x_train[some], y_train[some]
            distance = cross_val_predict(
                machine(*setting), x, y, cv=folds, method="decision_function"
            )
            curve = LogisticRegression().fit(distance[:, None], y)
            steep, shift = curve.coef_[0, 0], curve.intercept_[0]
            if steep <= 0:  # the folds know nothing of what they left out: say how common late is
                steep, shift = 0.0, np.log(y.mean() / (1 - y.mean()))
            p = 1 / (1 + np.exp(-(steep * distance + shift)))
            loss = -np.log(np.clip(np.where(y == 1, p, 1 - p), 1e-9, 1)).mean()
            if loss < least:
                best, least, slope, offset = setting, loss, steep, shift
    distance = machine(*best).fit(x_train, y_train).decision_function(x_test)
    return (1 / (1 + np.exp(-(slope * distance + offset)))).astype(np.float32)


def probe(features, kind: str) -> Method:
    """Return the method that classifies by a probe on frozen features.

    Args:
        features: (N, D) of all galaxies of the set, in the catalogue's order; or a dictionary of
            them, pretraining seed -> (N, D).
        kind: of `fit_probe`.
    """
    choice("kind", kind, KINDS)

    def fit(train, y_train, test, seed, draw):
        x = features[seed] if isinstance(features, Mapping) else features
        return fit_probe(kind, x[train], y_train, x[test], seed=fit_seed(seed, draw))

    return fit
