"""Draw a SIMULATED galaxy population: what each galaxy is, before any pixel.

The sample is flux-limited like the SDSS main galaxy sample at z < 0.15. A galaxy's luminosity sets
its chance to be of early type; its Hubble stage T then sets its bulge, arms, colour and dust. The
survey's bands are g, r, i. Each prior is marked: ``source:`` where it was checked against the work
it names, ``our choice`` where it is a plausible value of ours that nobody measured.

The T-type is continuous: -5 elliptical, -2 lenticular (S0), 0 S0/a, 1 Sa, 3 Sb, 5 Sc, 7 and later.
"""

# N galaxies, C = 3 bands (g, r, i)

from __future__ import annotations

import functools

import numpy as np
from astropy.cosmology import FlatLambdaCDM

from galclr_utils.profiles import PIXEL

VERSION = 1  # of these priors: a set of another version is another set

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)
REDSHIFTS = (0.01, 0.15)  # source: z < 0.15 is the reproduced study's; the lower end is our choice
MAG_LIMIT = 17.77  # source: r-band limit of the SDSS main galaxy sample (Strauss et al. 2002)
SCHECHTER = (-20.44 + 5 * np.log10(0.7), -1.05)  # M*, alpha. source: Blanton et al. 2003, abstract
EXTINCTION = np.array([3.303, 2.285, 1.698])  # A_band/E(B-V). source: Schlafly & Finkbeiner 2011
# FWHM in arcsec, and its scatter from field to field in ln. source: PSF width in SDSS DR7, r-band
# median 1.43", quartiles 1.30" and 1.58"; it goes as about wavelength**-0.3 (Xin et al. 2018).
SEEING, SEEING_SCATTER = 1.43 * np.array([4686, 6166, 7480]) ** -0.3 / 6166**-0.3, 0.14


def magnitude_to_flux(magnitude):
    """Return the flux of an AB magnitude in nanomaggies.

    >>> float(magnitude_to_flux(22.5)), round(float(magnitude_to_flux(17.77)), 1)
    (1.0, 78.0)
    """
    return 10 ** (0.4 * (22.5 - np.asarray(magnitude, dtype=float)))


def k_correction(z):
    """Return the r-band K correction to the band shifted to z = 0.1, in magnitudes.

    It is exact at z = 0.1, where it is -2.5 log10(1.1) for any spectrum (Blanton et al. 2003); the
    slope of one magnitude per unit redshift is our choice.

    >>> round(float(k_correction(0.1)), 4)
    -0.1035
    """
    return -2.5 * np.log10(1.1) + 1.0 * (z - 0.1)


@functools.cache
def _flux_limited_grid():
    """Tabulate the density of visible galaxies over redshift and absolute magnitude, cumulated."""
    z, absolute = np.linspace(*REDSHIFTS, 281), np.linspace(-24, -17, 281)
    distance_modulus = COSMOLOGY.distmod(z).value
    volume = COSMOLOGY.differential_comoving_volume(z).value
    luminosity = 10 ** (-0.4 * (absolute - SCHECHTER[0]))
    density = luminosity ** (SCHECHTER[1] + 1) * np.exp(-luminosity)  # per magnitude
    apparent = absolute + (distance_modulus + k_correction(z))[:, None]
    visible = volume[:, None] * density * (apparent < MAG_LIMIT)
    return z, absolute, distance_modulus, np.cumsum(visible)


def flux_limited(n: int, rng: np.random.Generator):
    """Draw redshifts and luminosities of galaxies brighter than the survey's limit.

    Args:
        n: number of galaxies.
        rng: source of randomness.
    Returns:
        z: redshift, (n,).
        absolute: absolute magnitude in the r band shifted to z = 0.1, h = 0.7, (n,).
        apparent: r magnitude before Galactic extinction, (n,).

    >>> z, absolute, apparent = flux_limited(1000, np.random.default_rng(0))
    >>> bool(0.01 <= z.min() and z.max() <= 0.15), round(float(np.median(apparent)), 1)
    (True, 17.1)
    """
    grid_z, grid_absolute, distance_modulus, cumulated = _flux_limited_grid()
    cell = np.searchsorted(cumulated, rng.random(n) * cumulated[-1])
    step_z, step_mag = grid_z[1] - grid_z[0], grid_absolute[1] - grid_absolute[0]
    z = grid_z[cell // grid_absolute.size] + step_z * rng.uniform(-0.5, 0.5, n)
    z = np.clip(z, *REDSHIFTS)
    absolute = grid_absolute[cell % grid_absolute.size] + step_mag * rng.uniform(-0.5, 0.5, n)
    apparent = absolute + np.interp(z, grid_z, distance_modulus) + k_correction(z)
    return z, absolute, apparent


def physical_sizes(absolute, t_type, deviate):
    """Return half-light radii in kpc from the size-luminosity relations of Shen et al. 2003.

    source: the values of their Table 1 and equations 15 and 16, as SkyPy's documentation gives
    them; the early relation is a single power law. It turns into the late one between T = -3 and
    T = 1 (our choice).

    Args:
        absolute: absolute r magnitude (h = 0.7).
        t_type: Hubble stage.
        deviate: standard normal numbers; the relations are log-normal.

    >>> physical_sizes(np.array([-20.0, -22.0]), np.array([-3.0, 4.0]), np.zeros(2)).round(1)
    array([1.5, 5.7])
    """
    knee = 10 ** (-0.4 * (absolute + 20.52))
    early = -0.4 * 0.60 * absolute - 4.63
    late = -0.4 * 0.21 * absolute + (0.53 - 0.21) * np.log10(1 + knee) - 1.31
    lateness = np.clip((t_type + 3) / 4, 0, 1)
    scatter = 0.25 + (0.48 - 0.25) / (1 + knee**2)  # of ln R
    return 10 ** (early + lateness * (late - early)) * np.exp(scatter * deviate)


def hubble_stages(absolute, rng):
    """Draw T-types: bright galaxies are more often early (all numbers are our choice).

    Returns:
        t_type: (N,) continuous Hubble stage.
        early: (N,) bool, drawn from the early branch; the branches overlap in -0.6 < T < 0.6.
        elliptical: (N,) bool, a spheroid without a disc.

    >>> rng = np.random.default_rng(0)
    >>> shares = [hubble_stages(np.full(20000, mag), rng)[1].mean() for mag in (-19, -23)]
    >>> [round(float(share), 1) for share in shares]
    [0.2, 0.7]
    """
    n = absolute.size
    early = rng.random(n) < 0.20 + 0.50 / (1 + np.exp((absolute + 21.2) / 0.45))
    elliptical = early & (rng.random(n) < np.where(absolute < -21.5, 0.55, 0.40))
    spiral = np.clip(rng.normal(3.3 + 0.6 * (absolute + 21), 2.0), -0.6, 8)
    lenticular = np.minimum(rng.normal(-1.6, 0.9, n), 0.6)
    t_type = np.where(early, lenticular, spiral)
    return np.where(elliptical, rng.uniform(-5, -3.8, n), t_type), early, elliptical


def human_labels(t_type, r50, label_scatter: float, deviate):
    """Return the label a person would give: late (1) if a noisy T-type is above 0, else early (0).

    Classifiers disagree, and more so when the galaxy is hardly resolved: the standard deviation is
    ``label_scatter`` x hypot(0.7, 1.3"/R50), in T-type units (our choice; not a measured scatter).

    Args:
        t_type: true Hubble stage.
        r50: half-light radius, arcsec.
        label_scatter: in T-type units; 0 gives the true label.
        deviate: standard normal numbers: drawn once, so that a set of another scatter holds the
            same galaxies.
    Returns:
        int8 (N,).

    >>> human_labels(np.array([-5.0, -0.1, 3.0]), np.array([2.0, 2.0, 2.0]), 0.0, np.zeros(3))
    array([0, 0, 1], dtype=int8)
    """
    return (t_type + label_scatter * np.hypot(0.7, 1.3 / r50) * deviate > 0).astype(np.int8)


def _structure(galaxies, early, elliptical, rng):
    """Add bulge, disc and their shapes as seen in projection."""
    n, t_type = early.size, galaxies["t_type"]
    absolute = galaxies["absolute_mag"]
    bulge = np.interp(t_type, [-3, -1, 1, 3, 5, 7], np.log10([0.65, 0.5, 0.36, 0.2, 0.09, 0.03]))
    bulge = np.clip(10 ** (bulge + rng.normal(0, 0.2, n)), 0, 0.9)  # our choice
    sersic_spheroid = np.clip(rng.normal(4.3 + 0.5 * (-21.3 - absolute), 0.9), 2, 7)  # our choice
    sersic_bulge = np.interp(t_type, [-3, 0, 3, 6], [3.2, 2.8, 2.2, 1.4])
    sersic_bulge = np.clip(sersic_bulge + rng.normal(0, 0.7, n), 0.8, 5)  # our choice
    galaxies["bulge_to_total"] = np.where(elliptical, 1, bulge)
    galaxies["sersic_n"] = np.where(elliptical, sersic_spheroid, sersic_bulge)

    # Discs are oblate, seen at random angles. source: Padilla & Strauss 2008 give a mean thickness
    # of 0.21 for spirals (abstract); its run with T and the ratios of ellipticals are our choice.
    thickness = np.where(early, 0.27, np.interp(t_type, [0, 7], [0.24, 0.14]))
    disc_ratio = np.sqrt(rng.random(n) ** 2 * (1 - thickness**2) + thickness**2)
    round_ratio = np.clip(1 - np.abs(rng.normal(0, 0.24, n)), 0.3, 1)
    usual_ratio = np.clip(rng.normal(0.78, 0.12, n), 0.35, 1)
    spheroid_ratio = np.where(rng.random(n) < 0.6, usual_ratio, round_ratio)
    galaxies["axis_ratio"] = np.where(elliptical, spheroid_ratio, disc_ratio)
    galaxies["bulge_axis_ratio"] = np.where(elliptical, spheroid_ratio, 1 - 0.45 * (1 - disc_ratio))
    galaxies["position_angle"] = rng.uniform(0, np.pi, n)

    # The published radii are of circular apertures: an ellipse of equal area is longer by q**-1/2.
    stretched = galaxies["r50"] / np.sqrt(galaxies["axis_ratio"])
    galaxies["disc_scale"] = stretched / 1.678 * (1 + 0.25 * galaxies["bulge_to_total"])  # ours
    small_bulge = galaxies["r50"] * np.clip(0.28 * np.exp(rng.normal(0, 0.35, n)), 0.1, 0.8)
    galaxies["bulge_r50"] = np.where(elliptical, stretched, small_bulge)  # our choice


def _colours(galaxies, early, rng):
    """Add observed colours: a red sequence and a blue cloud that follow the type only loosely.

    Their peaks lie near those of SDSS galaxies, and 6% of early types are blue (our choice).
    source: bimodal colours that correspond only roughly to type, Strateva et al. 2001.
    """
    n, t_type, z = early.size, galaxies["t_type"], galaxies["z"]
    absolute = galaxies["absolute_mag"]
    red_late = 0.12 + 0.45 * np.exp(-np.maximum(t_type, 0) / 1.3) + 0.12 * (-21.3 - absolute)
    is_red = rng.random(n) < np.where(early, 0.94, np.clip(red_late, 0.03, 0.9))
    red = 0.77 - 0.022 * (absolute + 21) + 2.2 * (z - 0.03) + rng.normal(0, 0.035, n)
    blue = 0.51 - 0.045 * (absolute + 20.5) - 0.018 * (t_type - 3) + 1.1 * (z - 0.03)
    tilt = np.clip(-np.log10(np.maximum(galaxies["axis_ratio"], 0.15)), 0, 0.8)
    blue = blue + rng.normal(0, 0.095, n) + np.where(early, 0, 0.24 * tilt)  # dust in tilted discs
    g_r = np.where(is_red, red, np.minimum(blue, red + 0.12))
    r_i = 0.17 + 0.28 * g_r - 0.05 * (g_r < 0.45) + 0.15 * z + rng.normal(0, 0.022, n)
    mag_r = galaxies["mag_r"]
    ebv = np.minimum(0.03 * np.exp(rng.normal(0, 0.7, n)), 0.2)  # our choice: high latitude
    magnitudes = np.stack([mag_r + g_r, mag_r, mag_r - r_i], axis=1) + ebv[:, None] * EXTINCTION
    galaxies |= dict(is_red=is_red, g_r=g_r, r_i=r_i, ebv=ebv, flux=magnitude_to_flux(magnitudes))
    return galaxies


def _features(galaxies, early, elliptical, rng):
    """Add arms, bar, star-forming knots and dust: all numbers here are our choice."""
    n, t_type = early.size, galaxies["t_type"]
    onset = np.clip((t_type + 0.8) / 3, 0, 1) * np.where(galaxies["is_red"] & ~early, 0.65, 1)
    onset = np.where(elliptical, 0, onset)
    arm_strength = onset * np.clip(0.95 * np.exp(rng.normal(0, 0.4, n)), 0, 1.8)
    pitch = np.clip(rng.normal(11 + 2.2 * np.maximum(t_type, 0), 5), 6, 38)
    knots = np.interp(t_type, [-1, 1, 3, 5, 8], [0, 0.015, 0.04, 0.08, 0.11])
    knots = np.clip(knots * np.exp(rng.normal(0, 0.5, n)), 0, 0.22)
    has_bar = ~elliptical & (rng.random(n) < np.where(early, 0.20, 0.33))
    disc_dust = np.clip(rng.normal(1.0, 0.5, n), 0, 2.2)
    lens_dust = np.where(rng.random(n) < 0.12, 0.6, 0)
    colour_step = np.clip(rng.normal(0.16, 0.08, n), 0, 0.4) * np.where(early, 0.5, 1)
    return galaxies | dict(
        arm_strength=arm_strength,
        arm_pitch=np.radians(pitch),
        arm_number=rng.choice([2, 2, 2, 3, 4], n),
        arm_sense=rng.choice([-1.0, 1.0], n),
        arm_phases=rng.uniform(0, 2 * np.pi, (n, 4)),
        is_bar=has_bar,
        bar_fraction=has_bar * np.clip(rng.normal(0.16, 0.06, n), 0.05, 0.35),  # of the disc light
        bar_length=galaxies["disc_scale"] * np.clip(rng.normal(1.1, 0.3, n), 0.5, 1.8),
        bar_angle=rng.uniform(0, np.pi, n),
        knot_fraction=onset * knots,  # of the disc light
        dust=np.where(elliptical, 0, np.where(early, lens_dust, disc_dust)),
        colour_step=np.where(elliptical, 0, colour_step),  # bulge minus disc, g-r
    )


def sample(n: int, rng: np.random.Generator, label_scatter: float = 1.1) -> dict:
    """Draw the true parameters of ``n`` SIMULATED galaxies.

    Args:
        n: number of galaxies.
        rng: source of randomness; the same state gives the same galaxies, whatever the scatter.
        label_scatter: of the human T-type, in T-type units, 0 or more; see `human_labels`.
    Returns:
        dict of arrays, first axis N: ``label`` and ``true_label`` (int8; 0 early, 1 late), ``t_type
        z absolute_mag mag_r g_r r_i ebv``, ``flux`` (N, 3) in nanomaggies with extinction, sizes in
        arcsec (``r50 disc_scale bulge_r50 bar_length``), angles in radians, ``psf_fwhm`` (N, 3) in
        arcsec, ``offset`` (N, 2) of the centre in arcsec, and the structure that is drawn.

    >>> galaxies = sample(1000, np.random.default_rng(0), label_scatter=0.0)
    >>> galaxies["flux"].shape, bool((galaxies["label"] == galaxies["true_label"]).all())
    ((1000, 3), True)
    """
    z, absolute, apparent = flux_limited(n, rng)
    t_type, early, elliptical = hubble_stages(absolute, rng)
    arcsec_per_kpc = COSMOLOGY.arcsec_per_kpc_proper(z).value
    sizes = physical_sizes(absolute, t_type, rng.normal(size=n)) * arcsec_per_kpc
    galaxies = dict(z=z, absolute_mag=absolute, mag_r=apparent, t_type=t_type)
    galaxies["r50"] = np.clip(sizes, 0.7, 12)  # arcsec; the ends are our choice
    galaxies["true_label"] = (t_type > 0).astype(np.int8)
    galaxies["label"] = human_labels(t_type, galaxies["r50"], label_scatter, rng.normal(size=n))
    _structure(galaxies, early, elliptical, rng)
    galaxies = _colours(galaxies, early, rng)
    galaxies = _features(galaxies, early, elliptical, rng)
    night = rng.normal(0, SEEING_SCATTER, (n, 1)) + rng.normal(0, 0.02, (n, 3))  # 2% is our choice
    # A galaxy's centre falls anywhere in its pixel, and is found to 0.06" (our choice).
    offset = rng.uniform(-0.5, 0.5, (n, 2)) * PIXEL + rng.normal(0, 0.06, (n, 2))
    sky_error = rng.normal(0, 0.05, (n, 3))  # residual of the subtracted sky, in sky sigmas
    return galaxies | dict(psf_fwhm=SEEING * np.exp(night), offset=offset, sky_error=sky_error)
