"""Carry an encoder from one survey to another, and ask what the move costs.

A network learns the pictures of its own survey: their bands, scale, seeing and stretch. Here it is
shown those of another, with its probe as it is or trained anew there.
"""

# N galaxies, C bands, H, W pixels, D representation, R draws, T test galaxies

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table

from galclr_utils import baselines, intervals
from galclr_utils.colours import sky_level
from galclr_utils.dataset import GalaxySet
from galclr_utils.label_draws import draw_labels, fit_seed
from galclr_utils.normalize import Normalize
from galclr_utils.probes import decorrelate, fit_probe
from galclr_utils.provenance import read_json, run_record
from galclr_utils.studies import write_study
from galclr_utils.trained import load_encoders, method_name

SUFFIXES = {"": "mean", "_low": "low", "_high": "high"}


def exchange(
    runs: Mapping[str, Path], n_labels: int = 1000, n_draws: int = 3, n_test: int = 1000
) -> dict[str, Table]:
    """Show the galaxies of each of two runs to the encoder of the other, and ask what it costs.

    A stamp is normalised as in its own set. The sky and the bright end (the 99.5th percentile) of
    these pictures, measured on the training galaxies of both sets, are then matched by one linear
    map, and the result is shown to the other network. Bands are taken in the order of each set.
    A probe (fully connected) is trained on the labels of one set and judged on the test galaxies
    of either.

    Args:
        runs: name -> folder of a finished run, two of them, with as many bands.
        n_labels: labels of each probe; fewer where a set has fewer.
        n_draws: label draws. n_test: at most so many test galaxies of each set.
    Returns:
        ``exchange``: rows encoder, labels, tested, n_labels, n_test; accuracy and
        balanced_accuracy, each with _low and _high. ``cost``: rows encoder, tested; mean, low, high
        of balanced accuracy with labels of the other set minus with the set's own, paired by draw
        number and galaxy. ``encoders``: rows tested, a, b; the same of the encoder from elsewhere
        (a) minus the set's own, or random weights (b), all with labels of the tested set.
    Raises:
        ValueError: not two runs, other bands, or a set without labels of both splits.
    """
    if len(runs) != 2:
        raise ValueError(f"runs: got {list(runs)}, expected two of them")
    sets = {name: GalaxySet.load(Path(run) / "dataset") for name, run in runs.items()}
    if len({own.images.shape[1] for own in sets.values()}) > 1:
        raise ValueError("the two sets have different numbers of bands, expected the same")
    encoders = {name: next(iter(load_encoders(Path(run)).values())) for name, run in runs.items()}
    called = {name: f"{method_name(Path(run))}, {name}" for name, run in runs.items()}
    rows = {name: _some(own, n_labels, n_test) for name, own in sets.items()}
    own_norm = {name: encoders[name].normalize for name in sets}
    ends = {name: picture_range(own, own_norm[name]) for name, own in sets.items()}
    networks = {called[name]: (name, encoders[name]) for name in runs}
    for name in runs:  # the control: of the same shape, and never trained
        control = baselines.random_encoder(sets[name], encoders[name], seed=1000)
        networks[f"random weights, {name}"] = name, control
    table, cost, told = [], [], {}
    for encoder, (home, network) in networks.items():
        bare = copy.deepcopy(network)
        bare.normalize = Normalize("identity")
        features = {}
        for name, own in sets.items():
            for part, some in rows[name].items():
                shown = adapted(own.images[some], own_norm[name], ends[name], ends[home])
                features[name, part] = bare.embed(shown)
        told[encoder] = p = _probe_all(sets, rows, features, n_labels, n_draws)
        for (taught, tested), (n, p_late) in p.items():
            truth = sets[tested].labels[rows[tested]["test"]]
            row = {"encoder": encoder, "labels": taught, "tested": tested, "n_labels": n}
            row["n_test"] = len(truth)
            for score in ("accuracy", "balanced_accuracy"):
                found = intervals.interval(truth, p_late, [0] * n_draws, range(n_draws), score)
                row |= {f"{score}{end}": found[k] for end, k in SUFFIXES.items()}
            table.append(row)
        for tested, other in zip(sets, reversed(sets), strict=True):
            truth = sets[tested].labels[rows[tested]["test"]]
            pair = [p[taught, tested][1] for taught in (other, tested)]
            cost.append({"encoder": encoder, "tested": tested} | _difference(truth, *pair))
    apart = []
    for tested, other in zip(sets, reversed(sets), strict=True):
        truth, a = sets[tested].labels[rows[tested]["test"]], called[other]
        for b in (called[tested], f"random weights, {tested}"):
            pair = [told[encoder][tested, tested][1] for encoder in (a, b)]
            apart.append({"tested": tested, "a": a, "b": b} | _difference(truth, *pair))
    return {"exchange": Table(table), "cost": Table(cost), "encoders": Table(apart)}


def _difference(truth, p_a, p_b) -> dict[str, float]:
    """Return mean, low and high of a minus b in balanced accuracy, for (R, T) draws of labels."""
    found = intervals.paired_difference(truth, p_a, p_b, [0] * len(p_a), range(len(p_a)))
    return {name: found[name] for name in ("mean", "low", "high")}


def store_exchange(folder: Path, runs: Mapping[str, Path], **options) -> Path:
    """Make the tables of `exchange` and store them as a study, for pages that only show it.

    Args:
        folder: of the study, such as ``book/studies/shift_pictures``.
        runs, options: of `exchange`.
    Returns:
        The folder, which :func:`galclr_utils.studies.read_study` reads.
    """
    tables, told = exchange(runs, **options), []
    for name, run in runs.items():
        card = read_json(Path(run) / "dataset" / "card.json")
        source = "SIMULATED galaxies" if card.get("simulated") else card.get("source", "unknown")
        told.append(f"{name}: {source}")
    record = {"caption": f"Sets: {'; '.join(told)}.", **options} | run_record(seed=0)
    return write_study(Path(folder), tables, record)


def _some(galaxies: GalaxySet, n_labels: int, n_test: int) -> dict[str, np.ndarray]:
    """Return labelled rows to learn from, three budgets at most, and rows to test, at random."""
    random, found = np.random.default_rng(0), {}
    for part, n in {"train": 3 * n_labels, "test": n_test}.items():
        rows = galaxies.labelled(part)
        if len(np.unique(galaxies.labels[rows])) < 2:
            raise ValueError(f"{part}: got {len(rows)} labels, expected some of both types")
        found[part] = np.sort(random.permutation(rows)[:n])
    return found


def _probe_all(sets, rows, features, n_labels: int, n_draws: int) -> dict:
    """Train probes on the labels of each set; return (taught, tested) -> (n, p_late (R, T))."""
    found = {}
    for taught, own in sets.items():
        train = rows[taught]["train"]
        y, n = own.labels[train], min(n_labels, len(train))
        parts = [features[taught, "train"], *(features[name, "test"] for name in sets)]
        x, *tests = np.split(
            decorrelate(np.concatenate(parts), np.arange(len(train))),
            np.cumsum([len(part) for part in parts])[:-1],
        )
        p_late = []
        for draw in range(n_draws):
            drawn = draw_labels(y, n, draw)
            seed = fit_seed(0, draw)
            all_tests = np.concatenate(tests)
            p_late.append(fit_probe("fully connected", x[drawn], y[drawn], all_tests, seed))
        split = np.split(np.array(p_late), [len(tests[0])], axis=1)
        found |= {(taught, name): (n, p) for name, p in zip(sets, split, strict=True)}
    return found


def picture_range(galaxies: GalaxySet, normalize: Normalize) -> tuple[float, float]:
    """Return the sky and the bright end of a set's normalised training pictures."""
    train = galaxies.indices("train")
    some = torch.from_numpy(np.asarray(galaxies.images[train[:: 1 + len(train) // 1000]], "f4"))
    pictures = normalize(some).numpy()
    return float(np.median(sky_level(pictures))), float(np.quantile(pictures, 0.995))


def adapted(images, normalize: Normalize, own: tuple, other: tuple) -> np.ndarray:
    """Return stamps as the pictures that another set's network expects, float32 in [0, 1].

    Args:
        images: (N, C, H, W) in the set's units. normalize: of the set.
        own, other: `picture_range` of the set, and of the one that the network knows.
    """
    pictures = normalize(torch.from_numpy(np.asarray(images, np.float32))).numpy()
    scale = (other[1] - other[0]) / max(own[1] - own[0], 1e-6)
    return (other[0] + (pictures - own[0]) * scale).clip(0, 1).astype(np.float32)
