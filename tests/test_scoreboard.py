import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, comparison, scoreboard
from galclr_utils.regression import Predictions
from galclr_utils.score_table import Scores

HERO = "SimCLR + fully connected"
CARD = {"units": "display", "bands": ["g", "r", "i"], "simulated": True}


def pair(rival, n_labels, low, high, n_seeds=1):
    found = {"a": HERO, "b": rival, "n_labels": n_labels, "n_seeds": n_seeds}
    return found | {"mean": (low + high) / 2, "low": low, "high": high}


@pytest.fixture(scope="module")
def galaxies():
    """Thirty test galaxies of every T-type."""
    catalog = Table({"id": [f"g{k}" for k in range(30)], "split": ["test"] * 30})
    catalog["ttype"] = np.linspace(-5, 8, 30)
    catalog["label"] = (catalog["ttype"] > 0).astype(int)
    return GalaxySet(np.zeros((30, 3, 4, 4), "f4"), catalog, CARD)


@pytest.fixture(scope="module")
def scores(galaxies):
    """Three methods; the supervised one was trained once with all labels."""
    layout = [(m, n, d) for m in ("majority", HERO) for n in (10, 100) for d in (0, 1)]
    layout += [("supervised CNN", 10, 0), ("supervised CNN", 10, 1), ("supervised CNN", 100, 0)]
    table = Table(rows=layout, names=("method", "n_labels", "draw"))
    table["seed"] = 0
    p_late = np.random.default_rng(0).random((len(table), 30), np.float32)
    p_late[table["method"] == "majority"] = 0.6
    return Scores(table, p_late, galaxies.labels, np.asarray(galaxies.catalog["id"], str))


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.1, 0.2, "better"),
        (-0.2, -0.1, "worse"),
        (-0.1, 0.1, "not distinguished"),
        (0.0, 0.1, "not distinguished"),
        (np.nan, np.nan, "not defined"),
    ],
)
def test_verdicts(low, high, word):
    assert scoreboard.verdict({"low": low, "high": high}) == word


def test_curves_leave_the_majority_to_the_caption_and_mark_single_runs(scores):
    plate = scoreboard.score_curves(comparison.summary(scores), CARD)
    drawn = {text.get_text() for text in plate.figure.legends[0].get_texts()}
    assert drawn == {HERO, "supervised CNN"}
    assert "majority, which knows nothing, has 0.5" in plate.caption
    assert "hollow marker is a single training" in plate.caption
    assert "up to 2 label draws" in plate.caption
    assert "what another seed would change is missing" in plate.caption


def test_without_single_runs_nothing_is_said_of_them(scores):
    table = comparison.summary(scores)
    assert "hollow" not in scoreboard.score_curves(table[table["n_runs"] > 1], CARD).caption


def test_differences_count_verdicts_and_stand_by_rival():
    pairs = [pair("PCA", 10, 0.1, 0.2), pair("PCA", 100, -0.1, 0.2), pair("CNN", 10, -0.3, -0.1)]
    plate = scoreboard.differences(pairs, CARD)
    assert (
        "1 are in favour" in plate.caption and "1 against it, and 1 are undecided" in plate.caption
    )
    axis = plate.figure.axes[0]
    assert [text.get_text() for text in axis.texts] == ["PCA", "CNN"]
    first, second, third = axis.get_yticks()
    assert third - second > second - first, "rivals are set apart"


def test_several_seeds_are_told():
    plate = scoreboard.differences([pair("PCA", 10, 0.1, 0.2, n_seeds=3)], CARD)
    assert "3 pretraining seeds" in plate.caption and "missing" not in plate.caption


def test_accuracy_by_type_of_a_method_that_calls_all_late(galaxies, scores):
    plate = scoreboard.accuracy_by_type(galaxies, scores, ["majority"])
    assert "majority is lowest, 0.00" in plate.alt


def test_t_types_that_nobody_knows_draw_nothing(galaxies, scores):
    catalog = galaxies.catalog.copy()
    catalog["ttype"] = np.nan
    unknown = GalaxySet(galaxies.images, catalog, CARD)
    plate = scoreboard.accuracy_by_type(unknown, scores, [HERO])
    assert "no galaxy with a T-type" in plate.alt


@pytest.fixture(scope="module")
def predictions():
    """One run each of who knows the T-types, and of who always says 1."""
    t = np.repeat(np.linspace(-5, 8, 40), 5)
    table = Table({"method": ["good", "mean"], "n_labels": [50, 50], "seed": [0, 0]})
    table["draw"] = 0
    return Predictions(table, np.stack([t, np.ones(200)]).astype("f4"), t)


def test_predicted_types_tell_who_follows_the_sequence(predictions):
    plate = scoreboard.predicted_types(predictions, ["good", "mean"], 50, CARD)
    assert len(plate.figure.axes) == 2
    assert "from 50 T-types" in plate.caption and plate.caption.endswith("SIMULATED galaxies.")
    good, mean = plate.alt.split("; ")
    assert "good: the median prediction is -4" in good and "8" not in mean
    assert mean.count(" 1.0 near") == 2


def test_the_running_median_leaves_out_thin_bins():
    place, middle, low, high = scoreboard.running_median([1.0] * 5 + [4.0] * 4, np.arange(9.0))
    assert (place.tolist(), middle.tolist()) == ([1.0], [2.0]) and low < middle < high
    assert all(len(x) == 0 for x in scoreboard.running_median([1.0], [1.0]))


def test_every_method_has_a_look_of_its_own():
    looks = {m: look for m, look in scoreboard.METHOD_COLORS.items() if "means" not in m}
    assert len(set(looks.values())) == len(looks)
    for space in ("SimCLR", "MoCo"):
        assert f"{space} + fully connected" in looks
