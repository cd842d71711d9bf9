"""Say what is learned: SimCLR and MoCo, from lightly's heads and NT-Xent loss.

Two random views of each galaxy become two projections; the loss asks the two of a galaxy to be
nearer to each other than to those of others. In SimCLR the others are the rest of the batch. In
MoCo they are remembered: a slowly moving copy of the network makes one of the two projections, and
a memory bank keeps what it made of the galaxies before.

Axes: N galaxies, B galaxies in a batch, D representation h, Z projection z.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead, SimCLRProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import Tensor, nn

from galclr_utils.checks import choice, flag, number
from galclr_utils.device import PRECISIONS
from galclr_utils.encoders import ENCODERS, Encoder

METHODS = ("simclr", "moco")
HIDDEN, PROJECTION = 256, 64  # widths of the head


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
    memory_bank_size: int = 4096  # MoCo only, as is the next
    momentum: float = 0.99
    precision: str = "auto"
    max_minutes: float = 0.0
    seed: int = 0
    devices: int = 1
    num_nodes: int = 1
    cuda_graphs: bool = False

    def __post_init__(self):
        checked = {
            "method": choice("method", self.method, METHODS),
            "encoder": choice("encoder", self.encoder, ENCODERS),
            "precision": choice("precision", self.precision, PRECISIONS),
            "cuda_graphs": flag("cuda_graphs", self.cuda_graphs),
        }
        whole = {
            "representation_dim": (2, 4096),
            "epochs": (1, 100_000),
            "batch_size": (2, 65_536),
            "warmup_epochs": (0, 1000),
            "memory_bank_size": (2, 2**24),
            "seed": (0, 2**31 - 1),
            "devices": (1, 1024),
            "num_nodes": (1, 1024),
        }
        real = {"weight_decay": (0, 1), "momentum": (0, 1), "max_minutes": (0, 100_000)}
        positive = {"learning_rate": (0, 10), "temperature": (0, 5)}
        for name, ends in whole.items():
            checked[name] = number(name, getattr(self, name), *ends, integer=True)
        for name, ends in (real | positive).items():
            checked[name] = number(name, getattr(self, name), *ends, low_open=name in positive)
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

    make_head = SimCLRProjectionHead

    def __init__(self, encoder: Encoder, seed: int = 0):
        super().__init__()
        self.encoder = encoder
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = self.make_head(encoder.representation_dim, HIDDEN, PROJECTION)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return h (2B, D) and z (2B, Z) of normalised views (2B, C, H, W)."""
        h = self.encoder(views)
        return h, self.head(h)


class MoCo(SimCLR):
    """Add a slowly moving copy of encoder and head, which makes the projections to be found.

    The copy follows the network by ``momentum`` of itself a step and learns nothing else (He et al.
    2020, eq. 2). While training, the first of two views goes through the network (the query) and
    the second through the copy (the key); afterwards only the network is used. The head is
    lightly's for MoCo: linear, ReLU, linear.

    >>> model = MoCo(Encoder("cnn4", 64))
    >>> h, z = model(torch.rand(4, 3, 32, 32))
    >>> h.shape, z.shape, z[2:].requires_grad
    (torch.Size([2, 64]), torch.Size([4, 64]), True)
    """

    make_head = MoCoProjectionHead

    def __init__(self, encoder: Encoder, seed: int = 0, momentum: float = 0.99):
        super().__init__(encoder, seed)
        self.momentum = momentum
        self.key_encoder, self.key_head = copy.deepcopy(encoder), copy.deepcopy(self.head)
        for part in (self.key_encoder, self.key_head):
            deactivate_requires_grad(part)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return h of the queries, and z of queries and keys; in evaluation, those of all views."""
        if not self.training:
            return super().forward(views)
        update_momentum(self.encoder, self.key_encoder, self.momentum)
        update_momentum(self.head, self.key_head, self.momentum)
        queries, keys = views.chunk(2)
        h, z = super().forward(queries)
        with torch.no_grad():
            key_z = self.key_head(self.key_encoder(keys))
        return h, torch.cat([z, key_z])


def build_model(settings: Settings, encoder: Encoder) -> SimCLR:
    """Build the network of the chosen method around an encoder.

    >>> type(build_model(Settings(method="moco"), Encoder())).__name__
    'MoCo'
    """
    if settings.method == "moco":
        return MoCo(encoder, settings.seed, settings.momentum)
    return SimCLR(encoder, settings.seed)


def build_loss(settings: Settings, n_galaxies: int, gather: bool = False) -> NTXentLoss:
    """Build lightly's NT-Xent, for MoCo with a memory bank.

    The bank holds at most half of the galaxies: with more, a galaxy would meet its own earlier
    projection as a stranger.

    Args:
        settings: temperature, method, size of the bank, seed of its first content.
        n_galaxies: how many there are to learn from.
        gather: take the strangers from all processes that train together.

    >>> build_loss(Settings(method="moco"), n_galaxies=1000).memory_bank.bank.shape
    torch.Size([500, 64])
    """
    size = 0
    if settings.method == "moco":
        size = (max(1, min(settings.memory_bank_size, n_galaxies // 2)), PROJECTION)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return NTXentLoss(settings.temperature, size, gather_distributed=gather)
