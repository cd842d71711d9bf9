import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from astropy.table import Table

from galclr_utils import GalaxySet, load_encoder, pretrain
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.provenance import read_json
from galclr_utils.trained import load_views
from galclr_utils.training import Trainer, learning_rate_at

FILES = {"encoder.pt", "checkpoint.pt", "history.csv", "settings.json"}
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
    assert {p.name for p in (run / "pretrain").iterdir()} == FILES
    assert 0 <= history["knn_accuracy"][-1] <= 1
    assert history["learning_rate"][-1] < 1e-4


def test_the_same_seed_gives_the_same_weights_and_another_does_not(run, views):
    pretrain.pretrain(run, views, **QUICK)
    first = weights(run)
    pretrain.pretrain(run, views, resume=False, **QUICK)
    assert same(first, weights(run))
    pretrain.pretrain(run, views, **QUICK, seed=1)
    assert not same(first, weights(run))


def stop_after(looks, monkeypatch):
    monitor, calls = pretrain.monitor, []

    def look_or_stop(trainer):
        calls.append(trainer.step)
        if len(calls) == looks + 1:
            raise KeyboardInterrupt
        return monitor(trainer)

    monkeypatch.setattr(pretrain, "monitor", look_or_stop)


def test_an_interrupted_run_ends_as_an_uninterrupted_one(run, views, monkeypatch):
    pretrain.pretrain(run, views, **QUICK)
    whole, history = weights(run), Table.read(run / "pretrain" / "history.csv")
    stop_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pretrain.pretrain(run, views, resume=False, **QUICK)
    assert not (run / "pretrain" / "settings.json").exists(), (
        "unfinished, and must not look finished"
    )
    monkeypatch.undo()
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


def test_the_transforms_of_a_run_are_found_again(run, views):
    pretrain.pretrain(run, views, **QUICK)
    assert load_views(run).settings == views.settings


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
    end = learning_rate_at(record["steps"] - 1, record["steps"], warmup=4, peak=1e-3)
    assert history["learning_rate"][-1] == pytest.approx(end), "the rate ends where it should"
    assert record["seconds"] < 60, "nine were asked for"


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


def test_settings_are_kept_with_the_run(run, views):
    pretrain.pretrain(run, views, **QUICK)
    record = read_json(run / "pretrain" / "settings.json")
    assert record["settings"]["temperature"] == 0.2
    assert record["views"]["band_scaling"] == views.band_scaling
    assert record["precision"] == "32-true"


PROFILE = """
epochs: 10
batch_size: 64
precision: 32-true
memory_bank_size: 100
orientations: 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_a_run_that_is_killed_twice_ends_as_one_that_is_not(run, views, method, tmp_path):
    profile, checkpoint = tmp_path / "mine.yml", run / "pretrain" / "checkpoint.pt"
    profile.write_text(f"{PROFILE}method: {method}\n")
    command = [sys.executable, "-m", "galclr_utils.pretrain"]
    command += ["--profile", str(profile), "--run-dir", str(run)]
    threads = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    last, moment = 0, np.random.default_rng()
    for _ in range(2):
        process = subprocess.Popen(command, env=threads)
        while process.poll() is None and mtime(checkpoint) in (0, last):
            time.sleep(0.01)
        time.sleep(moment.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        last = mtime(checkpoint)
        assert not (run / "pretrain" / "settings.json").exists(), "it was killed before its end"
    subprocess.run(command, env=threads, check=True)
    killed, history = weights(run), Table.read(run / "pretrain" / "history.csv")
    assert {p.name for p in (run / "pretrain").iterdir()} == FILES, "no parts are left"
    settings = {"epochs": 10, "batch_size": 64, "precision": "32-true", "memory_bank_size": 100}
    again = pretrain.pretrain(run, views, method=method, **settings)
    assert again["steps"] == 40 and len(history) == 11, "the notebook finds it done"
    pretrain.pretrain(run, views, resume=False, method=method, **settings)
    assert same(killed, weights(run))
    whole = Table.read(run / "pretrain" / "history.csv")
    np.testing.assert_array_equal(whole["loss"], history["loss"])


def mtime(path):
    """Return when a file was written; 0 where there is none, as between two checkpoints."""
    return path.stat().st_mtime_ns if path.exists() else 0


def test_a_spoilt_checkpoint_gives_way_to_the_one_before(run, views, monkeypatch):
    pretrain.pretrain(run, views, **QUICK)
    whole = weights(run)
    stop_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pretrain.pretrain(run, views, resume=False, **QUICK)
    folder = run / "pretrain"
    assert (folder / "checkpoint.before.pt").exists()
    content = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.pt").write_bytes(content[: len(content) // 2])
    steps, load = [], Trainer.load
    monkeypatch.undo()
    monkeypatch.setattr(Trainer, "load", lambda t, state: load(t, state) or steps.append(t.step))
    pretrain.pretrain(run, views, **QUICK)
    assert steps == [4] and same(whole, weights(run)), "one epoch was there, not two"
    assert not (folder / "checkpoint.before.pt").exists(), "a finished run needs one only"


def test_a_checkpoint_is_written_between_looks_when_the_last_is_old(run, views, monkeypatch):
    saved, save = [], pretrain.save_checkpoint
    monkeypatch.setattr(
        pretrain, "save_checkpoint", lambda f, c: saved.append(c["trainer"]["step"]) or save(f, c)
    )
    monkeypatch.setattr(pretrain, "LOOKS", 2)
    pretrain.pretrain(run, views, **QUICK)
    assert saved == [8, 16]
    saved.clear()
    monkeypatch.setattr(pretrain, "CHECKPOINT_SECONDS", 0)
    pretrain.pretrain(run, views, resume=False, **QUICK)
    assert saved == [4, 8, 12, 16]
    history = Table.read(run / "pretrain" / "history.csv")
    assert list(history["step"]) == [0, 8, 16], "which is no look"


def test_several_devices_in_one_process_are_refused_with_the_command(run, views):
    with pytest.raises(
        ValueError, match="--rdzv-endpoint FIRST:29500 --nproc-per-node 4 -m galclr_utils"
    ):
        pretrain.pretrain(run, views, **QUICK, devices=4, num_nodes=2)
    first = pretrain.pretrain(run, views, **QUICK)
    found = pretrain.pretrain(run, views, **QUICK, devices=4)
    assert found["key"] == first["key"], "what several have done is found by one"


@pytest.mark.slow
def test_two_processes_pretrain_and_embed_what_a_notebook_then_finds(run, views, tmp_path):
    profile = tmp_path / "mine.yml"
    profile.write_text(PROFILE.replace("epochs: 10", "epochs: 2") + "devices: 2\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "-m", "galclr_utils.pretrain"]
    command += ["--profile", str(profile), "--run-dir", str(run)]
    subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}, check=True
    )
    settings = {"epochs": 2, "batch_size": 64, "precision": "32-true", "memory_bank_size": 100}
    record = pretrain.pretrain(run, views, devices=2, **settings)
    assert record["processes"] == 2 and record["steps"] == 8
    encoder, galaxies = (
        load_encoder(run / "pretrain" / "encoder.pt"),
        GalaxySet.load(run / "dataset"),
    )
    h = np.load(run / "embedding" / "representation.npy")
    np.testing.assert_allclose(h, encoder.embed(galaxies.images, orientations=1), atol=1e-5)


def test_a_principal_run_that_died_after_its_last_step_is_finished(run, views):
    settings = QUICK | {"epochs": 1, "representation": "principal"}
    pretrain.pretrain(run, views, **settings)
    whole = weights(run)
    for name in ("settings.json", "encoder.pt"):
        (run / "pretrain" / name).unlink()
    pretrain.pretrain(run, views, **settings)
    assert same(whole, weights(run)), "the last layer is computed again, to the same numbers"


def test_the_copy_of_moco_is_watched_and_simclr_has_none(run, views):
    short = QUICK | {"epochs": 2}
    pretrain.pretrain(run, views, method="moco", momentum=0.9, **short)
    cosine = np.array(Table.read(run / "pretrain" / "history.csv")["key_cosine"], float)
    assert cosine[0] == pytest.approx(1, abs=1e-5), "it begins as the network"
    assert (np.abs(cosine) < 1 + 1e-5).all() and cosine[1] < 0.9999, "and lags behind it"
    pretrain.pretrain(run, views, **short)
    assert np.isnan(Table.read(run / "pretrain" / "history.csv")["key_cosine"]).all()
