"""Pretrain an encoder without labels: the whole run, which can be stopped and taken up again.

What is left in ``pretrain/``: ``encoder.pt`` (weights and normalisation), ``history.csv`` (a row
for each look at the validation galaxies), ``checkpoint.pt`` and ``settings.json``.

In a notebook one process trains. Several GPUs, or several computers with a common folder, do the
same from the command line, and the notebook then finds it done:

    torchrun --nproc-per-node 4 -m galclr_utils.pretrain --profile poster
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import time
import warnings
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from galclr_utils import (
    contrast,
    device,
    encoders,
    galaxy_views,
    metrics,
    normalize,
    recipe,
    stamps,
    training,
    transforms,
)
from galclr_utils.checkpoints import clear, load_checkpoint, save_checkpoint
from galclr_utils.checks import flag, number
from galclr_utils.dataset import GalaxySet, data_key
from galclr_utils.device import from_first, started_processes
from galclr_utils.embedding import embed
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.parameters import check_names, defaults, read_profile
from galclr_utils.provenance import (
    project_root,
    read_json,
    run_path,
    run_record,
    sha256,
    whole_file,
    write_json,
)
from galclr_utils.recipe import Settings
from galclr_utils.training import LOOK, Trainer

LOOKS = 10  # times the validation galaxies are looked at
CHECKPOINT_SECONDS = 300  # a checkpoint is written at each look, and when the last is this old
COLLAPSED = 0.01  # a feature spread below this is a collapse; 1 is an even spread
CODE = (transforms, galaxy_views, normalize, device, encoders, recipe, contrast, stamps, training)
STRENGTHS = ("zoom", "recentre_px", "band_scaling", "seeing_px", "noise", "cutout")
ANYWHERE = ("devices", "num_nodes", "cuda_graphs")  # settings of the machine, not of the result


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
        settings: fields of :class:`galclr_utils.recipe.Settings`.
    Returns:
        The record in ``settings.json``: settings, steps, seconds, collapse, provenance.
    Raises:
        ValueError: a setting out of range, too few galaxies, or several devices asked of one
            process.
    """
    settings, resume = Settings(**settings), flag("resume", resume)
    galaxies, folder = GalaxySet.load(run / "dataset"), run / "pretrain" / part
    inputs = {"settings": asdict(settings), "views": views.settings, "data": data_key(galaxies)}
    inputs["code"] = sha256(__file__, *(module.__file__ for module in CODE))
    key = key_of(inputs)
    record_file = folder / "settings.json"
    if resume and (record := from_first(lambda: finished(record_file, key))):
        return record
    check_processes(settings)

    trainer, history, spent = Trainer(galaxies, views, settings), [], 0.0
    writes = trainer.fabric.is_global_zero  # of several processes, one
    if writes:
        clear(folder)
    if resume and (state := from_first(lambda: load_checkpoint(folder, key))):
        trainer.load(state["trainer"])
        history, spent = state["history"], state["seconds"]
    elif settings.max_minutes:
        spent = trainer.fit_schedule(settings.max_minutes)
    began = time.perf_counter() - spent
    saved = time.perf_counter()

    def look(loss: float) -> None:
        row = {"epoch": trainer.step / trainer.steps_per_epoch, "step": trainer.step, "loss": loss}
        row |= {"learning_rate": trainer.rate, **monitor(trainer)}
        history.append(row | {"seconds": time.perf_counter() - began})

    if writes and not history:
        look(loss=math.nan)  # the untrained network, to compare with
    every = max(1, round(trainer.total_steps / trainer.steps_per_epoch / LOOKS))
    for epoch in trainer.epochs():
        if looking := epoch % every == 0 or trainer.step == trainer.total_steps:
            loss = trainer.mean_loss()
        if writes and looking:
            look(loss)
            write_rows(folder / "history.csv", history)
        if writes and (looking or time.perf_counter() - saved > CHECKPOINT_SECONDS):
            saved = time.perf_counter()
            content = {"key": key, "trainer": trainer.state(), "history": history}
            save_checkpoint(folder, content | {"seconds": saved - began})

    if writes:
        last = history[-1]
        if collapsed := last["feature_spread"] < COLLAPSED:
            warnings.warn(
                f"the representation has collapsed: feature spread {last['feature_spread']:.3f}, "
                f"expected {COLLAPSED} to 1. Lower the learning rate or raise the batch size.",
                stacklevel=2,
            )
        trainer.finish()
        trainer.encoder.save(folder / "encoder.pt", key=key, source=galaxies.card["source"])
        (folder / "checkpoint.before.pt").unlink(missing_ok=True)
        record = {"key": key, **inputs, "steps": trainer.step, "seconds": last["seconds"]}
        record |= {"steps_per_epoch": trainer.steps_per_epoch, "collapsed": collapsed}
        record |= {"precision": trainer.fabric._precision.precision}
        record |= {"processes": trainer.fabric.world_size, "stamps": trainer.stamps.where}
        write_json(record_file, record | {"provenance": run_record(settings.seed)})
    return from_first(lambda: read_json(record_file))


def finished(record_file: Path, key: str) -> dict | None:
    """Return the record of a finished pretraining with the same inputs, or None."""
    record = read_json(record_file) if record_file.exists() else {}
    return record if record.get("key") == key else None


def key_of(inputs: dict) -> str:
    """Return the hash of what a pretraining depends on; not on how many devices do it."""
    settings = {k: v for k, v in inputs["settings"].items() if k not in ANYWHERE}
    return hashlib.sha256(
        json.dumps(inputs | {"settings": settings}, sort_keys=True).encode()
    ).hexdigest()


def check_processes(settings: Settings) -> None:
    """Raise ValueError where several devices are asked of one process."""
    asked, started = (settings.devices, settings.num_nodes), started_processes()
    if started == (1, 1) and asked != started:
        nodes = f"--nnodes {asked[1]} --rdzv-backend c10d --rdzv-endpoint FIRST:29500 "
        nodes = nodes if asked[1] > 1 else ""
        raise ValueError(
            f"devices: got {asked[0]} on {asked[1]} node(s), but here one process trains. Run "
            f"torchrun {nodes}--nproc-per-node {asked[0]} -m galclr_utils.pretrain --profile FILE "
            "with the same profile; this chapter then finds the pretraining done"
        )


@torch.inference_mode()
def monitor(trainer: Trainer) -> dict[str, float]:
    """Return what the validation split says: kNN accuracy, alignment and so on.

    The loss is no guide to quality: it depends on the temperature, and it falls when the network
    cheats. Test galaxies are never looked at. The kNN accuracy is NaN where ``train`` or ``val``
    has no labels, all are where there are no validation galaxies. Spread and votes are those of h,
    or of the pooled features where h is computed at the end.

    ``key_cosine``, of MoCo only, is the mean cosine of what the network and its slow copy make of
    the same view: how far the copy lags behind.
    """
    galaxies, encoder = trainer.galaxies, trainer.encoder
    looked_at = galaxies.indices("val")[:1024]
    names = ("knn_accuracy", "alignment", "uniformity", "feature_spread", "key_cosine")
    result = dict.fromkeys(names, math.nan)
    if len(looked_at) < 2:
        return result
    trainer.network.eval()
    shown = torch.from_numpy(galaxies.images[looked_at]).to(trainer.fabric.device)
    views = trainer.two_views(shown, trainer.generator(0, LOOK))
    with trainer.fabric.autocast():
        h, z = trainer.network(views)
        if trainer.settings.method == "moco":
            keys = trainer.network.project_keys(views)
            result["key_cosine"] = float(F.cosine_similarity(z.float(), keys.float()).mean())
    first, second = (half.float().cpu().numpy() for half in z.chunk(2))
    result["alignment"] = float(metrics.alignment(first, second))
    result["uniformity"] = float(metrics.uniformity(first))
    result["feature_spread"] = float(metrics.feature_spread(h.float().cpu().numpy()))
    bank, asked = galaxies.labelled("train")[:4096], galaxies.labelled("val")[:2048]
    if len(np.unique(galaxies.labels[bank])) == 2 and len(asked):
        asking = {"orientations": 1, "pooled": trainer.network.pooled}
        result["knn_accuracy"] = float(
            metrics.knn_accuracy(
                encoder.embed(galaxies.images[bank], **asking),
                galaxies.labels[bank],
                encoder.embed(galaxies.images[asked], **asking),
                galaxies.labels[asked],
            )
        )
    trainer.network.train()
    return result


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write dictionaries of equal keys as CSV, whole or not at all."""
    with whole_file(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def main(arguments: list[str] | None = None) -> None:
    """Pretrain and embed as the chapter on pretraining does, from the command line."""
    parser = argparse.ArgumentParser(
        prog="galclr_utils.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="small", help="a name, or a YAML file of parameters")
    parser.add_argument("--run-dir", help="the run's folder (default: the profile's, or runs/NAME)")
    options = parser.parse_args(arguments)
    root = project_root()
    name, changed = read_profile(root, options.profile)
    chapters = [path.stem for path in (root / "notebooks").glob("[0-9]*.py")]
    check_names(changed, [known for chapter in chapters for known in defaults(chapter)])
    values = defaults("03_pretrain") | changed
    run = run_path(options.run_dir or changed.get("run_dir", f"runs/{name}"))
    settings = Settings(**{field.name: values[field.name] for field in fields(Settings)})
    strengths = {strength: values[strength] for strength in STRENGTHS}
    views = GalaxyViews.for_set(
        GalaxySet.load(run / "dataset"), values["normalize"], p=values["probability"], **strengths
    )
    for k in range(number("n_seeds", values["n_seeds"], 1, 1000, integer=True)):
        seeded = replace(settings, seed=settings.seed + k)
        part = f"seed{seeded.seed}" if k else ""
        pretrain(run, views, values["resume"], part, **asdict(seeded))
        embed(run, values["orientations"], part)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
