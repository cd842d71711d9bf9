"""Read images from HDF5: Galaxy10, and the layout of public bulk sets, in chunks, never in full.

The file holds ``images`` with bands first (N, C, H, W) or last (N, H, W, C), of 3 or 5 bands, and
beside them one value a galaxy in as many one-dimensional arrays as its authors liked: they become
columns of the catalogue.

Galaxy10 (Leung and Bovy; astroNN) holds pictures and, in ``ans``, one of ten shapes on which the
volunteers of Galaxy Zoo agreed. `SHAPES` says which of them is early or late. Its second edition is
from the DECaLS survey, whose bands are g, r and z.
"""

# N galaxies, n of them in a block, C bands, H, W pixels

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Table

from galclr_utils.arrays import BANDS, block_length, check_pixels
from galclr_utils.catalogs import (
    ID_NAMES,
    MISSING_BELOW,
    NUMBERS,
    OTHER_NAMES,
    as_ids,
    match,
    parse_labels,
    read_catalog,
    reading,
)
from galclr_utils.dataset import UNITS, Source, check_stamps, plain_table

ORDERS = {3: ("g", "r", "i"), 5: ("u", "g", "r", "i", "z")}  # where the file does not say
WANTED = (BANDS, ("g", "r", "z"))  # the second for DECaLS, which has no i
KINDS = "biufSO"  # what a column may hold: numbers and text
EARLY, LATE, UNKNOWN = 0, 1, -1
# Smooth is early, a spiral or an edge-on disc is late. A disc seen face-on without arms may be a
# lenticular, and a disturbed or merging galaxy may become anything: unknown.
SHAPES = {
    "Galaxy10 SDSS": (
        ("disc, face-on, no spiral", UNKNOWN),
        ("smooth, completely round", EARLY),
        ("smooth, in-between round", EARLY),
        ("smooth, cigar-shaped", EARLY),
        ("disc, edge-on, rounded bulge", LATE),
        ("disc, edge-on, boxy bulge", LATE),
        ("disc, edge-on, no bulge", LATE),
        ("disc, face-on, tight spiral", LATE),
        ("disc, face-on, medium spiral", LATE),
        ("disc, face-on, loose spiral", LATE),
    ),
    "Galaxy10 DECaLS": (
        ("disturbed", UNKNOWN),
        ("merging", UNKNOWN),
        ("round smooth", EARLY),
        ("in-between round smooth", EARLY),
        ("cigar-shaped smooth", EARLY),
        ("barred spiral", LATE),
        ("unbarred tight spiral", LATE),
        ("unbarred loose spiral", LATE),
        ("edge-on without bulge", LATE),
        ("edge-on with bulge", LATE),
    ),
}
EDITIONS = {69: "Galaxy10 SDSS", 256: "Galaxy10 DECaLS"}  # told by the size of their pictures


def hdf5(
    source_path: str | Path, catalog_path: str | Path = "", units: str = "", prefix: str = ""
) -> Source:
    """Read images and catalogue from one HDF5 file, of which a chunk at a time is in memory.

    Args:
        source_path: a file with ``images`` (N, C, H, W) or (N, H, W, C), uint8 or float, C 3 or 5.
            ``bands``, an attribute or a dataset, names the C bands; without it three are g, r, i
            and five u, g, r, i, z, except in pictures with bands last, which show red first:
            i, r, g. Of the bands g, r and i are taken, or g, r and z where there is no i.
            Datasets of length N become columns under the names of `catalogs`.
        catalog_path: see `catalogs.read_catalog`; "" for what the file itself holds. Matched by id,
            or by order where the file has no ids. Its columns replace the file's; its labels do if
            it has any.
        units: ``"nanomaggy"`` or ``"display"``; "" means display for uint8 (0..255 becomes 0..1)
            and nanomaggies for floats.
        prefix: begins the ids that are made up where there are none.
    Raises:
        ValueError: no such file, cut short, no ``images``, a shape that is none of these or more
            than one, unknown bands, columns that are no numbers, a catalogue that does not fit.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "Galaxy10.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["images"] = np.zeros((2, 69, 69, 3), np.uint8)
    ...     file["ans"] = np.uint8([1, 9])
    >>> source = hdf5(path)
    >>> source.stamp, source.units, [rows["label"].tolist() for images, rows in source.blocks()]
    ((3, 69, 69), 'display', [[0, 1]])
    """
    path = Path(source_path)
    with reading(path, "an HDF5 file with 'images'"), h5py.File(path) as file:
        if not isinstance(file.get("images"), h5py.Dataset):
            raise KeyError(f"no dataset 'images' among {', '.join(file) or 'nothing'}")
        shape, dtype = file["images"].shape, file["images"].dtype
        named = _named_bands(file)
        columns = {
            name: _values(data)
            for name, data in file.items()
            if isinstance(data, h5py.Dataset)
            and data.shape == shape[:1]
            and data.dtype.kind in KINDS
        }
        scale = file["images"].attrs.get("pxscale", file.attrs.get("pxscale"))
        chunk = file["images"].chunks[0] if file["images"].chunks else 1
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"{path}: got images of {dtype}, expected uint8 or float")
    allowed = ("display",) if dtype == np.uint8 else UNITS
    units = units or ("display" if dtype == np.uint8 else "nanomaggy")
    if units not in allowed:
        raise ValueError(f"units: got {units!r} for {dtype} in {path}, expected {allowed}")
    axis = band_axis(shape, len(named), str(path))
    edition = EDITIONS.get(shape[2], "") if "ans" in columns else ""
    bands = named or _usual_bands(shape[axis], axis == 3 and units == "display", edition)
    taken = next((some for some in WANTED if set(some) <= set(bands)), None)
    if taken is None:
        raise ValueError(f"{path}: got bands {', '.join(bands)}, expected g, r and i (or z)")
    stamp = (len(taken), *(size for k, size in enumerate(shape) if k not in (0, axis)))
    check_stamps(np.broadcast_to(np.float32(0), (shape[0], *stamp)), len(taken), str(path))
    catalog = _own_catalog(columns, shape[0], edition, path)
    if str(catalog_path):
        catalog = _with_catalog(catalog, catalog_path, path)
    if "id" not in catalog.colnames:
        made = [f"{prefix}{path.parent.name}-{path.stem}-{k:07d}" for k in range(shape[0])]
        catalog.add_column(made, name="id", index=0)
    where = [bands.index(band) for band in taken]

    def ready(start: int, piece: np.ndarray) -> tuple[np.ndarray, Table]:
        piece = piece.astype(np.float32) * np.float32(1 / 255 if dtype == np.uint8 else 1)
        rows = catalog[start : start + len(piece)]
        check_pixels(piece, rows["id"], units, lambda k, _: f"{path}, images[{start + k}]")
        return piece, rows

    length = block_length(stamp)
    step = max(chunk, length // chunk * chunk)

    def blocks(first: int = 0) -> Iterator[tuple[np.ndarray, Table]]:
        return itertools.starmap(ready, _pieces(path, axis, where, length, first))

    facts = {"path": str(path), "catalog_path": str(catalog_path), "bands_in_file": list(bands)}
    facts |= {"bands_named": bool(named)} | ({"collection": edition} if edition else {})
    return Source(
        name="galaxy10" if edition else "hdf5",
        units=units,
        bands=taken,
        arcsec_per_pixel=_scale(scale, columns),
        n=shape[0],
        stamp=stamp,
        blocks=blocks,
        facts=facts,
        # a chunk that is more than a block would be unpacked anew for each block in it
        block=(lambda k: next(blocks(k * step))) if chunk <= length else None,
        block_size=step,
        recipe=(hdf5, str(path), str(catalog_path), units, prefix),
    )


def band_axis(shape: tuple, n_named: int, name: str) -> int:
    """Return which axis of ``images`` holds the bands: 1 or 3.

    Args:
        shape: of ``images``.
        n_named: how many bands the file names; 0 if it names none.
        name: of the file, for the message.

    >>> band_axis((100, 69, 69, 3), 0, "Galaxy10.h5")
    3
    """
    counts = (n_named,) if n_named else tuple(ORDERS)
    expected = f"(N, C, H, W) or (N, H, W, C) with C = {' or '.join(map(str, counts))} bands"
    fits = [axis for axis in (1, 3) if len(shape) == 4 and shape[axis] in counts]
    square = [axis for axis in fits if shape[2] == shape[4 - axis]]  # H = W tells them apart
    fits = square or fits
    if not fits:
        raise ValueError(f"{name}: expected images {expected}, got {shape}")
    if len(fits) > 1:
        raise ValueError(
            f"{name}: expected images {expected}, got {shape}, where axis 1 and axis 3 may both be "
            "the bands: store stamps with more pixels than bands"
        )
    return fits[0]


def _usual_bands(n: int, red_first: bool, edition: str) -> tuple:
    """Return the bands of a file that does not name them."""
    bands = ("g", "r", "z") if edition == "Galaxy10 DECaLS" else ORDERS[n]
    return bands[::-1] if red_first and n == 3 else bands


def _named_bands(file: h5py.File) -> tuple:
    """Return the bands that the file names: ``"gri"``, ``"g,r,i"`` or a list; () if it does not."""
    found = file["images"].attrs.get("bands", file.attrs.get("bands"))
    if found is None and isinstance(file.get("bands"), h5py.Dataset):
        found = file["bands"][()]
    if found is None:
        return ()
    words = [w.decode() if isinstance(w, bytes) else str(w) for w in np.ravel(found)]
    words = re.split(r"[\s,;]+", words[0].strip()) if len(words) == 1 else words
    words = list(words[0]) if len(words) == 1 else words
    bands = tuple(word.strip().lower().split("_")[-1].split("-")[-1] for word in words)
    if len(set(bands)) < len(bands):
        raise ValueError(f"'bands' that repeat a name: {', '.join(bands)}")
    return bands


def _values(data: h5py.Dataset) -> np.ndarray:
    return data.asstr()[()] if h5py.check_string_dtype(data.dtype) else data[()]


def _own_catalog(columns: dict, n: int, edition: str, path: Path) -> Table:
    """Return what the file says of each galaxy, under the names of `catalogs`."""
    names = {name: OTHER_NAMES.get(name.lower(), name.lower()) for name in columns}
    if twice := [name for name, count in Counter(names.values()).items() if count > 1]:
        raise ValueError(f"{path}: more than one dataset means {twice[0]!r}: rename one of them")
    catalog = plain_table(Table({names[name]: values for name, values in columns.items()}))
    if own := next((name for name in ID_NAMES if name in catalog.colnames), ""):
        ids = as_ids(catalog[own], f"{path}: dataset {own!r}")
        catalog.remove_columns({own, "id"} & set(catalog.colnames))
        catalog.add_column(ids, name="id", index=0)
    for name in set(NUMBERS) & set(catalog.colnames):
        with reading(path, f"numbers in dataset {name!r}"):
            values = np.array(catalog[name], dtype=np.float64)
        values[values < MISSING_BELOW] = np.nan
        catalog[name] = values
    if "label" in catalog.colnames:
        catalog["label"] = parse_labels(catalog["label"], path)
    elif "ans" in catalog.colnames:
        catalog["label"] = _labels_of_shapes(np.asarray(catalog["ans"]), edition, path)
    else:
        catalog["label"] = np.full(n, UNKNOWN, np.int8)
    return catalog


def _labels_of_shapes(answers: np.ndarray, edition: str, path: Path) -> np.ndarray:
    """Return the labels of Galaxy10's shapes, by `SHAPES`."""
    if not edition:
        raise ValueError(
            f"{path}: got 'ans' beside pictures of an unknown size, expected Galaxy10 of "
            f"{' or '.join(map(str, EDITIONS))} pixels: store a dataset 'label' (0 early, 1 late, "
            "-1 unknown) beside it"
        )
    table = np.array([label for _, label in SHAPES[edition]], np.int8)
    if (wrong := ~np.isin(answers, np.arange(len(table)))).any():
        raise ValueError(f"{path}: got ans = {answers[wrong][0]}, expected 0 to {len(table) - 1}")
    return table[answers.astype(int)]


def _with_catalog(own: Table, catalog_path: str | Path, path: Path) -> Table:
    """Return the file's catalogue with the columns of a user's, matched by id or by order."""
    given = read_catalog(catalog_path)
    if "id" in own.colnames and "id" in given.colnames:
        given = match(own["id"], given, path, catalog_path)
    elif len(given) != len(own):
        raise ValueError(
            f"{path} has {len(own)} images but {catalog_path} has {len(given)} rows, and they "
            f"cannot be matched by id: give both one of {', '.join(ID_NAMES)}"
        )
    for name in given.colnames:
        if name != "label" or (given["label"] != UNKNOWN).any():
            own[name] = given[name]
    return own


def _pieces(path: Path, axis: int, where: list, block: int, first: int) -> Iterator[tuple]:
    """Yield blocks as stored: the row that each begins at, and its stamps in the bands wanted.

    They are (n, C, H, W), n at most ``block``, from row ``first`` on. Reads begin and end where the
    file's chunks do: a chunk that is cut in two is unpacked twice.
    """
    low, high = min(where), max(where) + 1
    bands = (slice(None),) * (axis - 1) + (slice(low, high),)
    pick = [k - low for k in where]
    with reading(path, "a complete HDF5 file"), h5py.File(path) as file:
        stored = file["images"]
        chunk = stored.chunks[0] if stored.chunks else 1
        step = max(chunk, block // chunk * chunk)
        for start in range(first, len(stored), step):
            read = stored[(slice(start, start + step), *bands)]
            for at in range(0, len(read), block):  # where one chunk is more than a block
                yield start + at, np.moveaxis(read[at : at + block], axis, 1)[:, pick]


def _scale(attribute, columns: dict) -> float | None:
    """Return arcsec per pixel if it is known and one for all."""
    values = np.ravel(columns.get("pxscale", [] if attribute is None else attribute))
    same = len(values) and np.all(np.abs(values - values[0]) <= 0.01 * values[0])
    return float(values[0]) if same else None
