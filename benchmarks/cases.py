"""Build the cases that `speed.py` measures, group by group; those that train are in `trainings.py`.

Each function returns a list of cases; what a case needs (a set, networks, workers) is made here,
before any clock runs. Our own cases keep the heap, as a pretraining does; the stock ones do not.
"""

# N galaxies, B galaxies in a batch (2B views), C bands, H, W pixels

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import stock
import torch
from astropy.table import Table
from lightly.loss import NTXentLoss
from rounds import Case
from stock import default_memory

from galclr_utils import simulate
from galclr_utils.assemble import sky_rms
from galclr_utils.atlas import umap_map
from galclr_utils.dataset import GalaxySet, bin_pixels
from galclr_utils.device import has_bfloat16, keep_memory
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.probes import fit_probe
from galclr_utils.training import Trainer

GEMM = 2048  # rows and columns of the square matrices


def make_galaxies(folder: Path, n: int, n_simulated: int, seed: int) -> GalaxySet:
    """Write and open a set to train on: SIMULATED galaxies, repeated with noise of their own.

    Times do not depend on what is in the pixels, so a few galaxies are enough.

    Args:
        folder: where to.
        n: stamps, float16 (n, 3, 32, 32) in nanomaggies, all in ``train``.
        n_simulated: how many different galaxies are among them.
        seed: of galaxies and noise.
    """
    blocks = simulate.survey(n_simulated, seed, workers=1).blocks()
    galaxies = np.concatenate([bin_pixels(images, 2, "sum") for images, _ in blocks])
    random, images = np.random.default_rng(seed), np.empty((n, *galaxies.shape[1:]), np.float16)
    for start in range(0, n, len(galaxies)):
        some = images[start : start + len(galaxies)]
        some[:] = galaxies[: len(some)] + 0.01 * random.standard_normal(some.shape, np.float32)
    names = [f"sim-{k}" for k in range(n)]
    catalog = Table({"id": names, "split": ["train"] * n, "label": np.arange(n) % 2})
    card = {"units": "nanomaggy", "bands": ["g", "r", "i"], "source": "SIMULATED"}
    card |= {"simulated": True, "sky_rms": sky_rms(images, "nanomaggy")}
    GalaxySet(images, catalog, card).save(folder)
    return GalaxySet.load(folder)


def make_pictures(galaxies: GalaxySet, views: GalaxyViews, n: int) -> np.ndarray:
    """Return the first n galaxies as pictures, uint8 (n, H, W, 3), i in red and g in blue."""
    normalised = views.normalize(torch.from_numpy(np.array(galaxies.images[:n])))
    return (255 * normalised).byte().flip(1).permute(0, 2, 3, 1).contiguous().numpy()


def machine(threads: int, seconds: float) -> list[Case]:
    """Measure what the machine can do: multiply matrices, and copy."""

    def multiply(dtype) -> Callable[[], float]:
        a, b = torch.randn(2, GEMM, GEMM).to(dtype)

        def run() -> float:
            torch.mm(a, b)
            return 2e-9 * GEMM**3

        return run

    def copy() -> float:
        there.copy_(here)
        return 2e-9 * here.nbytes  # read and written

    here, there = torch.zeros(2, 2**26)  # 256 MiB each: more than any cache holds
    work = {"GEMM fp32": multiply(torch.float32), "copy": copy}
    if has_bfloat16():
        work["GEMM bf16"] = multiply(torch.bfloat16)
    return [
        Case("machine", name, "GB/s" if name == "copy" else "GFLOP/s", k, GEMM, run, seconds)
        for k in sorted({1, threads})
        for name, run in work.items()
    ]


def augmentation(galaxies, trainer: Trainer, threads: int, seconds: float, say) -> list[Case]:
    """Make views and nothing else: on one core by CPU time, and ours also as in a training."""
    views, few = trainer.views, min(256, len(galaxies))
    pictures = make_pictures(galaxies, views, few)
    images = torch.from_numpy(np.array(galaxies.images[:1024]))
    normalised = views.normalize(images)
    generator = torch.Generator().manual_seed(0)

    def ours(batch: int) -> Callable[[], int]:
        return lambda: len(views(images[:batch], generator))

    def add(name: str, batch: int, make: Callable[[], Callable], before=keep_memory) -> None:
        try:
            run = make()
        except ImportError:
            if batch == few:  # said once
                say(f"augmentation, {name}: left out, not installed: {stock.INSTALL[name]}")
            return
        case = Case("augmentation", name, "views/s", 1, batch, run, seconds, by_cpu=True)
        case.before = before
        cases.append(case)

    cases: list[Case] = []
    for batch in sorted({few, min(1024, len(galaxies))}):
        add("ours", batch, lambda b=batch: ours(b))
        add("kornia", batch, lambda b=batch: stock.kornia_views(normalised[:b]), default_memory)
    no_hue = "kornia, no hue", few, lambda: stock.kornia_views(normalised[:few], hue=0.0)
    add(*no_hue, default_memory)
    # what works image by image does not care how many come at a time
    add("stock", few, lambda: stock.stock_views(pictures), default_memory)
    add("LightlyTrain", few, lambda: stock.lightly_train_views(pictures), default_memory)
    add("torchvision v2", few, lambda: stock.torchvision_views(normalised[:few]), default_memory)
    stamps = images[: trainer.batch_size]
    batch = 2 * len(stamps)
    both = Case(
        *("augmentation", "ours, as in a step", "views/s", threads, batch),
        lambda: len(trainer.two_views(stamps, generator)),
        seconds,
        before=keep_memory,
        busy=False,
    )
    return [*cases, both]


def data(galaxies: GalaxySet, trainer: Trainer, threads: int, seconds: float) -> list[Case]:
    """Read random batches of stamps: from a memory map, from memory, and as a training does."""
    batch, n = trainer.batch_size, len(galaxies)
    in_memory, random = torch.from_numpy(np.array(galaxies.images)), np.random.default_rng(0)

    def rows() -> np.ndarray:
        return random.integers(0, n, (16, batch))

    work = {
        "memory map": lambda: [torch.from_numpy(galaxies.images[some]) for some in rows()],
        "in memory": lambda: [in_memory[torch.from_numpy(some)] for some in rows()],
        "ours, as in a step": lambda: list(trainer.stamps.batches(rows())),
    }
    shape = "galaxies/s", threads, batch
    return [
        Case("data", name, *shape, lambda r=run: 16 * len(r()[0]), seconds, busy=False)
        for name, run in work.items()
    ]


def others(galaxies, trainer: Trainer, threads: int, seconds: float, n: int) -> list[Case]:
    """Measure what stands alone: loss, probes, embedding, simulation; n rows for the probes."""
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2 * n, 64), np.float32), np.arange(2 * n) % 2
    x += 0.5 * y[:, None]
    numbers = itertools.count()

    def loss(batch: int) -> Callable[[], int]:
        z, loss_of = torch.randn(2, batch, 64, requires_grad=True), NTXentLoss(temperature=0.2)

        def run() -> int:
            loss_of(*z).backward()
            return 1

        return run

    def probe(kind: str) -> int:
        fit_probe(kind, x[:n], y[:n], x[n:])
        return 1

    def embed(orientations: int) -> int:
        return len(trainer.encoder.embed(galaxies.images[:1024], orientations=orientations))

    cases = [
        Case("loss", f"NT-Xent, {b} galaxies", "ms", threads, b, loss(b), seconds, busy=False)
        for b in (256, 1024)
    ]
    cases += [
        Case("probe", kind, "s", threads, n, lambda k=kind: probe(k), seconds, busy=False)
        for kind in ("fully connected", "logistic")
    ]
    for k in (1, 8):
        name, size = f"{k} orientation{'s' * (k > 1)}", min(1024, len(galaxies))
        run = lambda k=k: embed(k)  # noqa: E731
        cases.append(Case("embedding", name, "galaxies/s", threads, size, run, seconds))

    def simulated() -> int:
        return len(simulate.block(0, next(numbers))[0])

    options = {"warm": 0, "by_cpu": True}
    one = ("simulation", "one core", "galaxies/s", 1, simulate.BLOCK)
    cases.append(Case(*one, simulated, seconds, **options))
    for case in cases:
        case.before = keep_memory
    return cases


def umap(n: int) -> list[Case]:
    """Map n points; UMAP is compiled by its first map, here, which is not counted."""
    h = np.random.default_rng(0).standard_normal((n, 64)).astype(np.float32)

    def run() -> int:
        umap_map(h)
        return 1

    umap_map(h[:50])
    return [Case("umap", f"{n} galaxies", "s", 1, n, run, seconds=0, warm=0)]
