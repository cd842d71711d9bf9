import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from galclr_utils import GalaxySet
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.recipe import Settings
from galclr_utils.training import Trainer, learning_rate_at

QUICK = {"epochs": 4, "batch_size": 64, "precision": "32-true", "warmup_epochs": 1}
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def views(galaxies):
    return GalaxyViews.for_set(galaxies)


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_one_galaxy_has_nobody_to_differ_from(galaxies, views):
    alone = GalaxySet(galaxies.images[:1], galaxies.catalog[:1], dict(galaxies.card))
    with pytest.raises(ValueError, match="expected 2 or more"):
        Trainer(alone, views, Settings())


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    rates = [learning_rate_at(s, 200, 20, 0.5) for s in range(200)]
    assert max(rates) == 0.5 and rates.index(0.5) == 19
    assert rates[:20] == sorted(rates[:20]) and rates[19:] == sorted(rates[19:], reverse=True)
    assert rates[-1] < 0.001


def test_timing_the_steps_leaves_no_trace(galaxies, views):
    trainer = Trainer(galaxies, views, Settings(**QUICK))
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    trainer.fit_schedule(max_minutes=1)
    assert same(before, trainer.network.state_dict()) and trainer.step == 0
    assert not trainer.optimizer.state_dict()["state"]


def test_every_galaxy_is_seen_once_an_epoch_and_each_epoch_in_another_order(galaxies, views):
    trainer = Trainer(galaxies, views, Settings(**QUICK))
    first, second = trainer.batches(0)[0], trainer.batches(1)[0]
    assert sorted(first.ravel()) == list(range(256)) and first.shape == (4, 64)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, trainer.batches(0)[0])


def test_processes_share_a_batch_and_draw_views_of_their_own(galaxies, views, monkeypatch):
    trainer = Trainer(galaxies, views, Settings(**QUICK))
    whole, _ = trainer.batches(0)
    shares, draws = [], []
    for rank in range(2):
        monkeypatch.setattr(type(trainer.fabric), "global_rank", rank)
        monkeypatch.setattr(type(trainer.fabric), "world_size", 2)
        share, generator = trainer.batches(0)
        shares.append(share)
        draws.append(torch.rand(3, generator=generator))
    assert not torch.equal(*draws)
    np.testing.assert_array_equal(np.sort(np.hstack(shares)), np.sort(whole))


@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_a_state_taken_up_continues_as_if_nothing_had_happened(galaxies, views, method):
    settings = Settings(method=method, memory_bank_size=100, **QUICK)
    whole = Trainer(galaxies, views, settings)
    steps = whole.epochs()
    next(steps), next(steps)
    saved = copy.deepcopy(whole.state())
    list(steps)
    resumed = Trainer(galaxies, views, settings)
    resumed.load(saved)
    assert list(resumed.epochs()) == [3, 4]
    assert same(whole.network.state_dict(), resumed.network.state_dict())
    assert same(dict(whole.loss.named_buffers()), dict(resumed.loss.named_buffers()))
    assert whole.mean_loss() == resumed.mean_loss(), "the sum since the last look is kept too"


def test_a_state_from_other_batches_ends_at_the_last_step_and_once(galaxies, views):
    """Another number of processes may round the batch to another size."""
    one = Trainer(galaxies, views, Settings(**QUICK | {"epochs": 10}))
    steps = one.epochs()
    [next(steps) for _ in range(4)]
    other = Trainer(galaxies, views, Settings(**QUICK | {"epochs": 10, "batch_size": 42}))
    other.load(copy.deepcopy(one.state()))
    assert (one.steps_per_epoch, other.steps_per_epoch, other.step) == (4, 6, 16)
    taken = [other.step for _ in other.epochs()]
    assert taken == [22, 28, 34, 40], "and no epoch without a step, whose loss would be 0"


def test_the_memory_bank_is_in_the_state(galaxies, views):
    trainer = Trainer(galaxies, views, Settings(method="moco", memory_bank_size=100, **QUICK))
    before = copy.deepcopy(trainer.state()["memory"])
    next(trainer.epochs())
    after = trainer.state()["memory"]
    assert before["memory_bank.bank"].shape == (100, 64)
    assert not torch.equal(before["memory_bank.bank"], after["memory_bank.bank"])
    assert "memory_bank.bank" not in trainer.loss.state_dict(), "lightly leaves it out"


def test_the_mean_loss_is_that_since_the_last_call(galaxies, views):
    trainer = Trainer(galaxies, views, Settings(**QUICK))
    losses, learn = [], trainer.learn

    def keep(stamps, generator):
        losses.append(learn(stamps, generator))
        return losses[-1]

    trainer.learn = keep
    epochs = trainer.epochs()
    for _ in range(2):
        next(epochs)
        assert trainer.mean_loss() == pytest.approx(torch.stack(losses[-4:]).mean().item())


def test_a_schedule_that_ends_within_an_epoch_ends_there(galaxies, views):
    trainer = Trainer(galaxies, views, Settings(**QUICK))
    trainer.total_steps = 6
    assert list(trainer.epochs()) == [1, 2] and trainer.step == 6


TWO_PROCESSES = """
import sys
import torch
from pathlib import Path
from galclr_utils import GalaxySet
from galclr_utils.recipe import Settings
from galclr_utils.training import Trainer
from galclr_utils.galaxy_views import GalaxyViews

folder = Path(sys.argv[1])
torch.set_num_threads(1)
galaxies = GalaxySet.load(folder / "dataset")
for method in ("simclr", "moco"):
    settings = Settings(batch_size=64, precision="32-true", method=method, memory_bank_size=96)
    trainer = Trainer(galaxies, GalaxyViews.for_set(galaxies), settings)
    rank, world = trainer.fabric.global_rank, trainer.fabric.world_size
    trainer.network.eval()
    if method == "moco":  # the pair of networks in use, batch norm as remembered
        trainer.network.training = True
    views = torch.load(folder / "views.pt", weights_only=True)
    share = torch.cat([half[rank::world] for half in views.chunk(2)])
    _, z = trainer.model(share)
    loss = trainer.loss(*z.chunk(2))
    trainer.fabric.backward(loss)
    gradients = {n: p.grad for n, p in trainer.network.named_parameters() if p.grad is not None}
    found = {"loss": loss.detach(), "gradients": gradients}
    torch.save(found, folder / f"{method}-{world}-{rank}.pt")
if world > 1:
    torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def joined(galaxies, tmp_path_factory):
    """One step of each method, by one process and by two that share its batch."""
    folder = tmp_path_factory.mktemp("joined")
    galaxies.save(folder / "dataset")
    generator = torch.Generator().manual_seed(0)
    stamps, views = torch.from_numpy(galaxies.images[:64]), GalaxyViews.for_set(galaxies)
    pair = torch.cat([views(stamps, generator), views(stamps, generator)])
    torch.save(pair, folder / "views.pt")
    (folder / "step.py").write_text(TWO_PROCESSES)
    on_cpu = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    for start in ([sys.executable], [*torchrun, "--nproc-per-node", "2"]):
        subprocess.run([*start, folder / "step.py", folder], env=on_cpu, check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("method", ["simclr", "moco"])
def test_two_processes_have_the_loss_and_gradients_of_one_with_the_joined_batch(joined, method):
    paths = [joined / f"{method}-{n}.pt" for n in ("1-0", "2-0", "2-1")]
    one, *two = (torch.load(path, weights_only=True) for path in paths)
    mean = (two[0]["loss"] + two[1]["loss"]) / 2
    torch.testing.assert_close(mean, one["loss"], rtol=1e-5, atol=1e-6)
    assert one["gradients"].keys() == two[0]["gradients"].keys()
    for name, gradient in one["gradients"].items():
        assert torch.equal(two[0]["gradients"][name], two[1]["gradients"][name])
        scale = gradient.abs().max().item()
        assert scale > 0 or name.endswith("bias")
        torch.testing.assert_close(
            two[0]["gradients"][name], gradient, rtol=1e-4, atol=1e-5 * max(scale, 1e-3)
        )
    assert two[0]["loss"] != two[1]["loss"], "each has anchors of its own"


@needs_gpu
def test_on_a_gpu_recorded_steps_learn_what_single_ones_do(galaxies, views):
    losses = {}
    for graphs in (False, True):
        settings = Settings(epochs=3, batch_size=64, cuda_graphs=graphs, precision="32-true")
        trainer = Trainer(galaxies, views, settings)
        assert trainer.stamps.where == "device"
        losses[graphs] = [trainer.mean_loss() for _ in trainer.epochs()]
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-2)


def test_the_last_layer_is_computed_on_training_galaxies_only_where_it_is_asked_for(
    galaxies, views
):
    layers = {}
    for representation in ("trained", "principal"):
        trainer = Trainer(galaxies, views, Settings(representation=representation, **QUICK))
        before = trainer.encoder.to_representation.weight.clone()
        trainer.finish()
        layers[representation] = trainer.encoder.to_representation.weight
        assert torch.equal(before, layers[representation]) == (representation == "trained")
    images = np.array(galaxies.images)
    images[galaxies.indices("test")] = images[galaxies.indices("val")] = 0
    others = GalaxySet(images, galaxies.catalog, dict(galaxies.card))
    again = Trainer(others, views, Settings(representation="principal", **QUICK))
    again.finish()
    assert torch.equal(again.encoder.to_representation.weight, layers["principal"])
