"""Find out in which unit cut-outs are, by a comparison with frames of the same galaxies.

Nothing in a cut-out tells its unit, and a service may scale its pixels, subtract another sky, or
stretch them. A frame is in nanomaggies. So some galaxies, bright ones and fainter ones, are cut
from frames onto the grid of their cut-outs, and flux is measured in both, in the same circle above
the sky of the same ring. Three things can come of it:

* the ratio is one: the cut-outs are nanomaggies;
* the ratio is a constant, for galaxies of all fluxes and for their cores as for their outskirts:
  the cut-outs are linear, and divided by this ratio they are nanomaggies. It is written down;
* anything else, another level of the sky included: the unit stays unknown, and the reason is told.

The tolerances are our choice. **Not run against the live services.**
"""

# N galaxies, C bands, H, W pixels

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.stats import mad_std
from astropy.table import Table

from galclr_utils import sdss
from galclr_utils.cutouts import read_cutout
from galclr_utils.cutting import Recipe, names_of
from galclr_utils.frames import BANDS
from galclr_utils.provenance import write_json
from galclr_utils.sky import FACTS, read_facts, read_sample, recipe_of
from galclr_utils.stamping import cut

N_GALAXIES = 4  # each in a field of its own: 12 frames, 41 MB
CORE_ARCSEC, APERTURE_ARCSEC, RING_ARCSEC = 2.0, 6.0, (8.5, 12.0)
SAME = 0.03  # a ratio so near one is one: what a second resampling may cost
CONSTANT = 0.05  # robust scatter of the ratio, and its drift from faint to bright galaxies
CORE = 0.15  # resampling takes light out of the core; a stretch takes far more
SKY = 0.5  # difference of the skies' levels, in units of the noise of a pixel
FEWEST, MOST = 3, 100  # galaxies that are compared
MEASURED = ("ratio", "scatter", "drift", "core", "sky")  # in each band, see `judge`


def choose(sample: Table, n: int = N_GALAXIES) -> np.ndarray:
    """Return n rows from the brightest to the median galaxy, no two in one field.

    >>> galaxies = Table({"id": list("abcd"), "mag_r": [17.0, 15.0, 16.0, 14.0]})
    >>> galaxies["run"], galaxies["camcol"], galaxies["field"] = 94, 1, [1, 2, 3, 4]
    >>> choose(galaxies, 2).tolist()
    [3, 1]
    """
    sdss.need(sample, ("mag_r", "run", "camcol", "field"))
    order = np.argsort(np.asarray(sample["mag_r"], float), kind="stable")  # NaN comes last
    order = order[: max(n, (len(sample) + 1) // 2)]
    fields = {}
    for start in np.linspace(0, len(order) - 1, n).astype(int):
        for k in np.roll(order, -start).tolist():  # from here on, and then from the beginning
            field = tuple(int(sample[name][k]) for name in ("run", "camcol", "field"))
            if field not in fields:
                fields[field] = k
                break
    return np.array(list(fields.values()), int)


def fluxes(stamps: np.ndarray, arcsec_per_pixel: float) -> dict[str, np.ndarray]:
    """Measure stamps: flux above the sky, share of it in the core, level and noise of the sky.

    Args:
        stamps: (N, C, H, W), the galaxy in the middle; NaN where there is no datum.
    Returns:
        ``flux``, ``core`` (flux within 2"), ``sky``, ``noise`` (per pixel), each float64 (N, C).
    """
    stamps = stamps.astype(np.float64)
    y, x = np.indices(stamps.shape[2:]) - (stamps.shape[-1] - 1) / 2
    radius = np.hypot(x, y) * arcsec_per_pixel
    ring = stamps[:, :, (radius > RING_ARCSEC[0]) & (radius < RING_ARCSEC[1])]
    sky = np.nanmedian(ring, axis=-1)
    above = stamps - sky[:, :, None, None]
    whole, core = (radius < r for r in (APERTURE_ARCSEC, CORE_ARCSEC))
    return {
        "flux": above[:, :, whole].sum(axis=-1),
        "core": above[:, :, core].sum(axis=-1),
        "sky": sky,
        "noise": mad_std(ring, axis=-1, ignore_nan=True),
    }


def judge(cutouts: np.ndarray, frames: np.ndarray, arcsec_per_pixel: float) -> dict:
    """Compare stamps of the same galaxies, and say what the cut-outs' unit is.

    Args:
        cutouts, frames: (N, 3, H, W) on the same grids; frames in nanomaggies.
    Returns:
        ``checked``: whether they are nanomaggies once multiplied by ``factor`` (one a band);
        ``reason`` where not; and what was measured in each band: ``ratio`` (cut-out / frame),
        ``scatter``, ``drift`` (of the faint half against the bright), ``core`` (the same ratio
        within 2" over that of the whole), ``sky`` (difference in units of a pixel's noise).

    >>> y, x = np.indices((64, 64)) - 31.5
    >>> galaxy = 100 * np.exp(-(x**2 + y**2) / 20) / (20 * np.pi)
    >>> frames = np.arange(1, 5)[:, None, None, None] * galaxy * np.ones((3, 1, 1))
    >>> frames += np.random.default_rng(0).normal(0, 0.02, frames.shape)
    >>> judge(frames / 4, frames, 0.396)["factor"]
    [4.0, 4.0, 4.0]
    >>> judge(np.arcsinh(frames), frames, 0.396)["checked"]
    False
    """
    one, other = fluxes(cutouts, arcsec_per_pixel), fluxes(frames, arcsec_per_pixel)
    rows = np.isfinite(one["flux"] + other["flux"]).all(axis=1)
    rows &= (other["flux"] > 20 * other["noise"]).all(axis=1)
    told = {"galaxies": int(rows.sum())}
    if rows.sum() < FEWEST:
        lacks = f"only {rows.sum()} galaxies could be compared, {FEWEST} are needed"
        return {"checked": False, "reason": lacks, **told}
    one, other = ({name: some[rows] for name, some in each.items()} for each in (one, other))
    each = one["flux"] / other["flux"]
    ratio = np.median(each, axis=0)
    scatter = mad_std(each, axis=0) / np.abs(ratio)
    bright = other["flux"] > np.median(other["flux"], axis=0)
    drift = [np.median(e[b]) / np.median(e[~b]) - 1 for e, b in zip(each.T, bright.T, strict=True)]
    core = np.median(one["core"] / other["core"] / each, axis=0) - 1
    sky = np.median((one["sky"] / ratio - other["sky"]) / other["noise"], axis=0)
    told |= {"ratio": ratio, "scatter": scatter, "drift": np.array(drift), "core": core, "sky": sky}
    told = {k: v if k == "galaxies" else [float(f"{x:.4g}") for x in v] for k, v in told.items()}
    wrong = {
        "the ratio to a frame is not positive": ratio <= 0,
        "the ratio to a frame differs from galaxy to galaxy": scatter > CONSTANT,
        "the ratio to a frame depends on the flux: no linear unit": np.abs(drift) > CONSTANT,
        "cores and outskirts differ in their ratio: no linear unit": np.abs(core) > CORE,
        "the sky has another level": np.abs(sky) > SKY,
    }
    for reason, bad in wrong.items():
        if not (~np.asarray(bad)).all():
            told["reason"] = f"{reason} (bands {''.join(np.array(BANDS)[np.asarray(bad)])})"
            return {"checked": False, **told}
    same = (np.abs(ratio - 1) < SAME).all()
    told["factor"] = [1.0] * len(BANDS) if same else [float(f"{1 / r:.5g}") for r in ratio]
    return {"checked": True, **told}


def check_units(folder: str | Path, n: int = N_GALAXIES, **options) -> dict:
    """Download frames of some galaxies, compare their cut-outs, and write it into ``sky.json``.

    Args:
        folder: with a sample and cut-outs. n: galaxies to compare, each in a field of its own.
        options: of `sdss.download`.
    Returns:
        as `judge`.
    Raises:
        ValueError: no cut-outs, or no column that names the field.
    """
    folder = Path(folder)
    sample, told = read_sample(folder), read_facts(folder)
    recipe = recipe_of(folder, told, "cutouts")
    have = [k for k, row in enumerate(sample) if _is_whole(recipe, row)]
    if not have:
        raise ValueError(f"{folder}: got no galaxy with all its cut-outs: download them first")
    sample = sample[have]
    some = sample[choose(sample, n)]
    where = sdss.frame_jobs(some, bands="r")
    inside = [sdss.frame_jobs(sample[k : k + 1], bands="r")[0] in where for k in range(len(sample))]
    some = sample[inside][:MOST]  # what else lies in these fields costs nothing more
    failures = sdss.download(some, "frames", folder / "units", retry_failed=True, **options)
    cutouts = np.stack([_read(recipe, row) for row in some])
    paths = [folder / "units" / job.filename for job in sdss.frame_jobs(some)]
    paths = [path for path in paths if path.exists()]
    found = {"checked": False, "reason": "no frame could be had"}
    if paths:
        stamps, _ = cut(some, paths, recipe.size_px, recipe.arcsec_per_pixel)
        found = judge(cutouts, stamps, recipe.arcsec_per_pixel)
    if len(failures) and not found["checked"]:
        found["reason"] += f"; {len(failures)} frames failed: {failures['reason'][0]}"
    found |= {"ids": some["id"].tolist(), "date": datetime.now(UTC).date().isoformat()}
    write_json(folder / FACTS, {**told, "units_checked": found["checked"], "units": found})
    return found


def _is_whole(recipe: Recipe, row) -> bool:
    return all((recipe.pictures / name).exists() for _, name in names_of(recipe, row))


def _read(recipe: Recipe, row) -> np.ndarray:
    """Return a galaxy's cut-outs, float32 (C, H, W)."""
    paths = (recipe.pictures / name for _, name in names_of(recipe, row))
    return np.stack([read_cutout(p, row, recipe.size_px, recipe.arcsec_per_pixel) for p in paths])
