"""The parts of poster.py: what is simulated, measured and trained on one GPU.

Each part is a function of the run's folder, of whether it is to be quick, and of what the parts
before it have found; it returns a dictionary for ``gpu.json``.
"""

from __future__ import annotations

import gc
import inspect
import math
import os
import shutil
import statistics
import time
import traceback
import warnings
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

import ledger
import numpy as np

ENCODERS = ("cnn4", "resnet18")
MODES = ("eager", "cuda_graphs")
PLACES = ("device", "memory map")
NO_GPU = "not run: no GPU"
PART = "benchmark"  # folder of the pretraining inside the run
SIZES = {
    False: {"seconds": 10.0, "warm": 30, "profiled": 20, "watched": 5, "gemm": 8192, "copy": 2**30},
    True: {"seconds": 0.3, "warm": 2, "profiled": 2, "watched": 2, "gemm": 256, "copy": 2**22},
}


# --- arithmetic ----------------------------------------------------------------------------------


def work_per_galaxy(encoder: str) -> dict:
    """Count what a training step must do for one galaxy, that is, for two views of 3 x 32 x 32.

    FLOP (two for a multiplication with its addition) are those of the convolutions and matrix
    products of encoder and head, forward and backward, as torch counts them. Bytes are a floor: the
    output of every convolution, in bfloat16, passes the memory five times (written and read
    forward, read once more backward, its gradient written and read).

    >>> round(work_per_galaxy("cnn4")["flop"] / 1e6, 1)
    177.9
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from galclr_utils import contrast, encoders, floors, recipe

    model = contrast.build_model(recipe.Settings(encoder=encoder), encoders.Encoder(encoder))
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(2, 3, 32, 32))[1].sum().backward()
    values = floors.values_written(model.encoder.trunk, (3, 32, 32))
    return {"flop": float(counter.get_total_flops()), "bytes": 2.0 * floors.PASSES * 2 * values}


def fractions(galaxies_per_s: float, work: dict, machine: dict) -> dict:
    """Return which share of the machine's measured rates a training uses.

    Args:
        galaxies_per_s: of the training. work: from `work_per_galaxy`.
        machine: ``gemm_flop_per_s`` and ``copy_bytes_per_s``.
    Returns:
        of_gemm, of_copy, and of_floor: the larger of the two, since no step can be faster than
        either allows.

    >>> fractions(100, {"flop": 1, "bytes": 4}, {"gemm_flop_per_s": 200, "copy_bytes_per_s": 500})
    {'of_gemm': 0.5, 'of_copy': 0.8, 'of_floor': 0.8}
    """
    if not {"gemm_flop_per_s", "copy_bytes_per_s"} <= set(machine):
        return {}
    of_gemm = galaxies_per_s * work["flop"] / machine["gemm_flop_per_s"]
    of_copy = galaxies_per_s * work["bytes"] / machine["copy_bytes_per_s"]
    return {"of_gemm": of_gemm, "of_copy": of_copy, "of_floor": max(of_gemm, of_copy)}


# --- what all parts share ------------------------------------------------------------------------


def configuration(run: Path, quick: bool):
    """Return the poster's parameters, the set, its views and its settings."""
    from galclr_utils import GalaxySet
    from galclr_utils.galaxy_views import GalaxyViews
    from galclr_utils.pretrain import STRENGTHS
    from galclr_utils.recipe import Settings

    values = parameters(quick)
    galaxies = GalaxySet.load(run / "dataset")
    strengths = {name: values[name] for name in STRENGTHS}
    views = GalaxyViews.for_set(galaxies, values["normalize"], p=values["probability"], **strengths)
    settings = Settings(**{f.name: values[f.name] for f in fields(Settings) if f.name in values})
    return galaxies, views, settings


def parameters(quick: bool) -> dict:
    """Return the parameters of the chapters on data and pretraining in the profile ``poster``."""
    from galclr_utils.parameters import defaults, read_profile
    from galclr_utils.provenance import project_root

    values = defaults("01_data") | defaults("02_views") | defaults("03_pretrain")
    values |= read_profile(project_root(), "poster")[1]
    toy = {"n_galaxies": 260, "val_fraction": 0.1, "test_fraction": 0.2, "batch_size": 16}
    return values | (toy | {"epochs": 2, "warmup_epochs": 1} if quick else {})


def on_gpu() -> bool:
    """Tell whether there is a GPU for this process."""
    import torch

    return torch.cuda.is_available()


def wait() -> None:
    """Wait until the GPU has done all that it was asked for."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds_of(work, repeats: int) -> float:
    """Return the median seconds of some work, three warm-ups aside."""
    taken = []
    for _ in range(3 + repeats):
        wait()
        began = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[3:])


# --- the parts: each returns a dictionary for gpu.json -------------------------------------------


def part_data(run: Path, quick: bool, state: dict) -> dict:
    """Simulate the survey, or find it there; say first how long it will take."""
    from galclr_utils import simulate, sources

    asked = inspect.signature(sources.prepare).parameters
    values = {name: value for name, value in parameters(quick).items() if name in asked}
    values |= {"run_dir": str(run), "workers": 1 if quick else 0}
    fractions = values["val_fraction"], values["test_fraction"]
    n = sources.survey_size(values["n_galaxies"], values["seed"], *fractions)
    simulate.block(0, 0)  # what is made once, is made
    one = seconds_of(lambda: simulate.block(0, 1), 1 if quick else 5) / simulate.BLOCK
    cores = 1 if quick else ledger.cores()
    size = n * 3 * values["image_size_px"] ** 2 * 2 / 1e9
    ledger.say(
        f"{n:,} galaxies, {size:.2f} GB (twice that meanwhile), to be simulated in about "
        f"{n * one / cores / 60:.1f} minutes on {cores} cores, if they are not there yet"
    )
    free = shutil.disk_usage(run).free / 1e9
    if free < 2.2 * size:
        raise OSError(f"{run}: {free:.1f} GB free, expected {2.2 * size:.1f} GB for the set")
    began = time.perf_counter()
    galaxies = sources.prepare(**values)
    seconds = time.perf_counter() - began
    counts = {name: galaxies.card["counts"][name] for name in ("train", "val", "test")}
    result = {"galaxies": len(galaxies), **counts, "gb": galaxies.images.nbytes / 1e9}
    return result | {"seconds": seconds, "simulated_per_core_s": 1 / one, "cores": cores}


def part_machine(run: Path, quick: bool, state: dict) -> dict:
    """Measure a matrix product in bfloat16 and a copy on the device."""
    import torch

    size, device = SIZES[quick], "cuda" if on_gpu() else "cpu"
    a, b = (torch.randn(size["gemm"], size["gemm"], device=device).bfloat16() for _ in range(2))
    gemm = 2 * size["gemm"] ** 3 / seconds_of(lambda: a @ b, 20)
    source = torch.ones(size["copy"], dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    copied = 2 * source.nbytes / seconds_of(lambda: target.copy_(source), 20)
    found = {"gemm_flop_per_s": gemm, "gemm_size": size["gemm"], "copy_bytes_per_s": copied}
    if on_gpu():
        facts = torch.cuda.get_device_properties(0)
        found |= {"memory_gb": facts.total_memory / 1e9, "cuda": torch.version.cuda}
        found |= {"multiprocessors": facts.multi_processor_count}
        found |= {"cudnn": torch.backends.cudnn.version()}
    return found


def part_rate(run: Path, quick: bool, state: dict, mode: str, encoder: str) -> dict:
    """Train in one mode from both places."""
    import torch

    if mode == "cuda_graphs" and not on_gpu():
        return {"skipped": NO_GPU}
    galaxies, views, settings = configuration(run, quick)
    settings = replace(settings, encoder=encoder, cuda_graphs=mode == "cuda_graphs")
    if quick and encoder == "resnet18":
        settings = replace(settings, batch_size=4)
    work, found = work_per_galaxy(encoder), {}
    for place in PLACES:
        if place == "device" and not on_gpu():
            found[place] = {"skipped": NO_GPU}
            continue
        found[place] = guarded(rate_from, galaxies, views, settings, place, quick)
        rate = found[place].get("galaxies_per_s")
        if rate:
            found[place] |= fractions(rate, work, state.get("machine", {}))
            ledger.say(f"{encoder}, {mode}, {place}: {rate:,.0f} galaxies/s")
        gc.collect()
        if on_gpu():
            torch.cuda.empty_cache()
    return found | {"per_galaxy": work}


def rate_from(galaxies, views, settings, place: str, quick: bool) -> dict:
    """Train for some seconds with the stamps in one place: rate, memory, waits, kernels."""
    import torch

    from galclr_utils import stamps
    from galclr_utils.training import Trainer

    size = SIZES[quick]
    nothing_fits = mock.patch.object(stamps, "SHARE", 0.0)
    with nothing_fits if place == "memory map" else nullcontext():
        trainer = Trainer(galaxies, views, settings)
    if trainer.stamps.where != place:
        raise RuntimeError(
            f"stamps: expected them in {place!r}, they are in {trainer.stamps.where!r}"
        )
    if on_gpu():
        torch.cuda.reset_peak_memory_stats()
    coming = endless(trainer)

    def train(steps: int) -> float:
        wait()
        began = time.perf_counter()
        for _ in range(steps):
            stamps_, generator = next(coming)
            trainer.loss_sum += trainer.learn(stamps_, generator)
        wait()
        return (time.perf_counter() - began) / steps

    train(size["warm"])
    steps = max(2, math.ceil(size["seconds"] / train(size["warm"])))
    seconds = train(steps)
    found = {"galaxies_per_s": trainer.batch_size / seconds, "ms_per_step": 1000 * seconds}
    found |= {"steps": steps, "batch_size": trainer.batch_size}
    found["precision"] = trainer.fabric._precision.precision
    batch, generator = next(coming)
    views_s = seconds_of(lambda: trainer.two_views(batch, generator), 5)
    found["views_ms"] = 1000 * views_s
    loss = float(trainer.loss_sum)
    if not math.isfinite(loss):
        raise RuntimeError(f"the loss is {loss}: the rate of a broken training says nothing")
    if on_gpu():
        found["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
        found["reserved_gb"] = torch.cuda.max_memory_reserved() / 1e9
        found["host_syncs"] = guarded(host_syncs, train, size["watched"])
    else:
        found["host_syncs"] = {"skipped": NO_GPU}
    found["profile"] = guarded(profile, train, size["profiled"])
    if "ms_per_step" in found["profile"]:  # of a step without the profiler's own burden
        found["busy"] = found["profile"]["ms_per_step"] / found["ms_per_step"]
    coming.close()
    return found


def endless(trainer):
    """Yield stamps and the views' generator as `Trainer.epochs` takes them, epoch after epoch."""
    epoch = 0
    while True:
        order, generator = trainer.batches(epoch)
        for batch in trainer.stamps.batches(order):
            yield batch, generator
        epoch += 1


def host_syncs(train, steps: int) -> dict:
    """Count where the host waits for the GPU, a step, and name the lines (torch's own tell)."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            train(steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    ours = "torch/cuda/__init__.py"  # the waits around the clock
    called = "called a synchronizing"
    waits = [w for w in caught if called in str(w.message) and ours not in w.filename]
    places = [f"{'/'.join(Path(w.filename).parts[-2:])}:{w.lineno}" for w in waits]
    lines = {place: places.count(place) / steps for place in dict.fromkeys(places)}
    return {"per_step": len(waits) / steps, "lines": lines}


def profile(train, steps: int, top: int = 30) -> dict:
    """Record some steps with torch's profiler: the kernels that take longest, and how busy it is.

    On a CPU the operators stand for the kernels.
    """
    import torch
    from torch.profiler import ProfilerActivity

    # torch's own remedy for graphs that crash when the recorder is taken down and set up again
    os.environ |= {"DISABLE_CUPTI_LAZY_REINIT": "1", "TEARDOWN_CUPTI": "0"}
    gpu = on_gpu()
    kinds = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * gpu]
    with torch.profiler.profile(activities=kinds) as recorded:
        train(steps)
    rows = []
    for event in recorded.key_averages():
        is_kernel = event.device_type == torch.autograd.DeviceType.CUDA
        if gpu and (not is_kernel or getattr(event, "is_user_annotation", False)):
            continue
        names = ("self_device_time_total", "self_cuda_time_total") if gpu else ()
        names = (*names, "self_cpu_time_total")
        us = next(getattr(event, name) for name in names if hasattr(event, name))
        rows.append({"kernel": event.key[:200], "calls": event.count, "device_us": us})
    rows.sort(key=lambda row: -row["device_us"])
    total = sum(row["device_us"] for row in rows)
    kernels = [row | {"share": row["device_us"] / max(total, 1e-9)} for row in rows[:top]]
    calls = sum(row["calls"] for row in rows)
    found = {"steps": steps, "kernels_per_step": calls / steps, "ms_per_step": total / 1000 / steps}
    return found | {"kernels": kernels}


def part_stock(run: Path, quick: bool, state: dict, encoder: str) -> dict:
    """Train as lightly's example does, PIL in all cores' workers, on the same device."""
    import stock
    import torch
    from lightly.loss import NTXentLoss
    from torch.utils.data import DataLoader, RandomSampler

    from galclr_utils.contrast import SimCLR
    from galclr_utils.encoders import Encoder

    galaxies, views, settings = configuration(run, quick)
    stamps = torch.from_numpy(np.asarray(galaxies.images[:8192], np.float32))
    pictures = (255 * views.normalize(stamps)).byte().permute(0, 2, 3, 1).contiguous().numpy()
    workers = 1 if quick else ledger.cores()
    batch_size, ahead = settings.batch_size, 2
    if quick and encoder == "resnet18":
        batch_size = 4
    shared = Path("/dev/shm")
    free = shutil.disk_usage(shared).free if shared.exists() else math.inf
    while batch_size > 16 and workers * ahead * batch_size * 2 * stamps[0].nbytes > 0.7 * free:
        batch_size //= 2  # the workers' batches pass through shared memory
    data = stock.Pictures(pictures, stock.stock_transform(pictures.shape[1]))
    batches = iter(
        DataLoader(
            data,
            batch_size,
            sampler=RandomSampler(data, replacement=True, num_samples=10**9),
            num_workers=workers,
            drop_last=True,
            timeout=120,
        )
    )
    device = torch.device("cuda" if on_gpu() else "cpu")
    model, loss_of = SimCLR(Encoder(encoder)).to(device), NTXentLoss(settings.temperature)
    optimizer = torch.optim.AdamW(model.parameters(), settings.learning_rate)

    def step() -> None:
        first, second = (view.to(device) for view in next(batches))
        loss = loss_of(model(first)[1], model(second)[1])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(1 if quick else workers * ahead + 3):  # what lies ready is no steady rate
        step()
    wait()
    steps, began = 0, time.perf_counter()
    while steps < 2 or time.perf_counter() - began < (0.3 if quick else 30):
        step()
        steps += 1
    wait()
    seconds = time.perf_counter() - began
    found = {"galaxies_per_s": steps * batch_size / seconds, "workers": workers, "steps": steps}
    ledger.say(f"{encoder}, stock: {found['galaxies_per_s']:,.0f} galaxies/s")
    return found | {"batch_size": batch_size, "precision": "32-true"}


def part_quality(run: Path, quick: bool, state: dict) -> dict:
    """Pretrain cnn4 for the minutes that are left, embed, and probe beside the controls."""
    from galclr_utils import baselines, comparison, score_table, scoring
    from galclr_utils.embedding import embed
    from galclr_utils.encoders import load_encoder
    from galclr_utils.pretrain import pretrain
    from galclr_utils.probes import decorrelate, probe

    galaxies, views, settings = configuration(run, quick)
    fastest = state.get("projection", {}).get("cnn4", {}).get("how", "eager")
    how = "eager" if state.get("graphs_failed") else fastest
    chosen = {"encoder": "cnn4", "cuda_graphs": how.startswith("cuda_graphs")}
    chosen["max_minutes"] = 0.0 if quick else state["quality_minutes"]
    settings = replace(settings, **chosen)
    named = {f.name: getattr(settings, f.name) for f in fields(settings)}
    record = pretrain(run, views, part=PART, **named)
    epochs = record["steps"] / record["steps_per_epoch"]
    ledger.say(f"pretrained {epochs:.1f} epochs in {record['seconds'] / 60:.1f} minutes")
    began = time.perf_counter()
    orientations = 1 if quick else 8
    spaces = {"SimCLR": embed(run, orientations, PART)[0]}
    embedded = len(galaxies) / (time.perf_counter() - began)
    spaces["PCA-64"] = baselines.pca_features(galaxies, views.normalize)
    encoder = load_encoder(run / "pretrain" / PART / "encoder.pt")
    untrained = baselines.random_encoder(galaxies, encoder, seed=1000)
    spaces["random weights"] = untrained.embed(galaxies.images, orientations=orientations)
    learn = galaxies.indices("train")
    methods = {"majority": baselines.majority}
    for name, space in spaces.items():
        level = decorrelate(space, learn)
        for kind in ("fully connected", "logistic"):
            methods[f"{name} + {kind}"] = probe(level, kind)
        methods[f"{name} + kNN"] = probe(space, "knn")
    budgets = [50, 100] if quick else [100, 1000, 10_000]
    scores = scoring.score_methods(methods, galaxies, budgets, 2 if quick else 3)
    score_table.save_scores(run / PART, scores)
    names = ("balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high", "accuracy")
    table = [
        {name: row[name].item() if hasattr(row[name], "item") else row[name] for name in columns}
        for columns in [("method", "n_labels", *names)]
        for row in comparison.summary(scores)
    ]
    keep = ("steps", "steps_per_epoch", "seconds", "precision", "collapsed", "stamps")
    result = {name: record.get(name) for name in keep} | {"epochs": epochs, "how": how}
    history = ledger.read_rows(run / "pretrain" / PART / "history.csv")
    history = [{k: None if v != v else v for k, v in row.items()} for row in history]
    result |= {"history": history, "embedded_per_s": embedded, "orientations": orientations}
    return result | {"n_test": len(scores.label), "scores": table}


def guarded(call, *args) -> dict:
    """Return what a call returns, or its error in words: one failure must not lose the rest."""
    try:
        return call(*args)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error}"
        ledger.say(f"failed: {text}")
        place = f"{'/'.join(Path(where.filename).parts[-2:])}:{where.lineno}"
        return {"error": text[:2000], "at": place}
