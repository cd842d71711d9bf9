"""Share among tests a small simulated set, and one run of the profile ``smoke`` with its book."""

import sys
from pathlib import Path

import jupytext
import numpy as np
import pytest
import yaml
from astropy.table import Table, vstack
from xdist.scheduler import LoadFileScheduling

from galclr_utils import GalaxySet, simulate
from galclr_utils.dataset import bin_pixels

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ("tests/test_book.py", "tests/test_notebooks.py", "tests/test_unlabelled.py")
SMOKE = yaml.safe_load((ROOT / "notebooks" / "profiles" / "smoke.yml").read_text())
sys.path.insert(0, str(ROOT / "book"))  # the driver is a script beside the pages


class ByFile(LoadFileScheduling):
    """Keep a file in one process, and in one process all that execute chapters: they take longest,
    and most share the run ``smoke``.
    """

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return "chapters" if file in CHAPTERS else file


def pytest_xdist_make_scheduler(config, log):
    """Hand the tests out to processes, where there are several (``pytest -n 2``)."""
    return ByFile(config, log)


def blobs(n=240, size=16, seed=0):
    """Round (early) and stretched (late) blobs on noise, half of each; the last third is test."""
    random = np.random.default_rng(seed)
    label = np.arange(n) % 2
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    angle = random.uniform(0, np.pi, n)[:, None, None]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    axis_ratio = np.where(label == 1, 0.3, 1.0)[:, None, None]
    blobs = np.exp(-0.5 * (along**2 + (across / axis_ratio) ** 2) / 3**2)
    images = 0.7 * np.repeat(blobs[:, None], 3, axis=1) + 0.05 * random.normal(
        size=(n, 3, size, size)
    )
    split = np.where(np.arange(n) < 2 * n // 3, "train", "test")
    catalog = Table({"id": np.arange(n).astype(str), "label": label, "split": split})
    catalog["g_r"], catalog["r_i"] = 0.8 - 0.3 * label, 0.4 - 0.1 * label
    card = {"units": "display", "bands": ["g", "r", "i"]}
    return GalaxySet(np.clip(images, 0, 1).astype(np.float16), catalog, card)


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


def execute_here(chapter, **values):
    """Execute the cells of a chapter in this process: no kernel is started, nothing is shown.

    The values replace those of its parameters that have these names.
    """
    names = {}
    for cell in jupytext.read(ROOT / "notebooks" / f"{chapter}.py").cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, chapter, "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names.update({name: value for name, value in values.items() if name in names})


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
