"""Pretrain an encoder without labels: the whole run, which can be stopped and taken up again.

What is left in ``pretrain/``: ``encoder.pt`` (weights and normalisation), ``history.csv`` (a row
for each look at the validation galaxies), ``checkpoint.pt`` and ``settings.json``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from galclr_utils import contrast, encoders, metrics, normalize, transforms
from galclr_utils.checks import flag
from galclr_utils.contrast import Settings, SimCLR, Trainer
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import load_encoder, make_fabric
from galclr_utils.normalize import Normalize
from galclr_utils.provenance import read_json, run_record, sha256, whole_file, write_json
from galclr_utils.transforms import GalaxyViews

LOOKS = 10  # times the validation galaxies are looked at
COLLAPSED = 0.01  # a feature spread below this is a collapse; 1 is an even spread
CODE = (transforms, normalize, encoders, contrast)  # changed code trains again


def pretrain(
    run: Path, views: GalaxyViews, resume: bool = True, part: str = "", **settings
) -> dict:
    """Pretrain on the ``train`` split of a run's data set and write ``pretrain/``.

    A finished run with the same inputs (settings, transforms, data) is returned as it is, an
    interrupted one is taken up at its checkpoint, unless ``resume`` is false.

    Args:
        run: the run's folder; ``dataset/`` is read.
        views: the random transforms.
        resume: whether to use what an earlier call left.
        part: folder inside ``pretrain/``, for pretrainings with other seeds: ``"seed1"``.
        settings: fields of :class:`galclr_utils.contrast.Settings`.
    Returns:
        The record in ``settings.json``: settings, steps, seconds, collapse, provenance.
    Raises:
        ValueError: a setting out of range, or too few galaxies.
    """
    settings, resume = Settings(**settings), flag("resume", resume)
    galaxies, folder = GalaxySet.load(run / "dataset"), run / "pretrain" / part
    inputs = {"settings": asdict(settings), "views": views.settings, "data": data_key(galaxies)}
    inputs["code"] = sha256(__file__, *(module.__file__ for module in CODE))
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    record_file, checkpoint_file = folder / "settings.json", folder / "checkpoint.pt"
    if resume and record_file.exists() and (record := read_json(record_file))["key"] == key:
        return record
    record_file.unlink(missing_ok=True)

    trainer, history, spent = Trainer(galaxies, views, settings), [], 0.0
    if resume and (state := load_checkpoint(checkpoint_file, key)):
        trainer.load(state["trainer"])
        history, spent = state["history"], state["seconds"]
    elif settings.max_minutes:
        spent = trainer.fit_schedule(settings.max_minutes)
    started = time.perf_counter() - spent

    def look(loss: float) -> None:
        row = {"epoch": trainer.step / trainer.steps_per_epoch, "step": trainer.step, "loss": loss}
        row |= {"learning_rate": trainer.rate, **monitor(trainer)}
        history.append(row | {"seconds": time.perf_counter() - started})

    if not history:
        look(loss=math.nan)  # the untrained network, to compare with
    for loss in trainer.run(looks=LOOKS):
        look(loss)
        content = {"key": key, "trainer": trainer.state(), "history": history}
        with whole_file(checkpoint_file) as file:
            torch.save({**content, "seconds": history[-1]["seconds"]}, file)
        write_rows(folder / "history.csv", history)

    last = history[-1]
    if collapsed := last["feature_spread"] < COLLAPSED:
        warnings.warn(
            f"the representation has collapsed: feature spread {last['feature_spread']:.3f}, "
            f"expected {COLLAPSED} to 1. Lower the learning rate or raise the batch size.",
            stacklevel=2,
        )
    trainer.encoder.save(folder / "encoder.pt", key=key, source=galaxies.card["source"])
    record = {"key": key, **inputs, "steps": trainer.step, "seconds": last["seconds"]}
    record |= {"steps_per_epoch": trainer.steps_per_epoch, "collapsed": collapsed}
    record |= {"precision": trainer.fabric._precision.precision}
    write_json(record_file, record | {"provenance": run_record(settings.seed)})
    return read_json(record_file)


def data_key(galaxies: GalaxySet) -> str:
    """Return one hash of the stamps and of who is in which split: what a training depends on."""
    split = ",".join(map(str, galaxies.catalog["split"]))
    return hashlib.sha256(f"{galaxies.card['sha256']} {split}".encode()).hexdigest()


@torch.inference_mode()
def monitor(trainer: Trainer) -> dict[str, float]:
    """Return what the validation split says: kNN accuracy, alignment, uniformity, spread.

    The loss is no guide to quality: it depends on the temperature, and it falls when the network
    cheats. Test galaxies are never looked at. The kNN accuracy is NaN where ``train`` or ``val``
    has no labels, all four are where there are no validation galaxies.
    """
    galaxies, encoder = trainer.galaxies, trainer.encoder
    looked_at = galaxies.indices("val")[:1024]
    names = ("knn_accuracy", "alignment", "uniformity", "feature_spread")
    result = dict.fromkeys(names, math.nan)
    if len(looked_at) < 2:
        return result
    trainer.model.eval()
    h, z = trainer.model(trainer.two_views(looked_at, trainer.generator(0, stream=1)))
    first, second = (half.float().cpu().numpy() for half in z.chunk(2))
    result["alignment"] = float(metrics.alignment(first, second))
    result["uniformity"] = float(metrics.uniformity(first))
    result["feature_spread"] = float(metrics.feature_spread(h.float().cpu().numpy()))
    bank, asked = galaxies.labelled("train")[:4096], galaxies.labelled("val")[:2048]
    if len(np.unique(galaxies.labels[bank])) == 2 and len(asked):
        result["knn_accuracy"] = float(
            metrics.knn_accuracy(
                encoder.embed(galaxies.images[bank], orientations=1),
                galaxies.labels[bank],
                encoder.embed(galaxies.images[asked], orientations=1),
                galaxies.labels[asked],
            )
        )
    trainer.model.train()
    return result


def load_checkpoint(path: Path, key: str) -> dict | None:
    """Return a checkpoint made from the same inputs, or None: another run's is not ours to use."""
    if not path.exists():
        return None
    state = torch.load(path, weights_only=True, map_location="cpu")
    return state if state["key"] == key else None


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write dictionaries of equal keys as CSV, whole or not at all."""
    with whole_file(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def load_model(run: Path, part: str = "") -> SimCLR:
    """Return the trained encoder together with its projection head, in evaluation mode.

    Raises:
        ValueError: no finished pretraining in this run.
    """
    folder = run / "pretrain" / part
    model = SimCLR(load_encoder(folder / "encoder.pt"))
    state = torch.load(folder / "checkpoint.pt", weights_only=True, map_location="cpu")
    model.load_state_dict(state["trainer"]["model"])
    return model.eval()


def load_views(run: Path) -> GalaxyViews:
    """Return the random transforms that a run was pretrained with."""
    settings = dict(read_json(run / "pretrain" / "settings.json")["views"])
    return GalaxyViews(Normalize(**settings.pop("normalize")), **settings)


def embed(run: Path, orientations: int = 8, part: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Write and return the representation h and the projection z of every galaxy of a run.

    z is what the loss saw. It is computed from the averaged h, and kept to be compared with h.

    Args:
        run: the run's folder, with ``dataset/`` and ``pretrain/``; ``embedding/`` is written, with
            ``settings.json`` beside the arrays.
        orientations: 1, 4 or 8 orientations to average h over.
        part: which pretraining, as in :func:`pretrain`.
    Returns:
        h, float32 (N, D), and z, float32 (N, Z), in the order of the catalogue.
    """
    galaxies, device = GalaxySet.load(run / "dataset"), make_fabric().device
    model, folder = load_model(run, part).to(device), run / "embedding" / part
    h = model.encoder.embed(galaxies.images, orientations=orientations)
    with torch.inference_mode():
        z = model.head(torch.from_numpy(h).to(device)).cpu().numpy()
    for name, values in {"representation": h, "projection": z}.items():
        with whole_file(folder / f"{name}.npy") as file:
            np.save(file, values)
    settings = {"orientations": orientations, "data": data_key(galaxies)}
    settings["pretrain"] = read_json(run / "pretrain" / part / "settings.json")["key"]
    write_json(folder / "settings.json", settings)
    return h, z


def load_representation(run: Path, part: str = "") -> np.ndarray:
    """Return h (N, D) of the galaxies of a run, in the order of the catalogue.

    Raises:
        ValueError: it is missing, or was made from other galaxies or another pretraining.
    """
    folder = run / "embedding" / part
    if not (folder / "settings.json").exists():
        raise ValueError(f"{folder}: expected representation.npy; run 03_pretrain first")
    made_from = read_json(folder / "settings.json")
    trained = read_json(run / "pretrain" / part / "settings.json")
    data = data_key(GalaxySet.load(run / "dataset"))
    if (made_from["data"], made_from["pretrain"], trained["data"]) != (data, trained["key"], data):
        raise ValueError(
            f"{folder}: made from other galaxies or another pretraining than this run has now; "
            "run 03_pretrain again"
        )
    return np.load(folder / "representation.npy", allow_pickle=False)


def load_representations(run: Path, n_seeds: int = 1) -> dict[int, np.ndarray]:
    """Return h (N, D) for each pretraining seed: the run's own, then those of ``seedK/``."""
    first = read_json(run / "pretrain" / "settings.json")["settings"]["seed"]
    seeds = range(first, first + n_seeds)
    return {
        seed: load_representation(run, f"seed{seed}" if k else "") for k, seed in enumerate(seeds)
    }
