"""Say what is learned: SimCLR and MoCo, from lightly's heads and NT-Xent loss.

Two random views of each galaxy become two projections; the loss asks the two of a galaxy to be
nearer to each other than to those of others. In SimCLR the others are the rest of the batch. In
MoCo they are remembered: a slowly moving copy of the network makes one of the two projections, and
a memory bank keeps what it made of the galaxies before.

Axes: N galaxies, B galaxies in a batch, P pooled features, D representation h, Z projection z.
"""

from __future__ import annotations

import copy

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead, SimCLRProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import Tensor, nn

from galclr_utils.encoders import Encoder
from galclr_utils.recipe import Settings, bank_size


class SimCLR(nn.Module):
    """Join an encoder (galaxy -> h) and a projection head (h -> z).

    The head is lightly's: linear, batch norm, ReLU, linear, batch norm. It is thrown away after the
    training: h is the better representation (Chen et al. 2020, section 4.2).

    With ``pooled`` the head reads the P pooled features themselves. The last layer of the encoder,
    which makes h of them, then learns nothing; it is to be computed after the training
    (:meth:`galclr_utils.encoders.Encoder.set_principal`).

    Args:
        encoder: what is to be trained.
        seed: of the head's initial weights.
        hidden_dim, projection_dim: widths of the head, inside and of z.
        pooled: put the head on the pooled features instead of h.
    Raises:
        ValueError: with ``pooled``, fewer pooled features than h is to have numbers.

    >>> model = SimCLR(Encoder("cnn4", 64), projection_dim=32)
    >>> h, z = model(torch.rand(4, 3, 32, 32))
    >>> h.shape, z.shape
    (torch.Size([4, 64]), torch.Size([4, 32]))
    >>> SimCLR(Encoder("cnn4", 64), pooled=True)(torch.rand(4, 3, 32, 32))[0].shape
    torch.Size([4, 256])
    """

    make_head = SimCLRProjectionHead

    def __init__(
        self,
        encoder: Encoder,
        seed: int = 0,
        hidden_dim: int = 256,
        projection_dim: int = 64,
        pooled: bool = False,
    ):
        super().__init__()
        self.encoder, self.pooled = encoder, pooled
        last = encoder.to_representation
        if pooled and last.out_features > last.in_features:
            raise ValueError(
                f"representation_dim: got {last.out_features}, but {encoder.name} has "
                f"{last.in_features} pooled features; with representation 'principal' ask for no "
                "more than these"
            )
        if pooled:
            deactivate_requires_grad(last)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            width = last.in_features if pooled else encoder.representation_dim
            self.head = self.make_head(width, hidden_dim, projection_dim)

    def project(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the head reads, h or the pooled features, and z (2B, Z) of views."""
        read = self.encoder.trunk(views) if self.pooled else self.encoder(views)
        return read, self.head(read)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return h (2B, D), or pooled features (2B, P), and z (2B, Z) of views (2B, C, H, W)."""
        return self.project(views)


class MoCo(SimCLR):
    """Add a slowly moving copy of encoder and head, which makes the projections to be found.

    The copy follows the network by ``momentum`` of itself a step and learns nothing else (He et al.
    2020, eq. 2). While training, the first of two views goes through the network (the query) and
    the second through the copy (the key); afterwards only the network is used. The head is
    lightly's for MoCo: linear, ReLU, linear.

    Args:
        momentum: share of itself that the copy keeps in a step, [0, 1].
        encoder, settings: as for `SimCLR`.

    >>> model = MoCo(Encoder("cnn4", 64))
    >>> h, z = model(torch.rand(4, 3, 32, 32))
    >>> h.shape, z.shape, z[2:].requires_grad
    (torch.Size([2, 64]), torch.Size([4, 64]), True)
    """

    make_head = MoCoProjectionHead

    def __init__(self, encoder: Encoder, seed: int = 0, momentum: float = 0.99, **settings):
        super().__init__(encoder, seed, **settings)
        self.momentum = momentum
        self.key_encoder, self.key_head = copy.deepcopy(encoder), copy.deepcopy(self.head)
        for part in (self.key_encoder, self.key_head):
            deactivate_requires_grad(part)

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return h of the queries, and z of queries and keys; in evaluation, those of all views."""
        if not self.training:
            return self.project(views)
        update_momentum(self.encoder, self.key_encoder, self.momentum)
        update_momentum(self.head, self.key_head, self.momentum)
        queries, keys = views.chunk(2)
        h, z = self.project(queries)
        with torch.no_grad():
            key_z = self.project_keys(keys)
        return h, torch.cat([z, key_z])

    def project_keys(self, views: Tensor) -> Tensor:
        """Return the z (B, Z) that the copy makes of views."""
        read = self.key_encoder.trunk(views) if self.pooled else self.key_encoder(views)
        return self.key_head(read)


def build_model(settings: Settings, encoder: Encoder) -> SimCLR:
    """Build the network of the chosen method around an encoder.

    >>> type(build_model(Settings(method="moco"), Encoder())).__name__
    'MoCo'
    """
    head = {"hidden_dim": settings.hidden_dim, "projection_dim": settings.projection_dim}
    head["pooled"] = settings.representation == "principal"
    if settings.method == "moco":
        return MoCo(encoder, settings.seed, settings.momentum, **head)
    return SimCLR(encoder, settings.seed, **head)


def build_loss(settings: Settings, n_galaxies: int, gather: bool = False) -> NTXentLoss:
    """Build lightly's NT-Xent, for MoCo with a memory bank (`bank_size`).

    Args:
        settings: temperature, method, size of the bank, seed of its first content.
        n_galaxies: how many there are to learn from.
        gather: take the strangers from all processes that train together.

    >>> build_loss(Settings(method="moco"), n_galaxies=1000).memory_bank.bank.shape
    torch.Size([500, 64])
    """
    bank = bank_size(settings, n_galaxies)
    size = (bank, settings.projection_dim) if bank else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        return NTXentLoss(settings.temperature, size, gather_distributed=gather)
