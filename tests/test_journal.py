"""A sweep that is stopped goes on where it was, and nothing of other inputs gets into it."""

import importlib.util
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import metrics, probes, scoring
from galclr_utils.dataset import GalaxySet
from galclr_utils.journal import Journal, code_key, digest

needs_fork = pytest.mark.skipif(os.name == "nt", reason="Windows has no fork")


def made(label_seed=0, sha="abc"):
    """Two hundred galaxies; the labels of two of these sets differ in the training split."""
    label = np.arange(200) % 2
    label[:120] = np.random.default_rng(label_seed).permutation(label[:120])
    split = np.repeat(["train", "test"], [120, 80])
    catalog = Table({"id": np.arange(200).astype(str), "label": label, "split": split})
    card = {"units": "display", "bands": ["g", "r", "i"], "sha256": sha}
    return GalaxySet(np.zeros((200, 3, 4, 4), "f2"), catalog, card)


class Coin:
    """Guess, count the guesses, and stop after some."""

    def __init__(self, stop=10**6):
        self.count, self.stop = 0, stop

    def __call__(self, train, y_train, test, seed, draw):
        if self.count == self.stop:
            raise KeyboardInterrupt
        self.count += 1
        return np.random.default_rng([seed, draw, len(train)]).random(len(test))


def sweep(coin, folder, galaxies=None, inputs="v1", seeds=(0, 1)):
    return scoring.score_methods(
        {"coin": coin}, galaxies or made(), [10, 20], 3, seeds, folder, {"coin": inputs}
    )


def test_a_stopped_sweep_goes_on_and_ends_as_one_that_was_not(tmp_path):
    whole = scoring.score_methods({"coin": Coin()}, made(), [10, 20], 3, [0, 1])
    with pytest.raises(KeyboardInterrupt):
        sweep(Coin(stop=5), tmp_path)
    rest, nothing = Coin(), Coin(stop=0)
    scores, again = sweep(rest, tmp_path), sweep(nothing, tmp_path)
    assert rest.count == 7 and nothing.count == 0
    for found in (scores, again):
        assert np.array_equal(found.p_late, whole.p_late)
        for name in ("method", "n_labels", "seed", "draw", "balanced_accuracy", "roc_auc"):
            assert np.array_equal(found.table[name], whole.table[name]), name
    assert np.array_equal(scores.table["seconds"][:5], again.table["seconds"][:5])
    assert len(list(tmp_path.glob("*.npz"))) == 12 and not list(tmp_path.glob(".*"))


def test_other_inputs_are_computed_again_and_the_old_are_still_there(tmp_path):
    sweep(Coin(), tmp_path)
    changed = {
        "settings": {"inputs": "v2"},
        "labels": {"galaxies": made(label_seed=1)},
        "pixels": {"galaxies": made(sha="def")},
    }
    for what, change in changed.items():
        coin = Coin()
        sweep(coin, tmp_path, **change)
        assert coin.count == 12, what
    coin = Coin(stop=0)
    sweep(coin, tmp_path)
    assert coin.count == 0


def test_labels_that_were_not_drawn_count_too(tmp_path):
    """A method that chooses what to have labelled reads labels that no draw holds."""
    galaxies, other = made(), made()
    train, test = (galaxies.labelled(split) for split in ("train", "test"))
    other.catalog["label"][train[-1]] = 1 - other.catalog["label"][train[-1]]
    run = {"method": "buyer", "labels": "those of the draw"}
    keys = [Journal.of(tmp_path, g, test).key(**run) for g in (galaxies, made(), other)]
    assert keys[0] == keys[1] != keys[2]


def test_inputs_of_one_seed_leave_the_others(tmp_path):
    sweep(Coin(), tmp_path, inputs={0: "a", 1: "b"})
    coin = Coin()
    sweep(coin, tmp_path, inputs={0: "a", 1: "c", 2: "d"}, seeds=(0, 1, 2))
    assert coin.count == 12, "seeds 1 and 2"


def test_without_inputs_or_a_hash_of_the_pixels_nothing_is_kept(tmp_path):
    with pytest.raises(ValueError, match="inputs: got nothing for coin"):
        scoring.score_methods({"coin": Coin()}, made(), [10], 1, journal=tmp_path)
    galaxies = made()
    del galaxies.card["sha256"]
    with pytest.raises(ValueError, match="data set that was never saved"):
        sweep(Coin(), tmp_path, galaxies)


def test_half_a_file_counts_for_nothing(tmp_path):
    sweep(Coin(), tmp_path)
    for path in list(tmp_path.glob("*.npz"))[:2]:
        path.write_bytes(path.read_bytes()[:50])
    coin = Coin()
    sweep(coin, tmp_path)
    assert coin.count == 2


def work(folder, log):
    """Sweep in a process of its own, and write down who did which run."""

    def slow(train, y_train, test, seed, draw):
        with open(log, "a") as file:
            file.write(f"{seed} {draw} {len(train)}\n")
        time.sleep(0.05)
        return np.full(len(test), 0.4)

    sweep(slow, folder)


def hold(folder, key, ready):
    """Claim a run and never finish it."""

    def forever():
        ready.set()
        time.sleep(600)

    Journal(folder, {}).once(key, forever)


@needs_fork
def test_two_processes_share_the_work(tmp_path):
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    both = [context.Process(target=work, args=(tmp_path / "runs", log)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    done = log.read_text().splitlines()
    assert [p.exitcode for p in both] == [0, 0]
    assert len(done) == len(set(done)) == 12, "each run once"


@needs_fork
def test_the_claim_of_a_dead_process_does_not_block(tmp_path):
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, "key", ready))
    process.start()
    assert ready.wait(30)
    journal = Journal(tmp_path, {})
    assert journal.once("key", lambda: [0.5], wait=False) is None, "it is being made"
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert journal.once("key", lambda: [0.5])[0].tolist() == [0.5]


def test_the_code_is_known_by_what_it_does(tmp_path):
    """Comments, layout and docstrings may change; a number may not."""
    told = '"""Tell."""\n\ndef two():\n    """Return 2."""\n    return 2  # always\n'
    texts = {"plain": "def two():\n    return (\n        2)\n", "told": told}
    texts |= {
        "told_else": told.replace("Return", "Give"),
        "other": told.replace("return 2", "return 3"),
    }
    keys = {}
    for name, text in texts.items():
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
        keys[name] = code_key(module)
    assert keys["told"] == keys["told_else"] != keys["other"]
    assert code_key(probes) != code_key(metrics)
    assert digest(np.zeros(4, "f4")) != digest(np.zeros((2, 2), "f4")) != digest(np.zeros(4, "f8"))
