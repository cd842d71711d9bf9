"""The figures say in words what they show, and what is only bounded is shown to be."""

from itertools import pairwise

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import efficiency
from galclr_utils.dataset import GalaxySet

HERO, TAUGHT = "SimCLR + fully connected", "supervised CNN"
CARD = {"units": "display", "bands": ["g", "r", "i"], "simulated": True, "source": "SIMULATED"}
BUDGETS = (10, 100, 1000)


def summary(methods, n_seeds=1):
    rows = [
        (m, n, 0.6 + 0.1 * k + 0.01 * place, n_seeds, 2 * n_seeds)
        for place, m in enumerate(methods)
        for k, n in enumerate(BUDGETS)
    ]
    names = ("method", "n_labels", "balanced_accuracy", "n_seeds", "n_runs")
    table = Table(rows=rows, names=names)
    table["balanced_accuracy_low"] = table["balanced_accuracy"] - 0.02
    table["balanced_accuracy_high"] = table["balanced_accuracy"] + 0.02
    return table


def found(saving=4.0, low=2.0, high=8.0, bound="crossed", method=HERO):
    result = {"method": method, "reference": TAUGHT, "share": 0.97, "saving": saving, "low": low}
    result |= {"high": high, "bound": bound, "target": 0.75, "n_method": 50.0}
    result |= {"n_reference": 200.0, "at_least": 0.25, "at_most": 0.0, "unknown": 0.0}
    return result | {"n_seeds": 1, "n_runs": 2, "n_galaxies": 100}


def texts(axis):
    return [text.get_text() for text in axis.texts]


METHODS = [HERO, "SimCLR + logistic", "SimCLR fine-tuned", "MoCo + logistic", TAUGHT, "majority"]
METHODS += ["PCA-64 + SVM", "catalogue + SVM", "random weights + logistic", "colour + logistic"]


def test_learned_methods_stand_above_and_the_rest_below():
    plate = efficiency.label_curves(summary(METHODS), CARD, HERO)
    above, below = plate.figure.axes
    assert set(texts(above)) == set(METHODS[:5])
    assert set(texts(below)) == {*METHODS[6:], HERO, TAUGHT}
    assert "majority" not in plate.alt and "fine-tuned 0.620 with 10, 0.720 with 100" in plate.alt
    assert plate.caption.endswith("SIMULATED galaxies.") and "up to 2 label draws" in plate.caption
    assert "one pretraining seed, so that" in plate.caption
    assert "3 pretraining seeds" in efficiency.label_curves(summary(METHODS, 3), CARD, HERO).caption


def test_one_kind_of_methods_needs_one_panel():
    plate = efficiency.label_curves(summary([HERO, TAUGHT]), CARD, HERO, "fig-other", "Stored.")
    assert len(plate.figure.axes) == 1 and plate.name == "fig-other" and "Stored." in plate.caption


@pytest.mark.parametrize("n", [2, 9, 12])
def test_names_at_the_ends_of_curves_do_not_touch(n):
    methods = [f"SimCLR {k}" for k in range(n)]
    table = summary(methods)
    table["balanced_accuracy"] = 0.8  # all curves end in one point
    axis = efficiency.label_curves(table, CARD, "SimCLR 0").figure.axes[0]
    axis.figure.draw_without_rendering()
    boxes = sorted((t.get_window_extent() for t in axis.texts), key=lambda box: box.y0)
    assert len(boxes) == n
    assert all(a.y1 <= b.y0 + 0.5 for a, b in pairwise(boxes))


def test_the_saving_is_told_in_figure_caption_and_alt():
    plate = efficiency.saving_picture(summary([HERO, TAUGHT]), found(), CARD)
    assert any("4.0× [2.0, 8.0]" in text for text in texts(plate.figure.axes[0]))
    assert "97% of the best" in plate.caption and "25% at least" in plate.caption
    assert "reaches 0.750 with 200 labels" in plate.alt and "4.0 [2.0, 8.0]" in plate.alt


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (found(4, 2, np.inf, "at least"), "at least 4.0× [2.0, ∞)"),
        (found(0.2, 0, 0.5, "at most"), "at most 0.2× [0.0, 0.5]"),
        (found(np.nan, 0, np.inf, "unknown"), "of the best\nunknown"),
    ],
)
def test_bounds_are_drawn_and_said(case, words):
    plate = efficiency.saving_picture(summary([HERO, TAUGHT]), case, CARD)
    assert any(words in text for text in texts(plate.figure.axes[0]))
    assert plate.png()[:4] == b"\x89PNG"
    plate = efficiency.savings(Table([case, case | {"share": 0.9}]), CARD)
    assert plate.png()[:4] == b"\x89PNG" and "at 97%" in plate.alt


def test_differences_are_counted_and_the_margin_is_said():
    pair = {"a": "MoCo + logistic", "b": "SimCLR + logistic", "n_seeds": 3}
    ends = [(10, -0.05, -0.01), (100, -0.01, 0.02), (1000, 0.01, 0.03)]
    pairs = [pair | {"n_labels": n, "low": a, "high": b, "mean": (a + b) / 2} for n, a, b in ends]
    plate = efficiency.differences_by_budget(pairs, CARD, margin=0.02)
    assert "Of 3 comparisons 1 are in favour of the method named first, 1 against" in plate.caption
    assert "±2 points" in plate.caption and "1000 labels +2.0 (+1.0 to +3.0)" in plate.alt
    two = efficiency.differences_by_budget(pairs + [p | {"a": "other"} for p in pairs], CARD)
    assert len(two.figure.axes) == 2 and "grey band" not in two.caption


def test_what_was_bought_is_shown_with_its_types():
    label = np.arange(40) % 2
    catalog = Table({"id": np.arange(40).astype(str), "label": label, "split": ["train"] * 40})
    galaxies = GalaxySet(np.zeros((40, 3, 8, 8), "f4"), catalog, CARD)
    chosen = {"random": np.arange(20), "typical": np.array([0, 2, 4, 1])}
    plate = efficiency.bought(galaxies, chosen, {"random": 0.7, "typical": 0.8}, columns=5)
    assert "random: 10 early, 10 late; balanced accuracy 0.700" in plate.alt
    assert "typical: 3 early, 1 late" in plate.alt and "4 or 20 galaxies" in plate.caption
