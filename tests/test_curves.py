"""Curves are told apart, and budgets that are near each other do not overlap."""

import matplotlib.pyplot as plt

from galclr_utils import curves

HERO, TAUGHT = "SimCLR + fully connected", "supervised CNN"


def test_methods_of_a_panel_differ_in_colour_and_marker():
    n = len(curves.OTHERS)  # more than any panel of the book has
    styles = curves.styles_of([HERO, TAUGHT, *(f"other {k}" for k in range(n))], HERO)
    assert n >= 10 and len({color for color, _, _ in styles.values()}) == n + 2
    assert len({marker for _, marker, _ in styles.values()}) == n + 2
    assert curves.GREY not in {color for color, _, _ in styles.values()}


def test_the_other_pretraining_has_the_same_colours_and_dashed_lines():
    kinds = ("fully connected", "logistic", "kNN")
    styles = curves.styles_of([f"{m} + {k}" for m in ("SimCLR", "MoCo") for k in kinds], HERO)
    for kind in kinds:
        (*own, line), (*other, dashed) = (styles[f"{m} + {kind}"] for m in ("SimCLR", "MoCo"))
        assert own == other and (line, dashed) == ("-", "--")


def test_budgets_too_near_to_be_written_are_marked_only():
    figure, axis = plt.subplots()
    axis.set_xscale("log")
    curves.budget_axis(axis, [10, 100, 5000, 6000, 10, 6000])
    assert axis.get_xticks().tolist() == [10, 100, 5000, 6000]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["10", "100", "", "6,000"]
    plt.close(figure)
