import math

import numpy as np
import pytest
import torch
from astropy.table import Table

from galclr_utils import GalaxySet, load_encoder, pretrain
from galclr_utils.contrast import Settings, Trainer, learning_rate_at
from galclr_utils.provenance import read_json
from galclr_utils.transforms import GalaxyViews

QUICK = {"epochs": 4, "batch_size": 64, "precision": "32-true", "warmup_epochs": 1}


@pytest.fixture
def views(galaxies):
    return GalaxyViews.for_set(galaxies)


def weights(run):
    return load_encoder(run / "pretrain" / "encoder.pt").state_dict()


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_training_lowers_the_loss_and_leaves_whole_files(run, views):
    record = pretrain.pretrain(run, views, **QUICK | {"epochs": 8})
    history = Table.read(run / "pretrain" / "history.csv")
    assert history["loss"][-1] < history["loss"][1] - 0.1
    assert history["step"][0] == 0 and math.isnan(history["loss"][0]), "first a look at no training"
    assert record["steps"] == 8 * 4 and not record["collapsed"]
    assert {p.name for p in (run / "pretrain").iterdir()} == {
        "encoder.pt",
        "checkpoint.pt",
        "history.csv",
        "settings.json",
    }
    assert 0 <= history["knn_accuracy"][-1] <= 1
    assert history["learning_rate"][-1] < 1e-4


def test_the_same_seed_gives_the_same_weights_and_another_does_not(run, views):
    pretrain.pretrain(run, views, **QUICK)
    first = weights(run)
    pretrain.pretrain(run, views, resume=False, **QUICK)
    assert same(first, weights(run))
    pretrain.pretrain(run, views, **QUICK, seed=1)
    assert not same(first, weights(run))


def test_an_interrupted_run_ends_as_an_uninterrupted_one(run, views, monkeypatch):
    pretrain.pretrain(run, views, **QUICK)
    whole, history = weights(run), Table.read(run / "pretrain" / "history.csv")
    monitor, calls = pretrain.monitor, []

    def stop_at_the_third_look(trainer):
        calls.append(trainer.step)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return monitor(trainer)

    monkeypatch.setattr(pretrain, "monitor", stop_at_the_third_look)
    with pytest.raises(KeyboardInterrupt):
        pretrain.pretrain(run, views, resume=False, **QUICK)
    assert not (run / "pretrain" / "settings.json").exists(), (
        "unfinished, and must not look finished"
    )
    monkeypatch.setattr(pretrain, "monitor", monitor)
    pretrain.pretrain(run, views, **QUICK)
    assert same(whole, weights(run))
    resumed = Table.read(run / "pretrain" / "history.csv")
    np.testing.assert_array_equal(history["loss"], resumed["loss"])


def test_a_run_that_died_after_its_last_step_is_finished(run, views):
    pretrain.pretrain(run, views, **QUICK)
    whole = weights(run)
    for name in ("settings.json", "encoder.pt"):
        (run / "pretrain" / name).unlink()
    record = pretrain.pretrain(run, views, **QUICK)
    assert same(whole, weights(run)) and record["steps"] == 16


def test_another_split_of_the_same_stamps_is_trained_anew(run, views, galaxies):
    first = pretrain.pretrain(run, views, **QUICK)
    catalog = galaxies.catalog.copy()
    catalog["split"][:128] = "test"
    GalaxySet(galaxies.images, catalog, dict(galaxies.card)).save(run / "dataset")
    again = pretrain.pretrain(run, views, **QUICK)
    assert again["key"] != first["key"] and again["steps"] == 8, "128 of 256 are left to learn from"


def test_representations_of_other_galaxies_or_seeds_are_refused(run, views, galaxies):
    with pytest.raises(ValueError, match="run 03_pretrain first"):
        pretrain.load_representation(run)
    pretrain.pretrain(run, views, **QUICK)
    h, _ = pretrain.embed(run, orientations=1)
    np.testing.assert_array_equal(pretrain.load_representation(run), h)
    assert list(pretrain.load_representations(run)) == [0]
    with pytest.raises(ValueError, match="seed1"):
        pretrain.load_representations(run, n_seeds=2)
    pretrain.pretrain(run, views, part="seed1", seed=1, **QUICK)
    pretrain.embed(run, orientations=1, part="seed1")
    both = pretrain.load_representations(run, n_seeds=2)
    assert list(both) == [0, 1] and not np.array_equal(both[0], both[1])
    catalog = galaxies.catalog.copy()
    catalog["split"][:10] = "test"
    GalaxySet(galaxies.images, catalog, dict(galaxies.card)).save(run / "dataset")
    with pytest.raises(ValueError, match="made from other galaxies"):
        pretrain.load_representation(run)


def test_the_transforms_of_a_run_are_found_again(run, views):
    pretrain.pretrain(run, views, **QUICK)
    assert pretrain.load_views(run).settings == views.settings


def test_a_finished_run_is_kept_unless_its_inputs_change(run, views, galaxies):
    pretrain.pretrain(run, views, **QUICK)
    stamp = (run / "pretrain" / "encoder.pt").stat().st_mtime_ns
    pretrain.pretrain(run, views, **QUICK)
    assert (run / "pretrain" / "encoder.pt").stat().st_mtime_ns == stamp
    other = GalaxyViews.for_set(galaxies, band_scaling=0.3)
    pretrain.pretrain(run, other, **QUICK)
    assert (run / "pretrain" / "encoder.pt").stat().st_mtime_ns != stamp


def test_the_schedule_is_fitted_to_the_minutes(run, views):
    record = pretrain.pretrain(run, views, **QUICK | {"epochs": 10_000, "max_minutes": 0.15})
    assert 1 <= record["steps"] < 10_000 * 4
    history = Table.read(run / "pretrain" / "history.csv")
    assert history["step"][-1] == record["steps"]
    assert history["learning_rate"][-1] < 1e-3 * 0.05, "the rate ends where it should"
    assert record["seconds"] < 60, "nine were asked for"


def test_timing_the_steps_leaves_no_trace(galaxies, views):
    trainer = Trainer(galaxies, views, Settings(**QUICK))
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    trainer.fit_schedule(max_minutes=1)
    assert same(before, trainer.model.state_dict()) and trainer.step == 0
    assert not trainer.optimizer.state_dict()["state"]


def test_without_labels_or_validation_the_training_still_runs(galaxies, tmp_path, views):
    catalog = galaxies.catalog.copy()
    catalog["label"][:], catalog["split"] = -1, "train"
    unlabelled = GalaxySet(galaxies.images, catalog, dict(galaxies.card))
    unlabelled.save(tmp_path / "dataset")
    record = pretrain.pretrain(tmp_path, views, **QUICK)
    assert record["steps"] == 4 * (384 // 64) and record["collapsed"] is False
    assert math.isnan(float(Table.read(tmp_path / "pretrain" / "history.csv")["knn_accuracy"][0]))


def test_a_collapse_is_reported(run, views, monkeypatch):
    quiet = {"knn_accuracy": 0.5, "alignment": 0.0, "uniformity": 0.0, "feature_spread": 0.001}
    monkeypatch.setattr(pretrain, "monitor", lambda trainer: quiet)
    with pytest.warns(UserWarning, match="collapsed: feature spread"):
        assert pretrain.pretrain(run, views, **QUICK)["collapsed"] is True


def test_test_galaxies_do_not_change_the_training(run, views, galaxies, tmp_path_factory):
    pretrain.pretrain(run, views, **QUICK)
    images = np.array(galaxies.images)
    images[galaxies.indices("test")] = 0
    other = tmp_path_factory.mktemp("other")
    GalaxySet(images, galaxies.catalog, dict(galaxies.card)).save(other / "dataset")
    pretrain.pretrain(other, views, **QUICK)
    assert same(weights(run), weights(other))


def test_embedding_writes_h_and_z_in_the_order_of_the_catalogue(run, views, galaxies):
    pretrain.pretrain(run, views, **QUICK)
    h, z = pretrain.embed(run)
    assert h.shape == (384, 64) and z.shape[0] == 384 and h.dtype == np.float32
    np.testing.assert_array_equal(h, np.load(run / "embedding" / "representation.npy"))
    alone = load_encoder(run / "pretrain" / "encoder.pt").embed(galaxies.images[100:103])
    np.testing.assert_allclose(alone, h[100:103], atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"temperature": 0}, r"temperature: got 0, expected a number in \(0, 5\]"),
        ({"method": "byol"}, "expected one of simclr"),
        ({"method": "moco"}, "not built yet"),
        ({"encoder": "resnet50"}, "did you mean 'resnet18'"),
        ({"epochs": 1.5}, "whole number"),
        ({"batch_size": 1}, "batch_size: got 1"),
    ],
)
def test_wrong_settings_are_told_apart(wrong, said):
    with pytest.raises(ValueError, match=said):
        Settings(**wrong)


def test_one_galaxy_has_nobody_to_differ_from(galaxies, views):
    alone = GalaxySet(galaxies.images[:1], galaxies.catalog[:1], dict(galaxies.card))
    with pytest.raises(ValueError, match="expected 2 or more"):
        Trainer(alone, views, Settings())


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    rates = [learning_rate_at(s, 200, 20, 0.5) for s in range(200)]
    assert max(rates) == 0.5 and rates.index(0.5) == 19
    assert rates[:20] == sorted(rates[:20]) and rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[-1] < 0.001


def test_settings_are_kept_with_the_run(run, views):
    pretrain.pretrain(run, views, **QUICK)
    record = read_json(run / "pretrain" / "settings.json")
    assert record["settings"]["temperature"] == 0.2
    assert record["views"]["band_scaling"] == views.band_scaling
    assert record["precision"] == "32-true"
