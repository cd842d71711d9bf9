"""Share among tests a small simulated set, and one run of the profile ``smoke`` with its book."""

import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import vstack

from galclr_utils import GalaxySet, simulate
from galclr_utils.dataset import bin_pixels

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))  # the driver is a script beside the pages


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """Execute every notebook in seconds and build the book, every warning an error.

    Returns the folder that holds ``run/`` and ``_build/html/``.
    """
    import build

    folder = tmp_path_factory.mktemp("smoke")
    where = ["--run-dir", str(folder / "run"), "--output", str(folder)]
    assert build.main(["--profile", "smoke", *where]) == 0
    return folder


@pytest.fixture(scope="session")
def galaxies():
    """Make 384 SIMULATED galaxies, 32x32: 256 to train on, 64 for validation, 64 for test."""
    blocks = list(simulate.survey(384, seed=5, workers=1).blocks())
    images = np.concatenate([bin_pixels(images, 2, "sum") for images, _ in blocks])
    catalog = vstack([rows for _, rows in blocks])
    catalog["split"] = ["train"] * 256 + ["val"] * 64 + ["test"] * 64
    card = {
        "units": "nanomaggy",
        "bands": ["g", "r", "i"],
        "source": "SIMULATED",
        "simulated": True,
        "arcsec_per_pixel": 0.792,
        "sky_rms": [0.036, 0.060, 0.090],
        "label_scatter": 1.1,
    }
    return GalaxySet(images.astype(np.float16), catalog, card)


@pytest.fixture
def run(galaxies, tmp_path):
    """An empty run that holds the data set."""
    galaxies.save(tmp_path / "dataset")
    return tmp_path
