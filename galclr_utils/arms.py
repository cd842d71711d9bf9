"""Pretrain one network in colour and one that never sees a colour, alike in all else.

Colour cannot be taken from a network that has learned to use it, but it can be kept from another.
Both see the same galaxies on the same schedule, and are to be compared with each other.
"""

# N galaxies, C bands, H, W pixels, D representation

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils import audit, colours, comparison, plates, scoring, shifts
from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder, load_encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.pretrain import pretrain
from galclr_utils.probes import decorrelate, probe
from galclr_utils.provenance import read_json, run_record
from galclr_utils.studies import write_study
from galclr_utils.trained import orientations_of


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
    """Pretrain in colour and without, in all else as a run was pretrained.

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


def judge_arms(
    galaxies: GalaxySet,
    encoders: dict[str, Encoder],
    learn,
    judged,
    n_labels: int,
    n_draws: int,
    orientations: int = 8,
) -> dict[str, Table]:
    """Compare what arms know of type: a fully connected probe on each, with the same labels.

    Args:
        galaxies: the data set, with colours in its catalogue or in its stamps.
        encoders: of `pretrain_arms`.
        learn, judged: labelled rows to learn from and to be judged.
        n_labels, n_draws: budget of a probe, drawn from ``learn``; label draws.
        orientations: of the mean that is h.
    Returns:
        ``arms``: accuracy by group, of all and of each type with each colour: group, method, mean,
        low, high, n_seeds, n_runs, n_galaxies. ``gap``: the paired difference of the first arm and
        the second in balanced accuracy, one row of `comparison.compare`.
    """
    rows, first, methods = np.concatenate([learn, judged]), np.arange(len(learn)), {}
    for name, encoder in encoders.items():
        stamps = galaxies.images[rows]
        h = encoder.embed(
            grey(stamps) if encoder.n_bands == 1 else stamps, orientations=orientations
        )
        methods[name] = probe(decorrelate(h, first), "fully connected")
    shown = {"as observed": np.asarray(galaxies.images[judged], np.float32)}
    pair = shifts.versions(galaxies, learn, judged, shown)
    scores = scoring.score_methods(methods, pair, [n_labels], n_draws)
    (values, _), labels = colours.colour(galaxies), galaxies.labels
    known = galaxies.labelled("train")
    border = audit.colour_border(values[known], labels[known])
    groups = {"all": np.ones(len(judged), bool)}
    groups |= audit.colour_groups(values[judged], labels[judged], border)
    gap = comparison.compare(scores, *methods, n_labels)
    return {"arms": audit.score_groups(scores, list(methods), groups), "gap": Table([gap])}


def store_arms(
    folder: Path, run: Path, epochs: int, n_labels: int = 1000, n_draws: int = 5
) -> Path:
    """Pretrain both arms on all training galaxies of a run, judge them, and store the tables.

    Args:
        folder: of the study, such as ``book/studies/arms``.
        run: a run that was pretrained; its settings are those of the arms.
        epochs, n_labels, n_draws: of `pretrain_arms` and `judge_arms`.
    Returns:
        The folder, which :func:`galclr_utils.studies.read_study` reads.
    """
    galaxies = GalaxySet.load(Path(run) / "dataset")
    encoders = pretrain_arms(Path(run), galaxies, epochs, 0)
    learn, judged = galaxies.labelled_train_test()
    n = min(n_labels, len(learn))
    tables = judge_arms(galaxies, encoders, learn, judged, n, n_draws, orientations_of(Path(run)))
    caption = (
        f"{plates.source_tag(galaxies.card)} Two pretrainings of {epochs} epochs on "
        f"{len(galaxies.indices('train')):,} galaxies; {n} labels in {n_draws} draws, "
        f"{len(judged)} test galaxies."
    )
    return write_study(Path(folder), tables, {"caption": caption} | run_record(seed=0))
