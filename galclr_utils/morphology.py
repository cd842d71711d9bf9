"""Measure what astronomers measured before networks: concentration, asymmetry, clumps, Gini, M20.

These are the non-parametric statistics of galaxy shapes (Conselice 2003; Lotz, Primack & Madau
2004), as the package statmorph measures them (Rodriguez-Gomez et al. 2019). A classifier on them is
the classical competitor that looks at the picture: no network, and every number has a meaning.
"""

# N galaxies, M measured ones, C bands, H, W pixels, F = 7 features

from __future__ import annotations

import functools
import shutil
import warnings
from pathlib import Path

import numpy as np
from scipy import ndimage, optimize

from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet, data_key
from galclr_utils.provenance import progress, read_json, whole_file, write_json
from galclr_utils.workers import cores, in_order

FEATURES = {  # our name -> statmorph's
    "concentration": "concentration",
    "asymmetry": "asymmetry",
    "smoothness": "smoothness",
    "gini": "gini",
    "m20": "m20",
    "ellipticity": "ellipticity_asymmetry",
    "radius": "rpetro_circ",  # px: it says how much of the others the seeing has taken
}
VERSION = 1  # of the measurement: part of what a cache was made from
SHARD = 256  # galaxies measured together, and kept together
FEW = 512  # galaxies that are measured sooner than other processes start
BAD = 2  # statmorph's flag from which a measurement is not to be trusted
SMOOTHING = 1.0  # px, sigma of the Gaussian before sources are looked for
THRESHOLD = 1.5  # a source is above so many sigma of the smoothed sky ...
LEAST = 5  # ... in at least so many pixels
CONTRAST = 0.1  # of a neighbour, in flux: a fainter peak is a knot or an arm of the galaxy itself
NEAR = 3  # px: the galaxy's segment begins no farther from the stamp's centre


def segment(image, rms: float) -> tuple[np.ndarray, int]:
    """Find the sources of a stamp and say which is the galaxy: the one at the centre.

    Sources that touch are told apart (photutils), but only if the fainter has 10% of the light:
    else the knots of a spiral would be taken for its neighbours.

    Args:
        image: (H, W), its sky subtracted. rms: of the sky, in the same units.
    Returns:
        int (H, W), 0 on the sky and one number a source, and the number of the galaxy; 0 if there
        is nothing at the centre.

    >>> image = np.zeros((32, 32))
    >>> image[12:20, 12:20], image[2:6, 25:30] = 1, 2
    >>> labels, galaxy = segment(image, rms=0.05)
    >>> labels.max(), galaxy == labels[16, 16] != labels[4, 27] > 0
    (np.int32(2), np.True_)
    """
    from photutils.segmentation import deblend_sources, detect_sources

    smooth = ndimage.gaussian_filter(image, SMOOTHING)
    of_smooth = rms / (2 * np.sqrt(np.pi) * SMOOTHING)  # what the Gaussian leaves of white noise
    found = detect_sources(smooth, THRESHOLD * of_smooth, LEAST)
    if found is None:
        return np.zeros(image.shape, np.int32), 0
    found = deblend_sources(
        smooth, found, LEAST, n_levels=16, contrast=CONTRAST, progress_bar=False
    )
    middle = (np.array(image.shape) - 1) / 2
    y, x = np.nonzero(found.data)
    distance = np.hypot(y - middle[0], x - middle[1])
    nearest = int(np.argmin(distance))
    galaxy = found.data[y[nearest], x[nearest]] if distance[nearest] <= NEAR else 0
    return found.data, int(galaxy)


@functools.cache
def _measurer() -> type:
    """Return statmorph's class, told to measure what is needed here and no more.

    A stamp costs statmorph 0.14 s, most of it for Sersic fits, for statistics that are not used
    here, and to place the centre of asymmetry to a millionth of a pixel. Here the centre is placed
    to a hundredth, and sums in apertures skip what prepares them for images of any kind. The
    definitions stay statmorph's own, and so do the numbers, to about the third digit.
    """
    from astropy.utils import lazyproperty
    from photutils.geometry import circular_overlap_grid, elliptical_overlap_grid
    from statmorph import SourceMorphology

    def disc(shape, center, radius):
        (height, width), (x, y) = shape, center
        edges = -x - 0.5, width - x - 0.5, -y - 0.5, height - y - 0.5
        return circular_overlap_grid(*edges, width, height, radius, 1, 1)

    def ellipse(shape, center, a, b, theta):
        (height, width), (x, y) = shape, center
        edges = -x - 0.5, width - x - 0.5, -y - 0.5, height - y - 0.5
        return elliptical_overlap_grid(*edges, width, height, a, b, theta, 1, 1)

    class Measurer(SourceMorphology):
        def _calculate_morphology(self):
            for name in FEATURES.values():
                _ = self[name]

        def _check_segmaps(self):  # compares with a map of a statistic that is not used here
            pass

        def _petrosian(self, inner, aperture, outer):
            """Return eq. 4 of Lotz et al. 2004 from weights (H, W) of two apertures and a third."""
            image, seen = self._cutout_stamp_maskzeroed, ~self._mask_stamp
            ring, area = outer - inner, (aperture * seen).sum()
            whole = abs((aperture * image).sum()) / area if area else 0
            area = (ring * seen).sum()
            edge = abs((ring * image).sum()) / area if area else 0
            if whole == 0:
                self.flag = BAD
                return float(edge != 0) - self._eta
            return edge / whole - self._eta

        def _petrosian_function_circ(self, r, center):
            shape, half = self._mask_stamp.shape, 0.5 * self._annulus_width
            radii = r - half, r, r + half
            return self._petrosian(*(disc(shape, center, radius) for radius in radii))

        def _petrosian_function_ellip(self, a, center, elongation, theta):
            shape, half = self._mask_stamp.shape, 0.5 * self._annulus_width
            axes = [(a_, a_ / elongation) for a_ in (a - half, a, a + half)]
            return self._petrosian(*(ellipse(shape, center, *ab, theta) for ab in axes))

        def _asymmetry_function(self, center, image, kind):
            """Return eq. 10 of Lotz et al. 2004, of the light within 1.5 Petrosian radii."""
            (height, width), (x, y) = image.shape, center
            if not (0 <= x < width and 0 <= y < height):
                return 100.0  # as statmorph: keeps the search inside

            def turned(a):
                return ndimage.affine_transform(a, [-1, -1], [2 * y, 2 * x], order=1)

            radius = self._petro_extent_cas * self._rpetro_circ_centroid
            inside, mask = disc(image.shape, center, radius), self._mask_stamp
            if mask.any():
                inside = inside * ~(mask | (turned(mask.astype(float)) >= 0.5))
            if not (light := (inside * np.abs(image)).sum()):
                return 100.0
            sky = 0 if self._sky_asymmetry == -99 else self._sky_asymmetry
            difference = (inside * np.abs(turned(image) - image)).sum()
            return (difference - inside.sum() * sky) / light

        @lazyproperty
        def _asymmetry_center(self):
            first = np.array([self._xc_stamp, self._yc_stamp])
            arguments = self._cutout_stamp_maskzeroed, "cas"
            found = optimize.fmin(
                self._asymmetry_function, first, arguments, xtol=0.01, ftol=1e-3, disp=False
            )
            near = self._petro_fraction_cas * self._rpetro_circ_centroid
            if np.linalg.norm(found - first) > near:  # statmorph knows what to do then
                return SourceMorphology._asymmetry_center.fget(self)
            return found

        def _radius_at_fraction_of_total_cas(self, fraction):
            image, center = self._cutout_stamp_maskzeroed, self._asymmetry_center
            largest = self._petro_extent_cas * self.rpetro_circ

            def light(radius):
                return (disc(image.shape, center, radius) * image).sum() if radius else 0.0

            if (total := light(largest)) <= 0:  # statmorph knows what to do then
                return super()._radius_at_fraction_of_total_cas(fraction)
            return optimize.brentq(lambda r: light(r) / total - fraction, 0, largest, xtol=1e-4)

    return Measurer


def measure(image, rms: float) -> tuple[np.ndarray, int]:
    """Measure one stamp.

    Args:
        image: (H, W), one band or the mean of several, its sky subtracted.
        rms: of the sky, in the same units.
    Returns:
        The seven of ``FEATURES``, float32, NaN where there is no value; and statmorph's flag: 0
        good, 1 suspect, 2 bad, 4 nothing could be measured.

    >>> y, x = np.mgrid[:32, :32] - 15.5
    >>> disc = 5 * np.exp(-np.hypot(x, y) / 2.5)
    >>> noise = np.random.default_rng(0).normal(0, 0.02, (32, 32))
    >>> values, flag = measure(disc + noise, rms=0.02)
    >>> [f"{value:.1f}" for value in values[:2]], flag  # concentration, asymmetry
    (['2.7', '0.0'], 0)
    """
    image = np.asarray(image, np.float64)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they warn of, the flag says
            labels, galaxy = segment(image, rms)
            if not galaxy:
                return np.full(len(FEATURES), np.nan, np.float32), 4
            found = _measurer()(image, labels, galaxy, gain=1.0)  # the gain: for what is left out
            values = np.array([found[name] for name in FEATURES.values()], np.float32)
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, ValueError):
        return np.full(len(FEATURES), np.nan, np.float32), 4  # one galaxy must not stop the others
    values[values == -99] = np.nan  # statmorph's word for it
    return values, int(found.flag)


def measure_stamps(images, rms: float) -> np.ndarray:
    """Measure stamps (n, H, W); return float32 (n, F + 1), the flag last."""
    return np.array([(*values, flag) for values, flag in (measure(i, rms) for i in images)], "f4")


# --- a whole set ---------------------------------------------------------------------------------


def morphology_features(
    galaxies: GalaxySet, run: Path, rows=None, workers: int = 0
) -> tuple[np.ndarray | None, str]:
    """Measure the galaxies of a set, keep what was measured in the run, and return it as features.

    What is measured is the mean of the bands: it has less noise than r alone, and told the types of
    simulated validation galaxies better (accuracy 0.80 against 0.78). What a run has measured it
    does not measure again, and an interrupted measurement goes on where it stopped. A stamp costs
    more than a hundredth of a second on one core, so measure what is used. In display units the
    numbers are approximate: a stretched picture has less concentration than its galaxy.

    The point-spread function is not needed: nothing is fitted. So the numbers are those of the
    galaxy as it is seen, blurred.

    Args:
        galaxies: the data set.
        run: the run's folder; ``morphology/`` is written.
        rows: which galaxies to measure, int; None for all.
        workers: processes; 0 for one a core, or for this one alone where there is little to do.
            The result does not depend on it. Other processes need ``if __name__ == "__main__":``
            in a script (not in a notebook).
    Returns:
        float32 (N, F), the columns of ``FEATURES``, NaN for galaxies that were not asked for; and a
        note: how many measurements failed. These have the median of the training galaxies instead.
        Or None and the reason, where most measurements fail.

    >>> import tempfile
    >>> from astropy.table import Table
    >>> y, x = np.mgrid[:32, :32] - 15.5
    >>> disc = np.random.default_rng(0).normal(5 * np.exp(-np.hypot(x, y) / 2.5), 0.02)
    >>> catalog = Table({"id": ["a", "b"], "label": [1, 1], "split": ["train", "test"]})
    >>> card = {"units": "nanomaggy", "bands": ["r"], "sky_rms": [0.02], "sha256": "of the file"}
    >>> images = np.stack([disc, 0 * disc])[:, None].astype(np.float32)
    >>> galaxies = GalaxySet(images, catalog, card)
    >>> features, note = morphology_features(galaxies, Path(tempfile.mkdtemp()))
    >>> features.shape, bool(np.all(features[0] == features[1]))
    ((2, 7), True)
    >>> note
    '1 of 2 galaxies (50.0%) could not be measured and have the median of the others'
    """
    workers = number("workers", workers, 0, 1024, integer=True)
    rows = np.arange(len(galaxies)) if rows is None else np.unique(np.asarray(rows, np.int64))
    table = measured(galaxies, Path(run) / "morphology", rows, workers)[rows]
    values = table[:, :-1]
    failed = (table[:, -1] >= BAD) | ~np.isfinite(values).all(axis=1)
    share = f"{failed.sum()} of {len(rows)} galaxies ({failed.mean():.1%}) could not be measured"
    learn = np.isin(rows, galaxies.indices("train")) & ~failed
    if failed.mean() > 0.5 or not learn.any():
        return None, share
    features = np.full((len(galaxies), len(FEATURES)), np.nan, np.float32)
    features[rows] = np.where(failed[:, None], np.median(values[learn], axis=0), values)
    return features, f"{share} and have the median of the others"


def measured(galaxies: GalaxySet, folder: Path, rows, workers: int) -> np.ndarray:
    """Return float32 (N, F + 1), the flag last; NaN where neither asked for nor in the folder.

    The folder holds files of at most 256 galaxies, each of them written whole.
    """
    made_from = {"data": data_key(galaxies), "version": VERSION}
    settings = folder / "settings.json"
    if settings.exists() and read_json(settings) != made_from:
        shutil.rmtree(folder)
    write_json(settings, made_from)
    table = np.full((len(galaxies), len(FEATURES) + 1), np.nan, np.float32)
    for path in (files := sorted(folder.glob("[0-9]*.npz"))):
        with np.load(path, allow_pickle=False) as part:
            table[part["rows"]] = part["values"]
    missing = rows[np.isnan(table[rows, -1])]
    shards = [missing[k : k + SHARD] for k in range(0, len(missing), SHARD)]
    images = (np.mean(galaxies.images[shard], axis=1, dtype=np.float32) for shard in shards)
    if galaxies.card["units"] == "display":  # a picture's sky is not zero
        images = (stamps - sky_level(stamps)[:, None, None] for stamps in images)
    rms = float(np.linalg.norm(galaxies.card["sky_rms"]) / len(galaxies.card["bands"]))
    workers = workers or (1 if len(missing) < FEW else cores())
    made = in_order(measure_stamps, ((stamps, rms) for stamps in images), workers)
    for k, values in enumerate(progress(made, "morphology", len(shards))):
        table[shards[k]] = values
        with whole_file(folder / f"{len(files) + k:06d}.npz") as part:
            np.savez(part, rows=shards[k], values=values)
    return table


def sky_level(stamps) -> np.ndarray:
    """Return the median of the outermost two pixels of each stamp (n, H, W), float32 (n,)."""
    edge = np.ones(stamps.shape[1:], bool)
    edge[2:-2, 2:-2] = False
    return np.median(stamps[:, edge], axis=1)
