"""Change the stamps and leave the classifier alone: other colours, worse nights, one transform.

What a classifier uses shows when it is taken away. Versions of the same test galaxies are put into
one data set, behind galaxies to learn from that nobody touched; every method then judges all
versions with one training, and any two versions can be compared galaxy for galaxy.
"""

# N galaxies, C bands, H, W pixels, D representation, R runs, T test galaxies, V versions

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table

from galclr_utils import metrics
from galclr_utils.audit import band_light, nuisance_r2, sky_level
from galclr_utils.checks import number
from galclr_utils.comparison import Scores
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder, load_encoder
from galclr_utils.pretrain import pretrain
from galclr_utils.provenance import read_json
from galclr_utils.transforms import GalaxyViews, blur_matrix

FWHM = 2.3548  # of a Gaussian, in sigma
SDSS_SEEING = 1.43  # arcsec: the median of the r band, for galaxies whose seeing is not known
UNSCALED_SEEING = 2.0  # pixels: our guess where a set does not even know its pixels' size


# --- versions of the same galaxies ---------------------------------------------------------------


def versions(galaxies: GalaxySet, learn, judged, pictures: Mapping[str, np.ndarray]) -> GalaxySet:
    """Return a set of galaxies to learn from, as they are, and several versions of others.

    Args:
        galaxies: the data set.
        learn: rows to learn from. judged: T rows to be judged.
        pictures: name -> (T, C, H, W), what the judged look like in each version.
    Returns:
        The set: ``learn`` as its ``train``, then the versions one after the other as its ``test``,
        with ids such as ``sim-0-0000007@grey``.

    >>> catalog = Table({"id": ["a", "b"], "split": ["train", "test"], "label": [1, 0]})
    >>> card = {"units": "display", "bands": ["g", "r", "i"], "source": "squares"}
    >>> two = GalaxySet(np.ones((2, 3, 4, 4), np.float32), catalog, card)
    >>> both = versions(two, [0], [1], {"as it is": two.images[[1]], "dark": 0 * two.images[[1]]})
    >>> both.catalog["id"].tolist()
    ['a', 'b@as it is', 'b@dark']
    """
    learn, judged = np.asarray(learn), np.asarray(judged)
    for name, images in pictures.items():
        if np.shape(images) != (len(judged), *galaxies.images.shape[1:]):
            expected = (len(judged), *galaxies.images.shape[1:])
            raise ValueError(f"{name}: got {np.shape(images)}, expected {expected}")
    dtype = galaxies.images.dtype
    images = [galaxies.images[learn], *(np.asarray(p, dtype) for p in pictures.values())]
    ids = np.asarray(galaxies.catalog["id"], str)
    labels, n = galaxies.labels, len(pictures)
    catalog = Table()
    catalog["id"] = [*ids[learn], *(f"{i}@{name}" for name in pictures for i in ids[judged])]
    catalog["split"] = ["train"] * len(learn) + ["test"] * (n * len(judged))
    catalog["label"] = np.concatenate([labels[learn], np.tile(labels[judged], n)])
    return GalaxySet(np.concatenate(images), catalog, dict(galaxies.card))


def by_version(scores: Scores, names) -> dict[str, Scores]:
    """Return the scores of each version, all on the same T galaxies in the same order.

    Args:
        scores: from ``comparison.score_methods`` on a set from `versions`.
        names: of the versions, in their order.
    """
    names = list(names)
    if len(scores.label) % len(names):
        raise ValueError(f"got {len(scores.label)} galaxies, expected {len(names)} times as many")
    size = len(scores.label) // len(names)
    parts = [slice(k * size, (k + 1) * size) for k in range(len(names))]
    ids = np.array([name.rsplit("@", 1)[0] for name in scores.id[:size]])
    return {
        name: Scores(scores.table, scores.p_late[:, part], scores.label[:size], ids)
        for name, part in zip(names, parts, strict=True)
    }


def score_versions(parts: Mapping[str, Scores], methods, score: str = "balanced_accuracy") -> Table:
    """Return the score of every method in every version, and what it lost, galaxy for galaxy.

    Args:
        parts: from `by_version`; the first is what the others are compared with.
        methods: names. score: accuracy, balanced_accuracy, precision or recall.
    Returns:
        Rows group (the version), method, n_seeds, n_runs; mean, low, high of the score; change,
        change_low, change_high against the first version (paired: the same runs and galaxies).
    """
    first, rows = next(iter(parts.values())), []
    for name, own in parts.items():
        for method in methods:
            runs = own.runs(method, 0)
            layout = [np.asarray(own.table[column])[runs] for column in ("seed", "draw")]
            curve, before = (
                metrics.bootstrap(s.label, s.p_late[runs], *layout)[score] for s in (own, first)
            )
            value, change = metrics.central_95(curve), metrics.central_95(curve - before)
            ends = {"change": change["mean"], "change_low": change["low"]}
            ends |= {"change_high": change["high"]}
            ends |= {"n_seeds": len(set(layout[0])), "n_runs": len(runs)}
            rows.append({"group": name, "method": method} | value | ends)
    return Table(rows)


# --- other colours -------------------------------------------------------------------------------


def band_shares(images) -> np.ndarray:
    """Return the share of each band in the light of stamps, float64 (N, C): their colour.

    Light is that of the inner half (`audit.band_light`). Shares below 0.02, which noise makes of
    the faintest galaxies, are raised to it.
    """
    light = np.maximum(band_light(images), 0)
    total = light.sum(axis=1, keepdims=True)
    equal = 1 / light.shape[1]
    shares = np.divide(light, total, out=np.full_like(light, equal), where=total > 0)
    shares = shares.clip(0.02)
    return shares / shares.sum(axis=1, keepdims=True)


def recolour(images, shares, card: dict) -> np.ndarray:
    """Give galaxies another colour: scale each band as a whole, and leave all light in all.

    The shape and the colour *gradients* stay, so does the sky's level; the noise of a band is
    scaled with it. Neighbours are recoloured too.

    Args:
        images: (N, C, H, W) in the set's units.
        shares: (C,) or (N, C), the shares of the bands to give them; see `band_shares`.
        card: of the set: display units stay in [0, 1].
    Returns:
        float32 (N, C, H, W).

    >>> stamps = np.zeros((1, 2, 12, 12), np.float32)
    >>> stamps[:, :, 4:8, 4:8] = np.reshape([1.0, 3.0], (1, 2, 1, 1))
    >>> band_shares(recolour(stamps, [0.5, 0.5], {"units": "nanomaggy"}))
    array([[0.5, 0.5]])
    """
    stamps = np.asarray(images, np.float32)
    sky = sky_level(stamps)[..., None, None]
    factor = (np.asarray(shares) / band_shares(stamps)).astype(np.float32)
    return _kept(sky + (stamps - sky) * factor[..., None, None], card)


def partners(labels, seed: int = 0) -> np.ndarray:
    """Give every galaxy one of the other type at random, to swap colours with.

    Args:
        labels: (T,) 0 early, 1 late. seed: of the draw.
    Returns:
        int64 (T,) positions.

    >>> partners([0, 1, 1])[1:]
    array([0, 0])
    """
    labels, random = np.asarray(labels), np.random.default_rng(seed)
    kinds = {value: np.flatnonzero(labels == value) for value in (0, 1)}
    if not all(map(len, kinds.values())):
        raise ValueError("labels: got one class only, expected early and late types")
    return np.array([random.choice(kinds[1 - value]) for value in labels])


def luminance(images, shares, card: dict) -> np.ndarray:
    """Take all colour from galaxies: every band shows the same picture, the sum of all of them.

    Colour gradients, such as a red bulge in a blue disc, go too; the noise becomes the same in all
    bands.

    Args:
        images, card: as for `recolour`.
        shares: (C,), how the light is given to the bands: the colour that all galaxies get.
    Returns:
        float32 (N, C, H, W).
    """
    stamps = np.asarray(images, np.float32)
    sky = sky_level(stamps)[..., None, None]
    light = (stamps - sky).sum(axis=1, keepdims=True)
    return _kept(sky + light * np.reshape(np.asarray(shares, np.float32), (-1, 1, 1)), card)


def _kept(images, card: dict) -> np.ndarray:
    """Return pictures in [0, 1], and flux as it is."""
    return images.clip(0, 1) if card["units"] == "display" else images


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


def grey(images) -> np.ndarray:
    """Return the mean of all bands of stamps (N, C, H, W), in their dtype, (N, 1, H, W)."""
    images = np.asarray(images)
    return images.mean(axis=1, keepdims=True, dtype=np.float32).astype(images.dtype)


# --- another night, a shorter exposure -----------------------------------------------------------


def seeing_px(galaxies: GalaxySet, rows) -> tuple[np.ndarray, str]:
    """Return the seeing (FWHM) of some galaxies in pixels of the stamps, and where it is from.

    Returns:
        float64 (n,), and "the catalogue"; where that has none, one number for all and what it is.
    """
    scale = galaxies.card.get("arcsec_per_pixel")
    if scale and "psf_fwhm" in galaxies.catalog.colnames:
        known = np.asarray(galaxies.catalog["psf_fwhm"], np.float64)[rows] / scale
        if np.isfinite(known).any():
            return np.where(np.isfinite(known), known, np.nanmedian(known)), "the catalogue"
    if scale:
        return np.full(len(rows), SDSS_SEEING / scale), f"assumed to be {SDSS_SEEING} arcsec"
    return np.full(len(rows), UNSCALED_SEEING), f"guessed to be {UNSCALED_SEEING:g} pixels"


def blur_to(seeing, target) -> np.ndarray:
    """Return the sigma of the Gaussian that turns one seeing (FWHM) into a worse one.

    >>> blur_to([1.0, 5.0], target=4.0).round(2)  # where it is worse already, nothing is done
    array([1.64, 0.  ])
    """
    wider = np.asarray(target, np.float64) ** 2 - np.asarray(seeing, np.float64) ** 2
    return np.sqrt(np.maximum(wider, 0)) / FWHM


def degrade(images, card: dict, blur_px=0.0, depth: float = 1.0, seed: int = 0) -> np.ndarray:
    """Show galaxies as in worse seeing and a shorter exposure.

    A Gaussian blurs the stamp, and noise is added such that the sky's rms is ``depth`` times what
    it was: the blur smooths the noise, which a worse night does not, so that much is given back.
    (What is given back is not correlated from pixel to pixel and the rest is; photon noise of the
    galaxy itself is not modelled. On display units, which are not linear in flux, both are
    approximate.)

    Args:
        images: (N, C, H, W) in the set's units. card: of the set, with ``sky_rms``.
        blur_px: sigma of the blur in pixels, one number or (N,).
        depth: factor on the sky's rms, 1 or more: 2 is a quarter of the exposure time.
        seed: of the noise.
    Returns:
        float32 (N, C, H, W).

    >>> stamps = np.random.default_rng(0).normal(0, 0.1, (8, 3, 32, 32))
    >>> worse = degrade(stamps, {"units": "nanomaggy", "sky_rms": [0.1] * 3}, 1.0, depth=2)
    >>> round(float(worse.std()), 2)
    0.2
    """
    depth = number("depth", depth, 1, 1000)
    stamps = torch.from_numpy(np.array(images, np.float32))
    height, width = stamps.shape[-2:]
    sigma = np.broadcast_to(np.asarray(blur_px, np.float32), len(stamps)).copy()
    if not (np.isfinite(sigma) & (sigma >= 0)).all():
        raise ValueError("blur_px: got a negative or unknown width, expected 0 or more")
    across, along = (blur_matrix(torch.from_numpy(sigma), size) for size in (height, width))
    blurred = (across[:, None] @ stamps @ along[:, None]).numpy()
    left = ((across**2).sum(2).mean(1) * (along**2).sum(2).mean(1)).numpy()  # of the variance
    lacking = np.sqrt(np.maximum(depth**2 - left, 0))[:, None, None, None]
    rms = np.reshape(np.asarray(card["sky_rms"], np.float32), (-1, 1, 1))
    noise = np.random.default_rng(seed).standard_normal(blurred.shape, dtype=np.float32)
    noise[(sigma < 1e-3)] *= depth > 1  # untouched where nothing is asked
    return _kept((blurred + lacking * rms * noise).astype(np.float32), card)


# --- one transform at a time ---------------------------------------------------------------------


@torch.inference_mode()
def moved(encoder: Encoder, views: GalaxyViews, images, step: str, seed: int = 0) -> dict:
    """Measure how far a representation moves under one transform, and what it tells of it.

    Args:
        encoder: a network. Galaxies are shown to it in one orientation.
        views: the random transforms of the pretraining; ``step`` alone is applied, to all.
        images: (N, C, H, W) in the set's units.
        step: name of a transform: one of ``views.steps``.
        seed: of what is drawn.
    Returns:
        cosine: mean cosine between h before and after, each minus the mean h of the galaxies: 1 is
        invariance; distance: mean distance between the two, in units of the mean distance between
        different galaxies: 0 is invariance; r2: how well the drawn parameters can be read off the
        *change* of h (`audit.nuisance_r2`, mean over the parameters): 0 is invariance, NaN where
        there are too few galaxies, or where the transform has no strength.
    """
    only, generator = views.only(step), torch.Generator().manual_seed(seed)
    network = copy.deepcopy(encoder).cpu().eval()
    before, after, drawn = [], [], []
    for block in torch.from_numpy(np.array(images, np.float32)).split(256):
        params = only.draw(block.shape, generator)
        for pictures, kept in (
            (views.normalize(block), before),
            (only.apply(block, params), after),
        ):
            kept.append(network(pictures.contiguous(memory_format=torch.channels_last)).numpy())
        drawn.append(_numbers(step, params[step]))
    before, after, drawn = (np.concatenate(parts) for parts in (before, after, drawn))
    random = np.random.default_rng(seed)
    other = (np.arange(len(before)) + random.integers(1, len(before), len(before))) % len(before)
    typical = np.linalg.norm(before - before[other], axis=1).mean()
    mean, change = before.mean(axis=0), after - before
    unit_before, unit_after = metrics.unit(before - mean), metrics.unit(after - mean)
    r2 = [nuisance_r2(change, own, seed=seed)["mean"] for own in drawn.T]
    return {
        "cosine": float((unit_before * unit_after).sum(axis=1).mean()),
        "distance": float(np.linalg.norm(change, axis=1).mean() / max(typical, 1e-12)),
        "r2": float(np.mean(r2)),
    }


def _numbers(step: str, params: dict) -> np.ndarray:
    """Return what was drawn as numbers (N, K) that a linear rule could hope to find."""
    if step == "orientation":
        return torch.stack([params["angle"].cos(), params["angle"].sin()], 1).numpy()
    name = {"band_scaling": "factor", "zoom": "zoom", "recentre": "shift_px"}.get(step)
    name = name or {"seeing": "sigma_px", "noise": "sigma", "cutout": "side_px"}[step]
    values = params[name].numpy().reshape(len(params[name]), -1)
    if step in ("band_scaling", "zoom"):
        return np.log(np.maximum(values, 1e-3))
    return values[:, :1] if step == "noise" else values  # the noise of all bands is one number
