"""Assemble a data set from sources: crop, bin, drop duplicates, split, measure the sky, record."""

# N galaxies, n of them in a block, C bands, H, W pixels

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils.blocks import Blocks, Cut, check_room, write_blocks
from galclr_utils.catalogs import read_catalog
from galclr_utils.checks import choice
from galclr_utils.dataset import (
    SPLITS,
    GalaxySet,
    Source,
    assign_splits,
    hash_unit,
    write_catalog_and_card,
)
from galclr_utils.duplicates import duplicates

AT_ONCE = 4096  # stamps copied at a time
DISPLAY_NOTE = (
    "Display units: pixel values are not linear in flux, so the transforms that act on flux "
    "(noise, seeing, extinction) are approximate."
)


def assemble(
    folder: Path,
    sources: list[Source],
    card: dict,
    crop_px: int,
    image_size_px: int,
    test_split: str,
    n_galaxies: int,
    val_fraction: float,
    test_fraction: float,
    building: Path | None = None,
    workers: int = 0,
    pool=None,
) -> GalaxySet:
    """Write a data set from a source and, perhaps, an unlabelled one.

    Stamps are written in blocks first, and from these, once duplicates are known, those that stay
    into one array. Memory holds a block of each worker, and later 128 numbers a galaxy, to look
    for duplicates. The disk holds the set twice until that is done.

    Args:
        folder: an existing folder that takes ``images.npy``, ``catalog.fits`` and ``card.json``.
        sources: the galaxies, then perhaps more for training.
        card: what the card should say beside what is found here.
        crop_px, image_size_px, test_split, n_galaxies, val_fraction, test_fraction: see
            `sources.prepare`.
        building: the folder of the blocks, see `blocks.building`; those that lie there are not
            made again. None for one in ``folder``, which is removed in the end.
        workers, pool: see `blocks.write_blocks`. The set does not depend on them.
    Returns:
        the set, images on disk.
    """
    main = sources[0]
    crop, factor = _geometry(main, crop_px, image_size_px)
    cut = Cut(crop, factor, "sum" if main.units == "nanomaggy" else "mean")
    own = building is None
    building = folder / "blocks" if own else building
    building.mkdir(exist_ok=True)
    n_all, small = sum(s.n for s in sources), (len(main.bands), image_size_px, image_size_px)
    check_room(building, n_all, small)
    files = [
        file
        for k, source in enumerate(sources)
        for file in write_blocks(source, building, cut, workers, pool, prefix=f"{k}-")
    ]
    raw = Blocks(files)
    catalog = raw.catalog
    is_main = np.arange(len(catalog)) < main.n
    given = "split" in catalog.colnames
    catalog["split"] = _given_splits(catalog, is_main, test_split, main.facts)
    found = duplicates(raw, catalog, flux=main.units == "nanomaggy")
    stay = np.ones(len(catalog), dtype=bool)
    stay[np.concatenate(list(found.values()))] = False
    carve = stay & is_main
    catalog["split"][carve], by = assign_splits(catalog[carve], val_fraction, test_fraction)
    spare = _beyond(catalog, np.flatnonzero(stay & (catalog["split"] == "train")), n_galaxies)
    stay[spare] = False
    images = _write_rows(folder / "images.npy", raw, np.flatnonzero(stay))
    if own:
        shutil.rmtree(building)
    catalog = catalog[stay]
    cuts = {
        "read": len(is_main),
        "read_unlabelled": int((~is_main).sum()),
        "duplicates": {reason: len(dropped) for reason, dropped in found.items()},
        "beyond_n_galaxies": len(spare),
    }
    card = {
        **_describe(sources),
        "arcsec_per_pixel": main.arcsec_per_pixel and main.arcsec_per_pixel * factor,
        "raw_stamp_px": main.stamp[-1],
        "crop_px": crop,
        "image_size_px": image_size_px,
        "binning": f"{factor}x{factor}, {cut.how}",
        "counts": _count(catalog),
        "cuts": cuts,
        "splits": ("the catalogue's, a missing one " if given else "")
        + f"carved by hash of the {by}",
        "sky_rms": sky_rms(images[np.flatnonzero(catalog["split"] == "train")[:4000]], main.units),
        **card,
    }
    return GalaxySet(images, catalog, write_catalog_and_card(folder, catalog, card))


def _geometry(source: Source, crop_px: int, image_size_px: int) -> tuple[int, int]:
    """Return the size of the crop and how many of its pixels make one, on a side."""
    raw = source.stamp[-1]
    crop = crop_px or raw
    if crop > raw or crop % image_size_px:
        whole = raw // image_size_px * image_size_px
        hint = f"such as crop_px={whole}" if whole else f"and image_size_px of at most {raw}"
        raise ValueError(
            f"crop_px: got {crop_px} for stamps of {raw} pixels and image_size_px {image_size_px}, "
            f"expected a multiple of image_size_px within the stamp, {hint}"
        )
    return crop, crop // image_size_px


def _given_splits(catalog: Table, is_main: np.ndarray, test_split: str, facts: dict) -> np.ndarray:
    """Return the split that the catalogue gives, "train" where it gives none."""
    split = np.full(len(catalog), "", dtype="U5")
    if "split" in catalog.colnames:
        split = np.where(is_main, catalog["split"], "")
    if test_split:
        names = sorted(set(split.tolist()) - {""})
        choice("test_split", test_split, names or ["'' (the catalogue has no split)"])
        if test_split != "test" and "test" in names:
            raise ValueError(
                f"test_split: got {test_split!r}, but the catalogue has its own 'test': rename one"
            )
        split = np.where(split == test_split, "test", split)
    if (wrong := ~np.isin(split, ("", *SPLITS))).any():
        file, word = facts["catalog_path"], str(split[np.argmax(wrong)])
        row = int(np.argmax(read_catalog(file)["split"] == word)) + 1  # the file has its own order
        raise ValueError(
            f"{file}, row {row}: got split {word!r}, expected train, val, test or nothing (train); "
            "the parameter test_split can name another test set"
        )
    return np.where(split == "", "train", split).astype("U5")


def _beyond(catalog: Table, train: np.ndarray, n_galaxies: int) -> np.ndarray:
    """Return the training rows beyond the number asked for, in the order of a hash of the id."""
    if not len(train):
        raise ValueError(
            f"no training galaxy among {len(catalog)}: give more galaxies, or rows with split train"
        )
    order = np.argsort(hash_unit(catalog["id"][train]), kind="stable")
    return train[order[n_galaxies:]] if n_galaxies else train[:0]


def _write_rows(file: Path, images: Blocks, rows: np.ndarray) -> np.ndarray:
    """Write some of the stamps to a .npy, a few at a time; return it memory-mapped."""
    descr = np.lib.format.dtype_to_descr(np.dtype(np.float16))
    header = {"descr": descr, "fortran_order": False, "shape": (len(rows), *images.shape[1:])}
    with open(file, "wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for some in np.array_split(rows, len(rows) // AT_ONCE + 1):
            out.write(images[some].tobytes())
    return np.load(file, mmap_mode="r")


def sky_rms(images: np.ndarray, units: str) -> list[float]:
    """Return the robust rms of the sky in each band, from the border of at most 4000 stamps.

    The median absolute deviation times 1.4826 ignores the few borders that hold a star. The floor
    keeps blank skies (a JPEG's black, a noiseless model) from being zero.

    >>> noise = np.random.default_rng(0).normal(0, 0.03, size=(500, 3, 32, 32))
    >>> [round(rms, 3) for rms in sky_rms(noise, "nanomaggy")]
    [0.03, 0.03, 0.03]
    """
    rows = np.unique(np.linspace(0, len(images) - 1, 4000).astype(int))
    border = np.ones(images.shape[2:], dtype=bool)
    border[2:-2, 2:-2] = False
    pixels = (
        images[rows].astype(np.float32)[:, :, border].swapaxes(0, 1).reshape(images.shape[1], -1)
    )
    deviation = np.abs(pixels - np.median(pixels, axis=1, keepdims=True))
    floor = 1e-6 if units == "nanomaggy" else 1 / 255 / np.sqrt(12)  # of rounding to 1/255
    return [max(float(rms), floor) for rms in 1.4826 * np.median(deviation, axis=1)]


def _describe(sources: list[Source]) -> dict:
    """Return what the card says of where the galaxies come from, and the warnings due."""
    main, simulated = sources[0], sources[0].name == "SIMULATED"
    notes = ["SIMULATED galaxies: nothing here was observed."] if simulated else []
    notes += [DISPLAY_NOTE] if main.units == "display" else []
    names = [
        f"{'/'.join(Path(s.facts['path']).parts[-2:])} ({s.name})" if "path" in s.facts else s.name
        for s in sources
    ]
    return {
        "source": " + ".join(names),
        "simulated": simulated,
        "notes": notes,
        "units": main.units,
        "bands": list(main.bands),
        "facts": [s.facts for s in sources],
    }


def _count(catalog: Table) -> dict:
    """Return how many galaxies there are, by split and by type."""
    split, label = np.asarray(catalog["split"]), np.asarray(catalog["label"])
    types = {"early": 0, "late": 1, "unknown": -1}
    labelled = {f"{name}_labelled": int(((split == name) & (label >= 0)).sum()) for name in SPLITS}
    counts = {name: int((split == name).sum()) for name in SPLITS}
    counts |= {name: int((label == value).sum()) for name, value in types.items()}
    return {"galaxies": len(catalog), **counts, **labelled}
