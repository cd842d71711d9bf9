"""Make the stamps of a variant from those of the run: masked, cut otherwise, normalised first.

The galaxies stay the same, in the same order; only their pixels change. Test galaxies are left out
before anything else, so that no variant can be judged by them.
"""

# N galaxies that are not test, C bands, H, W pixels

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from galclr_utils import sources
from galclr_utils.assemble import sky_rms
from galclr_utils.dataset import GalaxySet, bin_pixels, centre_crop, data_key
from galclr_utils.masking import mask_neighbours
from galclr_utils.normalize import Normalize
from galclr_utils.provenance import whole_file


def without_test(galaxies: GalaxySet) -> GalaxySet:
    """Return the set without its test galaxies, in the same order.

    >>> from astropy.table import Table
    >>> catalog = Table({"id": ["a", "b"], "split": ["test", "val"], "label": [1, 0]})
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> len(without_test(GalaxySet(np.zeros((2, 3, 4, 4), np.float16), catalog, card)))
    1
    """
    rows = np.flatnonzero(np.asarray(galaxies.catalog["split"]) != "test")
    return GalaxySet(galaxies.images[rows], galaxies.catalog[rows], galaxies.card)


def make(kind: str, run: Path) -> GalaxySet:
    """Return the galaxies of a run that are not test, with the stamps of a kind.

    What takes long is kept in ``ablations/stamps/`` of the run and opened again.

    Args:
        kind: ``"base"``, ``"base minmax"`` (the same stamps), ``"masked"``, ``"normalised"``, or
            ``"cut W F"``: the central W raw pixels, binned by F.
        run: the run's folder, with ``dataset/``.
    Raises:
        ValueError: the data set does not say what it was made from, so that it cannot be cut anew.
    """
    base = GalaxySet.load(run / "dataset")
    kept = without_test(base)
    if kind in ("base", "base minmax"):
        return kept
    folder = run / "ablations" / "stamps" / kind.replace(" ", "-")
    key = data_key(base)
    if (folder / "card.json").exists():
        found = GalaxySet.load(folder)
        if found.card.get("derived_from") == key:
            return found
    if kind == "masked":
        rms = kept.card["sky_rms"]
        images, facts = mask_neighbours(kept.images, kept.catalog["id"], rms), {}
    elif kind == "normalised":
        images, facts = normalised(kept)
    else:
        _, wide, factor = kind.split()
        images, facts = cut(run, kept, int(wide), int(factor))
    card = {**kept.card, **facts, "derived_from": key, "derived": kind}
    GalaxySet(images.astype(np.float16), kept.catalog, card).save(folder)
    return GalaxySet.load(folder)


def normalised(galaxies: GalaxySet) -> tuple[np.ndarray, dict]:
    """Return stamps that are normalised already, as if they were pictures, and their sky."""
    train = galaxies.indices("train")
    normalize = Normalize.fit(galaxies.images[train[:2048]], "asinh", galaxies.card["sky_rms"])
    blocks = np.array_split(np.arange(len(galaxies)), len(galaxies) // 2048 + 1)
    stamps = [normalize(torch.from_numpy(galaxies.images[rows])).numpy() for rows in blocks]
    images = np.concatenate(stamps)
    return images, {"units": "display", "sky_rms": sky_rms(images[train[:4000]], "display")}


def cut(run: Path, galaxies: GalaxySet, wide: int, factor: int) -> tuple[np.ndarray, dict]:
    """Return stamps cut and binned from the raw ones, and what that changes on the card.

    The sky is measured on the border of the whole stamp: that of a tight one holds the galaxy.
    """
    raw = raw_stamps(run, galaxies)
    how = "sum" if galaxies.card["units"] == "nanomaggy" else "mean"
    rows = np.linspace(0, len(raw) - 1, min(4000, len(raw))).astype(int)
    side = raw.shape[-1] // factor * factor
    whole = bin_pixels(centre_crop(np.asarray(raw[rows], "f4"), side), factor, how)
    blocks = np.array_split(np.arange(len(raw)), len(raw) // 1024 + 1)
    small = [bin_pixels(centre_crop(np.asarray(raw[b], "f4"), wide), factor, how) for b in blocks]
    images = np.concatenate(small)
    before = galaxies.card["crop_px"] // galaxies.card["image_size_px"]
    scale = galaxies.card.get("arcsec_per_pixel")
    return images, {
        "sky_rms": sky_rms(whole, galaxies.card["units"]),
        "arcsec_per_pixel": scale and scale * factor / before,
        "crop_px": wide,
        "image_size_px": wide // factor,
    }


def raw_stamps(run: Path, galaxies: GalaxySet) -> np.ndarray:
    """Return the stamps of these galaxies before any crop or binning, from the original source.

    They are read once and kept in ``ablations/raw.npy``.
    """
    names = np.asarray(galaxies.catalog["id"], str)
    file, listed = run / "ablations" / "raw.npy", run / "ablations" / "raw.txt"
    if file.exists() and listed.exists() and listed.read_text().split("\n") == names.tolist():
        return np.load(file, mmap_mode="r")
    if not (asked := galaxies.card.get("made_from")):
        raise ValueError("the data set does not say what it was made from: it cannot be cut anew")
    row_of, side = {name: k for k, name in enumerate(names)}, galaxies.card["raw_stamp_px"]
    raw = np.zeros((len(names), galaxies.images.shape[1], side, side), np.float16)
    found = np.zeros(len(names), bool)
    for source in sources.open_all(asked, workers=1):
        for images, rows in source.blocks():
            own = [(row_of.get(str(name), -1), j) for j, name in enumerate(rows["id"])]
            here = np.array([(k, j) for k, j in own if k >= 0], int).reshape(-1, 2)
            raw[here[:, 0]], found[here[:, 0]] = images[here[:, 1]], True
    if not found.all():
        raise ValueError(f"the source has no galaxy {names[~found][0]!r} any more")
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as part:
        np.save(part, raw)
    listed.write_text("\n".join(names))
    return raw
