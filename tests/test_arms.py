"""The colour-blind arm differs from the other in its bands, and in nothing else."""

import numpy as np
import pytest

from galclr_utils import GalaxySet, arms, studies
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.pretrain import pretrain
from galclr_utils.provenance import read_json


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


def test_arms_are_judged_with_the_same_labels_and_stored(galaxies, run, tmp_path):
    views = GalaxyViews.for_set(galaxies)
    pretrain(run, views, epochs=1, batch_size=64, precision="32-true")
    said = run / "embedding" / "settings.json"
    said.parent.mkdir()
    said.write_text('{"orientations": 1}')
    folder = arms.store_arms(tmp_path / "study", run, epochs=1, n_labels=100, n_draws=2)
    tables, record = studies.read_study(folder)
    own = tables["arms"]
    assert set(own["method"]) == {"colour arm", "luminance arm"} and set(own["n_runs"]) == {2}
    for name in ("colour arm", "luminance arm"):
        counts = {r["group"]: r["n_galaxies"] for r in own if r["method"] == name}
        assert counts.pop("all") == 64 == sum(counts.values()) and len(counts) == 4
    (gap,) = tables["gap"]
    assert (gap["a"], gap["b"], gap["n_labels"]) == ("colour arm", "luminance arm", 100)
    assert gap["low"] <= gap["mean"] <= gap["high"]
    assert "SIMULATED" in record["caption"] and "1 epochs on 256 galaxies" in record["caption"]


def test_the_blind_arm_sees_grey_stamps_and_the_other_does_not(galaxies):
    """Bands in another order are other colours, and the same mean."""
    encoders = {}
    for name, one_band in {"colour arm": False, "luminance arm": True}.items():
        normalize = GalaxyViews.for_set(arms.arm(galaxies, 64, one_band)).normalize
        encoders[name] = Encoder(normalize=normalize, n_bands=1 if one_band else 3)
    rows, images = (galaxies.labelled("train"), galaxies.labelled("test")), galaxies.images.copy()
    images[rows[1]] = images[rows[1], ::-1]
    other = GalaxySet(images, galaxies.catalog, galaxies.card)
    before, after = (
        arms.judge_arms(own, encoders, *rows, 100, 1, orientations=1)["arms"]["mean"][:2]
        for own in (galaxies, other)
    )
    assert before[1] == pytest.approx(after[1], abs=0.02)
    assert abs(before[0] - after[0]) > 0.1, "judged in colours that it has not learned from"
