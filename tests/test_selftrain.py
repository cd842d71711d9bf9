"""Self-training learns from unlabelled galaxies, and never from a label outside its budget."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import blobs

from galclr_utils import metrics
from galclr_utils.dataset import GalaxySet
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.normalize import Normalize
from galclr_utils.probes import fit_probe
from galclr_utils.selftrain import SelfTrained
from galclr_utils.supervised import SupervisedCNN


@pytest.fixture(scope="module")
def galaxies():
    return blobs()


@pytest.fixture(scope="module")
def student(galaxies):
    views = GalaxyViews(Normalize("identity"), sky_rms=[0.02] * 3)
    settings = {"min_steps": 40, "epochs": 1, "batch_size": 32, "precision": "32-true"}
    return SupervisedCNN(galaxies, views, representation_dim=8, **settings)


@pytest.fixture(scope="module")
def teacher(galaxies):
    """A probe on features that tell the type, among many that tell nothing."""
    random = np.random.default_rng(0)
    x = random.normal(size=(len(galaxies), 30)).astype(np.float32)
    x[:, :3] += 0.7 * (2 * galaxies.labels[:, None] - 1)

    def fit(train, y_train, test, seed, draw):
        return fit_probe("logistic", x[train], y_train, x[test], seed)

    return fit


def accuracy(galaxies, method, draw):
    train, test = galaxies.labelled("train")[10 * draw :][:10], galaxies.labelled("test")
    p_late = method(train, galaxies.labels[train], test, 0, draw)
    return metrics.scores(galaxies.labels[test], p_late)["accuracy"]


def test_ten_labels_and_the_unlabelled_are_better_than_the_probe(galaxies, student, teacher):
    method = SelfTrained(teacher, replace(student, min_steps=60))
    alone, trained = (
        np.mean([accuracy(galaxies, m, draw) for draw in range(3)]) for m in (teacher, method)
    )
    assert trained > alone + 0.05 > 0.65


def test_no_label_outside_the_budget_is_read(galaxies, student, teacher):
    """Other labels may be wrong or unknown, test galaxies may be black: not a bit changes."""
    train, test = galaxies.labelled("train")[:20], galaxies.labelled("test")[:40]
    rest = np.setdiff1d(np.arange(len(galaxies)), train)
    poisoned = GalaxySet(galaxies.images.copy(), galaxies.catalog.copy(), galaxies.card)
    poisoned.catalog["label"][rest] = 1 - poisoned.catalog["label"][rest]
    poisoned.catalog["label"][rest[::3]] = -1
    poisoned.images[galaxies.labelled("test")[40:]] = 0
    y = galaxies.labels[train]
    a, b = (
        SelfTrained(teacher, replace(student, galaxies=g, min_steps=5))(train, y, test, 0, 1)
        for g in (galaxies, poisoned)
    )
    np.testing.assert_array_equal(a, b)


def test_the_unlabelled_galaxies_change_the_result(galaxies, student, teacher):
    train, test = galaxies.labelled("train")[:20], galaxies.labelled("test")[:8]
    fewer = galaxies.catalog.copy()
    fewer["split"][galaxies.indices("train")[100:]] = "val"
    y, few_steps = galaxies.labels[train], {"min_steps": 5}
    a, b = (
        SelfTrained(teacher, replace(student, galaxies=g, **few_steps))(train, y, test, 0, 1)
        for g in (galaxies, GalaxySet(galaxies.images, fewer, galaxies.card))
    )
    assert a.shape == (8,) and a.dtype == np.float32 and not np.array_equal(a, b)


def test_the_second_round_asks_the_first_student(galaxies, student):
    """The teacher is asked once; what a wrong student says reaches the next one."""
    asked = []

    def teacher(train, y_train, test, seed, draw):
        asked.append(len(test))
        return np.full(len(test), 0.5, np.float32)

    train, test = galaxies.labelled("train")[:20], galaxies.labelled("test")[:8]
    few = replace(student, min_steps=5)
    one, two = (
        SelfTrained(teacher, few, rounds=k)(train, galaxies.labels[train], test) for k in (1, 2)
    )
    assert asked == [140, 140] and not np.array_equal(one, two)


def test_without_unlabelled_galaxies_the_budget_is_all(galaxies, student):
    train, test = galaxies.labelled("train"), galaxies.labelled("test")[:8]
    few = replace(student, min_steps=5)
    p_late = SelfTrained(None, few, epochs=1)(train, galaxies.labels[train], test)
    np.testing.assert_array_equal(p_late, few(train, galaxies.labels[train], test))


def test_self_training_settings_are_checked(student, teacher):
    with pytest.raises(ValueError, match="rounds: got 0"):
        SelfTrained(teacher, student, rounds=0)
    with pytest.raises(ValueError, match="student: got task='regression'"):
        SelfTrained(teacher, replace(student, task="regression"))
