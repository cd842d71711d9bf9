import numpy as np
import pytest

from galclr_utils import findings, neighbours, oddities

SPACES = ("SimCLR", "PCA-64", "random weights")


@pytest.fixture(scope="module")
def rows(galaxies):
    return galaxies.indices("test")


def texts_are_of(plate, galaxies, name):
    """What every plate must say and be."""
    assert plate.name == name and plate.alt.endswith(".")
    assert "SIMULATED galaxies." in plate.caption
    assert plate.figure.get_size_inches()[0] <= 7.5
    assert plate.png()[:4] == b"\x89PNG"


def test_the_sheet_shows_each_query_in_each_space(galaxies, rows):
    queries = {"edge-on disc": int(rows[0]), "early": int(rows[1])}
    same = np.array(
        [rows[galaxies.labels[rows] == galaxies.labels[q]][2:8] for q in queries.values()]
    )
    plate = findings.neighbours_sheet(galaxies, queries, dict.fromkeys(SPACES, same))
    texts_are_of(plate, galaxies, "fig-neighbours")
    assert "6 test galaxies nearest to it" in plate.caption and "edge-on disc" in plate.caption
    assert "100% in SimCLR" in plate.alt
    pictures = [axis for axis in plate.figure.axes if axis.images]
    assert len(pictures) == 2 * 3 * (1 + 6)


def test_the_sheet_has_no_letters_without_labels(galaxies, rows):
    unknown = type(galaxies)(galaxies.images, galaxies.catalog.copy(), galaxies.card)
    unknown.catalog["label"] = np.int8(-1)
    found = {"SimCLR": np.array([rows[1:5]])}
    plate = findings.neighbours_sheet(unknown, {"galaxy 1": int(rows[0])}, found)
    assert "letter" not in plate.caption and "label" not in plate.alt
    assert not any(axis.texts for axis in plate.figure.axes)
    unknown.catalog["label"][rows[1:5]] = 1
    plate = findings.neighbours_sheet(unknown, {"galaxy 1": int(rows[0])}, found)
    assert "letter" in plate.caption and "label" not in plate.alt, "its own type is not known"


def test_the_curves_say_their_ends(galaxies):
    curve = np.repeat(np.linspace(0.8, 0.6, 20)[:, None], 11, axis=1)
    plate = findings.agreement_curves({"SimCLR": curve, "PCA-64": curve - 0.05}, 64, galaxies.card)
    texts_are_of(plate, galaxies, "fig-agreement")
    assert "SimCLR 0.80 for the first, 0.60 in all" in plate.alt and "64" in plate.caption


def test_the_nearest_space_is_named_for_each_property(galaxies, rows):
    values = np.random.default_rng(0).normal(size=len(rows))
    x = {"knows": values[:, None], "does not": np.random.default_rng(1).normal(size=(len(rows), 3))}
    curves = {
        s: {
            "T-type": neighbours.difference(p, values, 5, "euclidean"),
            "none": np.full(501, np.nan),
        }
        for s, p in x.items()
    }
    plate = findings.differences_plate(curves, 5, galaxies.card)
    texts_are_of(plate, galaxies, "fig-alike")
    assert "T-type in knows (0." in plate.alt and "nan" not in plate.alt


def test_all_kinds_are_shown(galaxies, rows):
    planted = oddities.plant(galaxies, rows[:3])
    plate = findings.planted_sheet(galaxies, rows[:3], planted)
    texts_are_of(plate, galaxies, "fig-planted")
    assert all(kind in plate.caption for kind in oddities.KINDS)
    assert sum(bool(axis.images) for axis in plate.figure.axes) == 3 * (len(planted) + 2)


def test_the_table_marks_the_best_of_each_kind(galaxies):
    auc = {"one": {"ring": 0.9, "trail": 0.4}, "other": {"ring": 0.6, "trail": 0.7}}
    auc["as good"] = {"ring": 0.902, "trail": 0.1}
    plate = findings.recovery(auc, 950, 50, galaxies.card)
    texts_are_of(plate, galaxies, "fig-recovery")
    assert "ring: as good 0.90; trail: other 0.70" in plate.alt
    bold = [t.get_text() for t in plate.figure.axes[0].texts if t.get_weight() == "bold"]
    assert (
        sorted(bold) == ["0.70", "0.90", "0.90"] and "50 of each kind against 950" in plate.caption
    )


def test_the_strangest_in_common_are_counted(galaxies, rows):
    plate = findings.strangest(galaxies, {"one": rows[:9], "other": np.roll(rows[:12], 3)})
    texts_are_of(plate, galaxies, "fig-strangest")
    assert "6 are in all rows" in plate.alt
