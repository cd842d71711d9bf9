"""Write a set to disk block by block: by any number of processes or machines, and to be resumed.

What a block holds depends on its source and its number alone, and its file is written whole or not
at all. So it does not matter who makes a block, or when, or whether somebody was killed before:
the same files lie there in the end. One function, `write_block`, makes one. Processes of this
machine call it, or the workers of a Dask cluster, whose scheduler is theirs and not ours.
"""

# N galaxies, n of them in a block, C bands, H, W pixels

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.table import Table, vstack
from filelock import FileLock

from galclr_utils.dataset import Source, bin_pixels, centre_crop, plain_table
from galclr_utils.downloads import FULL, check_space, disk_full
from galclr_utils.provenance import progress, whole_file
from galclr_utils.workers import cores, in_order

HIGHEST = 65504  # float16


class Cut(NamedTuple):
    """Say what becomes of a raw stamp: its central pixels, and ``factor`` by ``factor`` to one.

    Attributes:
        crop: side in raw pixels. factor: divides it. how: ``"sum"`` or ``"mean"``.
    """

    crop: int
    factor: int
    how: str


class Blocks:
    """Read stamps of written blocks by their rows, as from one array, a block at a time.

    Attributes:
        catalog: N rows, in the order of the files.
        shape: (N, C, H, W); stamps are float16.
    """

    def __init__(self, files: list[Path]):
        rows = [_read(file, "rows") for file in files]
        self.files, self.ends = files, np.cumsum([len(some) for some in rows])
        alike = itertools.groupby(rows, key=lambda some: some.dtype.names)  # as of one source
        tables = [Table(np.concatenate(list(some))) for _, some in alike]
        self.catalog = plain_table(vstack(tables, metadata_conflicts="silent"))
        self.shape = (len(self.catalog), *_read(files[0], "images").shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows) -> np.ndarray:
        """Return stamps, float16; rows in rising order cost least: each block is read once."""
        rows = np.arange(len(self))[rows]
        which = np.searchsorted(self.ends, rows, side="right")
        stamps = np.empty((len(rows), *self.shape[1:]), np.float16)
        for k in np.unique(which):
            images = _read(self.files[k], "images")
            here = np.flatnonzero(which == k)
            stamps[here] = images[rows[here] - (self.ends[k] - len(images))]
        return stamps


def _read(file: Path, name: str) -> np.ndarray:
    """Return an array of a block; the file's checksum is compared on the way."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return arrays[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise OSError(
            errno.EIO,
            f"{file}: a block that was whole cannot be read ({error}): start again, and it is "
            "made anew",
        ) from error


def is_whole(file: Path) -> bool:
    """Tell whether a block is there and its bytes are what was written (CRC-32)."""
    try:
        with zipfile.ZipFile(file) as arrays:
            return arrays.testzip() is None
    except (OSError, EOFError, zipfile.BadZipFile):
        return False


def write_block(recipe: tuple, k: int, file: Path, cut: Cut) -> None:
    """Write block k of a source, cropped and binned, unless it is there whole.

    Args:
        recipe: of the source; it is opened once in a process.
        k: number of the block, from 0.
        file: .npz to write: ``images`` float16 (n, C, H, W) and ``rows``.
        cut: what becomes of a stamp.

    >>> import tempfile
    >>> from galclr_utils import simulate
    >>> file = Path(tempfile.mkdtemp()) / "0.npz"
    >>> write_block((simulate.survey, 100, 0), 0, file, Cut(64, 2, "sum"))
    >>> Blocks([file]).shape
    (100, 3, 32, 32)
    """
    if not is_whole(file):
        _write(file, *_opened(recipe).block(k), cut)


@functools.lru_cache(maxsize=2)
def _opened(recipe: tuple) -> Source:
    """Open a source by its recipe, once in each process."""
    function, *arguments = recipe
    return function(*arguments)


def _write(file: Path, images: np.ndarray, rows: Table, cut: Cut) -> None:
    """Write a block: stamps cropped, binned and in half precision, and their rows."""
    small = bin_pixels(centre_crop(images, cut.crop), cut.factor, cut.how)
    highest = np.abs(small).max(axis=(1, 2, 3))
    k = int(highest.argmax())
    if highest[k] > HIGHEST:
        raise ValueError(
            f"id {rows['id'][k]!s}: a binned pixel has {highest[k]:.3g} nanomaggies, more than "
            f"float16 holds ({HIGHEST}): are these counts?"
        )
    with whole_file(file) as part:
        arrays = {"images": small.astype(np.float16), "rows": plain_table(rows).as_array()}
        np.savez(part, allow_pickle=False, **arrays)


def write_blocks(
    source: Source, folder: Path, cut: Cut, workers: int = 0, pool=None, prefix: str = ""
) -> list[Path]:
    """Write all blocks of a source that are not there yet, by processes or a cluster.

    Args:
        source: what is written. One without ``block`` (a compressed archive) is read in order, by
            this process.
        folder: where; an existing folder of this source and this cut alone, that all workers see.
        cut: what becomes of a stamp.
        workers: processes; 0 for one a core where galaxies are simulated, for this one alone where
            they are read. Others need ``if __name__ == "__main__":`` in a script.
        pool: instead of them a Dask client, or any executor of `concurrent.futures`.
        prefix: of the files' names: one for each source of a set.
    Returns:
        the files, in the order of the galaxies.
    Raises:
        ValueError: a block cannot be made of what the source holds.
        OSError: the disk is full, or a worker was killed; what was written stays for another time.
    """
    verb = "making" if source.name == "SIMULATED" else "reading"
    bar = functools.partial(progress, desc=f"{verb} {source.name}")
    if source.block is None:
        return list(bar(_in_sequence(source, folder, cut, prefix)))
    files = [folder / f"{prefix}{k:06d}.npz" for k in range(-(-source.n // source.block_size))]
    if source.name == "SIMULATED":
        workers = workers or (1 if len(files) < 3 else cores())  # they take a second to start
    if pool is None and (workers or 1) == 1:
        for k, file in enumerate(bar(files)):
            if not is_whole(file):
                _write(file, *source.block(k), cut)
        return files
    tasks = ((source.recipe, k, file, cut) for k, file in enumerate(files))
    for _ in bar(in_order(write_block, tasks, workers, pool), total=len(files)):
        pass
    return files


def _in_sequence(source: Source, folder: Path, cut: Cut, prefix: str) -> Iterator[Path]:
    """Write the blocks of a source that can only be read in order; yield their files."""
    for k, (images, rows) in enumerate(source.blocks()):
        file = folder / f"{prefix}{k:06d}.npz"
        if not is_whole(file):
            _write(file, images, rows, cut)
        yield file


@contextlib.contextmanager
def building(folder: Path, made_from: dict) -> Iterator[Path]:
    """Yield a folder for the blocks of a set: kept when its making is interrupted, else removed.

    It is called ``dataset.building-KEY``, and the key is a hash of what the set is made from. So
    blocks of other inputs are never taken, and are removed. Another process that makes a set in
    the same place is waited for.

    Args:
        folder: where the set goes.
        made_from: all that decides what is in a block.
    Raises:
        OSError: the disk is full; the blocks stay.
    """
    key = hashlib.sha256(json.dumps(made_from, sort_keys=True, default=str).encode()).hexdigest()
    where = folder.with_name(f"{folder.name}.building-{key[:16]}")
    lock = folder.with_name(f".{folder.name}.lock")
    with FileLock(lock):
        try:
            left = [*folder.parent.glob(f"{folder.name}.building-*")]
            left += folder.parent.glob(f".{folder.name}.*.part")  # of `whole_folder`, when killed
            for other in left:
                if other != where:
                    shutil.rmtree(other, ignore_errors=True)
            where.mkdir(exist_ok=True)
            yield where
        except ValueError:  # mended inputs are other inputs
            shutil.rmtree(where, ignore_errors=True)
            raise
        except OSError as error:
            if error.errno in FULL and error.strerror == os.strerror(error.errno):  # the system's
                raise disk_full(where) from error
            raise
        else:
            shutil.rmtree(where, ignore_errors=True)
        finally:
            with contextlib.suppress(OSError):  # on Windows another may hold it open
                lock.unlink(missing_ok=True)


def check_room(folder: Path, n: int, shape: tuple) -> None:
    """Raise OSError unless a set fits on the disk twice: in blocks, and then as one array.

    Args:
        folder: of the blocks; what lies there already needs no room.
        n: number of galaxies. shape: of a binned stamp, (C, H, W).
    """
    there = sum(file.stat().st_size for file in folder.glob("*.npz"))
    check_space(folder, 2 * 2 * n * int(np.prod(shape)) - there)
