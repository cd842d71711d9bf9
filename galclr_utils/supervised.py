"""Train networks with labels: from scratch, or on from the pretrained encoder.

The first is the rival that a representation learned without labels has to beat; the second asks
what that representation is worth as a start. Both take the same steps with the same views, so that
their difference is where they began.
"""

# N galaxies, C bands, H, W pixels, D representation, n labels in a budget, T test galaxies

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from galclr_utils.checks import choice, number
from galclr_utils.dataset import GalaxySet
from galclr_utils.device import make_fabric
from galclr_utils.encoders import Encoder, orient
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.label_draws import fit_seed
from galclr_utils.provenance import progress

TASKS = ("classification", "regression")


@dataclass
class Network:
    """Hold what the networks of this file share: the recipe of their training.

    The number of steps is fixed beforehand and the learning rate ends at zero, so all labels of the
    budget are learned from and none is needed to say when to stop. (A fifth held out for early
    stopping was tried on 100 and 1000 real labels: worse, and equal.) What comes out is the mean
    over 8 orientations. A subclass says in `build` where the weights begin.

    Args:
        galaxies: the data set.
        views: the random transforms of the pretraining.
        epochs: passes over the labels, but at least ``min_steps`` batches in all.
        batch_size: galaxies in a batch; no more than there are.
        learning_rate: peak of a one-cycle schedule, of AdamW.
        precision: as in the pretraining.
        task: ``"classification"``, a method for `scoring.score_methods`; or ``"regression"``,
            where the targets are numbers, in any unit, and so is what comes out.
    """

    galaxies: GalaxySet
    views: GalaxyViews
    _: KW_ONLY
    epochs: int = 25
    min_steps: int = 600
    batch_size: int = 128
    learning_rate: float = 1e-3
    precision: str = "auto"
    task: str = "classification"

    def __post_init__(self):
        self.epochs = number("epochs", self.epochs, 1, 100_000, integer=True)
        self.min_steps = number("min_steps", self.min_steps, 1, 10**9, integer=True)
        self.batch_size = number("batch_size", self.batch_size, 1, 10**6, integer=True)
        self.learning_rate = number("learning_rate", self.learning_rate, 0, 1, low_open=True)
        choice("task", self.task, TASKS)

    def __call__(self, train, targets, test, seed: int = 0, draw: int = 0) -> np.ndarray:
        """Train on the galaxies ``train`` and return what is predicted of ``test``.

        Args:
            train: (n,) rows of the set. targets: (n,) 0 early, 1 late; or numbers to be predicted.
            test: (T,) rows. seed, draw: of the pretraining, and of the labels.
        Returns:
            float32 (T,): p_late; or the number, in the unit of the targets.
        Raises:
            ValueError: targets that are not finite, or one class only.
        """
        targets = np.asarray(targets, np.float64)
        if targets.shape != np.shape(train) or not np.isfinite(targets).all():
            raise ValueError(
                f"targets: got shape {targets.shape} for {len(train)} galaxies, or values that are "
                "not finite; expected one number for each: leave out what is unknown"
            )
        own_seed, (centre, scale) = fit_seed(seed, draw), self.unit(targets)
        network = self.learn(self.build(seed, draw), train, (targets - centre) / scale, own_seed)
        return (self.predict(network, test) * scale + centre).astype(np.float32)

    def unit(self, targets: np.ndarray) -> tuple[float, float]:
        """Return the zero and the unit in which the network's targets are of order 1."""
        if self.task == "classification":
            if set(np.unique(targets)) != {0, 1}:
                raise ValueError(
                    f"targets: got {np.unique(targets)[:5].tolist()}, expected both 0 and 1; for "
                    'other numbers, task="regression"'
                )
            return 0.0, 1.0
        return float(targets.mean()), float(targets.std()) or 1.0

    def build(self, seed: int, draw: int) -> nn.Module:
        """Return the network as it begins: an encoder, then a head that gives one number."""
        raise NotImplementedError

    def learn(self, network: nn.Module, rows, targets, seed: int) -> nn.Module:
        """Train a network, in place, and return it.

        Args:
            network: from `build`.
            rows: (n,) galaxies of the set. targets: (n,) of order 1; probabilities will do, too.
            seed: of the order and the views.
        """
        fabric = make_fabric(self.precision)
        n_steps = max(self.min_steps, math.ceil(self.epochs * len(rows) / self.batch_size))
        optimizer = torch.optim.AdamW(network.parameters(), self.learning_rate, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, n_steps)
        network, optimizer = fabric.setup(network.train(), optimizer)
        regression = self.task == "regression"
        loss_of = F.mse_loss if regression else F.binary_cross_entropy_with_logits

        stamps = torch.from_numpy(np.asarray(self.galaxies.images[rows])).to(fabric.device)
        y = torch.as_tensor(np.asarray(targets), dtype=torch.float32, device=fabric.device)
        random = torch.Generator().manual_seed(seed)
        batches = random_batches(len(rows), self.batch_size, n_steps, random)
        for batch in progress(batches, "training with labels", n_steps):
            out = network(self.views(stamps[batch], random))[:, 0].float()
            optimizer.zero_grad()
            fabric.backward(loss_of(out, y[batch]))
            optimizer.step()
            schedule.step()
        return network

    @torch.no_grad()
    def predict(self, network: nn.Module, rows, orientations: int = 8) -> np.ndarray:
        """Return what a network says of galaxies, float32 (n,), the mean over orientations."""
        network.eval()
        device, found = next(network.parameters()).device, []
        say = torch.sigmoid if self.task == "classification" else torch.clone
        for start in range(0, len(rows), 128):
            few = np.asarray(rows[start : start + 128])
            block = torch.from_numpy(np.asarray(self.galaxies.images[few], np.float32))
            turned = orient(self.views.normalize(block.to(device)), orientations)
            found.append(sum(say(network(view)[:, 0].float()) for view in turned).cpu())
        return (torch.cat(found) / orientations).numpy()


@dataclass
class SupervisedCNN(Network):
    """Train the same encoder from scratch, with labels: a method for `scoring.score_methods`.

    The same network, the same random views, the same mean over 8 orientations; only the labels
    teach it.

    Args:
        encoder, representation_dim: as in the pretraining.
        galaxies, views, ...: as for `Network`.

    >>> from astropy.table import Table
    >>> catalog = Table({"id": np.arange(12).astype(str), "label": np.arange(12) % 2})
    >>> catalog["split"] = ["train"] * 8 + ["test"] * 4
    >>> card = {"units": "display", "bands": ["g", "r", "i"], "sky_rms": [0.02, 0.02, 0.02]}
    >>> galaxies = GalaxySet(np.zeros((12, 3, 16, 16), np.float32), catalog, card)
    >>> views = GalaxyViews.for_set(galaxies)
    >>> method = SupervisedCNN(galaxies, views, epochs=1, min_steps=2)
    >>> method(range(8), galaxies.labels[:8], test=[8, 9, 10]).shape
    (3,)
    """

    encoder: str = "cnn4"
    representation_dim: int = 64

    def build(self, seed: int, draw: int) -> nn.Module:
        """Return the untrained network: encoder, then one number, the log-odds of late."""
        own_seed, bands = fit_seed(seed, draw), self.galaxies.images.shape[1]
        normalize = self.views.normalize
        encoder = Encoder(self.encoder, self.representation_dim, normalize, bands, own_seed)
        return with_head(encoder, own_seed)


@dataclass
class FineTuned(Network):
    """Train the pretrained encoder on, with labels: a method for `scoring.score_methods`.

    `SupervisedCNN` in all but where its weights begin, and how fast they leave: the same steps,
    views and labels. A copy is trained; the given encoders stay what they are.

    Args:
        encoders: pretraining seed -> encoder.
        learning_rate: lower than from scratch: 1e-3 was worse in two draws of 100 real labels
            (judged on other galaxies of train and val).
        galaxies, views, ...: as for `Network`.

    >>> from astropy.table import Table
    >>> catalog = Table({"id": np.arange(12).astype(str), "label": np.arange(12) % 2})
    >>> catalog["split"] = ["train"] * 8 + ["test"] * 4
    >>> card = {"units": "display", "bands": ["g", "r", "i"], "sky_rms": [0.02, 0.02, 0.02]}
    >>> galaxies = GalaxySet(np.zeros((12, 3, 16, 16), np.float32), catalog, card)
    >>> views = GalaxyViews.for_set(galaxies)
    >>> method = FineTuned(galaxies, views, {0: Encoder("cnn4", 64)}, epochs=1, min_steps=2)
    >>> method(range(8), galaxies.labels[:8], test=[8, 9, 10], seed=0).shape
    (3,)
    """

    encoders: Mapping[int, Encoder] = field(default_factory=dict)
    learning_rate: float = field(default=3e-4, kw_only=True)

    def build(self, seed: int, draw: int) -> nn.Module:
        """Return a copy of the pretrained encoder, then one number, the log-odds of late."""
        if seed not in self.encoders:
            raise ValueError(
                f"encoders: got seeds {sorted(self.encoders)}, expected one of seed {seed}: "
                "pretrain with it, or leave it out of the seeds"
            )
        encoder = copy.deepcopy(self.encoders[seed]).requires_grad_()
        return with_head(encoder, fit_seed(seed, draw))


def with_head(encoder: Encoder, seed: int) -> nn.Module:
    """Return the network (N, C, H, W) -> (N, 1) of an encoder and one linear layer on its h.

    A ReLU between them was tried on 100 and 1000 real labels: from scratch it made no difference,
    and of principal components, whose sign means nothing, it throws half away.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Linear(encoder.representation_dim, 1)
    return nn.Sequential(encoder, head).to(memory_format=torch.channels_last)


def random_batches(n: int, batch_size: int, n_steps: int, random: torch.Generator):
    """Yield ``n_steps`` batches of the numbers below n, each once before any comes again.

    Args:
        n: number of galaxies. batch_size: no more than n are taken.
        n_steps: number of batches.
        random: source of the order.
    Yields:
        int64 tensors.

    >>> [len(b) for b in random_batches(5, 3, 4, torch.Generator().manual_seed(0))]
    [3, 3, 3, 3]
    """
    order, batch_size = torch.empty(0, dtype=torch.int64), min(batch_size, n)
    for _ in range(n_steps):
        if len(order) < batch_size:
            order = torch.cat([order, torch.randperm(n, generator=random)])
        yield order[:batch_size]
        order = order[batch_size:]
