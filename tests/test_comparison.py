"""All methods meet the same draws and galaxies, and what is saved is what was scored."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import comparison, metrics, score_table, scoring
from galclr_utils.dataset import GalaxySet
from galclr_utils.probes import probe


@pytest.fixture(scope="module")
def galaxies():
    """Four hundred stamps whose pixels do not matter here; a few without a label."""
    random = np.random.default_rng(0)
    label = random.choice([0, 1, -1], p=[0.5, 0.4, 0.1], size=400)
    split = np.repeat(["train", "val", "test"], [250, 50, 100])
    catalog = Table({"id": [f"g{k}" for k in range(400)], "label": label, "split": split})
    card = {"units": "display", "bands": ["g", "r", "i"]}
    return GalaxySet(np.zeros((400, 3, 4, 4), np.float16), catalog, card)


@pytest.fixture(scope="module")
def features(galaxies):
    noise = np.random.default_rng(1).normal(size=(400, 5))
    return {
        "good": noise + 2 * galaxies.labels[:, None],
        "poor": noise + 0.2 * galaxies.labels[:, None],
    }


@pytest.fixture(scope="module")
def scores(galaxies, features):
    methods = {name: probe(x, "logistic") for name, x in features.items()}
    return scoring.score_methods(methods, galaxies, n_labels=[20, 0], n_draws=3, seeds=[4, 5])


def test_methods_get_the_same_labels_of_training_galaxies_only(galaxies):
    seen = {"a": [], "b": []}

    def spy(name):
        def fit(train, y_train, test, seed, draw):
            assert np.array_equal(galaxies.labels[train], y_train)
            assert set(train) <= set(galaxies.labelled("train"))
            assert np.array_equal(test, galaxies.labelled("test"))
            seen[name].append((len(train), seed, draw, tuple(train)))
            return np.full(len(test), 0.3)

        return fit

    methods = {name: spy(name) for name in seen}
    scoring.score_methods(methods, galaxies, n_labels=[20, 50], n_draws=2, seeds=[0, 1])
    assert seen["a"] == seen["b"] and len(set(seen["a"])) == 8


def test_the_table_says_what_was_done(galaxies, scores):
    table = scores.table
    columns = "method n_labels seed draw split accuracy balanced_accuracy precision recall"
    assert table.colnames == [*columns.split(), "roc_auc", "ece", "seconds"]
    n_all = len(galaxies.labelled("train"))
    assert set(table["n_labels"]) == {20, n_all} and set(table["split"]) == {"test"}
    assert len(table) == 2 * 2 * 3 * 2 == len(scores.p_late)
    again = metrics.scores(scores.label, scores.p_late[7])
    assert table["ece"][7] == pytest.approx(again["ece"], abs=1e-6)
    assert scores.id[0] == "g300" and len(scores.id) == len(galaxies.labelled("test"))


def test_all_labels_asked_for_twice_are_scored_once(galaxies, features):
    n_all = len(galaxies.labelled("train"))
    methods = {"good": probe(features["good"], "knn")}
    assert len(scoring.score_methods(methods, galaxies, [n_all, 0], n_draws=1).table) == 1


def test_the_same_seeds_give_the_same_table(galaxies, features, scores):
    methods = {name: probe(x, "logistic") for name, x in features.items()}
    again = scoring.score_methods(methods, galaxies, [20, 0], n_draws=3, seeds=[4, 5])
    for name in set(scores.table.colnames) - {"seconds"}:
        assert again.table[name].tolist() == pytest.approx(
            scores.table[name].tolist(), abs=0, nan_ok=True
        ), name
    assert np.array_equal(again.p_late, scores.p_late)


def test_saved_scores_come_back_whole(scores, tmp_path):
    folder = score_table.save_scores(tmp_path, scores)
    assert sorted(p.name for p in folder.iterdir()) == ["predictions.npz", "scores.csv"]
    back = score_table.load_scores(tmp_path)
    assert back.table.pformat(max_lines=-1) == scores.table.pformat(max_lines=-1)
    assert np.array_equal(back.p_late, scores.p_late) and np.array_equal(back.id, scores.id)
    assert comparison.compare(back, "good", "poor", 20) == comparison.compare(
        scores, "good", "poor", 20
    )


def test_a_failed_save_leaves_the_old_scores(scores, tmp_path, monkeypatch):
    score_table.save_scores(tmp_path, scores)
    before = (tmp_path / "probes" / "scores.csv").read_bytes()
    monkeypatch.setattr(
        np, "savez_compressed", lambda *a, **k: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        score_table.save_scores(tmp_path, scores)
    assert [p.name for p in tmp_path.iterdir()] == ["probes"]
    assert (tmp_path / "probes" / "scores.csv").read_bytes() == before


def test_missing_and_mismatched_files_are_named(scores, tmp_path):
    with pytest.raises(ValueError, match=r"probes: expected scores.csv .* written by 05_probes"):
        score_table.load_scores(tmp_path)
    score_table.save_scores(tmp_path, scores)
    scores.table[:-1].write(tmp_path / "probes" / "scores.csv", format="ascii.csv", overwrite=True)
    with pytest.raises(ValueError, match=r"probabilities for 23 rows"):
        score_table.load_scores(tmp_path)


def test_the_better_method_wins_and_the_same_does_not(scores):
    found = comparison.compare(scores, "good", "poor", n_labels=20)
    assert found["beats"] and found["low"] > 0 and (found["n_seeds"], found["n_runs"]) == (2, 6)
    assert not comparison.compare(scores, "poor", "good", n_labels=20)["beats"]
    assert comparison.compare(scores, "good", "good", n_labels=0)["mean"] == 0
    assert found["mean"] == pytest.approx(
        np.mean(scores.table["balanced_accuracy"][scores.runs("good", 20)])
        - np.mean(scores.table["balanced_accuracy"][scores.runs("poor", 20)]),
        abs=1e-5,
    )


def test_runs_are_paired_where_both_methods_have_them(galaxies, features, scores):
    """An expensive method gets fewer draws; it is compared on those."""
    few = scoring.score_methods(
        {"costly": probe(features["good"], "logistic")}, galaxies, [20], n_draws=1, seeds=[5]
    )
    both = scores + few
    found = comparison.compare(both, "costly", "good", n_labels=20)
    assert (found["n_runs"], found["mean"], found["low"], found["high"]) == (1, 0, 0, 0)
    with pytest.raises(ValueError, match="n_labels: got 50, but costly was run with"):
        comparison.compare(both, "costly", "good", n_labels=50)


def test_runs_without_a_partner_are_refused(galaxies, features, scores):
    other = scoring.score_methods(
        {"late": probe(features["good"], "knn")}, galaxies, [20], n_draws=1, seeds=[9]
    )
    with pytest.raises(ValueError, match="no seed and draw in common"):
        comparison.compare(scores + other, "late", "good", n_labels=20)


def test_summary_and_grid_hold_every_method_and_budget(scores):
    table = comparison.summary(scores)
    assert len(table) == 4 and set(table["n_runs"]) == {6} and set(table["n_seeds"]) == {2}
    for row in table:
        assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    assert table["recall"][0] == pytest.approx(
        np.mean(scores.table["recall"][scores.runs(table["method"][0], table["n_labels"][0])]),
        abs=1e-5,
    )
    grid = comparison.grid(table)
    assert list(grid["method"]) == ["good", "poor"] and grid.colnames[1] == "20 labels"
    assert grid["20 labels"][0].startswith(f"{table['balanced_accuracy'][0]:.3f} [")
    runs = scores.runs(table["method"][0], table["n_labels"][0])
    auc = np.asarray(scores.table["roc_auc"][runs])
    assert table["roc_auc"][0] == pytest.approx(auc.mean(), abs=1e-6)
    assert table["roc_auc_sd"][0] == pytest.approx(auc.std(ddof=1), abs=1e-6)


def test_a_single_run_has_a_star(galaxies, scores):
    def late(train, y_train, test, seed, draw):
        return np.ones(len(test))

    once = scoring.score_methods({"late": late}, galaxies, [20], 1, seeds=[4])
    grid = comparison.grid(comparison.summary(scores + once))
    stars = [cell.endswith("]*") for cell in grid["20 labels"]]
    assert stars == [False, False, True] and grid["20 labels"][2].startswith("0.500 [")


def test_what_was_not_run_or_is_undefined_is_a_dash(galaxies, scores):
    def never_late(train, y_train, test, seed, draw):
        return np.zeros(len(test))

    more = scoring.score_methods({"never": never_late}, galaxies, [50], 2, seeds=[4])
    grid = comparison.grid(comparison.summary(scores + more), "precision")
    assert grid["50 labels"].tolist() == ["–", "–", "–"] and grid["20 labels"][2] == "–"


def test_names_are_checked(scores):
    with pytest.raises(ValueError, match="expected one of good, poor; did you mean 'good'"):
        comparison.compare(scores, "god", "poor", 20)
    with pytest.raises(ValueError, match="score: got 'f1'"):
        comparison.grid(comparison.summary(scores), "f1")


def test_sets_that_cannot_be_judged_are_refused(galaxies, features):
    methods = {"good": probe(features["good"], "knn")}
    catalog = galaxies.catalog.copy()
    catalog["label"] = np.where(catalog["split"] == "test", -1, catalog["label"])
    unlabelled = GalaxySet(galaxies.images, catalog, galaxies.card)
    with pytest.raises(ValueError, match="test split: got no labelled galaxies"):
        scoring.score_methods(methods, unlabelled)
    catalog = galaxies.catalog.copy()
    catalog["label"] = 1
    one_class = GalaxySet(galaxies.images, catalog, galaxies.card)
    with pytest.raises(ValueError, match="late types only"):
        scoring.score_methods(methods, one_class, [10])
    other = scoring.score_methods(methods, galaxies, [20], 1)
    with pytest.raises(ValueError, match="different test galaxies or labels"):
        other + score_table.Scores(other.table, other.p_late[:, 1:], other.label[1:], other.id[1:])


def test_a_budget_that_is_too_large_is_refused_before_anything_is_trained(galaxies):
    def never(*arguments):
        raise AssertionError("trained")

    with pytest.raises(ValueError, match="got 5000, but the training split has"):
        scoring.score_methods({"never": never}, galaxies, [20, 5000], 1)


def test_slow_methods_get_fewer_draws_of_the_same_labels(galaxies, features):
    methods = {name: probe(x, "knn") for name, x in features.items()}
    scores = scoring.score_methods(methods, galaxies, [20], {"good": 3, "poor": 1}, [4, 5])
    assert [len(scores.runs(name, 20)) for name in features] == [6, 2]
    alone = scoring.score_methods({"good": methods["good"]}, galaxies, [20], 3, [4, 5])
    assert np.array_equal(scores.only(["good", "nobody"]).p_late, alone.p_late)
    with pytest.raises(ValueError, match="n_draws: got nothing for poor"):
        scoring.score_methods(methods, galaxies, [20], {"good": 3})


def test_pairs_are_compared_at_every_budget_that_both_have(galaxies, features, scores):
    more = scoring.score_methods(
        {"costly": probe(features["good"], "logistic")}, galaxies, [20, 50], n_draws=1, seeds=[5]
    )
    found = comparison.compare_all(scores + more, [("costly", "poor"), ("good", "poor")])
    n_all = len(galaxies.labelled("train"))
    assert [(p["a"], p["n_labels"]) for p in found] == [
        ("costly", 20), ("good", 20), ("good", n_all),
    ]  # fmt: skip
    assert found[1] == comparison.compare(scores, "good", "poor", 20)
    assert comparison.compare_all(scores, [("good", "never run")]) == []


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (-0.019, 0.019, "similar"),
        (0.005, 0.015, "similar"),  # better beyond doubt, by too little to matter
        (-0.03, 0.03, "undecided"),
        (0.01, 0.03, "undecided"),
        (-0.05, -0.021, "different"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_similar_has_to_be_shown(low, high, word):
    assert comparison.similar({"low": low, "high": high}) == word


def test_even_odds_help_balanced_accuracy_where_a_type_is_rare():
    """The best classifier for a sample with few late types is not the best for equal shares."""
    random = np.random.default_rng(3)
    label = np.int8(random.random(6000) < 0.15)
    x = (random.normal(size=6000) + 1.5 * label)[:, None]
    catalog = Table({"id": np.arange(6000).astype(str), "label": label})
    catalog["split"] = ["train"] * 3000 + ["test"] * 3000
    card = {"units": "display", "bands": ["g"]}
    rare = GalaxySet(np.zeros((6000, 1, 4, 4), np.float16), catalog, card)
    learned = scoring.score_methods({"x": probe(x, "logistic")}, rare, [0], 1)
    even = score_table.even_odds(learned, rare)
    best = 0.773  # Phi(0.75): the line half-way between the two means
    assert even.table["balanced_accuracy"][0] == pytest.approx(best, abs=0.02)
    assert learned.table["balanced_accuracy"][0] < best - 0.06
    assert even.table["roc_auc"][0] == pytest.approx(learned.table["roc_auc"][0], abs=1e-4)
    assert learned.table["accuracy"][0] > even.table["accuracy"][0]
