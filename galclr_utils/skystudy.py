"""Measure what a piece of sky is like, and what separates it from the galaxies a network knows.

How much it would take to have it, how well its bands lie on each other, what label rules keep of
it, and in what its stamps differ from those of a run.
"""

# N galaxies, n of them, C bands, H, W pixels, D features

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils import checks, labels, sdss
from galclr_utils.dataset import GalaxySet
from galclr_utils.frames import BANDS, Frame, read_frame
from galclr_utils.normalize import Normalize
from galclr_utils.nuisances import nuisances
from galclr_utils.probes import fit_probe
from galclr_utils.surveys import adapted, picture_range

PER_FIELD = 47 * 13.5 * 9.8 / 3600  # main-sample galaxies: 47 a square degree, on 13.5 x 9.8 arcmin
SAMPLE = 377_419  # galaxies of the study that is reproduced here
CENTRE_PX = 5  # radius within which a centroid is taken


def costs(counts, rate_hz: float = 2.0, megabytes_per_s: float = 2.0) -> Table:
    """Say what the pictures of n galaxies take, by either way, if they lie all over the survey.

    A field is needed once however many of the galaxies it holds: of F fields with N galaxies thrown
    on them at random, F (1 - exp(-N/F)) hold at least one. (Galaxies cluster, so it is rather less;
    fields overlap, so it is rather more.)

    Args:
        counts: numbers of galaxies, up to 377,419, for which F is meant.
        rate_hz, megabytes_per_s: see `sdss.plan`.
    Returns:
        A row for each count: galaxies; fields; and of both ways files, gigabytes and hours.

    >>> costs([100])["galaxies", "files, cut-outs", "files, frames"].as_array().tolist()
    [(100, 300, 300)]
    """
    pace = {"rate_hz": rate_hz, "megabytes_per_s": megabytes_per_s}
    some = np.arange(100)
    place = {"id": some.astype(str), "ra": some, "dec": 0.0 * some}
    place |= {"run": 0 * some + 1, "camcol": 0 * some + 1, "field": some}
    plans = {way: sdss.plan(Table(place), way, **pace)[0] for way in sdss.WAYS}
    n_fields, rows = SAMPLE / PER_FIELD, []
    for n in checks.numbers("counts", counts, 1, SAMPLE, True):
        fields = round(n_fields * -np.expm1(-n / n_fields))
        row = {"galaxies": n, "fields": fields}
        for way, times in (("cutouts", n / 100), ("frames", fields / 100)):
            name = {"cutouts": "cut-outs"}.get(way, way)
            row[f"files, {name}"] = round(plans[way]["files"] * times)
            row |= {f"{k}, {name}": plans[way][k] * times for k in ("gigabytes", "hours")}
        rows.append(row)
    table = Table(rows)
    for name in table.colnames:
        table[name].info.format = ",.1f" if name.startswith(("gigabytes", "hours")) else ",d"
    return table


def open_field(folder: str | Path, rows: Table) -> dict[str, Frame]:
    """Read the frames of the field of the first of some galaxies, those that can be read.

    Args:
        folder: of the downloads, with ``frames/``. rows: with run, camcol, field.
    Returns:
        band -> frame.
    """
    found = {}
    for job in sdss.frame_jobs(rows[:1]):
        path = Path(folder) / "frames" / job.filename
        if path.exists():
            try:
                frame = read_frame(path)
            except ValueError:  # said in failures.csv
                continue
            found[frame.outline.band] = frame
    return found


def same_pixels(frames: Mapping[str, Frame], ra: float, dec: float, size: int = 64) -> np.ndarray:
    """Cut the same pixels out of each band's frame, as if the bands lay on each other.

    Args:
        frames: of one field, all bands. ra, dec: degrees, on whose r pixels the box is centred.
        size: pixels along a side.
    Returns:
        float32 (3, size, size).
    """
    x, y = frames["r"].outline.wcs.all_world2pix(ra, dec, 0)
    left, low = round(float(x) - (size - 1) / 2), round(float(y) - (size - 1) / 2)
    box = slice(max(low, 0), low + size), slice(max(left, 0), left + size)
    return np.stack([frames[band].image[box] for band in BANDS])


def centroids(stamps: np.ndarray, radius: float = CENTRE_PX) -> np.ndarray:
    """Return where the light of each band has its centre, from the stamp's middle.

    The first moments of the light within a circle that follows the centre, ten times; light that is
    below a tenth of the peak does not count, so that sky and neighbours weigh little.

    Args:
        stamps: (N, C, H, W). radius: of the circle, pixels.
    Returns:
        float64 (N, C, 2), x to the right and y up, in pixels.

    >>> y, x = np.mgrid[:64, :64] - 31.5
    >>> star = np.exp(-((x - 1.5) ** 2 + (y + 0.25) ** 2) / 8)
    >>> centroids(star[None, None]).round(2).tolist()
    [[[1.5, -0.25]]]
    """
    middle = (stamps.shape[-1] - 1) / 2
    y, x = np.mgrid[: stamps.shape[-2], : stamps.shape[-1]] - middle
    found = np.zeros((*stamps.shape[:2], 2))
    for _ in range(10):
        off = x - found[..., :1, None], y - found[..., 1:, None]
        distance = np.hypot(*off)
        inside = 1 / (1 + np.exp(4 * (distance - radius)))  # a soft edge: the centre moves smoothly
        light = np.clip(np.asarray(stamps, float), 0, None) * inside
        light = np.clip(light - 0.1 * light.max(axis=(2, 3), keepdims=True), 0, None)
        total = np.maximum(light.sum(axis=(2, 3)), 1e-12)
        found = np.stack([(light * a).sum(axis=(2, 3)) / total for a in (x, y)], axis=-1)
    return found


def label_rules(sample: Table, layout: str = "gz1", **values) -> Table:
    """Count what each of several rules keeps of a sample's votes, and how it balances.

    Args:
        sample: N galaxies with the votes of the layout.
        layout: see `labels.published`.
        values: of the rule's parameters, each a list; every combination is a row.
    Returns:
        The parameters; early, late, unknown; kept, and late_share of those.
    """
    rows = []
    for combination in itertools.product(*values.values()):
        rule = dict(zip(values, combination, strict=True))
        found = np.asarray(labels.apply_rule(sample, layout, **rule)["label"])
        early, late, unknown = (int((found == k).sum()) for k in (0, 1, -1))
        known = max(early + late, 1)
        row = {**rule, "early": early, "late": late, "unknown": unknown}
        rows.append(row | {"kept": (early + late) / len(found), "late_share": late / known})
    table = Table(rows)
    for name in ("kept", "late_share"):
        table[name].info.format = ".2f"
    return table


def as_seen(galaxies: GalaxySet, sky: GalaxySet, normalize: Normalize) -> GalaxySet:
    """Return a set of the sky in the units that a run's networks know.

    Flux stays flux. For a run on pictures the sky is stretched by its own asinh, and its background
    and bright end are matched to those of the run's pictures by one linear map (`surveys`).

    Args:
        galaxies: the run's set. sky: the other, in nanomaggies.
        normalize: of the run's encoder.
    """
    if galaxies.card["units"] == sky.card["units"]:
        return sky
    some = sky.images[sky.indices("train")[:2000]]
    own = Normalize.fit(some, "asinh", sky.card["sky_rms"])
    ends = picture_range(sky, own), picture_range(galaxies, normalize)
    pictures = adapted(sky.images, own, *ends).astype(np.float16)
    rms = [0.5 / 255] * len(sky.card["bands"])
    return GalaxySet(pictures, sky.catalog, sky.card | {"units": "display", "sky_rms": rms})


def stamp_facts(galaxies: GalaxySet, rows) -> dict[str, np.ndarray]:
    """Return what stamps of two surveys may differ in: night, noise, brightness, size, colour.

    Args:
        galaxies: the set. rows: which galaxies, (n,).
    Returns:
        name -> float64 (n,); what the catalogue does not know is left out.
    """
    rows = np.asarray(rows)
    found = nuisances(galaxies, rows)
    for name in ("g_r", "concentration"):
        if name in galaxies.catalog.colnames:
            found[name] = np.asarray(galaxies.catalog[name], float)[rows]
    wanted = ("psf_fwhm", "sky_noise", "mag_r", "r50", "g_r", "n_neighbours")
    return {name: found[name] for name in wanted if name in found}


def told_apart(here, there, seed: int = 0) -> float:
    """Return how well a linear rule tells two sets of galaxies apart: the AUC, cross-validated.

    One half is not at all. As many galaxies are taken of each set; each half of them is judged by a
    rule that was fitted to the other half.

    Args:
        here, there: (N, D) and (M, D) features, of order 1.
        seed: of the choice and the halves.

    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> round(told_apart(x[:200], x[200:] + [9, 0, 0]), 2), bool(told_apart(x[:200], x[200:]) < 0.6)
    (1.0, True)
    """
    from sklearn.metrics import roc_auc_score

    random, n = np.random.default_rng(seed), min(len(here), len(there))
    x = np.concatenate([random.permutation(part)[:n] for part in (here, there)])
    y = np.repeat([0, 1], n)
    half, p = np.tile([0, 1], n), np.empty(2 * n)
    for k in (0, 1):
        p[half == k] = fit_probe("logistic", x[half != k], y[half != k], x[half == k], seed)
    return float(roc_auc_score(y, p))
