"""Build what a user would otherwise run, so that it can be timed beside this project.

- `Stock`: lightly's SimCLR as its examples write it: PIL pictures, ``SimCLRTransform`` in the
  workers of a DataLoader, two forward passes, 32-bit floats. ``tuned=True`` adds what a user who
  reads about speed would add: bfloat16, channels_last, a kept heap.
- `stock_views`, `lightly_train_views`, `kornia_views`, `torchvision_views`: the augmentation alone.

Network, loss and optimiser are this project's, so that only the pipeline differs.
"""

# N galaxies, B galaxies in a batch, H, W pixels

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import psutil
import torch
from lightly.loss import NTXentLoss
from lightly.transforms import SimCLRTransform
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision.transforms import v2

from galclr_utils.contrast import SimCLR
from galclr_utils.device import has_bfloat16, keep_memory
from galclr_utils.encoders import Encoder

AHEAD = 2  # batches that each worker has ready: the default of DataLoader
INSTALL = {  # of what is optional
    "kornia": "pip install --no-deps -r benchmarks/requirements.txt",
    "kornia, no hue": "pip install --no-deps -r benchmarks/requirements.txt",
    "LightlyTrain": "pip install lightly-train==0.18.0 (see benchmarks/README.md)",
}


def stock_transform(size_px: int = 32) -> SimCLRTransform:
    """Return lightly's transform with the options that small pictures of galaxies ask for.

    ``cj_strength=0.5`` is what its documentation recommends for small images; a galaxy has no up,
    so it is turned by any angle and flipped both ways. All else is the default: a crop of 8% to
    100% resized to the stamp, colour jitter with hue (p 0.8), grey (p 0.2), blur (p 0.5), ImageNet
    normalisation.

    >>> len(stock_transform()(Image.new("RGB", (32, 32))))
    2
    """
    turned = {"vf_prob": 0.5, "rr_prob": 1.0, "rr_degrees": 180}
    return SimCLRTransform(input_size=size_px, cj_strength=0.5, **turned)


def describe(transform: SimCLRTransform) -> list[str]:
    """Return the steps of a view in words; lightly's own have no ``repr`` that says their settings.

    >>> describe(stock_transform())[1]
    'RandomHorizontalFlip(p=0.5)'
    """

    def words(step) -> str:
        if " object at 0x" not in repr(step):
            return " ".join(repr(step).split())
        inside = ", ".join(f"{k}={words(v)}" for k, v in vars(step).items())
        return f"{type(step).__name__}({inside})"

    return [words(step) for step in transform.transforms[0].transform.transforms]


class Pictures(Dataset):
    """Hand out pictures, transformed one by one. They lie in memory: no file is decoded.

    Args:
        pictures: uint8 (N, H, W, 3).
        transform: PIL picture -> list of two tensors (3, H, W).
    """

    def __init__(self, pictures: np.ndarray, transform: Callable):
        self.pictures, self.transform = pictures, transform

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, k: int):
        return self.transform(Image.fromarray(self.pictures[k]))


class Stock:
    """Train as lightly's example does, one step at a time.

    The workers are started once and stay; an epoch has no end, so that neither the start of the
    workers nor the gap between epochs counts against it.

    Args:
        pictures: uint8 (N, H, W, 3).
        batch_size: B.
        tuned: with bfloat16 (where the CPU has it), channels_last and a kept heap.
        workers: processes of the DataLoader.

    >>> stock = Stock(np.zeros((8, 32, 32, 3), np.uint8), batch_size=4, workers=0)
    >>> stock.step()
    4
    """

    def __init__(self, pictures, batch_size: int, tuned: bool = False, workers: int = 2):
        self.tuned, self.batch_size, self.workers = tuned, batch_size, workers
        self.mixed = tuned and has_bfloat16()
        data = Pictures(pictures, stock_transform(pictures.shape[1]))
        endless = RandomSampler(data, replacement=True, num_samples=10**9)
        self.set_memory()  # which the workers inherit
        before = set(psutil.Process().children())
        self.batches = iter(
            DataLoader(data, batch_size, sampler=endless, num_workers=workers, drop_last=True)
        )
        self.processes = sorted(set(psutil.Process().children()) - before, key=lambda p: p.pid)
        self.model = SimCLR(Encoder("cnn4"))
        if tuned:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.loss = NTXentLoss(temperature=0.2)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), 0.001, weight_decay=0.0001)

    def set_memory(self) -> None:
        """Keep the heap of this process, or leave it to glibc: the clock must run afterwards."""
        keep_memory(self.tuned)

    def step(self) -> int:
        """Take one step; return the number of galaxies in it."""
        first, second = next(self.batches)
        if self.tuned:
            first, second = (
                x.contiguous(memory_format=torch.channels_last) for x in (first, second)
            )
        with torch.autocast("cpu", torch.bfloat16, enabled=self.mixed):
            z0, z1 = self.model(first)[1], self.model(second)[1]
            loss = self.loss(z0, z1)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return len(first)

    @property
    def in_stock(self) -> int:
        """Batches that may lie ready: to be used up before a clock starts."""
        return self.workers * AHEAD

    def cpu_seconds(self) -> float:
        """Return the CPU time that the workers have used so far."""
        return sum(sum(p.cpu_times()[:2]) for p in self.processes)

    def rest(self) -> None:
        """Wait until the workers have made what they were asked for, and are idle."""
        used = -1.0
        while used < (used := self.cpu_seconds()):
            time.sleep(0.1)

    def close(self) -> None:
        """Stop the workers."""
        self.batches = None


def default_memory() -> None:
    """Leave the heap to glibc, as in a process in which nothing was set."""
    keep_memory(False)


# --- augmentation alone: each returns a function that makes one view of each picture -------------


def stock_views(pictures: np.ndarray) -> Callable[[], int]:
    """Return what makes two views of each picture in this process, by lightly's transform."""
    data = Pictures(pictures, stock_transform(pictures.shape[1]))

    def make() -> int:
        views = [data[k] for k in range(len(data))]
        for half in zip(*views, strict=True):
            torch.stack(half)
        return 2 * len(data)

    return make


def lightly_train_views(pictures: np.ndarray) -> Callable[[], int]:
    """Return the same by LightlyTrain, whose transform is albumentations'; on a private module.

    Raises:
        ImportError: it is not installed.
    """
    from lightly_train._methods.simclr.simclr_transform import SimCLRTransform, SimCLRTransformArgs
    from lightly_train._transforms.transform import RandomFlipArgs, RandomRotationArgs

    flips = RandomFlipArgs(horizontal_prob=0.5, vertical_prob=0.5)
    turned = {"random_flip": flips, "random_rotation": RandomRotationArgs(prob=1.0, degrees=180)}
    options = SimCLRTransformArgs(image_size=pictures.shape[1:3], **turned)
    options.resolve_auto()
    options.color_jitter.strength = 0.5
    transform = SimCLRTransform(options)

    def make() -> int:
        views = [[v["image"] for v in transform({"image": picture})] for picture in pictures]
        for half in zip(*views, strict=True):
            torch.stack(half)
        return 2 * len(pictures)

    return make


def kornia_list(size_px: int = 32, hue: float = 0.1) -> nn.Module:
    """Return kornia's counterpart of this project's list, a draw for each image.

    Args:
        size_px: H and W.
        hue: of the colour jitter, by default what `stock_transform` has: factors of each band by
            itself, as ours are, change the hue too. 0 leaves it out, and most of the cost with it.
    Raises:
        ImportError: it is not installed.
    """
    import kornia.augmentation as K

    square, shift = (size_px, size_px), 2 / size_px
    return nn.Sequential(
        K.ColorJiggle(0.1, 0.1, 0.1, hue, p=0.5),
        K.RandomRotation(180.0, p=1.0),
        K.RandomHorizontalFlip(p=0.5),
        K.RandomVerticalFlip(p=0.5),
        K.RandomResizedCrop(square, scale=(0.64, 1.0), ratio=(1.0, 1.0), p=0.5),
        K.RandomAffine(0.0, translate=(shift, shift), p=0.5),
        K.RandomGaussianBlur((5, 5), (0.1, 1.0), p=0.5),
        K.RandomGaussianNoise(std=0.01, p=0.5),
        K.RandomErasing(scale=(0.005, 0.06), ratio=(1.0, 1.0), p=0.5),
        K.Normalize(torch.tensor([0.5]), torch.tensor([0.25])),
    )


def kornia_views(images: Tensor, hue: float = 0.1) -> Callable[[], int]:
    """Return what makes one view of each image (N, 3, H, W) in [0, 1], in one batch."""
    transform = kornia_list(images.shape[-1], hue)

    def make() -> int:
        return len(transform(images))

    return make


def torchvision_list(size_px: int = 32) -> v2.Transform:
    """Return torchvision's counterpart: its draws hold for a batch, so it takes images singly.

    >>> torchvision_list()(torch.zeros(3, 32, 32)).shape
    torch.Size([3, 32, 32])
    """
    shift = 2 / size_px
    blur = v2.GaussianBlur(5, (0.1, 1.0))
    return v2.Compose(
        [
            v2.RandomApply([v2.ColorJitter(0.1, 0.1, 0.1, 0.1)], 0.5),
            v2.RandomAffine(
                180, (shift, shift), (0.8, 1.25), interpolation=v2.InterpolationMode("bilinear")
            ),
            v2.RandomHorizontalFlip(0.5),
            v2.RandomVerticalFlip(0.5),
            v2.RandomApply([blur], 0.5),
            v2.RandomApply([v2.GaussianNoise(sigma=0.01)], 0.5),
            v2.RandomErasing(0.5, (0.005, 0.06), (1.0, 1.0)),
            v2.Normalize([0.5], [0.25]),
        ]
    )


def torchvision_views(images: Tensor) -> Callable[[], int]:
    """Return what makes one view of each image (N, 3, H, W) in [0, 1], one after the other."""
    transform = torchvision_list(images.shape[-1])

    def make() -> int:
        return len(torch.stack([transform(image) for image in images]))

    return make
