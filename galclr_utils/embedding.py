"""Describe every galaxy of a run by the numbers of its pretrained encoder.

``embedding/`` holds ``representation.npy`` (h), ``projection.npy`` (z) and ``settings.json``. They
are made in shards, each of which is kept as soon as it is done: a set of any size is embedded in
bounded memory, an interrupted embedding goes on with the next shard, and where ``torchrun`` has
started several processes each does its share of the shards.

Axes: N galaxies, D representation h, Z projection z.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import torch
from lightly.utils.dist import rank, world_size
from numpy.lib.format import open_memmap

from galclr_utils.contrast import SimCLR, build_model
from galclr_utils.dataset import GalaxySet, data_key
from galclr_utils.device import best_device, from_first
from galclr_utils.encoders import load_encoder
from galclr_utils.provenance import read_json, whole_file, write_json
from galclr_utils.recipe import Settings
from galclr_utils.trained import record_of

SHARD = 16_384  # galaxies
ARRAYS = ("representation", "projection")


def load_model(run: Path, part: str = "") -> SimCLR:
    """Return the trained encoder together with its projection head, in evaluation mode.

    The encoder is the one that was saved at the end: where its last layer is computed and not
    learned, the checkpoint is older.

    Raises:
        ValueError: no finished pretraining in this run.
    """
    folder = run / "pretrain" / part
    settings = Settings(**record_of(run, part)["settings"])
    model = build_model(settings, load_encoder(folder / "encoder.pt"))
    state = torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")
    encoder = {f"encoder.{name}": value for name, value in model.encoder.state_dict().items()}
    model.load_state_dict(state["trainer"]["model"] | encoder)
    return model.eval()


def embed(run: Path, orientations: int = 8, part: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Write and return the representation h and the projection z of every galaxy of a run.

    z is what the loss saw. It is computed from the averaged h, or from the averaged pooled features
    where the head was trained on these, and kept to be compared with h.
    What is already there from the same galaxies, encoder and orientations is kept.

    Args:
        run: the run's folder, with ``dataset/`` and ``pretrain/``; ``embedding/`` is written, with
            ``settings.json`` beside the arrays.
        orientations: 1, 4 or 8 orientations to average h over.
        part: which pretraining, as in :func:`galclr_utils.pretrain.pretrain`.
    Returns:
        h, float32 (N, D), and z, float32 (N, Z), in the order of the catalogue.
    """
    galaxies, folder = GalaxySet.load(run / "dataset"), run / "embedding" / part
    key = record_of(run, part)["key"]
    made_from = {"orientations": orientations, "data": data_key(galaxies), "pretrain": key}
    if not from_first(lambda: is_made_from(folder, made_from)):
        write_shards(folder / ".shards", galaxies.images, load_model(run, part), made_from)
        wait_for_all()
        if rank() == 0:
            settings = Settings(**record_of(run, part)["settings"])
            join_shards(folder, len(galaxies), settings.projection_dim, made_from)
        wait_for_all()
    h, z = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ARRAYS)
    return h, z


def is_made_from(folder: Path, made_from: dict) -> bool:
    """Tell whether a folder says that it was made, to the end, from these inputs."""
    path = folder / "settings.json"
    return path.exists() and read_json(path) == made_from


def write_shards(folder: Path, images: np.ndarray, model: SimCLR, made_from: dict) -> None:
    """Write ``000000.npy``, ... with h and z side by side, float32 (n, D + Z), where missing.

    Shards of other inputs are thrown away first.
    """
    if rank() == 0 and not is_made_from(folder, made_from):
        shutil.rmtree(folder, ignore_errors=True)
        write_json(folder / "settings.json", made_from)
    wait_for_all()
    model = model.to(best_device())
    for k, start in enumerate(range(0, len(images), SHARD)):
        path = shard_path(folder, k)
        if k % world_size() != rank() or path.exists():
            continue
        here, turned = images[start : start + SHARD], made_from["orientations"]
        read = model.encoder.embed(here, orientations=turned, pooled=model.pooled)
        read = torch.from_numpy(read).to(next(model.parameters()).device)
        with torch.inference_mode():
            # h is linear in the pooled features: it may be taken after the mean over orientations
            h = model.encoder.to_representation(read) if model.pooled else read
            both = torch.cat([h, model.head(read)], dim=1)
        with whole_file(path) as file:
            np.save(file, both.cpu().numpy())


def shard_path(folder: Path, k: int) -> Path:
    """Return the file of shard ``k``."""
    return folder / f"{k:06d}.npy"


def join_shards(folder: Path, n: int, projection_dim: int, made_from: dict) -> None:
    """Join the shards into one file for h and one for z, a shard at a time, and remove them."""
    (folder / "settings.json").unlink(missing_ok=True)
    shards = [shard_path(folder / ".shards", k) for k in range(math.ceil(n / SHARD))]
    width = np.load(shards[0], mmap_mode="r").shape[1]
    columns = slice(width - projection_dim), slice(width - projection_dim, width)
    for name, part in zip(ARRAYS, columns, strict=True):
        with whole_file(folder / f"{name}.npy") as file:
            shape = (n, part.stop - (part.start or 0))
            joined = open_memmap(file, "w+", np.float32, shape)
            for k, shard in enumerate(shards):
                joined[k * SHARD : (k + 1) * SHARD] = np.load(shard, mmap_mode="r")[:, part]
            joined.flush()
    write_json(folder / "settings.json", made_from)
    shutil.rmtree(folder / ".shards")


def wait_for_all() -> None:
    """Wait until all processes are here, where there are several."""
    if world_size() > 1:
        torch.distributed.barrier()
