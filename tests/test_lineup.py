"""A line-up names all that a run rests on: whatever changes a result changes its name."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, workers
from galclr_utils.curves import TAUGHT
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.lineup import Lineup, kind_of
from galclr_utils.probes import KINDS

RECIPE = {"epochs": 1, "min_steps": 2, "precision": "32-true"}


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    random = np.random.default_rng(0)
    catalog = Table({"id": np.arange(40).astype(str), "label": np.arange(40) % 2})
    catalog["split"] = ["train"] * 30 + ["test"] * 10
    card = {"units": "display", "bands": ["g", "r", "i"], "source": "noise"}
    card["sky_rms"] = [0.02, 0.02, 0.02]
    images = random.random((40, 3, 16, 16)).astype(np.float32)
    folder = GalaxySet(images, catalog, card).save(tmp_path_factory.mktemp("set"))
    return GalaxySet.load(folder)


def features(seed=0):
    return {s: np.random.default_rng([seed, s]).normal(size=(40, 4)) for s in (0, 1)}


def networks(galaxies, level, strengths=(), **recipe):
    lineup = Lineup([0, 1])
    views = GalaxyViews.for_set(galaxies, **dict(strengths))
    encoders = {s: Encoder("cnn4", 8, views.normalize, seed=s) for s in (0, 1)}
    lineup.networks(galaxies, views, "SimCLR", encoders, level, 1, **RECIPE | recipe)
    return lineup


def test_every_kind_of_the_tables_is_a_probe():
    assert {kind_of(k) for k in ("fully connected", "logistic", "kNN", "SVM")} <= set(KINDS)


def test_other_features_are_another_run():
    lineup = Lineup([0, 1])
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        lineup.probe(name, features(seed), "logistic", 2)
    a, b, c = lineup.inputs.values()
    assert a == b and a[0] != a[1] and not set(a.values()) & set(c.values())


@pytest.mark.parametrize(
    "change", [{"epochs": 2}, {"min_steps": 3}, {"strengths": {"zoom": 2.0}}, {"level": 1}]
)
def test_another_recipe_is_another_run(galaxies, change):
    """From scratch the representations do not matter; to the other two they do."""
    level = features(change.pop("level", 0))
    before, after = networks(galaxies, features()), networks(galaxies, level, **change)
    assert list(before.methods) == [TAUGHT, "SimCLR fine-tuned", "SimCLR self-trained"]
    for name in list(before.methods)[0 if change else 1 :]:
        assert not set(before.inputs[name].values()) & set(after.inputs[name].values()), name
    if not change:
        assert before.inputs[TAUGHT] == after.inputs[TAUGHT]


def test_the_student_takes_half_the_steps_and_the_three_never_share_a_name(galaxies):
    lineup = networks(galaxies, features(), min_steps=4)
    assert lineup.methods["SimCLR self-trained"].student.min_steps == 2
    assert lineup.methods[TAUGHT].min_steps == lineup.methods["SimCLR fine-tuned"].min_steps == 4
    assert len({text[0] for text in lineup.inputs.values()}) == 3


def test_a_second_asking_finds_the_runs(galaxies, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "default_workers", lambda: 1)  # calls are counted here
    lineup, calls = Lineup([0, 1]), []

    def method(train, y_train, test, seed, draw):
        calls.append((seed, draw, len(train)))
        return np.linspace(0, 1, len(test))

    lineup.add("ruler", method, 2, {0: "v1", 1: "v1"})
    first = lineup.score(galaxies, [10, 0], tmp_path)
    again = lineup.score(galaxies, [10, 0], tmp_path)
    assert len(calls) == len(first.table) == len(again.table) == 8
    lineup.add("ruler", method, 2, {0: "v1", 1: "v2"})  # one of the seeds was pretrained anew
    lineup.score(galaxies, [10, 0], tmp_path)
    assert len(calls) == 12 and {seed for seed, *_ in calls[8:]} == {1}


def test_a_seed_without_inputs_is_refused():
    with pytest.raises(KeyError):
        Lineup([0, 1]).add("half", None, 1, {0: "v1"})
