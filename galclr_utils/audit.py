"""Ask what a classifier uses: colour, brightness, seeing, neighbours; and where it is right.

A score says how often a method is right, not why. Here the test galaxies are grouped by what a
method might have used instead of the shape, and a representation is searched for what it should
not know. Nothing is chosen on test galaxies: what is fitted to them (`nuisance_r2`) describes a
representation and is used for nothing else.
"""

# N galaxies, C bands, H, W pixels, D features, R runs, T test galaxies, P pairs, B resamples

from __future__ import annotations

from itertools import pairwise

import numpy as np
from astropy.table import Table
from scipy import ndimage

from galclr_utils import metrics
from galclr_utils.checks import choice, number
from galclr_utils.comparison import Scores
from galclr_utils.dataset import GalaxySet

COLUMNS = ("psf_fwhm", "mag_r", "z", "r50", "axis_ratio", "ebv")  # of the catalogue
NUISANCES = (*COLUMNS, "sky_noise", "neighbour_light", "n_neighbours")
DETECTED = 3  # sigma of the sky above which a pixel belongs to a source
SMALLEST = 4  # pixels of a source
ENOUGH = 20  # galaxies in a bin


# --- colour ------------------------------------------------------------------------------------


def colour(galaxies: GalaxySet) -> tuple[np.ndarray, str]:
    """Return one colour of every galaxy, the larger the redder, and how it was measured.

    Args:
        galaxies: the data set.
    Returns:
        float64 (N,) in magnitudes, NaN where unknown: the catalogue's ``g_r``, or, where there is
        none, that of the two bluest bands within the inner half of the stamp; and its name.

    >>> catalog = Table({"id": ["a"], "label": [1], "split": ["test"], "g_r": [0.5]})
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> colour(GalaxySet(np.ones((1, 3, 8, 8), np.float32), catalog, card))
    (array([0.5]), 'g − r of the catalogue')
    """
    if "g_r" in galaxies.catalog.colnames:
        known = np.asarray(galaxies.catalog["g_r"], np.float64)
        if np.isfinite(known).mean() >= 0.95:
            return known, "g − r of the catalogue"
    bands = galaxies.card["bands"]
    if len(bands) < 2:
        raise ValueError(f"bands: got {bands}, expected two or more: one band has no colour")
    light = band_light(galaxies.images)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = -2.5 * np.log10(light[:, 0] / light[:, 1])
    return np.where(np.isfinite(found), found, np.nan), f"{bands[0]} − {bands[1]} of the stamp"


def band_light(images) -> np.ndarray:
    """Return the light of each band within the inner half of stamps, above the sky at the corners.

    Args:
        images: (N, C, H, W).
    Returns:
        float64 (N, C), in the set's units; it may be negative where there is only noise.
    """
    height, width = images.shape[-2:]
    y, x = (np.arange(n) - (n - 1) / 2 for n in (height, width))
    inner = (x**2 + y[:, None] ** 2) < (min(height, width) / 4) ** 2
    blocks = [slice(k, k + 1024) for k in range(0, len(images), 1024)]
    parts = []
    for b in blocks:
        stamps = np.asarray(images[b], np.float32)
        parts.append((stamps - sky_level(stamps)[..., None, None])[..., inner].sum(-1, dtype="f8"))
    return np.concatenate(parts)


def sky_level(images) -> np.ndarray:
    """Return the median of the pixels in the corners of stamps (..., H, W): what no source has."""
    return np.median(corners(images), axis=-1)


def corners(images) -> np.ndarray:
    """Return the pixels of the four corners of stamps (..., H, W), each a sixth of a side wide."""
    size = max(2, min(images.shape[-2:]) // 6)
    ends = [slice(0, size), slice(-size, None)]
    parts = [images[..., a, b].reshape(*images.shape[:-2], -1) for a in ends for b in ends]
    return np.concatenate(parts, axis=-1)


def colour_border(values, labels) -> float:
    """Return the colour that separates the types best: redder is called early.

    Args:
        values: (N,) colours of *training* galaxies; NaN is left out.
        labels: (N,) 0 early, 1 late, -1 unknown (left out).
    Returns:
        The border of the highest balanced accuracy.
    Raises:
        ValueError: one class only.

    >>> colour_border([0.25, 0.5, 0.75, 1.0], [1, 1, 0, 0])
    0.625
    """
    values, labels = np.asarray(values, np.float64), np.asarray(labels)
    known = np.isfinite(values) & (labels >= 0)
    order = np.argsort(values[known], kind="stable")
    x, late = values[known][order], labels[known][order] == 1
    if late.all() or not late.any():
        raise ValueError(f"labels: got one class only in {len(x)} galaxies, expected both")
    bluer = np.cumsum(late)[:-1] / late.sum() + 1 - np.cumsum(~late)[:-1] / (~late).sum()
    bluer[x[1:] == x[:-1]] = -1  # no border fits between equals
    best = int(np.argmax(bluer))
    return float((x[best] + x[best + 1]) / 2)


def colour_groups(values, labels, border: float) -> dict[str, np.ndarray]:
    """Sort galaxies by type and colour: two groups agree with the rule, two are against it.

    Args:
        values: (T,) colours. labels: (T,) 0 early, 1 late. border: from `colour_border`.
    Returns:
        Masks (T,) by name; a galaxy of unknown colour is in none.

    >>> {k: v.tolist() for k, v in colour_groups([0.9, 0.4], [0, 0], 0.6).items() if v.any()}
    {'red early': [True, False], 'blue early': [False, True]}
    """
    values, late = np.asarray(values, np.float64), np.asarray(labels) == 1
    red, blue = values > border, values <= border
    groups = {"red early": red & ~late, "blue late": blue & late}
    return groups | {"blue early": blue & ~late, "red late": red & late}


def matched_pairs(values, labels, tolerance: float = 0.01) -> np.ndarray:
    """Pair early and late types of equal colour, as many as there are, each galaxy once.

    Among the paired, colour says nothing of the type, and as many are early as late: who knows
    the colour only is right half of the time. (As in matching for observational studies.)

    Args:
        values: (T,) colours; NaN is left out.
        labels: (T,) 0 early, 1 late.
        tolerance: largest difference within a pair.
    Returns:
        int64 (P, 2): positions of an early type and its late partner.

    >>> matched_pairs([0.5, 0.7, 0.505, 0.9], [0, 0, 1, 1])
    array([[0, 2]])
    """
    values, labels = np.asarray(values, np.float64), np.asarray(labels)
    tolerance = number("tolerance", tolerance, 0, np.inf)
    early, late = (
        rows[np.argsort(values[rows], kind="stable")]
        for rows in (np.flatnonzero((labels == k) & np.isfinite(values)) for k in (0, 1))
    )
    pairs, i, j = [], 0, 0
    while i < len(early) and j < len(late):
        apart = values[early[i]] - values[late[j]]
        if abs(apart) <= tolerance:
            pairs.append((early[i], late[j]))
        i, j = i + (apart <= tolerance), j + (apart >= -tolerance)
    return np.array(pairs, np.int64).reshape(-1, 2)


# --- where a method is right ---------------------------------------------------------------------


def score_of(
    scores: Scores, method: str, keep=None, truth=None, score: str = "accuracy", n_labels: int = 0
) -> dict:
    """Return the score of a method on some of the test galaxies, with its 95% interval.

    Args:
        scores: the runs.
        method: its name; all its runs with ``n_labels`` (0: its largest budget) are used.
        keep: bool (T,) or positions; None for all test galaxies.
        truth: (T,) other labels to judge by; None for those of ``scores``.
        score: accuracy, balanced_accuracy, precision or recall.
    Returns:
        mean, low, high, n_seeds, n_runs, n_galaxies; NaN where no galaxy is left, or where the
        score is not defined.
    """
    keep = np.arange(len(scores.label)) if keep is None else np.asarray(keep)
    keep = np.flatnonzero(keep) if keep.dtype == bool else keep
    runs = scores.runs(method, n_labels)
    seeds, draws = (np.asarray(scores.table[name])[runs] for name in ("seed", "draw"))
    if not len(keep):
        counts = {"n_seeds": len(set(seeds)), "n_runs": len(runs), "n_galaxies": 0}
        return dict.fromkeys(("mean", "low", "high"), np.nan) | counts
    labels = np.asarray(scores.label if truth is None else truth)[keep]
    return metrics.interval(labels, scores.p_late[runs][:, keep], seeds, draws, score)


def score_groups(scores: Scores, methods, groups: dict, score: str = "accuracy") -> Table:
    """Return the score of every method in every group, at its largest budget.

    Args:
        scores: the runs. methods: names.
        groups: name -> mask (T,), for instance of `colour_groups`.
        score: of `score_of`.
    Returns:
        Rows group, method, mean, low, high, n_seeds, n_runs, n_galaxies.
    """
    return Table(
        [
            {"group": group, "method": method} | score_of(scores, method, keep, score=score)
            for group, keep in groups.items()
            for method in methods
        ]
    )


def score_bins(scores: Scores, methods, values, n_bins: int = 6, score: str = "accuracy") -> Table:
    """Return the score of methods in bins of a property, each with as many galaxies.

    Args:
        scores: the runs. methods: names.
        values: (T,) the property of each test galaxy; NaN is left out.
        n_bins: bins; fewer, where one would hold less than 20 galaxies.
        score: of `score_of`.
    Returns:
        As of `score_groups`, with centre (the median of the bin), from and to instead of the
        group. No rows where fewer than 20 galaxies have the property.
    """
    values = np.asarray(values, np.float64)
    known = values[np.isfinite(values)]
    n_bins = min(number("n_bins", n_bins, 1, 1000, integer=True), len(known) // ENOUGH)
    rows = []
    edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1))) if n_bins else []
    for low, high in pairwise(edges):
        inside = (values >= low) & ((values < high) | (high == edges[-1]) & (values == high))
        if inside.sum() < ENOUGH:
            continue
        own = {"centre": float(np.median(values[inside])), "from": low, "to": high}
        for method in methods:
            rows.append({"method": method} | score_of(scores, method, inside, score=score) | own)
    return Table(rows) if rows else Table(names=("method", "centre", "mean", "low", "high"))


def against_truth(scores: Scores, truth) -> Table:
    """Return how often every method agrees with the labels, and with the truth behind them.

    Args:
        scores: the runs; the largest budget of each method is used.
        truth: (T,) the true types of the test galaxies: 0 early, 1 late.
    Returns:
        Rows method, n_labels, n_seeds, n_runs; labels, truth, gain (truth minus labels, paired),
        each with ``_low`` and ``_high``.
    """
    rows, truth = [], np.asarray(truth)
    for method in dict.fromkeys(scores.table["method"]):
        runs = scores.runs(method, 0)
        layout = [np.asarray(scores.table[name])[runs] for name in ("seed", "draw")]
        curves = {
            name: metrics.bootstrap(judge, scores.p_late[runs], *layout)["accuracy"]
            for name, judge in {"labels": scores.label, "truth": truth}.items()
        }
        row = {"method": method, "n_labels": int(scores.table["n_labels"][runs[0]])}
        row |= {"n_seeds": len(set(layout[0])), "n_runs": len(runs)}
        for name, curve in (curves | {"gain": curves["truth"] - curves["labels"]}).items():
            found = metrics.central_95(curve)
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        rows.append(row)
    return Table(rows)


# --- nuisances -----------------------------------------------------------------------------------


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
    return metrics.central_95(1 - weight @ (y - predicted) ** 2 / spread) | {"n_galaxies": len(y)}
