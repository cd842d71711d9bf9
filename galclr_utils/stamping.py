"""Cut galaxies out of SDSS frames, all their bands on one grid centred on the galaxy.

The three bands of a field were exposed by three detectors, one after the other, and lie up to nine
pixels apart. Each is therefore cut by its own WCS. How well they then agree is up to the frames'
astrometry, not to the resampling: on the isolated stars of two fields g and r differ by 0.09 pixel
in the median, i and r by 0.06, and the transformation in a frame's last table, which knows the
camera's distortion, does no better. The atmosphere moved between the exposures.
"""

# N galaxies, C bands, H, W pixels

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from astropy.table import Table, hstack, vstack
from scipy.ndimage import uniform_filter

from galclr_utils import checks
from galclr_utils.frames import (
    BANDS,
    Frame,
    Outline,
    locate,
    parse_name,
    read_frame,
    read_mask,
    read_outline,
)
from galclr_utils.provenance import progress
from galclr_utils.resampling import galaxy_grid, resample

SIZE_PX, ARCSEC_PER_PIXEL = 64, 0.396
BRIGHT_ARCSEC = 5.94  # side of the box in which the brightest source is measured: 15 pixels
ORIENTATIONS = ("north", "frame")
MASK_NAME = re.compile(r"fpM-(\d{6})-([ugriz])([1-6])-(\d{4})\.fits?(\.gz)?")


def cut_field(
    frames: Mapping[str, Frame],
    positions: Table,
    size: int = SIZE_PX,
    arcsec_per_pixel: float = ARCSEC_PER_PIXEL,
    orientation: str = "north",
    masks: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    why: Mapping[str, str] | None = None,
) -> tuple[np.ndarray, Table]:
    """Cut the galaxies of one field out of its frames.

    North up is the convention of catalogues and of cut-out services, and gives every stamp the same
    noise. The frame's own orientation interpolates a little less, but the noise of a stamp then
    depends on where between two pixels its galaxy lies.

    Args:
        frames: ``{band: frame}`` of one field; the bands that are there.
        positions: N rows, at least one, with ``ra``, ``dec`` in degrees.
        size: pixels along a side, 8 to 1024; larger stamps leave a margin for rotation.
        arcsec_per_pixel: 0.1 to 10.
        orientation: ``"north"`` (up, east left) or ``"frame"``.
        masks: ``{band: (bad, saturated)}`` from ``read_mask``, for the bands that have one.
        why: ``{band: reason}`` for bands without a frame, where the reason is known.
    Returns:
        ``(stamps, flags)``: float32 (N, 3, size, size) in linear nanomaggies per pixel, bands g, r,
        i, NaN for a band that could not be cut; and N rows of flags, see ``cut``.
    """
    size = checks.number("size", size, 8, 1024, integer=True)
    scale = checks.number("arcsec_per_pixel", arcsec_per_pixel, 0.1, 10)
    checks.choice("orientation", orientation, ORIENTATIONS)
    masks, why = masks or {}, why or {}
    stamps = np.full((len(positions), len(BANDS), size, size), np.nan, np.float32)
    middle = next((frames[band].outline.wcs for band in ("r", *BANDS) if band in frames), None)
    own = middle if orientation == "frame" else None
    flags = []
    for stamp, ra, dec in zip(stamps, positions["ra"], positions["dec"], strict=True):
        grid = galaxy_grid(float(ra), float(dec), size, scale, own)
        missing, found = {}, {name: {} for name in ("edge", "blank", "masked", "saturated")}
        for band, pixels in zip(BANDS, stamp, strict=True):
            if band not in frames:
                missing[band] = why.get(band, "no frame")
                continue
            outline, bad = frames[band].outline, masks.get(band)
            found["edge"][band] = float(outline.margin_px(ra, dec))
            if not found["edge"][band] > 0:
                missing[band] = "the position is off the frame"
                continue
            pixels[:], blank, marked = resample(frames[band].image, outline.wcs, grid, size, bad)
            found["blank"][band] = blank.mean()
            if bad is not None:
                found["masked"][band], found["saturated"][band] = marked.mean(axis=(1, 2))
        flags.append(_flags(missing, found) | {"bright_flux": brightest(stamp, scale)})
    return stamps, Table(rows=flags)


def cut(
    catalog: Table,
    paths: Iterable[str | Path],
    size: int = SIZE_PX,
    arcsec_per_pixel: float = ARCSEC_PER_PIXEL,
    orientation: str = "north",
    mask_paths: Iterable[str | Path] = (),
) -> tuple[np.ndarray, Table]:
    """Cut galaxies from the frames at hand, each from the field in which it lies farthest inside.

    Fields with all three bands go first. Each field is read once, three frames at a time. All
    stamps are in memory, 48 kB each: for many galaxies call ``cut_field`` field by field.

    Args:
        catalog: N rows with ``ra``, ``dec`` in degrees; other columns are kept.
        paths: frames, in any order, named as in the archive; bands other than g, r, i are ignored.
        size, arcsec_per_pixel, orientation: as in ``cut_field``.
        mask_paths: fpM files of some of the frames, ``fpM-RUN-BANDCAMCOL-FIELD.fit``.
    Returns:
        ``(stamps, table)``: float32 (N, 3, size, size), see ``cut_field``; and the catalogue, row
        for row, with these columns, which replace columns of the same name:

        - ``status``: ``"ok"``; ``"flagged"``: whole but for what ``reason`` says; ``"failed"``: a
          band or all of the stamp is missing. ``reason``: text, empty where ok.
        - ``cut_from``: run-camcol-field. ``edge_px``: distance of the position from the nearest
          edge of its frames. ``missing_bands``: such as ``"gi"``.
        - ``blank_fraction``: of the stamp, without data (0 there), in the band where it is largest.
        - ``masked_fraction``, ``saturated_fraction``: of the stamp, likewise; NaN without an fpM
          file. Pixels that are only interpolated are no reason for a flag.
        - ``bright_flux``: of the brightest 6" box on the stamp in any band, nanomaggies. Above
          about 500 a star's core may be saturated, above 3000 it is: a frame does not show it.
    Raises:
        ValueError: no ra or dec, or no row; no frame, or two files of one; a mask that cannot be
            read; values out of range. A frame that cannot be read is no error: the galaxies that
            needed it say so.
    """
    if lacking := {"ra", "dec"} - set(catalog.colnames):
        raise ValueError(f"catalog: got no column {', '.join(sorted(lacking))}: give degrees")
    if not len(catalog):
        raise ValueError("catalog: got no row, expected at least one galaxy")
    for name in ("ra", "dec"):
        if catalog[name].dtype.kind not in "iuf" or np.ma.is_masked(catalog[name]):
            raise ValueError(
                f"catalog: got a column {name} of {catalog[name].dtype} or with gaps, expected "
                "degrees, NaN where unknown"
            )
    outlines, broken = _read_outlines(paths)
    masks = {_mask_key(path): path for path in map(Path, mask_paths)}
    keys = sorted(outlines, key=lambda key: (len(outlines[key]) < len(BANDS), key))
    which = _choose_field(catalog, [outlines[key] for key in keys])
    how = dict(size=size, arcsec_per_pixel=arcsec_per_pixel, orientation=orientation)
    size = checks.number("size", size, 8, 1024, integer=True)
    stamps = np.empty((len(catalog), len(BANDS), size, size), np.float32)
    parts, order = [], []
    for k in progress(np.unique(which).tolist(), "cutting fields"):
        rows, frames, seen, why = np.flatnonzero(which == k), {}, {}, {}
        if k < 0:
            why = dict.fromkeys(BANDS, "no frame at hand holds the position" + _unread(broken))
        else:
            why = dict(broken.get(keys[k], {}))
            for band, outline in outlines[keys[k]].items():
                try:
                    frames[band] = read_frame(outline.path)
                except ValueError as error:
                    why[band] = str(error)
                if path := masks.get((*keys[k], band)):
                    seen[band] = read_mask(path, outline.shape)
        stamps[rows], flags = cut_field(frames, catalog[rows], masks=seen, why=why, **how)
        flags["cut_from"] = "" if k < 0 else "{:06d}-{}-{:04d}".format(*keys[k])
        parts, order = [*parts, flags], [*order, rows]
    flags = vstack(parts)[np.argsort(np.concatenate(order))]
    kept = [name for name in catalog.colnames if name not in flags.colnames]
    return stamps, hstack([catalog[kept], flags])


def _flags(missing: dict, found: dict) -> dict:
    """Return one galaxy's flags: ``missing[band]`` why, ``found[quantity][band]`` a number."""
    said = [f"{band}: {why}" for band, why in missing.items()]
    for name, text in (("blank", "without data"), ("saturated", "saturated")):
        said += [f"{band}: {v:.1%} of the stamp {text}" for band, v in found[name].items() if v]
    if len(set(missing.values())) == 1 and len(missing) == len(BANDS):
        said = list(set(missing.values()))
    largest = {name: max(values.values(), default=np.nan) for name, values in found.items()}
    return {
        "status": "failed" if missing else "flagged" if said else "ok",
        "reason": "; ".join(said),
        "missing_bands": "".join(missing),
        "edge_px": min(found["edge"].values(), default=np.nan),
        "blank_fraction": float(largest["blank"]),
        "masked_fraction": float(largest["masked"]),
        "saturated_fraction": float(largest["saturated"]),
    }


def brightest(stamp: np.ndarray, arcsec_per_pixel: float) -> float:
    """Return the flux of the brightest box of a stamp (C, H, W) in any band; NaN without any."""
    if np.isnan(stamp).all():
        return np.nan
    box = max(1, round(BRIGHT_ARCSEC / arcsec_per_pixel))
    means = uniform_filter(np.nan_to_num(stamp), (0, box, box), mode="constant")
    return float(means.max()) * box**2


def _read_outlines(paths: Iterable[str | Path]) -> tuple[dict, dict]:
    """Return ``outlines[key][band]`` of the files that can be read, and ``broken[key][band]``."""
    outlines, broken, seen = {}, {}, {}
    for path in sorted(map(Path, paths), key=lambda path: path.name):
        *key, band = parse_name(path)
        if (first := seen.setdefault((*key, band), path)) is not path:
            raise ValueError(f"{path} and {first} are the same frame: give one of them")
        if band not in BANDS:
            continue
        try:
            outlines.setdefault(tuple(key), {})[band] = read_outline(path)
        except ValueError as error:
            broken.setdefault(tuple(key), {})[band] = str(error)
    if not seen:
        raise ValueError("paths: got no file, expected frames of at least one field")
    return {key: bands for key, bands in outlines.items() if bands}, broken


def _choose_field(catalog: Table, fields: Sequence[dict[str, Outline]]) -> np.ndarray:
    """Return the field of each galaxy, int64 (N,), -1 for none; whole fields come first."""
    ra, dec = catalog["ra"], catalog["dec"]
    sky = [bands.get("r") or next(iter(bands.values())) for bands in fields]
    whole = sum(len(bands) == len(BANDS) for bands in fields)
    which, _ = locate(ra, dec, sky[:whole])
    rest = which < 0
    other, _ = locate(ra[rest], dec[rest], sky[whole:])
    which[rest] = np.where(other < 0, -1, other + whole)
    return which


def _mask_key(path: Path) -> tuple[int, int, int, str]:
    """Return run, camcol, field and band of an fpM file."""
    if not (found := MASK_NAME.fullmatch(path.name)):
        raise ValueError(f"{path}: expected the archive's name, such as fpM-004510-r4-0030.fit")
    return int(found[1]), int(found[3]), int(found[4]), found[2]


def _unread(broken: dict) -> str:
    """Return how many files could not be read, and the first of them; nothing if none."""
    errors = [error for bands in broken.values() for error in bands.values()]
    return f"; {len(errors)} files could not be read, the first is {errors[0]}" if errors else ""
