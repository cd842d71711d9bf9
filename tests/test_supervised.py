"""Networks learn from the labels of their budget, and from nothing else."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import blobs

from galclr_utils import metrics
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.normalize import Normalize
from galclr_utils.supervised import FineTuned, SupervisedCNN, random_batches


@pytest.fixture(scope="module")
def galaxies():
    return blobs()


@pytest.fixture(scope="module")
def supervised(galaxies):
    views = GalaxyViews(Normalize("identity"), sky_rms=[0.02] * 3)
    settings = {"min_steps": 40, "epochs": 1, "batch_size": 32, "precision": "32-true"}
    return SupervisedCNN(galaxies, views, representation_dim=8, **settings)


def test_batches_go_through_all_rows_before_any_comes_again():
    random = torch.Generator().manual_seed(0)
    batches = list(random_batches(8, 4, 6, random))
    for k in (0, 2, 4):
        assert sorted(torch.cat(batches[k : k + 2]).tolist()) == list(range(8))
    assert batches[0].tolist() != batches[2].tolist()
    (alone,) = random_batches(2, 128, 1, random)
    assert sorted(alone.tolist()) == [0, 1]


def test_the_supervised_network_learns_shapes(galaxies, supervised):
    train, test = galaxies.labelled("train"), galaxies.labelled("test")
    p_late = supervised(train, galaxies.labels[train], test)
    assert p_late.shape == (80,) and 0 <= p_late.min() <= p_late.max() <= 1
    assert metrics.scores(galaxies.labels[test], p_late)["accuracy"] > 0.9


def test_the_supervised_network_sees_its_budget_only(galaxies, supervised):
    """Other labels and other galaxies of the set change nothing."""
    train, test = galaxies.labelled("train")[:40], galaxies.labelled("test")[:8]
    p_late = supervised(train, galaxies.labels[train], test, seed=1, draw=2)
    other = blobs()
    rest = np.setdiff1d(np.arange(240), [*train, *test])
    other.images[rest] = np.nan
    other.catalog["label"][rest] = -1
    supervised = replace(supervised, galaxies=other)
    again = supervised(train, galaxies.labels[train], test, seed=1, draw=2)
    assert np.array_equal(p_late, again)
    assert not np.array_equal(p_late, supervised(train, galaxies.labels[train], test, 1, draw=3))


def test_the_supervised_prediction_does_not_depend_on_orientation(galaxies, supervised):
    turned = GalaxySet(np.rot90(galaxies.images, 1, (2, 3)), galaxies.catalog, galaxies.card)
    network = supervised.build(0, 0)
    a, b = (replace(supervised, galaxies=g).predict(network, range(4)) for g in (galaxies, turned))
    np.testing.assert_allclose(a, b, atol=1e-5)


def test_supervised_settings_are_checked(galaxies, supervised):
    with pytest.raises(ValueError, match="learning_rate: got 0"):
        SupervisedCNN(galaxies, supervised.views, learning_rate=0)


# --- numbers instead of types ------------------------------------------------------------------


def test_regression_recovers_a_simple_target_in_its_own_unit(galaxies, supervised):
    """A made-up T-type that grows with the brightness of the stamp, far from order 1."""
    brightness = galaxies.images.mean(axis=(1, 2, 3), dtype=np.float64)
    t_type = 100 + 50 * (brightness - brightness.mean()) / brightness.std()
    train, test = galaxies.indices("train"), galaxies.indices("test")
    found = replace(supervised, task="regression", min_steps=60)(train, t_type[train], test)
    assert found.dtype == np.float32
    assert np.corrcoef(found, t_type[test])[0, 1] > 0.9
    assert np.sqrt(np.mean((found - t_type[test]) ** 2)) < 25, "half of what a constant leaves"


def test_targets_that_make_no_sense_are_refused(galaxies, supervised):
    with pytest.raises(ValueError, match=r"targets: got \[-1\.0, 1\.0\].*task=.regression"):
        supervised(range(4), [1, -1, 1, 1], [5])
    with pytest.raises(ValueError, match="not finite"):
        replace(supervised, task="regression")(range(2), [0.3, np.nan], [5])
    with pytest.raises(ValueError, match="got shape \\(3,\\) for 2 galaxies"):
        supervised(range(2), [0, 1, 1], [5])
    with pytest.raises(ValueError, match="did you mean 'regression'"):
        replace(supervised, task="regresion")


# --- from the pretrained encoder ---------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    return Encoder("cnn4", 8, Normalize("identity"), seed=7)


@pytest.fixture(scope="module")
def fine_tuned(galaxies, supervised, encoder):
    settings = {"min_steps": 5, "epochs": 1, "batch_size": 32, "precision": "32-true"}
    return FineTuned(galaxies, supervised.views, {3: encoder}, **settings)


def test_fine_tuning_begins_with_the_given_weights(galaxies, fine_tuned, encoder):
    begun = fine_tuned.build(3, 0)[0].state_dict()
    assert all(torch.equal(begun[name], w) for name, w in encoder.state_dict().items())


def test_fine_tuning_leaves_the_given_weights_alone_and_repeats_itself(galaxies, fine_tuned):
    train, test = galaxies.labelled("train")[:40], galaxies.labelled("test")[:8]
    before = copy.deepcopy(fine_tuned.encoders[3].state_dict())
    a, b, c = (fine_tuned(train, galaxies.labels[train], test, 3, draw) for draw in (0, 0, 1))
    after = fine_tuned.encoders[3].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_fine_tuning_moves_all_of_the_encoder(galaxies, fine_tuned, encoder):
    """One that was loaded, or whose last layer the pretraining left alone, is no exception."""
    train, loaded = galaxies.labelled("train")[:40], copy.deepcopy(encoder).eval()
    loaded.to_representation.requires_grad_(False)
    method = replace(fine_tuned, encoders={3: loaded})
    network = method.learn(method.build(3, 0), train, galaxies.labels[train], seed=0)
    began = method.build(3, 0).state_dict()
    now = {name.split("module.")[-1]: w.cpu() for name, w in network.state_dict().items()}
    assert not [name for name, w in began.items() if torch.equal(w, now[name])]


def test_a_pretraining_that_is_not_there_is_named(galaxies, fine_tuned):
    with pytest.raises(ValueError, match=r"encoders: got seeds \[3\], expected one of seed 0"):
        fine_tuned(range(4), [0, 1, 0, 1], [5], seed=0)
