"""Plant oddities whose place is known.

What is strange cannot be labelled beforehand, so a ranking (see `strangeness`) is judged on
oddities that were put there: mergers, accidents of the detector, mistakes of the reduction, a rare
kind.
"""

# C bands, H, W pixels, n galaxies to change

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet


@dataclass
class Sky:
    """What an oddity is measured in: the noise of a band, the brightest level, other galaxies.

    Attributes:
        rms: float32 (C, 1, 1), of the sky. top: the level at which the detector saturates.
        others: (M, C, H, W), from which a merger takes its partner. strength: of what is added.
    """

    rms: np.ndarray
    top: float
    others: np.ndarray
    strength: float = 1.0


def _from_centre(stamp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each pixel from the centre, down and to the right, in pixels."""
    height, width = stamp.shape[-2:]
    y, x = np.mgrid[:height, :width]
    return y - (height - 1) / 2, x - (width - 1) / 2


def _place(stamp, random, near: float, far: float) -> tuple[float, float]:
    """Draw a shift in any direction, its length a share of the stamp's side between two limits."""
    angle, r = random.uniform(0, 2 * np.pi), random.uniform(near, far) * stamp.shape[-1]
    return r * np.sin(angle), r * np.cos(angle)


def merger(stamp, random, sky: Sky):
    """Add another galaxy of the set, off centre: of eight drawn, the one nearest in flux.

    It is faded out beyond a quarter of the stamp, so that its sky's noise is not added too.
    """
    some = sky.others[random.integers(len(sky.others), size=8)].astype(np.float32)
    flux = some.sum(axis=(1, 2, 3))
    partner = some[np.argmin(np.abs(flux - stamp.sum()))]
    y, x = _from_centre(stamp)
    fade = np.exp(-((np.hypot(y, x) / (0.25 * stamp.shape[-1])) ** 4))
    shift = _place(stamp, random, 0.15, 0.3)
    return stamp + sky.strength * ndimage.shift(partner * fade, (0, *shift), order=1)


def satellite_trail(stamp, random, sky: Sky):
    """Add a straight line of light, in all bands, that passes near the centre."""
    y, x = _from_centre(stamp)
    angle, away = random.uniform(0, np.pi), random.uniform(-0.25, 0.25) * stamp.shape[-1]
    across = x * np.cos(angle) + y * np.sin(angle) - away
    return stamp + 6 * sky.strength * sky.rms * np.exp(-0.5 * (across / 0.8) ** 2)


def saturated_star(stamp, random, sky: Sky):
    """Add a star too bright for the detector, off centre, whose charge bleeds along its column."""
    y, x = _from_centre(stamp)
    to_y, to_x = _place(stamp, random, 0.25, 0.4)
    star = np.exp(-0.5 * ((y - to_y) ** 2 + (x - to_x) ** 2))
    length = random.uniform(0.2, 0.4) * stamp.shape[-1]
    bleed = (np.abs(x - to_x) < 0.7) & (np.abs(y - to_y) < length)
    return np.minimum(stamp + sky.strength * sky.top * np.maximum(3 * star, bleed), sky.top)


def dead_column(stamp, random, sky: Sky):
    """Lose one or two columns near the centre: they read 0 in all bands."""
    column = stamp.shape[-1] // 2 + random.integers(-4, 5)
    changed = stamp.copy()
    changed[:, :, column : column + random.integers(1, 3)] = 0
    return changed


def missing_band(stamp, random, sky: Sky):
    """Lose one band: it reads 0."""
    changed = stamp.copy()
    changed[random.integers(len(stamp))] = 0
    return changed


def cosmic_ray(stamp, random, sky: Sky):
    """Add the short sharp track of a particle, in one band: bands are exposed one after another."""
    changed, band = stamp.copy(), random.integers(len(stamp))
    y, x = _place(stamp, random, 0.05, 0.4)
    angle, length = random.uniform(0, 2 * np.pi), random.integers(3, 8)
    for step in range(length):
        row = int(y + step * np.sin(angle) + stamp.shape[-2] / 2) % stamp.shape[-2]
        column = int(x + step * np.cos(angle) + stamp.shape[-1] / 2) % stamp.shape[-1]
        changed[band, row, column] += 20 * sky.strength * sky.rms[band, 0, 0]
    return changed


def wrong_gain(stamp, random, sky: Sky):
    """Multiply one band by 2 or by 1/2: its calibration failed."""
    factor = np.ones((len(stamp), 1, 1), np.float32)
    factor[random.integers(len(stamp))] = random.choice([0.5, 2.0])
    return stamp * factor


def off_centre(stamp, random, sky: Sky):
    """Shift the galaxy by a quarter of the stamp or more; what comes in is mirrored."""
    dy, dx = np.rint(_place(stamp, random, 0.25, 0.35)).astype(int)
    margin = max(abs(dy), abs(dx))
    wide = np.pad(stamp, ((0, 0), (margin, margin), (margin, margin)), mode="symmetric")
    top, left = margin - dy, margin - dx
    return wide[:, top : top + stamp.shape[-2], left : left + stamp.shape[-1]]


def ring(stamp, random, sky: Sky):
    """Add a bluish ring around the galaxy, as few have (Hoag's object is the best known)."""
    y, x = _from_centre(stamp)
    radius, flat = random.uniform(0.2, 0.3) * stamp.shape[-1], random.uniform(0.7, 1.0)
    angle = random.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    shape = np.exp(-0.5 * (np.hypot(along, across / flat) - radius) ** 2)
    return stamp + 4 * sky.strength * sky.rms.mean() * shape  # as much in g as in i: blue


def swapped_bands(stamp, random, sky: Sky):
    """Exchange the first band and the last: a mistake in a file's order."""
    return stamp[::-1].copy()


KINDS: dict[str, Callable] = {
    "merger": merger,
    "ring": ring,
    "satellite trail": satellite_trail,
    "saturated star": saturated_star,
    "cosmic ray": cosmic_ray,
    "dead column": dead_column,
    "missing band": missing_band,
    "wrong gain": wrong_gain,
    "swapped bands": swapped_bands,
    "off centre": off_centre,
}


def plant(
    galaxies: GalaxySet, rows: np.ndarray, seed: int = 0, strength: float = 1.0
) -> dict[str, np.ndarray]:
    """Return copies of some galaxies with an oddity in each, one set of copies a kind.

    What is done to a galaxy depends on the seed, the kind and its id; a merger's partner is another
    test galaxy. The oddities are drawings, in units of the sky's noise: real ones are fainter and
    brighter. In display units, which are not linear in flux, what is added is an approximation, and
    white is the limit.

    Args:
        galaxies: the data set, with ``sky_rms`` in its card.
        rows: (n,) the galaxies to change.
        seed: of places, angles and partners.
        strength: factor on what merger, ring, trail, star and cosmic ray add, (0, 100].
    Returns:
        float32 (n, C, H, W) in the set's units, by kind.

    >>> from astropy.table import Table
    >>> catalog = Table({"id": ["a", "b"], "split": ["test", "test"], "label": [0, 1]})
    >>> card = {"units": "display", "bands": ["g", "r", "i"], "sky_rms": [0.02, 0.02, 0.02]}
    >>> galaxies = GalaxySet(np.full((2, 3, 16, 16), 0.1, np.float32), catalog, card)
    >>> planted = plant(galaxies, np.array([1]))
    >>> len(planted), planted["dead column"].shape, float(planted["dead column"].min())
    (10, (1, 3, 16, 16), 0.0)
    """
    stamps = np.asarray(galaxies.images[rows], np.float32)
    test = galaxies.indices("test")
    others = galaxies.images[np.setdiff1d(test, rows)] if len(test) > len(rows) else stamps
    display = galaxies.card["units"] == "display"
    top = 1.0 if display else float(np.quantile(np.asarray(others, np.float32), 0.9999))
    rms = np.asarray(galaxies.card["sky_rms"], np.float32)[:, None, None]
    sky = Sky(rms, top, others, number("strength", strength, 0, 100, low_open=True))
    ids = [list(str(name).encode()) for name in galaxies.catalog["id"][rows]]
    made = {}
    for k, (kind, change) in enumerate(KINDS.items()):
        odd = [
            change(stamp, np.random.default_rng([seed, k, *name]), sky)
            for stamp, name in zip(stamps, ids, strict=True)
        ]
        odd = np.asarray(odd, np.float32)
        made[kind] = odd.clip(0, 1) if display else odd
    return made
