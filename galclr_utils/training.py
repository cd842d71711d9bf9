"""Take the steps of a pretraining, on one device or on many.

The rules of the loop: all randomness comes from the seed and the number of the epoch, so that a
restart repeats it; nothing of ours is read back from the device but at the end of an epoch, so that
it seldom waits (lightly's loss makes it wait, for its masks or the place in its memory bank).

Axes: B galaxies in a batch, C bands, H, W pixels.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from galclr_utils.contrast import build_loss, build_model
from galclr_utils.dataset import GalaxySet
from galclr_utils.device import make_fabric
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.provenance import progress
from galclr_utils.recipe import Settings
from galclr_utils.stamps import Stamps

VIEWS, LOOK, ORDER, AXES = 0, 1, 2, 3  # streams of random numbers
MEASURED = 10_000  # galaxies that principal axes are measured on, at most
TIMED_STEPS = 12  # steps thrown away to learn how long one takes


def learning_rate_at(step: int, total: int, warmup: int, peak: float) -> float:
    """Return the rate of a step: a linear warm-up, then half a cosine down to zero.

    The warm-up is at most a tenth of all steps, so that a short run still has its cosine.

    >>> [round(learning_rate_at(s, total=100, warmup=10, peak=1.0), 2) for s in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    warmup = min(warmup, total // 10)
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


class Trainer:
    """Run the steps of a pretraining: what is needed for one, and nothing else.

    Where several processes train together (``torchrun``), each takes its share of every batch and
    finds its strangers in all of it, and the gradients are averaged.

    Args:
        galaxies: the data set; only its ``train`` split is learned from.
        views: the random transforms, which end in the normalisation.
        settings: the checked settings.
    Raises:
        ValueError: fewer than two galaxies to contrast, or a batch of fewer than two a process.
    """

    def __init__(self, galaxies: GalaxySet, views: GalaxyViews, settings: Settings):
        self.galaxies, self.views, self.settings = galaxies, views, settings
        train = galaxies.indices("train")
        self.fabric = make_fabric(settings.precision)
        world, device = self.fabric.world_size, self.fabric.device
        batch_size = min(settings.batch_size, len(train)) // world * world
        if batch_size < 2 * world:
            raise ValueError(
                f"train split: got {len(train)} galaxies in batches of {settings.batch_size}, "
                f"expected 2 or more to contrast in each of {world} processes"
            )
        self.batch_size, self.n_train = batch_size, len(train)
        self.steps_per_epoch = len(train) // batch_size
        self.total_steps = settings.epochs * self.steps_per_epoch
        self.step, self.rate = 0, 0.0
        self.stamps = Stamps(galaxies.images, train, device)
        self.encoder = Encoder(
            settings.encoder,
            settings.representation_dim,
            views.normalize,
            galaxies.images.shape[1],
            settings.seed,
        )
        self.network = build_model(settings, self.encoder)
        self.network = self.network.to(device, memory_format=torch.channels_last)
        if world > 1 and device.type == "cuda":  # on a CPU each process normalises its own share
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
        if settings.cuda_graphs and device.type == "cuda" and world == 1:
            self.record_graphs()
        learned = [p for p in self.network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            learned, settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.model, self.optimizer = self.fabric.setup(self.network, optimizer)
        self.loss = build_loss(settings, len(train), gather=world > 1).to(device)
        self.loss_sum, self.losses = torch.zeros((), dtype=torch.float64, device=device), 0

    def record_graphs(self) -> None:
        """Record the kernels of a step once, to start them all together: for a GPU.

        A small network is done with a layer before the next one is started. Recording runs the
        network, which moves its batch norm: that is undone.
        """
        before = copy.deepcopy(self.network.state_dict())
        bands, height, width = self.galaxies.images.shape[1:]
        shape, device = (2 * self.batch_size, bands, height, width), self.fabric.device
        sample = torch.rand(shape, device=device).to(memory_format=torch.channels_last)
        mixed = self.fabric._precision.precision == "bf16-mixed"
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed, cache_enabled=False):
            torch.cuda.make_graphed_callables(self.network, (sample,))
        self.network.load_state_dict(before)

    def generator(self, epoch: int, stream: int = VIEWS) -> torch.Generator:
        """Return the random numbers of one epoch on this process: the same after a restart."""
        words = [self.settings.seed, stream, epoch, self.fabric.global_rank]
        (seed,) = np.random.SeedSequence(words).generate_state(1)
        return torch.Generator(self.fabric.device).manual_seed(int(seed))

    def batches(self, epoch: int) -> tuple[np.ndarray, torch.Generator]:
        """Return this process' share of the epoch's shuffled batches, and the views' generator.

        Returns:
            int64 (steps, B / processes), positions in the ``train`` split, whole batches only.
        """
        order = np.random.default_rng([self.settings.seed, ORDER, epoch]).permutation(self.n_train)
        batches = order[: self.steps_per_epoch * self.batch_size].reshape(-1, self.batch_size)
        share = batches[:, self.fabric.global_rank :: self.fabric.world_size]
        return share, self.generator(epoch)

    def two_views(self, stamps: Tensor, generator: torch.Generator) -> Tensor:
        """Return two views of each galaxy (2B, C, H, W), the first of all before the second."""
        return self.views(torch.cat([stamps, stamps]), generator)

    def learn(self, stamps: Tensor, generator: torch.Generator) -> Tensor:
        """Take one optimiser step on a batch; return its loss (a tensor, not yet read)."""
        warmup = self.settings.warmup_epochs * self.steps_per_epoch
        peak = self.settings.learning_rate
        self.rate = learning_rate_at(self.step, self.total_steps, warmup, peak)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        _, projections = self.model(self.two_views(stamps, generator))
        loss = self.loss(*projections.chunk(2))
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.step += 1
        return loss.detach()

    def epochs(self) -> Iterator[int]:
        """Take all remaining steps; yield the number of epochs done, each time one is.

        A state saved there continues exactly as if nothing had happened. The last epoch may be
        shorter, if ``max_minutes`` was too short for all of it.
        """
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        bar = range(self.step, self.total_steps)
        ticks = iter(progress(bar, "pretraining") if self.fabric.is_global_zero else bar)
        for epoch in range(self.step // self.steps_per_epoch, epochs):
            if self.step == self.total_steps:  # it was begun with other batches
                break
            order, generator = self.batches(epoch)
            for stamps in self.stamps.batches(order[: self.total_steps - self.step]):
                self.loss_sum += self.learn(stamps, generator)
                self.losses += 1
                next(ticks, None)
            # the same in all processes, as all else that a state holds
            self.loss_sum = self.fabric.all_reduce(self.loss_sum)
            yield epoch + 1
        next(ticks, None)

    def finish(self) -> None:
        """Compute what is not learned: the last layer, where the representation is principal."""
        if self.settings.representation == "principal":
            train = self.galaxies.indices("train")
            random = np.random.default_rng([self.settings.seed, AXES])
            measured = np.sort(random.permutation(train)[:MEASURED])
            self.encoder.set_principal(self.galaxies.images[measured])

    def mean_loss(self) -> float:
        """Return the mean loss of all processes since the last call, and begin anew."""
        mean = (self.loss_sum / max(1, self.losses)).item()
        self.loss_sum.zero_()
        self.losses = 0
        return mean

    def fit_schedule(self, max_minutes: float) -> float:
        """Time a few steps, undo them, and set the number of steps that fits into the minutes.

        A twentieth is kept for the looks at the validation galaxies.

        Returns:
            The seconds that the timing took.
        """
        began, before = time.perf_counter(), copy.deepcopy(self.state())
        order, generator = self.batches(0)
        seconds = []
        for stamps in self.stamps.batches(np.resize(order, (TIMED_STEPS, order.shape[1]))):
            started = time.perf_counter()
            self.learn(stamps, generator).item()
            seconds.append(time.perf_counter() - started)
        self.load(before)
        spent = time.perf_counter() - began
        affordable = 0.95 * (max_minutes * 60 - spent) / np.median(seconds)
        steps = max(1, min(self.total_steps, int(affordable)))
        self.total_steps = self.fabric.broadcast(steps)
        return spent

    def state(self) -> dict:
        """Return all that a restart needs; lightly keeps a memory bank out of ``state_dict``."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "memory": dict(self.loss.named_buffers()),
            "loss_sum": self.loss_sum,
            "losses": self.losses,
            "step": self.step,
            "total_steps": self.total_steps,
        }

    def load(self, state: dict) -> None:
        """Continue from a saved state."""
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, buffer in self.loss.named_buffers():
            buffer.copy_(state["memory"][name])
        self.loss_sum.copy_(state["loss_sum"])
        self.losses, self.step = state["losses"], state["step"]
        self.total_steps, self.rate = state["total_steps"], 0.0
