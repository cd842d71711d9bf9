"""Read images that come as one array: .npz, .npy or .h5, in blocks, never in full."""

# N galaxies, n of them in a block, C bands, H, W pixels

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
from astropy.table import Table

from galclr_utils.catalogs import ID_NAMES, as_ids, match, read_catalog, reading
from galclr_utils.dataset import UNITS, Source, check_stamps

BANDS = ("g", "r", "i")
ARRAYS = (".npz", ".npy", ".h5", ".hdf5")


def arrays(
    images_path: str | Path, catalog_path: str | Path = "", units: str = "", prefix: str = ""
) -> Source:
    """Read images from one array (.npz, .npy or .h5), matched to a catalogue by id or by order.

    Args:
        images_path: a file with an array ``images`` (N, 3, H, W) in the order g, r, i, and perhaps
            its ids (``id``, ``objid``, ``dr7objid`` or ``galaxy_id``); or a folder that holds one
            file called ``images``. Without ids the order is the catalogue's.
        catalog_path: see `read_catalog`; "" for galaxies without labels.
        units: ``"nanomaggy"`` or ``"display"``; "" means display for uint8 (0..255 becomes 0..1)
            and nanomaggies for floats.
        prefix: begins the ids that are made up where there are none.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "images.npz"
    >>> np.savez(file, images=np.zeros((2, 3, 64, 64), np.uint8), objid=[11, 12])
    >>> source = arrays(file)
    >>> source.n, source.units, [rows["id"].tolist() for images, rows in source.blocks()]
    (2, 'display', [['11', '12']])
    """
    path = Path(images_path)
    if path.is_dir():
        found = [p for p in sorted(path.glob("images.*")) if p.suffix.lower() in ARRAYS]
        if len(found) != 1:
            raise ValueError(f"{path}: expected one file images.npz, .npy or .h5, got {len(found)}")
        path = found[0]
    shape, dtype, id_name, ids, pieces, piece = _open_array(path)
    images = np.broadcast_to(np.empty((), dtype), shape)  # a stand-in that has the shape alone
    check_stamps(images, len(BANDS), str(path))
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"{path}: got images of {dtype}, expected uint8 or float")
    allowed = ("display",) if dtype == np.uint8 else UNITS
    units = units or ("display" if dtype == np.uint8 else "nanomaggy")
    if units not in allowed:
        raise ValueError(f"units: got {units!r} for {dtype} in {path}, expected {allowed}")
    catalog = read_catalog(catalog_path, id_name) if str(catalog_path) else None
    if catalog is None:
        catalog = Table({"label": np.full(shape[0], -1, np.int8)})
    if ids is not None:
        ids = as_ids(ids, f"{path}: array {id_name!r}")
        if ids.shape != shape[:1]:
            raise ValueError(f"{path}: got {len(ids)} ids for {shape[0]} images")
    if ids is not None and "id" in catalog.colnames:
        catalog = match(ids, catalog, path, catalog_path)
    elif len(catalog) != shape[0]:
        raise ValueError(
            f"{path} has {shape[0]} images but {catalog_path} has {len(catalog)} rows, and they "
            f"cannot be matched by id: give both one of {', '.join(ID_NAMES)}"
        )
    elif "id" not in catalog.colnames:
        given = [f"{prefix}{path.parent.name}-{path.stem}-{k:07d}" for k in range(shape[0])]
        catalog.add_column(np.asarray(given if ids is None else ids), name="id", index=0)

    step = block_length(shape[1:])

    def ready(k: int, stored: np.ndarray) -> tuple[np.ndarray, Table]:
        start, rows = k * step, catalog[k * step : (k + 1) * step]
        pixels = stored.astype(np.float32) * np.float32(1 / 255 if dtype == np.uint8 else 1)
        check_pixels(pixels, rows["id"], units, lambda j, _: f"{path}, images[{start + j}]")
        return pixels, rows

    return Source(
        name="arrays",
        units=units,
        bands=BANDS,
        arcsec_per_pixel=None,
        n=shape[0],
        stamp=shape[1:],
        blocks=lambda: (ready(k, stored) for k, stored in enumerate(pieces())),
        facts={"path": str(path), "catalog_path": str(catalog_path)},
        block=piece and (lambda k: ready(k, piece(k * step, (k + 1) * step))),
        block_size=step,
        recipe=(arrays, str(path), str(catalog_path), units, prefix),
    )


def _open_array(path: Path) -> tuple:
    """Return (shape, dtype, name of the ids, ids) of an array file and two functions that read it.

    The first yields all blocks in order. The second returns stamps from one row to another; it is
    None for an npz, which is packed, and can only be unpacked from its beginning.
    """
    kind = path.suffix.lower()
    if kind not in ARRAYS:
        raise ValueError(f"{path}: expected a file in {', '.join(ARRAYS)}")
    id_name, ids = "", None
    with reading(path, "an array file"):
        if kind == ".npy":
            images = np.load(path, mmap_mode="r", allow_pickle=False)
            shape, dtype = images.shape, images.dtype
        elif kind == ".npz":
            with np.load(path, allow_pickle=False) as file:
                names = file.files
                id_name = next((name for name in ID_NAMES if name in names), "")
                ids = file[id_name] if id_name else None
            _expect_images(names)
            with _npz_images(path) as (_, shape, dtype):
                pass
        else:
            with h5py.File(path) as file:
                _expect_images(list(file))
                shape, dtype = file["images"].shape, file["images"].dtype
                id_name = next((name for name in ID_NAMES if name in file), "")
                ids = np.asarray(file[id_name]) if id_name else None
                ids = ids.astype("S") if ids is not None and ids.dtype.kind == "O" else ids
    step = block_length(shape[1:])

    def piece(start: int, stop: int) -> np.ndarray:
        with reading(path, "a complete array file"):
            if kind == ".npy":  # mapped anew: what was read of an open map would stay in memory
                return np.array(np.load(path, mmap_mode="r", allow_pickle=False)[start:stop])
            with h5py.File(path) as file:
                return file["images"][start:stop]

    def pieces():
        for start in range(0, shape[0], step):
            yield piece(start, start + step)

    def unpacked():
        with reading(path, "a complete array file"), _npz_images(path) as (stream, *_):
            size = int(np.prod(shape[1:])) * dtype.itemsize
            for start in range(0, shape[0], step):
                n = min(step, shape[0] - start)
                yield np.frombuffer(stream.read(n * size), dtype).reshape(n, *shape[1:])

    if kind == ".npz":
        return shape, dtype, id_name, ids, unpacked, None
    return shape, dtype, id_name, ids, pieces, piece


def _expect_images(names: list) -> None:
    if "images" not in names:
        raise KeyError(f"no array 'images' among {', '.join(names) or 'nothing'}")


@contextlib.contextmanager
def _npz_images(path: Path) -> Iterator[tuple]:
    """Open the array ``images`` in an npz: yield (stream at its first pixel, shape, dtype)."""
    with zipfile.ZipFile(path) as file, file.open("images.npy") as stream:
        header = {(1, 0): np.lib.format.read_array_header_1_0}
        read = header.get(np.lib.format.read_magic(stream), np.lib.format.read_array_header_2_0)
        shape, fortran, dtype = read(stream)
        if dtype.hasobject:
            raise ValueError("'images' holds Python objects (pickled), which are refused")
        if fortran:
            raise ValueError("'images' is in Fortran order: use np.ascontiguousarray(images)")
        yield stream, shape, dtype


def check_pixels(images: np.ndarray, ids, units: str, where: Callable[[int, int], str]) -> None:
    """Raise ValueError for a pixel that is no number, or not of these units.

    ``where(galaxy, band)`` names the place in the user's files.
    """
    low, high = (0, 1) if units == "display" else (-65504, 65504)
    with np.errstate(invalid="ignore"):
        wrong = ~((images >= low) & (images <= high))  # NaN is neither
    if wrong.any():
        galaxy, band, y, x = np.argwhere(wrong)[0]
        value = images[galaxy, band, y, x]
        what = "in [0, 1] (display units)" if units == "display" else "within float16 (nanomaggies)"
        raise ValueError(
            f"{where(int(galaxy), int(band))} (id {str(ids[galaxy])!r}): pixel ({y}, {x}) in band "
            f"{BANDS[band]} is {value}, expected a finite number {what}: mend or drop this galaxy"
        )


def block_length(stamp: tuple) -> int:
    """Return how many stamps to hold at a time: 64 MB of float32."""
    return max(1, 2**24 // int(np.prod(stamp)))
