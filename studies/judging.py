"""Pretrain on some galaxies and judge the space by others, none of which is a test galaxy."""

# N galaxies that are not test, D features of a space

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from galclr_utils import baselines, metrics
from galclr_utils.dataset import GalaxySet, hash_unit
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.label_draws import draw_labels
from galclr_utils.probes import decorrelate, fit_probe
from galclr_utils.recipe import Settings
from galclr_utils.training import Trainer

SPACES = ("", "_pooled", "_z")  # h, before it, behind it


@dataclass(frozen=True)
class Plan:
    """Say how much is done for each variant.

    Attributes:
        n_train, epochs: what the base learns from, and how often.
        n_asked: labelled galaxies set aside to be judged.
        n_pool: labelled galaxies that lend labels.
        labels: budgets of the logistic probe; the neighbours have the largest.
        draws: label draws.
        base_seeds: pretraining seeds of the base, which say what chance does.
    """

    n_train: int = 4000
    epochs: int = 8
    n_asked: int = 3000
    n_pool: int = 2000
    labels: tuple[int, ...] = (100, 1000)
    draws: int = 3
    base_seeds: int = 5


@dataclass
class Roles:
    """Say which rows of the set without test galaxies play which part; int64 arrays."""

    learn: np.ndarray
    pool: np.ndarray
    asked: np.ndarray


def roles(galaxies: GalaxySet, plan: Plan) -> Roles:
    """Set galaxies aside to be judged, and say who is learned from and who lends labels.

    Validation galaxies are judged first, then training galaxies, in the order of a hash of the
    id. Those are then neither learned from nor lend labels.

    Args:
        galaxies: the set without its test galaxies.
        plan: how many of each. At most three fifths of the labelled are judged.
    Returns:
        ``learn``: all training galaxies that are not judged, in the order in which they are taken.
    """
    order = np.argsort(hash_unit(galaxies.catalog["id"]), kind="stable")
    split, known = np.asarray(galaxies.catalog["split"])[order], galaxies.labels[order] >= 0
    labelled = np.concatenate([order[known & (split == "val")], order[known & (split == "train")]])
    asked = labelled[: min(plan.n_asked, len(labelled) * 3 // 5)]
    learn = order[(split == "train") & ~np.isin(order, asked)]
    pool = learn[galaxies.labels[learn] >= 0][: plan.n_pool]
    if len(pool) < max(plan.labels) or not len(asked):
        raise ValueError(
            f"labels: got {len(labelled)} outside the test split, of which {len(pool)} can lend "
            f"theirs, expected {max(plan.labels)} or more: there is nothing to judge by"
        )
    return Roles(learn, pool, asked)


def train(galaxies: GalaxySet, rows, views: GalaxyViews, settings: Settings):
    """Pretrain on some galaxies and return the trained network, in evaluation mode."""
    rows = np.sort(rows)
    own = GalaxySet(galaxies.images[rows], galaxies.catalog[rows].copy(), galaxies.card)
    own.catalog["split"] = np.full(len(rows), "train")
    trainer = Trainer(own, views, settings)
    for _ in trainer.epochs():
        pass
    trainer.finish()
    return trainer.network.eval()


@torch.inference_mode()
def spaces(network, images: np.ndarray, orientations: int) -> dict[str, np.ndarray]:
    """Return h, the pooled features and z of galaxies: one look at each, three spaces.

    The means over orientations commute with the layer that makes h of the pooled features.
    """
    encoder = network.encoder
    pooled = encoder.embed(images, orientations=orientations, pooled=True)
    device = next(encoder.parameters()).device
    x = torch.from_numpy(pooled).to(device)
    h = encoder.to_representation(x)
    z = network.head(x if network.pooled else h)
    return {"": h.cpu().numpy(), "_pooled": pooled, "_z": z.cpu().numpy()}


def control(name: str, galaxies: GalaxySet, parts: Roles, views, settings: Settings) -> dict:
    """Return the spaces of what was never trained, by row of the set."""
    if name == "PCA-64":
        own = np.concatenate([parts.pool, parts.asked])
        few = GalaxySet(galaxies.images[own], galaxies.catalog[own].copy(), galaxies.card)
        few.catalog["split"] = np.repeat(["train", "val"], [len(parts.pool), len(parts.asked)])
        d = settings.representation_dim
        x = baselines.pca_features(few, views.normalize, n_components=d)
        return {"": x}
    own = GalaxySet(galaxies.images[parts.pool], galaxies.catalog[parts.pool], galaxies.card)
    own.catalog["split"] = np.full(len(own), "train")
    like = Encoder(settings.encoder, settings.representation_dim, views.normalize)
    like.principal = settings.representation == "principal"
    encoder = baselines.random_encoder(own, like, seed=settings.seed + 1000)
    rows = np.concatenate([parts.pool, parts.asked])
    pooled = encoder.embed(galaxies.images[rows], pooled=True)
    with torch.inference_mode():
        h = encoder.to_representation(torch.from_numpy(pooled)).numpy()
    return {"": h, "_pooled": pooled}


def judge(x: np.ndarray, n_pool: int, labels: np.ndarray, plan: Plan) -> dict[str, float]:
    """Return the balanced accuracy of neighbours and of logistic probes in one space.

    Args:
        x: (n_pool + asked, D), those that lend labels before those that are judged.
        labels: (n_pool + asked,) 0 early, 1 late.
    Returns:
        ``knn``, ``logistic_N`` for each budget: the mean over the label draws; and each with
        ``_scatter``: the standard deviation of the draws.
    """
    level, most = decorrelate(x, np.arange(n_pool)), max(plan.labels)
    asked = {"knn": ("knn", most, x)}
    asked |= {f"logistic_{n}": ("logistic", n, level) for n in plan.labels}
    result = {}
    for name, (kind, n, space) in asked.items():
        found = []
        for draw in range(plan.draws):
            rows = draw_labels(labels[:n_pool], n, draw)
            p_late = fit_probe(kind, space[rows], labels[rows], space[n_pool:], seed=draw)
            found.append(metrics.scores(labels[n_pool:], p_late)["balanced_accuracy"])
        result[name] = float(np.mean(found))
        result[f"{name}_scatter"] = float(np.std(found, ddof=1)) if len(found) > 1 else math.nan
    return result


def columns(plan: Plan) -> list[str]:
    """Return the names of what is measured, for all spaces."""
    names = ["knn", *(f"logistic_{n}" for n in plan.labels)]
    return [f"{n}{end}{s}" for s in SPACES for n in names for end in ("", "_scatter")]
