"""Read what a finished pretraining left: its record, views, encoders, and h of all galaxies.

Axes: N galaxies, D representation h.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet, data_key
from galclr_utils.encoders import Encoder, load_encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.normalize import Normalize
from galclr_utils.provenance import read_json
from galclr_utils.recipe import NAMES


def record_of(run: Path, part: str = "") -> dict:
    """Return the record of a finished pretraining, ``settings.json``.

    Raises:
        ValueError: there is none.
    """
    path = Path(run) / "pretrain" / part / "settings.json"
    if not path.exists():
        raise ValueError(f"{path.parent}: expected a finished pretraining; run 03_pretrain first")
    return read_json(path)


def method_name(run: Path, part: str = "") -> str:
    """Return what the pretraining of a run is called: "SimCLR" or "MoCo".

    Args:
        run: the run's folder.
        part: which pretraining, as in :func:`galclr_utils.pretrain.pretrain`.
    Raises:
        ValueError: no finished pretraining there.
    """
    return NAMES[record_of(run, part)["settings"]["method"]]


def load_views(run: Path) -> GalaxyViews:
    """Return the random transforms that a run was pretrained with."""
    settings = dict(record_of(run)["views"])
    return GalaxyViews(Normalize(**settings.pop("normalize")), **settings)


def orientations_of(run: Path) -> int:
    """Return over how many orientations the h of a run is a mean: 1, 4 or 8.

    Raises:
        ValueError: there is no h yet.
    """
    return embedded(run)["orientations"]


def embedded(run: Path, part: str = "") -> dict:
    """Return from what the h of a run was made: galaxies, pretraining, orientations.

    Raises:
        ValueError: there is no h yet.
    """
    path = Path(run) / "embedding" / part / "settings.json"
    if not path.exists():
        raise ValueError(f"{path.parent}: expected representation.npy; run 03_pretrain first")
    return read_json(path)


def load_representation(run: Path, part: str = "", name: str = "representation") -> np.ndarray:
    """Return h (N, D) of the galaxies of a run, in the order of the catalogue.

    Args:
        run: the run's folder.
        part: which pretraining, as in :func:`galclr_utils.pretrain.pretrain`.
        name: ``"untrained"`` for the h of its control, a network of the same shape.
    Raises:
        ValueError: it is missing, or was made from other galaxies or another pretraining.
    """
    folder, made_from = run / "embedding" / part, embedded(run, part)
    record, data = record_of(run, part), data_key(GalaxySet.load(run / "dataset"))
    if (made_from["data"], made_from["pretrain"], record["data"]) != (data, record["key"], data):
        raise ValueError(
            f"{folder}: made from other galaxies or another pretraining than this run has now; "
            "run 03_pretrain again"
        )
    if not (path := folder / f"{name}.npy").exists():
        raise ValueError(f"{folder}: expected {path.name}, got none; run 03_pretrain again")
    return np.load(path, allow_pickle=False)


def load_representations(
    run: Path, n_seeds: int = 1, prefix: str = "", name: str = "representation"
) -> dict[int, np.ndarray]:
    """Return h (N, D) for each pretraining seed: the first one's, then those of ``seedK``.

    Args:
        run: the run's folder.
        n_seeds: how many, of consecutive seeds.
        prefix: of the parts to read: ``""`` for the run's own, ``seed1``, ``seed2``, ...; a word
            such as ``"moco"`` for ``moco``, ``moco-seed1``, ``moco-seed2``, ...
        name: as for `load_representation`.
    Raises:
        ValueError: one is missing, or was made from other galaxies or another pretraining.
    """
    parts = parts_of_seeds(run, n_seeds, prefix)
    return {seed: load_representation(run, part, name) for seed, part in parts.items()}


def load_encoders(run: Path, n_seeds: int = 1, prefix: str = "") -> dict[int, Encoder]:
    """Return the trained encoder of each pretraining seed, ready to embed.

    Arguments and errors as for `load_representations`.
    """
    parts, folder = parts_of_seeds(run, n_seeds, prefix), run / "pretrain"
    return {seed: load_encoder(folder / part / "encoder.pt") for seed, part in parts.items()}


def parts_of_seeds(run: Path, n_seeds: int = 1, prefix: str = "") -> dict[int, str]:
    """Return where the pretrainings of a run lie: pretraining seed -> part.

    Raises:
        ValueError: one of them is missing or has not come to its end.
    """
    n_seeds = number("n_seeds", n_seeds, 1, 1000, integer=True)
    first = record_of(run, prefix)["settings"]["seed"]
    parts = {first: prefix}
    for seed in range(first + 1, first + n_seeds):
        parts[seed] = "-".join(word for word in (prefix, f"seed{seed}") if word)
        record_of(run, parts[seed])
    return parts
