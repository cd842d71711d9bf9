"""The colour-blind arm differs from the other in its bands, and in nothing else."""

import numpy as np

from galclr_utils import arms
from galclr_utils.pretrain import pretrain
from galclr_utils.provenance import read_json
from galclr_utils.transforms import GalaxyViews


def test_the_arms_differ_in_their_bands_only(galaxies):
    colour, blind = (arms.arm(galaxies, 100, grey) for grey in (False, True))
    assert colour.catalog["id"].tolist() == blind.catalog["id"].tolist()
    assert (blind.labels == -1).all() and not len(blind.indices("test"))
    assert len(blind.indices("train")) == 100 and blind.images.shape[1] == 1
    mean = np.asarray(colour.images, np.float32).mean(axis=1)
    assert np.abs(blind.images[:, 0] - mean).max() < 0.01 * np.abs(mean).max()


def test_arms_are_pretrained_alike_and_kept(galaxies, run):
    views = GalaxyViews.for_set(galaxies, band_scaling=0.2)
    pretrain(run, views, epochs=1, batch_size=32, temperature=0.3, precision="32-true")
    encoders = arms.pretrain_arms(run, galaxies, 1, 64, seed=5, precision="32-true")
    assert {name: e.n_bands for name, e in encoders.items()} == {
        "colour arm": 3,
        "luminance arm": 1,
    }
    folders = [run / "audit" / name / "pretrain" for name in ("colour", "luminance")]
    records = [read_json(folder / "settings.json") for folder in folders]
    assert records[0]["settings"] == records[1]["settings"]
    assert records[0]["settings"]["temperature"] == 0.3 and records[0]["settings"]["seed"] == 5
    assert [r["views"]["band_scaling"] for r in records] == [0.2, 0.2]
    before = (folders[0] / "encoder.pt").stat().st_mtime_ns
    arms.pretrain_arms(run, galaxies, 1, 64, seed=5, precision="32-true")
    assert (folders[0] / "encoder.pt").stat().st_mtime_ns == before
    assert arms.pretrain_arms(run, galaxies, 0, 64) == {}
