"""Ask a representation what it should not know: what can be read off it, and what still moves it.

A type should depend neither on seeing, brightness and neighbours, nor on how a galaxy happens to be
shown. What is fitted to test galaxies here describes a representation and is used for nothing else.
"""

# N galaxies, n of them asked, C bands, H, W pixels, D features, K numbers that a transform draws

from __future__ import annotations

import copy

import numpy as np
import torch
from astropy.table import Table
from scipy import ndimage

from galclr_utils import intervals, metrics
from galclr_utils.checks import choice
from galclr_utils.colours import corners
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews

COLUMNS = ("psf_fwhm", "mag_r", "z", "r50", "axis_ratio", "ebv")  # of the catalogue
DETECTED = 3  # sigma of the sky above which a pixel belongs to a source
SMALLEST = 4  # pixels of a source


# --- what can be read off ----------------------------------------------------------------------


def nuisances(galaxies: GalaxySet, rows) -> dict[str, np.ndarray]:
    """Return what a type should not depend on, of some galaxies: seeing, brightness, neighbours.

    From the catalogue what it has of `COLUMNS` (known of at least half of the galaxies); from the
    stamps ``sky_noise`` (log10 of the scatter at the corners, mean of the bands), ``n_neighbours``
    (sources that do not touch the central one) and ``neighbour_light`` (their share of all light
    that is detected). The last two are blind to neighbours that overlap with the galaxy.

    Args:
        galaxies: the data set. rows: which galaxies, (n,).
    Returns:
        name -> float64 (n,).
    """
    found = {}
    for name in COLUMNS:
        if name in galaxies.catalog.colnames:
            values = np.asarray(galaxies.catalog[name], np.float64)[rows]
            if np.isfinite(values).mean() >= 0.5:
                found[name] = values
    stamps = np.asarray(galaxies.images[rows], np.float32)
    sky = corners(stamps)
    level = np.median(sky, axis=-1)
    scatter = 1.4826 * np.median(np.abs(sky - level[..., None]), axis=-1)  # of a Gaussian
    floor = 1e-3 * np.mean(galaxies.card.get("sky_rms", 1e-3))
    found["sky_noise"] = np.log10(np.maximum(scatter.mean(axis=1), floor)).astype(np.float64)
    light = (stamps - level[..., None, None]).mean(axis=1)
    own = np.median(np.abs(corners(light)), axis=-1) * 1.4826
    limit = DETECTED * np.maximum(own, floor)
    pairs = [_neighbours(one, at) for one, at in zip(light, limit, strict=True)]
    found["neighbour_light"], found["n_neighbours"] = np.array(pairs, np.float64).reshape(-1, 2).T
    return found


def _neighbours(light, limit: float) -> tuple[float, int]:
    """Return the share of light in sources apart from the central one, and their number."""
    regions, n = ndimage.label(light > limit)
    if not n:
        return 0.0, 0
    pixels = np.bincount(regions.ravel(), minlength=n + 1)
    flux = np.bincount(regions.ravel(), light.ravel(), minlength=n + 1)
    middle = tuple(slice(size // 2 - 2, size // 2 + 2) for size in light.shape)
    inner = regions[middle]
    centre = int(inner.ravel()[np.argmax(np.where(inner > 0, light[middle], -np.inf))])
    others = [k for k in range(1, n + 1) if k != centre and pixels[k] >= SMALLEST]
    total = flux[others].sum() + (flux[centre] if centre else 0)
    return float(flux[others].sum() / total) if total > 0 else 0.0, len(others)


def nuisance_table(spaces: dict, properties: dict, kind: str = "ridge", seed: int = 0) -> Table:
    """Return `nuisance_r2` of every property in every space.

    Args:
        spaces: name -> (n, D) features. properties: name -> (n,) values, from `nuisances`.
        kind, seed: of `nuisance_r2`.
    Returns:
        Rows group (the property), method (the space), mean, low, high, n_galaxies.
    """
    return Table(
        [
            {"group": what, "method": space} | nuisance_r2(x, values, kind, seed=seed)
            for what, values in properties.items()
            for space, x in spaces.items()
        ]
    )


def nuisance_r2(features, values, kind: str = "ridge", n_folds: int = 5, seed: int = 0) -> dict:
    """Return how well a property can be read off features: the cross-validated R2.

    A fifth of the galaxies is predicted from the other four; R2 = 1 - sum of squared errors /
    sum of squared deviations from the mean. 0 is no better than the mean, 1 is perfect, and below
    0 is worse than the mean. The interval is a bootstrap over galaxies of the predictions made; it
    leaves out how the fit itself would vary.

    Args:
        features: (N, D). values: (N,); galaxies with NaN are left out.
        kind: ``"ridge"`` (linear; its penalty chosen inside each fit) or ``"knn"`` (15 nearest by
            cosine).
        n_folds: parts. seed: of the parts.
    Returns:
        mean, low, high, n_galaxies; NaN where the property is the same everywhere or known of
        fewer than 4 galaxies a fold.

    >>> x = np.random.default_rng(0).normal(size=(500, 4))
    >>> round(nuisance_r2(x, x[:, 0] + x[:, 1])["mean"], 3)
    1.0
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    choice("kind", kind, ("ridge", "knn"))
    x, y = np.asarray(features, np.float64), np.asarray(values, np.float64)
    if len(x) != len(y):
        raise ValueError(f"got {len(x)} rows of features and {len(y)} values, expected as many")
    known = np.isfinite(y)
    x, y = x[known], y[known]
    if len(y) < 4 * n_folds or y.std() <= 1e-9 * max(1, abs(y.mean())):
        return dict.fromkeys(("mean", "low", "high"), np.nan) | {"n_galaxies": len(y)}
    y = (y - y.mean()) / y.std()
    model = make_pipeline(StandardScaler(), RidgeCV(10.0 ** np.arange(-2, 6)))
    if kind == "knn":
        x, model = metrics.unit(x), KNeighborsRegressor(min(15, len(y) // n_folds))
    predicted = cross_val_predict(model, x, y, cv=KFold(n_folds, shuffle=True, random_state=seed))
    drawn = np.random.default_rng(seed).integers(len(y), size=(1000, len(y)))
    weight = np.vstack([np.ones(len(y)), [np.bincount(d, minlength=len(y)) for d in drawn]])
    spread = weight @ y**2 - (weight @ y) ** 2 / len(y)
    return intervals.central_95(1 - weight @ (y - predicted) ** 2 / spread) | {"n_galaxies": len(y)}


# --- one transform at a time -------------------------------------------------------------------


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
        *change* of h (`nuisance_r2`, mean over the parameters): 0 is invariance, NaN where
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
