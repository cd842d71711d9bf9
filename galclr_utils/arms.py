"""Pretrain one network in colour and one that never sees a colour, alike in all else.

Colour cannot be taken from a network that has learned to use it, but it can be kept from another.
Both are short pretrainings on the same galaxies, to be compared with each other only.
"""

# N galaxies, C bands, H, W pixels

from __future__ import annotations

from pathlib import Path

import numpy as np

from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder, load_encoder
from galclr_utils.pretrain import pretrain
from galclr_utils.provenance import read_json
from galclr_utils.transforms import GalaxyViews


def arm(galaxies: GalaxySet, n_train: int, one_band: bool = False, n_val: int = 256) -> GalaxySet:
    """Return some training galaxies, without labels, to pretrain on: in colour or in one band.

    The one band is the mean of all: a network that sees nothing else is blind to colour. Colour
    and colour-blind arms are pretrained on the same galaxies with the same schedule.

    Args:
        galaxies: the data set.
        n_train: at most so many galaxies of ``train``; 0 means all. n_val: and of ``val``.
        one_band: whether the bands become their mean.
    Returns:
        The set; its card's ``sky_rms`` is that of the mean.

    >>> from astropy.table import Table
    >>> catalog = Table({"id": ["a", "b"], "split": ["train", "train"], "label": [1, 0]})
    >>> card = {"units": "display", "bands": ["g", "r"], "sky_rms": [0.03, 0.04]}
    >>> blind = arm(GalaxySet(np.ones((2, 2, 4, 4), np.float32), catalog, card), 0, one_band=True)
    >>> blind.images.shape, blind.card["bands"], blind.card["sky_rms"]
    ((2, 1, 4, 4), ['mean'], [0.025])
    """
    n_train = number("n_train", n_train, 0, np.inf, integer=True)
    train = galaxies.indices("train")
    rows = np.concatenate([train[: n_train or len(train)], galaxies.indices("val")[:n_val]])
    catalog = galaxies.catalog["id", "split", "label"][rows]
    catalog["label"] = np.int8(-1)
    images, card = galaxies.images[rows], dict(galaxies.card)
    if one_band:
        images, card = grey(images), card | {"bands": ["mean"]}
        rms = np.asarray(card["sky_rms"], float)
        card["sky_rms"] = [float(np.sqrt((rms**2).sum()) / len(rms))]
    return GalaxySet(images, catalog, card)


def grey(images) -> np.ndarray:
    """Return the mean of all bands of stamps (N, C, H, W), in their dtype, (N, 1, H, W)."""
    images = np.asarray(images)
    return images.mean(axis=1, keepdims=True, dtype=np.float32).astype(images.dtype)


def pretrain_arms(
    run: Path,
    galaxies: GalaxySet,
    epochs: int,
    n_train: int,
    seed: int = 0,
    precision: str = "auto",
) -> dict[str, Encoder]:
    """Pretrain briefly, in colour and without, in all else as a run was pretrained.

    Args:
        run: the run's folder, with ``pretrain/``; ``audit/colour`` and ``audit/luminance`` are
            written, each a small run with ``dataset/`` and ``pretrain/``. What is finished there
            with the same inputs is kept.
        galaxies: the run's data set.
        epochs: passes; 0 means none, and no arms.
        n_train: training galaxies of both; see `arm`. seed, precision: of the training.
    Returns:
        ``colour arm`` and ``luminance arm``; nothing without epochs, or where there is one band.
    """
    epochs = number("arm_epochs", epochs, 0, 100_000, integer=True)
    if not epochs or galaxies.images.shape[1] < 2:
        return {}
    trained, encoders = read_json(run / "pretrain" / "settings.json"), {}
    own = {"epochs": epochs, "max_minutes": 0, "seed": seed, "precision": precision}
    strengths = {k: v for k, v in trained["views"].items() if k not in ("normalize", "sky_rms")}
    kind = trained["views"]["normalize"]["kind"]
    for name, one_band in {"colour": False, "luminance": True}.items():
        folder, some = Path(run) / "audit" / name, arm(galaxies, n_train, one_band)
        some.save(folder / "dataset")
        views = GalaxyViews.for_set(some, kind, **strengths)
        pretrain(folder, views, **trained["settings"] | own)
        encoders[f"{name} arm"] = load_encoder(folder / "pretrain" / "encoder.pt")
    return encoders
