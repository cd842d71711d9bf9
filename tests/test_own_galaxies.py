"""The commands of the page "Your own galaxies", run as they stand there."""

import re
import shlex
import subprocess
import sys

import h5py
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from conftest import ROOT
from PIL import Image

from galclr_utils import GalaxySet

PAGE = (ROOT / "book" / "own_galaxies.md").read_text()
COMMANDS = re.findall(r"```bash\n(\.venv/bin/papermill notebooks/01_data.*?)```", PAGE, re.DOTALL)
N = 60


@pytest.fixture(scope="module")
def data(galaxies, tmp_path_factory):
    """Write the same galaxies as arrays, as pictures and as FITS, with one catalogue."""
    folder = tmp_path_factory.mktemp("data")
    stamps, rows = galaxies.images[:N].astype("f4"), galaxies.catalog[:N]
    ids = [f"g{k:03d}" for k in range(N)]
    labels = np.where(rows["label"] == 1, "late", "early")
    Table({"id": ids, "label": labels, "g_r": rows["g_r"]}).write(folder / "catalog.csv")
    np.savez(folder / "stamps.npz", images=stamps, id=np.array(ids))
    with h5py.File(folder / "galaxies.h5", "w") as file:
        file["images"], file["id"] = stamps, ids
    (folder / "pictures").mkdir()
    (folder / "fits").mkdir()
    for name, stamp in zip(ids, stamps, strict=True):
        red_green_blue = np.uint8(np.clip(stamp[::-1] * 50, 0, 255)).transpose(1, 2, 0)
        Image.fromarray(red_green_blue).save(folder / "pictures" / f"{name}.png")
        for band, pixels in zip("gri", stamp, strict=True):
            header = fits.Header({"BUNIT": "nanomaggy", "FILTER": band, "PIXSCALE": 0.396})
            fits.writeto(folder / "fits" / f"{name}-{band}.fits", pixels.astype(">f4"), header)
    return folder


def test_the_page_has_four_commands():
    assert [re.search(r"source (\w+)", c).group(1) for c in COMMANDS] == [
        "arrays",
        "pictures",
        "fits",
        "hdf5",
    ]


@pytest.mark.parametrize(
    "command",
    [COMMANDS[0], *(pytest.param(command, marks=pytest.mark.slow) for command in COMMANDS[1:])],
    ids=["arrays", "pictures", "fits", "hdf5"],
)
def test_a_command_of_the_page_makes_a_data_set(command, data, tmp_path):
    command = command.replace("\\\n", " ").replace("/data/", f"{data}/")
    command = command.replace("runs/mine", str(tmp_path / "mine"))
    words = shlex.split(command.replace("out_01.ipynb", str(tmp_path / "out.ipynb")))
    program = [sys.executable, "-m", "papermill"]
    done = subprocess.run([*program, *words[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    galaxies = GalaxySet.load(tmp_path / "mine" / "dataset")
    assert len(galaxies) == N and set(galaxies.labels) == {0, 1}
    assert galaxies.card["units"] == ("display" if "pictures" in words else "nanomaggy")
    # blue to red: a galaxy is brighter in i than in g
    means = galaxies.images.astype("f4").mean(axis=(0, 2, 3))
    assert means[0] < means[2]
