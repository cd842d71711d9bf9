"""Turn a galaxy into 64 numbers: convolutional encoders, saved with their normalisation.

Axes: N galaxies, C bands, H, W pixels, P pooled features, D representation.
"""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galclr_utils.checks import choice, number
from galclr_utils.device import one_thread
from galclr_utils.normalize import Normalize
from galclr_utils.provenance import progress, whole_file

CHANNELS = {"cnn4": (32, 64, 128, 256), "cnn4-wide": (48, 96, 192, 384)}
ENCODERS = (*CHANNELS, "resnet18")


def build_trunk(name: str, n_bands: int = 3) -> tuple[nn.Module, int]:
    """Build the convolutional part of an encoder, which ends in a mean over all positions.

    ``cnn4`` is four convolutions of 32, 64, 128 and 256 channels: small enough for a laptop.
    ``cnn4-wide`` has half as many channels again, and takes about twice as long.
    ``resnet18`` is torchvision's, with the stem that small images need: a 3x3 convolution of
    stride 1 and no max-pool (Chen et al. 2020, appendix B.9, for CIFAR-10); the ImageNet stem
    would throw away three quarters of a 32-pixel stamp before the first block sees it.

    Returns:
        The module, (N, C, H, W) -> (N, P), and P.

    >>> trunk, width = build_trunk("cnn4")
    >>> trunk(torch.zeros(2, 3, 32, 32)).shape, width
    (torch.Size([2, 256]), 256)
    """
    choice("encoder", name, ENCODERS)
    if name == "resnet18":
        from torchvision.models import resnet18

        trunk = resnet18(weights=None)
        trunk.conv1 = nn.Conv2d(n_bands, 64, 3, stride=1, padding=1, bias=False)
        trunk.maxpool, trunk.avgpool, trunk.fc = nn.Identity(), Mean(), nn.Identity()
        return trunk, 512
    widths = (n_bands, *CHANNELS[name])
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
        # the largest of ReLUs is the ReLU of the largest, on a quarter of the pixels
        layers += [nn.MaxPool2d(2), nn.ReLU(inplace=True)]
    layers[-2:] = [nn.ReLU(inplace=True), Mean()]  # the last block averages instead of halving
    return nn.Sequential(*layers, nn.Flatten()), widths[-1]


class Mean(nn.Module):
    """Average over all positions, (N, C, H, W) -> (N, C, 1, 1).

    As ``nn.AdaptiveAvgPool2d(1)``, but in the gradient, too, the bands of a pixel stay side by side
    in memory (``channels_last``), which spares the layer before it a slow walk.
    """

    def forward(self, maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, maps.shape[-2:])


class Encoder(nn.Module):
    """Map normalised galaxies to representations h, and remember how they were normalised.

    Args:
        name: ``"cnn4"``, ``"cnn4-wide"`` or ``"resnet18"``.
        representation_dim: D, 64 in the study that is reproduced here.
        normalize: what turns the data set's units into [0, 1]; used by :meth:`embed`.
        n_bands: C.
        seed: of the initial weights.

    Attributes:
        principal: whether h is principal components of the pooled features (`set_principal`).

    >>> encoder = Encoder("cnn4", representation_dim=64, normalize=Normalize("identity"))
    >>> encoder(torch.rand(5, 3, 32, 32)).shape
    torch.Size([5, 64])
    >>> encoder.embed(np.random.default_rng(0).random((5, 3, 32, 32), dtype="f4")).shape
    (5, 64)
    """

    def __init__(
        self,
        name: str = "cnn4",
        representation_dim: int = 64,
        normalize: Normalize | None = None,
        n_bands: int = 3,
        seed: int = 0,
    ):
        super().__init__()
        self.name, self.n_bands, self.principal = name, n_bands, False
        self.representation_dim = number("representation_dim", representation_dim, 2, 4096, True)
        self.normalize = normalize if normalize is not None else Normalize("identity")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.trunk, pooled_dim = build_trunk(name, n_bands)
            self.to_representation = nn.Linear(pooled_dim, self.representation_dim)

    def forward(self, normalised: Tensor) -> Tensor:
        """Return h (N, D) of galaxies (N, C, H, W) already normalised to [0, 1]."""
        return self.to_representation(self.trunk(normalised))

    @torch.inference_mode()
    def embed(
        self,
        images: np.ndarray,
        batch_size: int = 128,
        orientations: int = 8,
        pooled: bool = False,
    ) -> np.ndarray:
        """Represent galaxies, averaged over the orientations in which the sky could show them.

        A galaxy has no up: the mean over its four rotations by 90 degrees and their mirror images
        removes what is left of the orientation, and measurably helps.

        Args:
            images: (N, C, H, W) in the data set's own units; a memory map is read batch by batch.
            batch_size: galaxies at a time; on a CPU more are slower, they leave its caches.
            orientations: 1 (as observed), 4 (rotations) or 8 (rotations and mirror images).
            pooled: return the P pooled features instead of the D-dimensional h.
        Returns:
            float32 (N, D), or (N, P) if ``pooled``.
        """
        if np.ndim(images) != 4 or np.shape(images)[1] != self.n_bands:
            raise ValueError(
                f"images: got shape {np.shape(images)}, expected (N, {self.n_bands}, H, W)"
            )
        choice("orientations", orientations, (1, 4, 8))
        device, training = next(self.parameters()).device, self.training
        network = self.trunk if pooled else self
        parts = []
        self.eval()
        for start in progress(range(0, len(images), batch_size), "embedding"):
            batch = torch.from_numpy(np.asarray(images[start : start + batch_size], "f4"))
            turned = orient(self.normalize(batch.to(device)), orientations)
            parts.append((sum(network(view).float() for view in turned) / orientations).cpu())
        self.train(training)
        width = self.to_representation.in_features if pooled else self.representation_dim
        return torch.cat(parts).numpy() if parts else np.zeros((0, width), "f4")

    @torch.no_grad()
    def calibrate_batch_norm(self, images: np.ndarray, batch_size: int = 512) -> Encoder:
        """Set the batch-norm statistics from images, weights untouched; returns itself.

        A network with random weights is a fair control only if its activations are in range.
        """
        norms = [m for m in self.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
        self.train()
        for start in range(0, len(images), batch_size):
            batch = torch.from_numpy(np.asarray(images[start : start + batch_size], "f4"))
            self(self.normalize(batch.to(norms[0].weight.device)))
        for norm in norms:
            norm.momentum = 0.1
        return self.eval()

    @torch.no_grad()
    def set_principal(self, images: np.ndarray, orientations: int = 8) -> Encoder:
        """Make h the first D principal components of the pooled features; returns itself.

        The last layer is then computed, not learned: it takes off the mean and turns to the axes of
        largest variance, which are not rescaled. The sign of an axis is such that its largest
        coefficient is positive.

        Args:
            images: (N, C, H, W) galaxies to measure mean and axes on, in the data set's own units.
            orientations: as in :meth:`embed`.

        >>> encoder = Encoder("cnn4", 8)
        >>> images = np.random.default_rng(0).random((40, 3, 32, 32), dtype="f4")
        >>> h = encoder.set_principal(images).embed(images)
        >>> bool(abs(h.mean(axis=0)).max() < 1e-5), bool((np.diff(h.var(axis=0)) <= 0).all())
        (True, True)
        """
        x = self.embed(images, orientations=orientations, pooled=True).astype(np.float64)
        mean = x.mean(axis=0)
        with one_thread():  # the last bits of the axes would depend on how many there are
            _, axes = np.linalg.eigh(np.atleast_2d(np.cov((x - mean).T)))
            axes = axes[:, ::-1][:, : self.representation_dim].T
            largest = np.abs(axes).argmax(axis=1, keepdims=True)
            axes = axes * np.sign(np.take_along_axis(axes, largest, axis=1))
            origin = -axes @ mean
        last = self.to_representation
        last.weight.copy_(torch.from_numpy(axes))
        last.bias.copy_(torch.from_numpy(origin))
        self.principal = True
        return self

    def save(self, path: str | Path, **facts) -> Path:
        """Write weights and all that rebuilds the encoder, whole or not at all."""
        recipe = {
            "name": self.name,
            "representation_dim": self.representation_dim,
            "n_bands": self.n_bands,
        }
        content = {"encoder": recipe, "normalize": self.normalize.settings, "facts": facts}
        content["principal"] = self.principal
        with whole_file(path) as part:
            torch.save({**content, "weights": self.state_dict()}, part)
        return Path(path)


def orient(images: Tensor, orientations: int) -> list[Tensor]:
    """Return images (N, C, H, W) in 1, 4 or 8 orientations: quarter turns, then mirror images.

    Each is laid out anew, with the bands of a pixel side by side: read where it lay, a turned image
    takes an encoder twice as long.

    >>> len(orient(torch.zeros(1, 3, 8, 8), 8))
    8
    """
    mirrored = [images] if orientations < 8 else [images, images.flip(-1)]
    quarter_turns = range(1 if orientations == 1 else 4)
    turned = [torch.rot90(m, k, (-2, -1)) for m in mirrored for k in quarter_turns]
    return [view.contiguous(memory_format=torch.channels_last) for view in turned]


def load_encoder(path: str | Path) -> Encoder:
    """Load an encoder that :meth:`Encoder.save` wrote, ready to embed.

    Raises:
        ValueError: no file there, or not an encoder.
    """
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        encoder = Encoder(**content["encoder"], normalize=Normalize(**content["normalize"]))
        encoder.load_state_dict(content["weights"])
        encoder.principal = content["principal"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"{path}: expected an encoder written by 03_pretrain, got: {error}"
        ) from error
    return encoder.eval()
