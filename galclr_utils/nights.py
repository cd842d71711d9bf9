"""Show galaxies as another observation would: worse seeing, a shorter exposure, another angle.

The galaxy is the same and so are its units; only what the telescope and the sky did to it changes.
"""

# N galaxies, n of them asked, C bands, H, W pixels

from __future__ import annotations

import numpy as np
import torch

from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet
from galclr_utils.transforms import Orientation, Seeing, blur_matrix

FWHM = 2.3548  # of a Gaussian, in sigma
SDSS_SEEING = 1.43  # arcsec: the median of the r band, for galaxies whose seeing is not known
UNSCALED_SEEING = 2.0  # pixels: our guess where a set does not even know its pixels' size


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
    worse = (blurred + lacking * rms * noise).astype(np.float32)
    return worse.clip(0, 1) if card["units"] == "display" else worse


def copies(images: np.ndarray, sky_rms, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the same galaxies as another observation might show them.

    Args:
        images: (N, C, H, W) in the set's units.
        sky_rms: (C,), ``card["sky_rms"]``. seed: of angles and noise.
    Returns:
        float32 (N, C, H, W) by name: "turned" by any angle, half of them mirrored; "noisier", with
        as much noise again as the sky has; "worse seeing", blurred by a sigma of 1 pixel; "shifted"
        by a pixel to a side, or up or down; "stored again", with a hundredth of the sky's noise.
    """
    random = torch.Generator().manual_seed(seed)
    stamps = torch.from_numpy(np.asarray(images, np.float32))
    rms = torch.tensor(sky_rms, dtype=torch.float32)[:, None, None]
    noise = torch.randn(stamps.shape, generator=random) * rms
    sides = torch.randint(4, (len(stamps),), generator=random).tolist()
    moves = [(1, -1), (-1, -1), (1, -2), (-1, -2)]
    moved = [s.roll(*moves[side]) for s, side in zip(stamps, sides, strict=True)]
    made = {
        "turned": Orientation()(stamps, random),
        "noisier": stamps + noise,
        "worse seeing": Seeing().apply(stamps, {"sigma_px": torch.ones(len(stamps))}),
        "shifted": torch.stack(moved),
        "stored again": stamps + 0.01 * noise.flip(0),
    }
    return {name: x.numpy() for name, x in made.items()}
