"""A difference means something only beyond what a seed does; the figures say what the rows say."""

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import choices, differences
from galclr_utils.differences import SCORES
from galclr_utils.studies import write_study

COLUMNS = [f"{s}{end}" for s in SCORES for end in differences.SPACES]


def made_up(effects: dict, noise: float = 0.004, seed: int = 0, n_base: int = 5) -> Table:
    """Make rows of a study: (group, variant) -> effect on every score, in every space."""
    random, rows = np.random.default_rng(seed), []
    named = [(("base", "base"), 0.0, k) for k in range(n_base)]
    named += [(name, effect, 0) for name, effect in effects.items()]
    for (group, variant), effect, k in named:
        row = {"group": group, "variant": variant, "changed": f"{group} {variant}", "seed": k}
        row |= {"n_train": 1000 if variant == "x1/4" else 4000, "epochs": 8}
        scores = {c: 0.8 + effect + random.normal(0, noise) for c in COLUMNS}
        if group == "control":
            scores |= {c: np.nan for c in COLUMNS if c.endswith("_z")}
        rows.append(row | scores)
    return Table(rows=rows)


EFFECTS = {("zoom", "1"): 0.05, ("zoom", "2"): -0.05, ("cut-out", "0"): 0.0}
EFFECTS |= {("galaxies", "x1/4"): -0.02, ("control", "PCA-64"): -0.1}


@pytest.fixture
def study(tmp_path):
    record = {"name": "made up", "simulated": True, "source": "SIMULATED"}
    write_study(tmp_path / "made-up", {"rows": made_up(EFFECTS)}, record)
    return differences.load(tmp_path, "made-up")


def test_large_effects_are_told_and_none_is_not(study):
    told = {(r["group"], r["variant"]): r for r in study.table}
    assert set(told) == {name for name in EFFECTS if name[0] != "control"}
    assert differences.verdict(told["zoom", "1"]) == "helped"
    assert differences.verdict(told["zoom", "2"]) == "hurt"
    assert differences.verdict(told["cut-out", "0"]) == "not told apart"
    assert told["zoom", "1"]["knn"] == pytest.approx(0.05, abs=0.015)


def test_the_band_holds_95_per_cent_of_what_changes_nothing():
    outside, n = 0, 0
    for seed in range(60):
        table = differences.differences(
            made_up({("zoom", str(k)): 0 for k in range(20)}, seed=seed)
        )
        for score in SCORES:
            outside += np.sum(table[f"{score}_says"] != "not told apart")
            n += len(table)
    assert outside / n == pytest.approx(0.05, abs=0.025)


def test_more_seeds_and_more_repeats_make_the_band_narrower():
    width = [differences.chance(0.01, k - 1, n=1, k=k) for k in (2, 3, 5, 10)]
    assert np.all(np.diff(width) < 0)
    assert differences.chance(0.01, 4, n=3, k=5) < differences.chance(0.01, 4, n=1, k=5)


def test_scatter_is_pooled_within_variants_and_effects_do_not_widen_it():
    rows = made_up({("zoom", "1"): 0.3, ("control", "PCA-64"): 0.0})
    again = rows[-2:].copy()
    again["seed"], again["knn"] = 1, [rows["knn"][-2] + 0.001, 0.1]
    both = Table(np.concatenate([rows.as_array(), again.as_array()]))
    (s, dof), (base, of_base) = (differences.seed_scatter(r, "knn") for r in (both, rows))
    assert (dof, of_base) == (5, 4)
    expected = np.sqrt((4 * base**2 + 0.001**2 / 2) / 5)
    assert s == pytest.approx(expected)


def test_one_seed_of_the_base_allows_no_verdict():
    table = differences.differences(made_up({("zoom", "1"): 0.2}, n_base=1))
    assert np.isnan(table["knn_chance"][0]) and table["knn_says"][0] == "not told apart"


def test_without_a_base_nothing_differs():
    rows = made_up({("zoom", "1"): 0.0})
    with pytest.raises(ValueError, match="got none of the base"):
        differences.differences(rows[-1:])


def test_tables_list_the_best_first_and_may_be_empty(study):
    helped = differences.listed(study, "helped")
    assert list(helped["value"]) == ["1"] and helped["kNN, 1000 labels"][0] > 3
    assert len(differences.listed(study, "mixed")) == 0
    scores = differences.base_scores(study)
    assert list(scores["space"]) == ["h", "pooled", "z"] and "±" in scores["kNN, 1000 labels"][0]
    with pytest.raises(ValueError, match="did you mean 'helped'"):
        differences.listed(study, "help")


def test_figures_say_what_the_rows_say(study):
    plate = choices.dots(study, ["zoom", "cut-out", "absent"], "fig-x")
    assert "Of 3 variants 1 helped" in plate.caption and "1 hurt" in plate.caption
    assert plate.caption.endswith("SIMULATED galaxies.") and "zoom 1 +" in plate.alt
    assert choices.dots(study, ["absent"], "fig-x") is None
    assert "base pooled 0.80" in choices.spaces(study).alt
    assert "1000: 0.7" in choices.growth(study).alt
    for made in (plate, choices.spaces(study), choices.growth(study)):
        assert made.png()[:4] == b"\x89PNG"


def test_no_two_figures_of_the_book_share_a_name():
    """They are files of one folder, so that the later would replace the earlier."""
    sources = Path(choices.__file__).parent.glob("*.py")
    names = re.findall('^ *"(fig-[a-z0-9-]+)",$', "".join(p.read_text() for p in sources), re.M)
    assert len(names) > 20 and sorted(names) == sorted(set(names))


def test_without_repeats_no_band_is_claimed(study):
    one = differences.differences(made_up({("zoom", "1"): 0.2}, n_base=1))
    plate = choices.dots(differences.Study(study.rows, study.record, one), ["zoom"], "fig-x")
    assert "no difference can be told" in plate.caption and "band" not in plate.caption


def test_without_what_is_drawn_there_is_no_figure(study):
    study.rows = study.rows[study.rows["group"] != "galaxies"]
    assert choices.growth(study) is None
    few = differences.Study(study.rows, study.record, study.table[:2])
    assert choices.agreement(study, few) is None


def test_a_study_agrees_with_itself_and_not_with_its_opposite(study):
    table = study.table.copy()
    table["knn"] *= -1
    record = study.record | {"name": "upside down"}
    same = choices.agreement(study, differences.Study(study.rows, record, study.table))
    opposite = choices.agreement(study, differences.Study(study.rows, record, table))
    assert "Rank correlation +1.00" in same.caption and "in 100%" in same.caption
    assert "Rank correlation -1.00" in opposite.caption


def test_no_study_is_no_error(tmp_path):
    assert differences.load(tmp_path, "ablations-none") is None
