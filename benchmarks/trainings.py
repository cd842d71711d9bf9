"""Build the cases that train: a step alone, a training end to end, the loop around a step."""

# B galaxies in a batch (2B views), C bands, H, W pixels

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from cases import make_galaxies
from lightly.loss import NTXentLoss
from rounds import Case
from stock import Stock, default_memory

from galclr_utils.contrast import SimCLR
from galclr_utils.dataset import GalaxySet
from galclr_utils.device import has_bfloat16, keep_memory
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.recipe import Settings
from galclr_utils.training import Trainer

TINY = {"n": 512, "size_px": 8, "batch": 4}  # so small a training that its loop shows


class Step:
    """Take the step of a training on views that lie ready, with no loop around it.

    Args:
        encoder: ``"cnn4"`` or ``"resnet18"``.
        views: float32 (2B, C, H, W), normalised.
        mixed: multiply in bfloat16.
        channels_last: of the weights and views.
    """

    def __init__(self, encoder: str, views, mixed: bool = False, channels_last: bool = False):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.views, self.mixed = views.contiguous(memory_format=layout), mixed
        self.model = SimCLR(Encoder(encoder)).to(memory_format=layout)
        self.loss = NTXentLoss(temperature=0.2)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 0.001, fused=True)

    def __call__(self) -> int:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            loss = self.loss(*self.model(self.views)[1].chunk(2))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return len(self.views) // 2


def step(batches: dict[str, int], threads: int, seconds: float) -> list[Case]:
    """Train on views that lie ready, plainly and with what makes it faster, one after the other."""
    settings = {"fp32": {}, "fp32 channels_last": {"channels_last": True}}
    if has_bfloat16():
        settings["bf16 channels_last"] = {"channels_last": True, "mixed": True}
    cases = []
    for encoder, batch in batches.items():
        for name, options in settings.items():
            run = Step(encoder, torch.rand(2 * batch, 3, 32, 32), **options)
            case = Case("step", f"{encoder} {name}", "galaxies/s", threads, batch, run, seconds)
            case.before = keep_memory if options else default_memory
            cases.append(case)
    return cases


def flop_per_view(encoder: str, size_px: int = 32) -> float:
    """Count the floating-point operations of forward and backward for one view.

    A multiplication and an addition are two; only convolutions and matrix products are counted.
    """
    from torch.utils.flop_counter import FlopCounterMode

    work = Step(encoder, torch.rand(8, 3, size_px, size_px))
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 8


def steps(trainer: Trainer) -> Iterator[int]:
    """Train without end, in epochs; yield the galaxies of each step."""
    for epoch in itertools.count():
        order, generator = trainer.batches(epoch)
        for stamps in trainer.stamps.batches(order):
            trainer.learn(stamps, generator)
            yield len(stamps)


def end_to_end(pictures, trainers: dict[str, Trainer], threads: int, seconds: float) -> tuple:
    """Train with all that belongs to it: stock, tuned stock, and ours in each precision.

    Returns:
        The cases, and the stock trainings, whose workers are to be closed.
    """
    batch = next(iter(trainers.values())).batch_size
    stocks = {"stock": Stock(pictures, batch), "tuned stock": Stock(pictures, batch, tuned=True)}
    cases = []
    for name, one in stocks.items():
        one.rest()
        case = Case("end to end", name, "galaxies/s", threads, batch, one.step, 1.5 * seconds)
        case.before, case.after, case.warm = one.set_memory, one.rest, one.in_stock + 2
        case.cpu_elsewhere, case.busy = one.cpu_seconds, threads <= one.workers
        cases.append(case)
    for name, trainer in trainers.items():
        run = steps(trainer).__next__
        case = Case("end to end", f"ours {name}", "galaxies/s", threads, batch, run, seconds)
        case.before, case.warm = keep_memory, 2
        cases.append(case)
    return cases, list(stocks.values())


class Tiny(torch.nn.Module):
    """Project stamps linearly: the least that can be trained."""

    def __init__(self, n_values: int):
        super().__init__()
        self.linear = torch.nn.Linear(n_values, 16)

    def forward(self, views):
        z = self.linear(views.flatten(1))
        return z, z


def loop(folder: Path, seed: int, seconds: float) -> list[Case]:
    """Run the loop of a training around the smallest of steps, so that the loop can be seen.

    Views are the stamps as they are and the network is linear; what is left of a training is
    reading stamps, the schedule, Fabric and the sum of losses.
    """
    n, size, batch = TINY.values()
    galaxies = make_galaxies(folder, n, 64, seed)
    small = np.array(galaxies.images[:, :, :size, :size])
    galaxies = GalaxySet(small, galaxies.catalog, galaxies.card)
    settings = Settings(batch_size=batch, precision="32-true", epochs=100_000)
    trainer = Trainer(galaxies, GalaxyViews.for_set(galaxies), settings)

    def views(stamps, generator):
        return stamps.float()

    def build():
        model = Tiny(small[0].size)
        return model, torch.optim.AdamW(model.parameters(), 0.001, fused=True)

    trainer.views = views
    trainer.model, trainer.optimizer = trainer.fabric.setup(*build())
    (model, optimizer), loss_of = build(), NTXentLoss(temperature=settings.temperature)
    stamps, epochs, n_steps = torch.from_numpy(small[:batch]), trainer.epochs(), n // batch

    def plain() -> int:
        for _ in range(n_steps):
            both = views(torch.cat([stamps, stamps]), None)
            z = model(both.contiguous(memory_format=torch.channels_last))[1]
            loss = loss_of(*z.chunk(2))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return n_steps

    def in_loop() -> int:
        next(epochs)
        return n_steps

    work = {"plain step": plain, "loop": in_loop}
    return [
        Case("loop", name, "ms per step", 1, batch, run, seconds, by_cpu=True, before=keep_memory)
        for name, run in work.items()
    ]
