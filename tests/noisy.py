"""Offer stamps of noise to processes that are started for a test: a module that imports quickly."""

import os
import signal
import time
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils.blocks import Blocks, Cut, building, write_blocks
from galclr_utils.dataset import Source
from galclr_utils.provenance import whole_folder

CUT = Cut(16, 2, "sum")


def noise(n=1000, size=100, seconds=0.0, journal="", fails="", side=16):
    """Offer n stamps of noise; each block waits, notes its number, and block 3 may fail."""

    def block(k):
        time.sleep(seconds)
        if journal:
            with open(journal, "a") as file:
                file.write(f"{k}\n")
        if k == 3 and fails == "value":
            raise ValueError("galaxy 3 is broken")
        if k == 3 and fails == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        rows, stamp = np.arange(k * size, min(n, (k + 1) * size)), (3, side, side)
        images = np.random.default_rng(k).standard_normal((len(rows), *stamp), np.float32)
        names, label = [f"g{row:06d}" for row in rows], (rows % 2).astype(np.int8)
        return images, Table({"id": names, "label": label, "z": rows / 1e4})

    recipe = (noise, n, size, seconds, journal, fails, side)
    blocks = {"block": block, "block_size": size, "recipe": recipe}
    blocks["blocks"] = lambda: map(block, range(-(-n // size)))
    return Source("noise", "nanomaggy", ("g", "r", "i"), None, n, (3, side, side), **blocks)


def write(folder, source, workers=1, pool=None):
    """Make a folder ``dataset`` of a source as `prepare` does, but for what follows the blocks."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with building(folder / "dataset", {}) as place:
        with whole_folder(folder / "dataset") as part:
            read = Blocks(write_blocks(source, place, CUT, workers, pool))
            np.save(part / "images.npy", read[:])
            read.catalog.write(part / "catalog.fits")
