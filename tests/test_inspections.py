"""Plates of the audit: texts come from the data, also where there is little of it."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import calibration, inspections, trust

CARD = {"units": "display", "bands": ["g", "r", "i"], "simulated": True}


ONCE = {"n_seeds": 1, "n_runs": 1}


def rows(groups, methods, **columns):
    pairs = [(g, m) for g in groups for m in methods]
    table = Table(rows=pairs, names=("group", "method"))
    mean = np.linspace(0.5, 0.9, len(pairs))
    for name, value in {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}.items():
        table[name] = value
    for name, value in (ONCE | columns).items():
        table[name] = value
    return table


@pytest.fixture(scope="module")
def made():
    """One plate of every kind."""
    groups, methods = ["red early", "blue late"], ["SimCLR + fully connected", "supervised CNN"]
    table = rows(groups, methods, n_galaxies=[12, 12, 34, 34])
    changed = rows(["as observed", "no colour"], methods)
    for name in ("mean", "low", "high"):
        changed["change" + {"mean": ""}.get(name, f"_{name}")] = changed[name] - 0.8
    steps = [(s, n, 0.1, -3.0) for s in ("zoom", "noise") for n in ("trained", "random weights")]
    steps[0] = ("zoom", "trained", 0.1, np.nan)
    labels = np.tile([0, 1], 50)
    p = np.where(labels == 1, 0.8, 0.3)[None] + np.linspace(-0.2, 0.15, 100)
    found = calibration.calibration(labels, p, [0], [0], 20)
    bins = rows(["x"], methods, centre=[1.0, 1.0])
    noisy = Table({"method": ["m", "n"], "labels": [0.8, 0.9], "truth": [0.85, 0.85]})
    noisy["gain_low"], noisy["gain_high"] = [0.01, -0.1], [0.1, -0.01]
    noisy["n_seeds"], noisy["n_runs"] = 1, [5, 1]
    for name in ("labels", "truth"):
        noisy[f"{name}_low"], noisy[f"{name}_high"] = noisy[name] - 0.02, noisy[name] + 0.02
    night = rows(["as observed", "x2"], methods, level=[1.0, 1.0, 2.0, 2.0])
    star = Table(rows=[("noise", 2.0, methods[0], 0.7, 0.6, 0.8)])
    star = Table(star, names=("axis", "level", "method", "mean", "low", "high"))
    moved = Table({"encoder": ["A"] * 2, "tested": ["a", "b"], "labels": ["a", "a"]})
    moved["n_labels"] = 100
    for end, value in {"": [0.9, 0.6], "_low": [0.8, 0.5], "_high": [0.95, 0.7]}.items():
        moved[f"balanced_accuracy{end}"] = value
    curve = {"m": calibration.risk_coverage(labels, p)}
    area = {"m": calibration.area_covered(labels, p, [0], [0], 20)}
    return {
        "groups": inspections.colour_groups(table, CARD, 0.65, "g − r of the catalogue"),
        "colour": inspections.without_colour(changed, CARD),
        "nuisances": inspections.nuisances(rows(["z", "ebv"], ["h", "PCA-64"]), CARD),
        "invariance": inspections.invariance(
            Table(rows=steps, names=("step", "network", "distance", "r2")), CARD
        ),
        "property": inspections.by_property({"mag_r": bins}, CARD),
        "reliability": trust.reliability(
            {"m": calibration.reliability(labels, p)}, {"m": found}, "90 labels", CARD
        ),
        "abstention": trust.abstention(curve, area, "90 labels", CARD),
        "truth": trust.truth(noisy, 0.93, CARD),
        "night": trust.degradation({"noise": night}, CARD, star),
        "exchange": trust.exchange(moved, "SIMULATED galaxies."),
    }


def test_every_plate_names_its_source_and_draws(made):
    for name, plate in made.items():
        assert plate.caption.endswith("SIMULATED galaxies."), name
        assert "nan" not in plate.caption + plate.alt, name
        assert len(plate.alt) > 40 and plate.png()
    assert len({plate.name for plate in made.values()}) == len(made)


def test_texts_come_from_the_data(made):
    assert "12 red early, 34 blue late" in made["groups"].caption
    assert "above 0.65" in made["groups"].caption
    assert "1 of 2 methods agree with the truth more often" in made["truth"].caption
    assert "1 less often" in made["truth"].caption and "0.930" in made["truth"].caption
    assert "label draws (one only for n) and one pretraining seed" in made["truth"].caption
    assert "probe re-fitted, 0.70" in made["night"].alt
    assert "lowest" in made["property"].alt and "r [mag]" in made["property"].alt


def test_a_coin_cannot_pull_the_invariance_axis_apart(made):
    right = made["invariance"].figure.axes[1]
    assert right.get_xlim()[0] > -0.5


def test_what_was_not_measured_is_said_to_be_so():
    table = rows(["z"], ["h"])
    table["mean"] = np.nan
    plate = inspections.nuisances(table, CARD)
    assert "not measured" in plate.alt and plate.png()


def test_methods_keep_their_colours_and_others_get_one():
    assert inspections.style_of("supervised CNN")[0] == "#000000"
    assert inspections.style_of("something new", 1) != inspections.style_of("something new", 2)
