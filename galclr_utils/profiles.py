"""Draw shapes of light on a fine grid, blur them, and collect them in pixels.

The grid has two points a pixel and a guard of four pixels around the stamp, so that light from
just outside is blurred into it. Shapes are sampled on it; what is too sharp to be sampled (stars,
knots, the cusps of spheroids) is put on it as points. Lengths are in arcsec, angles in radians.
"""

# C = 3 bands, H = W = 64 pixels, S = 144 grid points a side, K points

from __future__ import annotations

import functools

import numpy as np
from scipy import fft, special

PIXEL = 0.396  # arcsec. source: table of constants of the SDSS archive (0.39598")
STAMP = 64  # pixels a side
OVERSAMPLING, GUARD = 2, 4  # grid points per pixel, and pixels around the stamp
GRID, STEP = (STAMP + 2 * GUARD) * OVERSAMPLING, PIXEL / OVERSAMPLING  # points, arcsec


@functools.cache
def _axis() -> np.ndarray:
    """Return the coordinate of each grid point along one side, arcsec from the stamp's centre."""
    return ((np.arange(GRID) - (GRID - 1) / 2) * STEP).astype(np.float32)


def ellipse_coordinates(x: float, y: float, angle: float):
    """Return coordinates along and across an ellipse's long axis, in arcsec, float32 (S, S) each.

    Args:
        x, y: its centre, arcsec from the middle of the stamp.
        angle: of the long axis, radians from x to y.
    """
    dx, dy = (_axis() - np.float32(x))[None, :], (_axis() - np.float32(y))[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * dx + sin * dy, cos * dy - sin * dx


def sersic(along, across, r50: float, n: float, axis_ratio: float):
    """Draw a Sersic profile of unit flux, and say how much of its cusp falls between grid points.

    I(R) = exp(-b (R/r50)^(1/n)), with b such that r50 holds half of the light (Graham & Driver
    2005, eqs. 1-4). For n > 1 the centre is too sharp for the grid, so that samples miss flux. The
    loss is the exact integral under a narrow Gaussian window less the sampled one; the caller puts
    it back as a point.

    Args:
        along, across: coordinates from `ellipse_coordinates`, arcsec.
        r50: half-light radius along the long axis, arcsec.
        n: Sersic index; 1 is an exponential disc, 4 de Vaucouleurs' spheroid.
        axis_ratio: short to long axis, (0, 1].
    Returns:
        float32 (S, S), flux per grid point; and the missing central flux (float).

    >>> disc, cusp = sersic(*ellipse_coordinates(0, 0, 0), r50=2.0, n=1.0, axis_ratio=1.0)
    >>> spheroid, sharper = sersic(*ellipse_coordinates(0, 0, 0), r50=2.0, n=4.0, axis_ratio=1.0)
    >>> f"{disc.sum() + cusp:.2f} {cusp:.3f}", f"{spheroid.sum() + sharper:.2f} {sharper:.3f}"
    ('1.00 0.001', '0.94 0.016')

    The wings of a spheroid reach beyond the grid.
    """
    b = special.gammaincinv(2 * n, 0.5)
    total = 2 * np.pi * n * axis_ratio * r50**2 * b ** (-2 * n) * special.gamma(2 * n)
    radius2 = (along**2 + (across / axis_ratio) ** 2 + (0.2 * STEP) ** 2) / r50**2
    plane = np.exp(-b * np.exp(np.log(radius2) * (0.5 / n))) * (STEP**2 / total)

    width = 1.5 * STEP / axis_ratio
    log_radius = np.linspace(-9, 1.6, 300)  # in units of width
    radius = width * np.exp(log_radius)
    profile = np.exp(-b * (radius / r50) ** (1 / n)) * np.exp(-0.5 * (radius / width) ** 2)
    exact = np.trapezoid(profile * 2 * np.pi * axis_ratio * radius**2, log_radius) / total
    sampled = np.sum(plane * np.exp(radius2 * (-0.5 * (r50 / width) ** 2)))
    return plane, float(exact - sampled)


def spiral_arms(along, across, galaxy) -> tuple[np.ndarray, np.ndarray]:
    """Draw the galaxy's exponential disc twice, without and with arms, each of the same flux.

    Arms are logarithmic spirals, as smooth ripples of the logarithm of the brightness, with weaker
    harmonics of random phase so that no two galaxies are alike.
    """
    across = across / galaxy.axis_ratio  # in the plane of the disc
    radius2 = (along**2 + across**2) / galaxy.disc_scale**2 + 1e-4
    radius, log_radius = np.sqrt(radius2), 0.5 * np.log(radius2)
    flux = STEP**2 / (2 * np.pi * galaxy.disc_scale**2 * galaxy.axis_ratio)
    smooth = np.exp(-radius) * flux
    if galaxy.arm_strength < 0.01:
        return smooth, smooth
    angle = np.arctan2(across, along)
    winding = galaxy.arm_sense * angle - log_radius / np.tan(galaxy.arm_pitch)
    phases, number = galaxy.arm_phases, galaxy.arm_number
    ripple = np.cos(number * winding - phases[0])
    ripple += 0.35 * np.cos((number + 1) * winding + phases[1])
    ripple += 0.25 * np.cos(5 * winding + 2.2 * log_radius + phases[2])
    ripple += 0.25 * np.cos(angle + phases[3])
    fade = 1 / (1 + np.exp(-5 * (radius - 0.5)))  # no arms inside the bulge
    arms = smooth * np.exp(1.15 * galaxy.arm_strength * fade * (ripple - 0.25))
    return smooth, arms * (smooth.sum() / arms.sum())


def bar(along, across, galaxy) -> np.ndarray:
    """Draw a bar of unit flux in the plane of the disc: flat, with a soft edge."""
    across = across / galaxy.axis_ratio
    cos, sin = np.cos(galaxy.bar_angle), np.sin(galaxy.bar_angle)
    long, short = cos * along + sin * across, cos * across - sin * along
    radius2 = (long**2 + (short / 0.32) ** 2) / galaxy.bar_length**2
    shape = np.exp(-1.6 * radius2**1.5)
    return shape / shape.sum()


def dust_lane(along, across, galaxy) -> np.ndarray:
    """Return the optical depth in r of a dust lane: seen when the disc is nearly edge-on."""
    edge_on = 1 / (1 + np.exp(-14 * (0.38 - galaxy.axis_ratio)))
    height = 0.16 * galaxy.disc_scale + 0.12
    lane = ((across - 0.25 * height) / (0.8 * height)) ** 2 + (along / 2.2 / galaxy.disc_scale) ** 2
    return galaxy.dust * edge_on * np.exp(-0.5 * lane)


def _cubic_shares(position):
    """Return the four grid points about each position, and its shares among them, (K, 4) each.

    Keys' cubic (1981, eq. 15) keeps the centroid and, unlike linear shares, does not widen a point.
    """
    index = np.floor(position)[:, None].astype(int) + np.arange(-1, 3)
    s = np.abs(position[:, None] - index)
    near, far = 1.5 * s**3 - 2.5 * s**2 + 1, -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2
    shares = np.where(s < 1, near, far)
    shares[(index < 0) | (index >= GRID)] = 0  # light beyond the grid is dropped
    return index.clip(0, GRID - 1), shares


def add_points(light, x, y, flux) -> None:
    """Add point sources to the light, each shared among the sixteen grid points about it.

    Args:
        light: (3, S, S), changed in place.
        x, y: (K,) arcsec from the stamp's centre.
        flux: (K, 3) nanomaggies.

    >>> light = np.zeros((3, GRID, GRID), np.float32)
    >>> add_points(light, x=[1.0], y=[-2.0], flux=np.array([[10.0, 20.0, 30.0]]))
    >>> light.sum(axis=(1, 2)).round(3)
    array([10., 20., 30.], dtype=float32)
    """
    columns, share_x = _cubic_shares(np.atleast_1d(x) / STEP + (GRID - 1) / 2)
    rows, share_y = _cubic_shares(np.atleast_1d(y) / STEP + (GRID - 1) / 2)
    share = (share_y[:, :, None] * share_x[:, None, :])[None] * flux.T[:, :, None, None]
    np.add.at(light, (slice(None), rows[:, :, None], columns[:, None, :]), share)


@functools.cache
def _transfer_terms() -> tuple[np.ndarray, np.ndarray]:
    """Return |f|^(5/3), f in cycles per arcsec, and a grid cell's response, both (S, S/2+1)."""
    row, column = fft.fftfreq(GRID, STEP)[:, None], fft.rfftfreq(GRID, STEP)[None, :]
    cell = np.sinc(row * STEP) * np.sinc(column * STEP)
    return ((row**2 + column**2) ** (5 / 6)).astype(np.float32), cell.astype(np.float32)


def blur(light, psf_fwhm) -> np.ndarray:
    """Blur light by a long exposure through Kolmogorov turbulence, and average it over grid cells.

    The transfer function of turbulence is exp(-3.44 (f FWHM / 0.976)^(5/3)), f in cycles per
    arcsec: Fried (1966) for the exponent, and FWHM = 0.976 wavelength/r0. The tests check it, and
    the pixels, against GalSim.

    Args:
        light: float32 (3, S, S).
        psf_fwhm: (3,) arcsec.

    >>> light = np.zeros((3, GRID, GRID), np.float32)
    >>> add_points(light, [0.0], [0.0], np.ones((1, 3)))
    >>> seen = blur(light, psf_fwhm=[1.2, 1.2, 2.4])
    >>> seen.sum(axis=(1, 2)).round(3), bool(seen[0].max() > 3 * seen[2].max())
    (array([1., 1., 1.], dtype=float32), True)
    """
    frequency, cell = _transfer_terms()
    scale = -3.44 * (np.asarray(psf_fwhm) / 0.976) ** (5 / 3)
    transfer = np.exp(scale[:, None, None].astype(np.float32) * frequency) * cell
    return fft.irfft2(fft.rfft2(light) * transfer, s=(GRID, GRID))


def collect(light) -> np.ndarray:
    """Sum the grid into pixels and drop the guard: (3, S, S) to (3, 64, 64)."""
    guard = GUARD * OVERSAMPLING
    inner = light[:, guard:-guard, guard:-guard]
    return inner.reshape(3, STAMP, OVERSAMPLING, STAMP, OVERSAMPLING).sum((2, 4))
