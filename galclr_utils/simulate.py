"""Render SIMULATED galaxies as an SDSS-like survey would see them: g, r, i stamps in nanomaggies.

A galaxy is a Sersic spheroid, an exponential disc with spiral arms, a bar, a dust lane and
star-forming knots (`profiles` draws each); then come its neighbours on the sky. The atmosphere
blurs the whole, pixels collect it, and photons and sky add noise. The catalogue is then measured
on those noisy pixels, as a survey's would be.

Galaxies come in blocks of 64, and block k of a survey depends on (seed, k) only: any number of
processes makes the same survey, bit for bit, and a longer survey begins with the shorter one.
"""

# n galaxies of a block, C = 3 bands (g, r, i), H = W = 64 pixels, S = 144 grid points a side

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
from astropy.table import Table, vstack

from galclr_utils import checks, population, profiles
from galclr_utils.dataset import Source
from galclr_utils.population import EXTINCTION, magnitude_to_flux
from galclr_utils.profiles import PIXEL, STAMP, add_points, ellipse_coordinates
from galclr_utils.workers import cores, in_order

BANDS = ("g", "r", "i")
BLOCK = 64  # galaxies made together
LARGE = 16 * BLOCK  # ... and written together
FEW = 2048  # galaxies that are made sooner than other processes start

# Sky brightness in mag/arcsec2. source for r: SDSS DR7 median 20.86; g and i are our choice.
SKY = magnitude_to_flux([21.9, 20.86, 20.25]) * PIXEL**2  # nanomaggies per pixel
ELECTRONS = np.array([1000.0, 950.0, 750.0])  # per nanomaggy in 53.9 s: our choice
KNOT_COLOUR = 10 ** (-0.4 * np.array([-0.35, 0, 0.22]))  # bluer than their disc: our choice
ARM_CONTRAST = np.array([1.0, 0.8, 0.68])  # arms are blue, so they fade to the red: our choice
STEP_COLOUR = np.array([1.0, 0.0, -0.45])  # a step in g-r, and what it means in g, r, i: our choice


# ------------------------------------------------------------------------- what is in a stamp


def knots(rng, galaxy, flux):
    """Draw star-forming knots along the arms: positions (K,), (K,) and fluxes (K, 3)."""
    k = rng.poisson(8 + 3.5 * max(galaxy.t_type, 0)) if galaxy.knot_fraction > 0.005 else 0
    radius = np.clip(rng.gamma(2.2, 0.85, k), 0.4, 4.5)  # disc scales
    which = 2 * np.pi * rng.integers(0, galaxy.arm_number, k)
    spiral = np.log(radius) / np.tan(galaxy.arm_pitch)
    angle = galaxy.arm_sense * (spiral + (galaxy.arm_phases[0] + which) / galaxy.arm_number)
    angle = angle + rng.normal(0, 0.22, k)
    along = galaxy.disc_scale * radius * np.cos(angle)
    across = galaxy.disc_scale * radius * np.sin(angle) * galaxy.axis_ratio
    cos, sin = np.cos(galaxy.position_angle), np.sin(galaxy.position_angle)
    share = np.exp(rng.normal(0, 0.7, k))
    share = share / max(share.sum(), 1e-9)
    x = cos * along - sin * across + galaxy.offset[0]
    y = sin * along + cos * across + galaxy.offset[1]
    return x, y, share[:, None] * flux


def _in_bands(flux, shape) -> np.ndarray:
    """Give a shape (S, S) a flux in each band (3,): float32 (3, S, S)."""
    return flux.astype(np.float32)[:, None, None] * shape


def draw_galaxy(rng, galaxy) -> np.ndarray:
    """Draw one galaxy as it is above the atmosphere: (3, S, S) nanomaggies per grid point."""
    along, across = ellipse_coordinates(*galaxy.offset, galaxy.position_angle)
    bulge_to_total = galaxy.bulge_to_total
    step = galaxy.colour_step * STEP_COLOUR  # the bulge is redder than the disc
    bulge_flux = galaxy.flux * bulge_to_total * 10 ** (-0.4 * step * (1 - bulge_to_total))
    bulge = galaxy.bulge_r50, galaxy.sersic_n, galaxy.bulge_axis_ratio
    spheroid, cusp = profiles.sersic(along, across, *bulge)
    light = _in_bands(bulge_flux, spheroid)
    if bulge_to_total < 1:
        disc_flux = np.maximum(galaxy.flux - bulge_flux, 0)
        bar_flux = disc_flux * galaxy.bar_fraction * 10 ** (-0.2 * step)
        knot_flux = (disc_flux - bar_flux) * galaxy.knot_fraction * KNOT_COLOUR
        rest_flux = disc_flux - bar_flux - knot_flux
        smooth, arms = profiles.spiral_arms(along, across, galaxy)
        light += _in_bands(rest_flux * (1 - ARM_CONTRAST), smooth)
        light += _in_bands(rest_flux * ARM_CONTRAST, arms)
        if galaxy.is_bar:
            light += _in_bands(bar_flux, profiles.bar(along, across, galaxy))
        if galaxy.dust > 0 and galaxy.axis_ratio < 0.7:
            emerging = light.sum((1, 2))
            depth = profiles.dust_lane(along, across, galaxy)
            light *= np.exp(_in_bands(-EXTINCTION / EXTINCTION[1], depth))
            light *= (emerging / light.sum((1, 2)))[:, None, None]  # priors are of what gets out
        add_points(light, *knots(rng, galaxy, knot_flux))
    add_points(light, *galaxy.offset, cusp * bulge_flux[None])
    return light


def add_neighbours(rng, light, galaxy) -> None:
    """Add the stars and galaxies that happen to lie in the stamp (numbers are our choice)."""
    half = PIXEL * STAMP / 2
    n_stars = rng.poisson(0.22)
    mag_r = 21 - np.minimum(rng.exponential(2.2, n_stars), 7)
    g_r = rng.choice([0.4, 0.6, 1.4], n_stars) + rng.normal(0, 0.1, n_stars)
    magnitudes = np.stack([mag_r + g_r, mag_r, mag_r - np.where(g_r > 1.1, 0.9, 0.2)], axis=1)
    x, y = rng.uniform(-half, half, (2, n_stars))
    add_points(light, x, y, magnitude_to_flux(magnitudes))
    for _ in range(rng.poisson(0.20)):
        mag_r = max(21.3 - min(rng.exponential(1.3), 4), galaxy.mag_r + 0.7)
        g_r = np.clip(rng.normal(0.8, 0.3), 0.2, 1.6)
        flux = magnitude_to_flux([mag_r + g_r, mag_r, mag_r - 0.4 * g_r])
        r50 = 0.75 * 10 ** (0.12 * (21 - mag_r)) * np.exp(rng.normal(0, 0.3))
        x, y = rng.uniform(-half, half, 2)
        axes = ellipse_coordinates(x, y, rng.uniform(0, np.pi))
        shape, cusp = profiles.sersic(*axes, r50, 1.0, rng.uniform(0.3, 1))
        light += _in_bands(flux, shape)
        add_points(light, x, y, cusp * flux[None])


# ------------------------------------------------------------------- atmosphere, pixels, noise


def draw_noise(rng, images, sky_error) -> np.ndarray:
    """Draw what photons of galaxy and sky, and an imperfect sky subtraction, add to the pixels.

    Args:
        rng: source of randomness.
        images: float32 (n, 3, H, W), noiseless, nanomaggies.
        sky_error: (n, 3) in units of the sky noise.
    """
    sky, electrons = SKY[:, None, None], ELECTRONS[:, None, None]
    sigma = np.sqrt((np.maximum(images, 0) + sky.astype(np.float32)) / electrons.astype(np.float32))
    offset = sky_error[:, :, None, None] * np.sqrt(sky / electrons)
    return sigma * rng.standard_normal(images.shape, dtype=np.float32) + offset.astype(np.float32)


def render(rng: np.random.Generator, galaxies: dict, noise: bool = True) -> np.ndarray:
    """Render galaxies as SIMULATED SDSS stamps.

    Args:
        rng: source of randomness: knots, neighbours, and last the noise.
        galaxies: n galaxies from `population.sample`.
        noise: whether to add noise; without it, the same state gives the same stamps, noiseless.
    Returns:
        float32 (n, 3, 64, 64) in nanomaggies; row 0 is at the bottom.

    >>> rng = np.random.default_rng(0)
    >>> render(rng, population.sample(2, rng)).shape
    (2, 3, 64, 64)
    """
    n = len(galaxies["z"])
    images = np.empty((n, 3, STAMP, STAMP), np.float32)
    for k in range(n):
        # Python floats keep float32 arrays float32; numpy's float64 scalars would not.
        row = {name: v[k].item() if v.ndim == 1 else v[k] for name, v in galaxies.items()}
        galaxy = SimpleNamespace(**row)
        light = draw_galaxy(rng, galaxy)
        add_neighbours(rng, light, galaxy)
        images[k] = profiles.collect(profiles.blur(light, galaxy.psf_fwhm))
    return images + draw_noise(rng, images, galaxies["sky_error"]) if noise else images


# ---------------------------------------------------------------------------------- the survey


@functools.cache
def _pixels_outwards():
    """Return the pixels' order from the centre, and the radius (px) of the disc they fill."""
    axis = np.arange(STAMP) - (STAMP - 1) / 2
    order = np.argsort((axis[:, None] ** 2 + axis**2).ravel(), kind="stable")
    order = order[: int(np.pi * (STAMP / 2) ** 2)]  # whole circles only
    return order, np.sqrt(np.arange(1, order.size + 1) / np.pi)


def _petrosian_radius(growth) -> float:
    """Return where the surface brightness (0.8 to 1.25 R) falls to 0.2 of its mean inside R, px."""
    _, filled = _pixels_outwards()
    radii = np.arange(2.0, STAMP / 2 / 1.25, 0.25)
    inner, middle, outer = (np.interp(f * radii, filled, growth) for f in (0.8, 1, 1.25))
    below = np.flatnonzero((outer - inner) / (1.25**2 - 0.8**2) < 0.2 * middle)
    return radii[below[0]] if below.size else radii[-1]


def measure(images: np.ndarray, ebv: np.ndarray) -> dict:
    """Measure stamps as a survey does: Petrosian r magnitude, radii and colours.

    The flux is that within two Petrosian radii R (Strauss et al. 2002), or within the stamp where
    that is smaller; colours are within R. Neighbours are not removed, so that they spoil a percent
    or two of the measurements. Magnitudes and colours are corrected for Galactic extinction.

    Args:
        images: (n, 3, 64, 64) nanomaggies.
        ebv: (n,) reddening E(B-V).
    Returns:
        dict of float32 (n,): ``mag_r``, ``r50`` (arcsec, not corrected for seeing),
        ``concentration`` = r90/r50, ``g_r``, ``r_i``.

    >>> images = np.zeros((1, 3, STAMP, STAMP), np.float32)
    >>> images[0, :, 31:33, 31:33] = np.array([10, 20, 30])[:, None, None] / 4
    >>> found = measure(images, ebv=np.zeros(1))
    >>> float(found["mag_r"][0].round(2)), float(found["g_r"][0].round(2))
    (19.25, 0.75)
    """
    order, filled = _pixels_outwards()
    flat = images.reshape(*images.shape[:2], -1)[:, :, order]
    growth = np.maximum(np.cumsum(flat, axis=-1, dtype=np.float64), 1e-3)  # flux within `filled`
    rows = []
    for curves in growth:
        radius = _petrosian_radius(curves[1])
        half, last = np.searchsorted(filled, [radius, 2 * radius], side="right") - 1
        flux = curves[1, last]
        rising = np.maximum.accumulate(curves[1, : last + 1])
        r50, r90 = np.interp([0.5 * flux, 0.9 * flux], rising, filled[: last + 1])
        g, r, i = -2.5 * np.log10(curves[:, half])
        rows.append((22.5 - 2.5 * np.log10(flux), r50 * PIXEL, r90 / r50, g - r, r - i))
    mag_r, r50, concentration, g_r, r_i = np.array(rows).T
    measured = dict(mag_r=mag_r - ebv * EXTINCTION[1], r50=r50, concentration=concentration)
    measured["g_r"] = g_r - ebv * (EXTINCTION[0] - EXTINCTION[1])
    measured["r_i"] = r_i - ebv * (EXTINCTION[1] - EXTINCTION[2])
    return {name: value.astype(np.float32) for name, value in measured.items()}


TRUE_COLUMNS = {  # what the catalogue tells of the truth, beside what is measured
    "true_label": "true_label",
    "true_bulge_to_total": "bulge_to_total",
    "true_sersic_n": "sersic_n",
    "true_r50": "r50",
    "true_arm_strength": "arm_strength",
    "true_is_bar": "is_bar",
    "true_absolute_mag": "absolute_mag",
    "true_mag_r": "mag_r",
    "true_g_r": "g_r",
    "true_r_i": "r_i",
}


def block(seed: int, k: int, label_scatter: float = 1.1) -> tuple[np.ndarray, Table]:
    """Make galaxies 64 k to 64 k + 63 of a SIMULATED survey; they depend on (seed, k) only.

    Args:
        seed: of the survey.
        k: number of the block, from 0.
        label_scatter: of the human T-type; it changes labels and nothing else.
    Returns:
        images: float32 (64, 3, 64, 64), nanomaggies.
        catalogue: ``id``; ``label`` (0 early, 1 late, as a person would say); ``z ttype ebv
            psf_fwhm`` (r band, arcsec) ``axis_ratio`` (true, of disc or spheroid); measured on the
            noisy stamp ``mag_r r50 concentration g_r r_i`` (see `measure`); and ``true_...``.

    >>> images, catalogue = block(seed=0, k=0)
    >>> images.shape, catalogue["id"][0]
    ((64, 3, 64, 64), np.str_('sim-0-0000000'))
    """
    rng = np.random.default_rng([seed, k])
    galaxies = population.sample(BLOCK, rng, label_scatter)
    images = render(rng, galaxies)
    columns = {
        "id": [f"sim-{seed}-{k * BLOCK + i:07d}" for i in range(BLOCK)],
        "label": galaxies["label"],
        "ttype": galaxies["t_type"],
        "z": galaxies["z"],
        **measure(images, galaxies["ebv"]),
        "psf_fwhm": galaxies["psf_fwhm"][:, 1],
        "ebv": galaxies["ebv"],
        "axis_ratio": galaxies["axis_ratio"],
        **{name: galaxies[of] for name, of in TRUE_COLUMNS.items()},
    }
    catalogue = Table(columns)
    for name in catalogue.colnames:
        if catalogue[name].dtype == np.float64:
            catalogue[name] = catalogue[name].astype(np.float32)
    return images, catalogue


def _blocks(n: int, seed: int, label_scatter: float, workers: int) -> Iterator:
    """Yield the blocks of a survey in order, made here or by other processes."""
    tasks = ((seed, k, label_scatter) for k in range(-(-n // BLOCK)))
    for k, (images, rows) in enumerate(in_order(block, tasks, workers)):
        yield images[: n - k * BLOCK], rows[: n - k * BLOCK]


def _large_block(n: int, seed: int, label_scatter: float, k: int) -> tuple[np.ndarray, Table]:
    """Return block k of those that are written: `LARGE` galaxies, fewer at the survey's end."""
    first, last = k * LARGE, min((k + 1) * LARGE, n)
    made = [block(seed, j, label_scatter) for j in range(first // BLOCK, -(-last // BLOCK))]
    images = np.concatenate([images for images, _ in made])[: last - first]
    return images, vstack([rows for _, rows in made])[: last - first]


def survey(n: int, seed: int = 0, label_scatter: float = 1.1, workers: int | None = None) -> Source:
    """Offer a SIMULATED survey of ``n`` galaxies, made block by block when it is read.

    Args:
        n: number of galaxies; a longer survey of the same seed begins with the shorter one.
        seed: of the survey, 0 or more.
        label_scatter: of the human T-type, in T-type units; 0 for perfect labels. The galaxies
            stay the same: only labels change (`population.human_labels`).
        workers: processes that make what ``blocks()`` yields; None or 0 for one a core, or for this
            one alone where n is small. The result does not depend on it. Other processes need
            ``if __name__ == "__main__":`` in a script (not in a notebook).
    Returns:
        a `Source` named ``SIMULATED``: g, r, i in nanomaggies, 64 x 64 pixels of 0.396".
    Raises:
        ValueError: a parameter is out of its range.

    >>> images, rows = next(survey(100).blocks())
    >>> survey(100).name, images.shape
    ('SIMULATED', (64, 3, 64, 64))
    """
    n = checks.number("n", n, 1, 1e9, integer=True)
    seed = checks.number("seed", seed, 0, 2**63, integer=True)
    label_scatter = checks.number("label_scatter", label_scatter, 0, 10)
    workers = checks.number("workers", workers or 0, 0, 1024, integer=True)
    workers = workers or (1 if n < FEW else cores())
    return Source(
        name="SIMULATED",
        units="nanomaggy",
        bands=BANDS,
        arcsec_per_pixel=PIXEL,
        n=n,
        stamp=(len(BANDS), STAMP, STAMP),
        blocks=functools.partial(_blocks, n, seed, label_scatter, workers),
        facts={
            "simulated": True,
            "seed": seed,
            "label_scatter": label_scatter,
            "population_version": population.VERSION,
            "note": "SIMULATED galaxies: no pixel, label or number here was observed.",
        },
        block=functools.partial(_large_block, n, seed, label_scatter),
        block_size=LARGE,
        recipe=(survey, n, seed, label_scatter, 1),
    )
