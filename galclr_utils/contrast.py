"""Take one step of contrastive learning: SimCLR from lightly's head and NT-Xent loss.

Two random views of each galaxy go through the encoder and a small head; the loss asks the two
projections of a galaxy to be nearer to each other than to those of any other in the batch.

Axes: N galaxies, B galaxies in a batch, D representation h, Z projection z.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import Tensor, nn

from galclr_utils.checks import choice, number
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import ENCODERS, PRECISIONS, Encoder, make_fabric
from galclr_utils.provenance import progress
from galclr_utils.transforms import GalaxyViews

TIMED_STEPS = 12  # steps thrown away to learn how long one takes


@dataclass(frozen=True)
class Settings:
    """Hold the checked settings of one pretraining.

    >>> Settings(temperature="0.2").temperature
    0.2
    >>> Settings(epochs=0)
    Traceback (most recent call last):
    ...
    ValueError: epochs: got 0, expected a whole number in [1, 100000]
    """

    method: str = "simclr"
    encoder: str = "cnn4"
    representation_dim: int = 64
    epochs: int = 25
    batch_size: int = 256
    learning_rate: float = 0.001
    weight_decay: float = 0.0001
    warmup_epochs: int = 2
    temperature: float = 0.2
    precision: str = "auto"
    max_minutes: float = 0.0
    seed: int = 0

    def __post_init__(self):
        if self.method == "moco":
            raise ValueError("method: 'moco' is not built yet, use 'simclr'")
        checked = {
            "method": choice("method", self.method, ("simclr",)),
            "encoder": choice("encoder", self.encoder, ENCODERS),
            "representation_dim": number(
                "representation_dim", self.representation_dim, 2, 4096, True
            ),
            "epochs": number("epochs", self.epochs, 1, 100_000, True),
            "batch_size": number("batch_size", self.batch_size, 2, 65_536, True),
            "learning_rate": number("learning_rate", self.learning_rate, 0, 10, low_open=True),
            "weight_decay": number("weight_decay", self.weight_decay, 0, 1),
            "warmup_epochs": number("warmup_epochs", self.warmup_epochs, 0, 1000, True),
            "temperature": number("temperature", self.temperature, 0, 5, low_open=True),
            "precision": choice("precision", self.precision, PRECISIONS),
            "max_minutes": number("max_minutes", self.max_minutes, 0, 100_000),
            "seed": number("seed", self.seed, 0, 2**31 - 1, True),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


class SimCLR(nn.Module):
    """Join an encoder (galaxy -> h) and a projection head (h -> z).

    The head is lightly's: linear, batch norm, ReLU, linear, batch norm. It is thrown away after the
    training: h is the better representation (Chen et al. 2020, section 4.2).

    >>> model = SimCLR(Encoder("cnn4", 64))
    >>> h, z = model(torch.rand(4, 3, 32, 32))
    >>> h.shape, z.shape
    (torch.Size([4, 64]), torch.Size([4, 64]))
    """

    def __init__(self, encoder: Encoder, hidden_dim=256, projection_dim=64, seed: int = 0):
        super().__init__()
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = SimCLRProjectionHead(encoder.representation_dim, hidden_dim, projection_dim)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return h (2B, D) and z (2B, Z) of normalised views (2B, C, H, W)."""
        h = self.encoder(views)
        return h, self.head(h)


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

    Args:
        galaxies: the data set; only its ``train`` split is learned from.
        views: the random transforms, which end in the normalisation.
        settings: the checked settings.
    Raises:
        ValueError: fewer than two galaxies to contrast.
    """

    def __init__(self, galaxies: GalaxySet, views: GalaxyViews, settings: Settings):
        self.galaxies, self.views, self.settings = galaxies, views, settings
        self.train = galaxies.indices("train")
        if len(self.train) < 2:
            raise ValueError(
                f"train split: got {len(self.train)} galaxies, expected 2 or more to contrast"
            )
        self.batch_size = min(settings.batch_size, len(self.train))
        self.steps_per_epoch = len(self.train) // self.batch_size
        self.total_steps = settings.epochs * self.steps_per_epoch
        self.step, self.rate = 0, 0.0
        self.fabric = make_fabric(settings.precision)
        self.encoder = Encoder(
            settings.encoder,
            settings.representation_dim,
            views.normalize,
            galaxies.images.shape[1],
            settings.seed,
        )
        model = SimCLR(self.encoder, seed=settings.seed).to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.model, self.optimizer = self.fabric.setup(model, optimizer)
        self.loss = NTXentLoss(temperature=settings.temperature)

    def generator(self, epoch: int, stream: int = 0) -> torch.Generator:
        """Return the random numbers of one epoch: the same ones after a restart."""
        words = np.random.SeedSequence([self.settings.seed, stream, epoch]).generate_state(1)
        return torch.Generator().manual_seed(int(words[0]))

    def two_views(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        """Return two views of each galaxy (2B, C, H, W), the first of all before the second."""
        stamps = torch.from_numpy(self.galaxies.images[rows]).to(self.fabric.device)
        views = self.views(torch.cat([stamps, stamps]), generator)
        return views.contiguous(memory_format=torch.channels_last)

    def learn(self, rows: np.ndarray, generator: torch.Generator) -> Tensor:
        """Take one optimiser step on a batch; return its loss (a tensor, not yet read)."""
        warmup = self.settings.warmup_epochs * self.steps_per_epoch
        peak = self.settings.learning_rate
        self.rate = learning_rate_at(self.step, self.total_steps, warmup, peak)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        _, projections = self.model(self.two_views(rows, generator))
        first, second = projections.chunk(2)
        loss = self.loss(first, second)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.optimizer.step()
        self.step += 1
        return loss.detach()

    def batches(self, epoch: int) -> tuple[np.ndarray, torch.Generator]:
        """Return the epoch's shuffled batches, whole ones only, and the generator of its views."""
        generator = self.generator(epoch)
        order = self.train[torch.randperm(len(self.train), generator=generator).numpy()]
        whole = self.steps_per_epoch * self.batch_size
        return order[:whole].reshape(self.steps_per_epoch, self.batch_size), generator

    def run(self, looks: int) -> Iterator[float]:
        """Take all remaining steps, epoch by epoch, and pause about ``looks`` times.

        Yields:
            The mean loss since the last pause, always at the end of an epoch or of the run, so that
            a run taken up at a pause repeats the uninterrupted one exactly.
        """
        if self.step >= self.total_steps:
            return
        epochs = math.ceil(self.total_steps / self.steps_per_epoch)
        every = max(1, round(epochs / looks))
        bar = progress(range(self.step, self.total_steps), "pretraining")
        ticks, losses = iter(bar), []
        for epoch in range(self.step // self.steps_per_epoch, epochs):
            batches, generator = self.batches(epoch)
            for rows in batches[: self.total_steps - self.step]:
                losses.append(self.learn(rows, generator))
                next(ticks, None)
            if (epoch + 1) % every == 0 or epoch + 1 == epochs:
                yield torch.stack(losses).mean().item()
                losses = []
        next(ticks, None)

    def fit_schedule(self, max_minutes: float) -> float:
        """Time a few steps, undo them, and set the number of steps that fits into the minutes.

        A twentieth is kept for the looks at the validation galaxies.

        Returns:
            The seconds that the timing took.
        """
        began, before = time.perf_counter(), copy.deepcopy(self.state())
        batches, generator = self.batches(0)
        seconds = []
        for k in range(TIMED_STEPS):
            started = time.perf_counter()
            self.learn(batches[k % len(batches)], generator).item()
            seconds.append(time.perf_counter() - started)
        self.load(before)
        spent = time.perf_counter() - began
        affordable = 0.95 * (max_minutes * 60 - spent) / np.median(seconds)
        self.total_steps = max(1, min(self.total_steps, int(affordable)))
        return spent

    def state(self) -> dict:
        """Return all that a restart needs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "total_steps": self.total_steps,
        }

    def load(self, state: dict) -> None:
        """Continue from a saved state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.total_steps = state["step"], state["total_steps"]
        self.rate = 0.0
