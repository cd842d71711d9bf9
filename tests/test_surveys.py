"""Encoders change sets: each meets the other's galaxies in its own range of pictures."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, surveys
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.normalize import Normalize
from galclr_utils.pretrain import pretrain
from galclr_utils.studies import read_study


def make_run(folder, galaxies):
    galaxies.save(folder / "dataset")
    views = GalaxyViews.for_set(galaxies)
    pretrain(folder, views, epochs=1, batch_size=32, precision="32-true")
    return folder


@pytest.fixture(scope="module")
def runs(galaxies, tmp_path_factory):
    """A simulated survey, and pictures of other galaxies of it in display units."""
    folder = tmp_path_factory.mktemp("surveys")
    rows = np.arange(len(galaxies)) % 2 == 0
    flux = GalaxySet(galaxies.images[rows], galaxies.catalog[rows], galaxies.card)
    shown = np.clip(galaxies.images[~rows].astype("f4") / 5, 0, 1).astype("f2")
    card = galaxies.card | {"units": "display", "sky_rms": [0.01] * 3}
    pictures = GalaxySet(shown, galaxies.catalog[~rows], card)
    sets = {"flux": flux, "pictures": pictures}
    return {name: make_run(folder / name, own) for name, own in sets.items()}


def test_two_runs_are_exchanged_both_ways_with_both_labels(runs, tmp_path):
    few = {"n_labels": 20, "n_draws": 2, "n_test": 30}
    tables, record = read_study(surveys.store_exchange(tmp_path / "study", runs, **few))
    table = tables["exchange"]
    assert record["caption"] == "Sets: flux: SIMULATED galaxies; pictures: SIMULATED galaxies."
    encoders = {"SimCLR, flux", "SimCLR, pictures"}
    encoders |= {"random weights, flux", "random weights, pictures"}
    assert set(table["encoder"]) == encoders and len(table) == 4 * 2 * 2
    keys = {tuple(row) for row in table["encoder", "labels", "tested"]}
    assert len(keys) == len(table) and set(table["n_labels"]) == {20}
    assert ((0 <= table["balanced_accuracy"]) & (table["balanced_accuracy"] <= 1)).all()
    cost = {(r["encoder"], r["tested"]): r["mean"] for r in tables["cost"]}
    for encoder in encoders:  # what it costs is the difference of two rows
        of = {
            (r["labels"], r["tested"]): r["balanced_accuracy"]
            for r in table
            if r["encoder"] == encoder
        }
        lost = of["pictures", "flux"] - of["flux", "flux"]
        assert cost[encoder, "flux"] == pytest.approx(lost, abs=1e-6)
    of = {
        (r["encoder"], r["tested"]): r["balanced_accuracy"]
        for r in table[table["labels"] == table["tested"]]
    }
    assert len(tables["encoders"]) == 4
    for row in tables["encoders"]:
        gap = of[row["a"], row["tested"]] - of[row["b"], row["tested"]]
        assert row["mean"] == pytest.approx(gap, abs=1e-6) and row["low"] <= row["high"]
        assert row["tested"] in row["b"] and row["tested"] not in row["a"]


def test_a_set_without_labels_or_a_single_run_is_refused(runs, tmp_path):
    with pytest.raises(ValueError, match="expected two"):
        surveys.exchange({"flux": runs["flux"]})
    blank = GalaxySet.load(runs["flux"] / "dataset")
    blank.catalog["label"] = np.int8(-1)
    folder = make_run(tmp_path / "blank", blank)
    with pytest.raises(ValueError, match="train: got 0 labels"):
        surveys.exchange({"a": runs["pictures"], "b": folder}, n_labels=20)


def test_pictures_are_brought_to_the_other_sets_sky_and_bright_end():
    random = np.random.default_rng(0)
    images = random.uniform(0.2, 0.4, (300, 3, 16, 16)).astype("f4")
    catalog = Table({"id": np.arange(300).astype(str), "label": [0] * 300})
    catalog["split"] = "train"
    card = {"units": "display", "bands": ["g", "r", "i"]}
    own = surveys.picture_range(GalaxySet(images, catalog, card), Normalize("identity"))
    assert own == pytest.approx((0.3, 0.4), abs=0.01)
    changed = surveys.adapted(images, Normalize("identity"), own, (0.1, 0.9))
    assert np.median(changed) == pytest.approx(0.1, abs=0.05)
    assert np.quantile(changed, 0.995) == pytest.approx(0.9, abs=0.02)
    same = surveys.adapted(images, Normalize("identity"), own, own)
    assert np.allclose(same, images, atol=1e-6), "its own range changes nothing"
