"""What the pages say of stored studies; and what the stored studies of the book hold and show."""

import numpy as np
import pytest
import stored
from astropy.table import Table

from galclr_utils import comparison, differences, score_table, scoreboard, studies
from galclr_utils.curves import TAUGHT

SETS = {"labels": True, "labels_real": False}  # study -> simulated
NETWORKS = (TAUGHT, "SimCLR fine-tuned", "SimCLR self-trained")
CHEAP = [f"{space} + {kind}" for space in ("SimCLR", "MoCo") for kind in ("logistic", "kNN")]
CHEAP += ["SimCLR + fully connected", "random weights + logistic", "PCA-64 + SVM"]


def tiny(tmp_path, low, simulated=True):
    summary = Table({"method": [TAUGHT, "SimCLR + kNN", "colour + kNN"]})
    summary["n_labels"], summary["n_runs"], summary["n_seeds"] = 100, 2, 1
    for end, value in {"": 0.8, "_low": 0.7, "_high": 0.9}.items():
        summary[f"balanced_accuracy{end}"] = value
    pair = {"a": "SimCLR + kNN", "b": TAUGHT, "n_labels": 100, "mean": 0.05, "high": 0.1}
    saved = {"method": "SimCLR + kNN", "share": 0.97, "saving": 3.0, "low": 2.0, "high": 4.0}
    tables = {"summary": summary, "differences": Table([pair | {"low": low}])}
    tables |= {"headline": Table([saved | {"bound": "crossed"}]), "runs": Table({"n": range(4)})}
    about = {"hero": "SimCLR + kNN", "card": {"simulated": simulated}, "seeds": [0], "n_test": 50}
    about["provenance"] = {"time": "2030-01-02T00:00:00"}
    return studies.write_study(tmp_path / "tiny", tables, about)


def test_a_sentence_follows_the_interval(tmp_path):
    tiny(tmp_path, low=0.01)
    said = stored.tell(tmp_path, "tiny")["sentence"].replace("\N{NO-BREAK SPACE}", " ")
    assert "with 100 labels it beats the supervised CNN (+0.050 [+0.010, +0.100])" in said
    assert "is **3.0 [2.0, 4.0]**" in said and "50" in said and "SIMULATED" in said
    tiny(tmp_path, low=-0.01, simulated=False)
    said = stored.tell(tmp_path, "tiny")["sentence"]
    assert "is not distinguished from" in said and "SIMULATED" not in said


def test_the_table_holds_the_main_methods_only(tmp_path):
    tiny(tmp_path, low=0.01)
    text = stored.tell(tmp_path, "tiny")["table"].replace("\N{NO-BREAK SPACE}", " ")
    assert "0.800 [0.700, 0.900]" in text and "SimCLR + kNN" in text and "colour" not in text
    assert stored.tell(tmp_path, "none") == {"table": stored.NONE, "sentence": stored.NONE}


@pytest.fixture(params=list(SETS))
def study(request):
    """Return the tables of a study of the book, and its record."""
    path = studies.study_path("book/studies", request.param)
    assert path, f"the book shows {request.param}, which is not stored"
    tables, about = studies.read_study(path)
    assert bool(about["card"].get("simulated")) == SETS[request.param]
    return tables, about


def test_every_method_met_the_same_labels(study):
    """Networks have fewer draws; those that they have are among those of the cheap methods."""
    tables, about = study
    runs, n_seeds = tables["runs"], len(about["seeds"])
    assert n_seeds >= 3 and set(runs["split"]) == {"test"}
    met = {
        m: {tuple(r) for r in runs[runs["method"] == m]["n_labels", "seed", "draw"]}
        for m in set(runs["method"])
    }
    assert {*NETWORKS, *CHEAP} <= set(met)
    for method in CHEAP[:-1]:
        assert len(met[method]) == 5 * n_seeds * len(about["budgets"]), method
    for method in NETWORKS:
        assert met[method] == met[TAUGHT] <= met["SimCLR + logistic"], method
    of_networks = {n for n, *_ in met[TAUGHT]}
    assert len(met[TAUGHT]) >= 5 * len(of_networks) >= 20, "too few draws in all"
    assert of_networks == set(about["budgets"])
    assert min(about["budgets"]) == 10 and "commit" in about["provenance"]


def test_summary_and_differences_follow_from_the_runs(study):
    tables, _ = study
    runs = tables["runs"]
    for row in tables["summary"]:
        own = runs[(runs["method"] == row["method"]) & (runs["n_labels"] == row["n_labels"])]
        mean = np.mean(own["balanced_accuracy_even"])
        assert row["balanced_accuracy"] == pytest.approx(mean, abs=2e-6)
        assert row["balanced_accuracy_low"] <= mean <= row["balanced_accuracy_high"]
    for pair in tables["differences"]:
        a, b, *_ = score_table.shared_runs(runs, pair["a"], pair["b"], pair["n_labels"])
        even = np.asarray(runs["balanced_accuracy_even"])
        assert pair["mean"] == pytest.approx(even[a].mean() - even[b].mean(), abs=2e-6)


def difference(tables, a, b, n):
    rows = tables["differences"]
    (row,) = rows[(rows["a"] == a) & (rows["b"] == b) & (rows["n_labels"] == n)]
    return row


LEAD = {"logistic": (100, 1000, 4095), "kNN": (100, 1000)}


@pytest.mark.parametrize(("kind", "n"), [(k, n) for k, budgets in LEAD.items() for n in budgets])
def test_on_real_galaxies_pretraining_beats_random_weights(kind, n):
    tables, _ = studies.read_study(studies.study_path("book/studies", "labels_real"))
    found = difference(tables, f"SimCLR + {kind}", f"random weights + {kind}", n)
    assert found["low"] > 0 and found["beats"]


def test_on_real_galaxies_the_headline_is_told_as_it_is():
    """Two points with 100 labels, no less than the network with all; and no label saved at 97%."""
    tables, _ = studies.read_study(studies.study_path("book/studies", "labels_real"))
    assert difference(tables, "SimCLR self-trained", TAUGHT, 100)["mean"] > 0.02
    assert difference(tables, "SimCLR fine-tuned", TAUGHT, 4095)["mean"] > 0
    saved = {row["method"]: row for row in tables["headline"]}
    assert saved["SimCLR self-trained"]["low"] < 1 < saved["SimCLR self-trained"]["high"]


@pytest.fixture
def simulated():
    return studies.read_study(studies.study_path("book/studies", "labels"))[0]


def test_on_simulated_galaxies_pretraining_pays_where_labels_are_few(simulated):
    for method in ("SimCLR self-trained", "SimCLR + logistic"):
        assert difference(simulated, method, TAUGHT, 100)["low"] > 0
        for n in (2000, 5000, 8000):
            assert difference(simulated, method, TAUGHT, n)["high"] < 0
    for n in sorted(set(simulated["summary"]["n_labels"])):
        tuned = difference(simulated, "SimCLR fine-tuned", TAUGHT, n)
        assert (tuned["low"] < 0 or n == 50) and tuned["high"] > 0, n
    assert 0.01 < difference(simulated, "SimCLR fine-tuned", TAUGHT, 50)["mean"] < 0.02
    saved = {row["method"]: row for row in simulated["headline"]}
    assert saved["SimCLR self-trained"]["low"] < 1 < saved["SimCLR self-trained"]["high"]
    assert all(row["low"] < 1 for row in saved.values()) and saved["SimCLR + kNN"]["high"] < 0.5
    told_apart = {m for m, row in saved.items() if row["high"] < 1 and "kNN" not in m}
    assert told_apart == {"MoCo + fully connected"}


def test_on_simulated_galaxies_ten_labels_are_best_spent_on_the_catalogue(simulated):
    few = simulated["summary"][simulated["summary"]["n_labels"] == 10]
    score = dict(zip(few["method"], few["balanced_accuracy"], strict=True))
    ahead = min(score[f"catalogue + {kind}"] for kind in ("logistic", "SVM"))
    assert ahead > max(s for m, s in score.items() if m.split()[0] not in ("catalogue", "colour"))


def test_on_simulated_galaxies_moco_and_simclr_are_similar_to_a_logistic_probe(simulated):
    rows = simulated["differences"]
    own = rows[(rows["a"] == "MoCo + logistic") & (rows["b"] == "SimCLR + logistic")]
    assert len(own) == 10 and all(comparison.similar(dict(row)) == "similar" for row in own)


@pytest.mark.parametrize("n", [100, 1000, 8000])
@pytest.mark.parametrize("kind", ["logistic", "kNN"])
def test_on_simulated_galaxies_pretraining_beats_random_weights(simulated, kind, n):
    assert difference(simulated, f"SimCLR + {kind}", f"random weights + {kind}", n)["low"] > 0


def test_a_record_holds_no_path_of_the_computer_that_made_it(study):
    """The card of a data set names its files; a study that is published does not."""
    _, about = study
    assert not set(studies.LOCAL) & set(about["card"]) and "counts" in about["card"]


def test_on_real_galaxies_it_hardly_matters_which_labels_are_bought():
    tables, about = studies.read_study(studies.study_path("book/studies", "bought_real"))
    assert not about["card"].get("simulated") and len(about["seeds"]) == 3
    assert not set(studies.LOCAL) & set(about["card"])
    runs = tables["runs"]
    met = {
        m: {tuple(r) for r in runs[runs["method"] == m]["n_labels", "seed", "draw"]}
        for m in set(runs["method"])
    }
    assert len(met) == 4 and all(len(own) == 7 * 3 * 5 for own in met.values())
    assert {scoreboard.verdict(row) for row in tables["differences"]} == {"not distinguished"}
    assert all(row["low"] < 1 < row["high"] for row in tables["saving"])
    won = [
        (r["a"], r["n_labels"])
        for r in tables["areas"]
        if scoreboard.verdict(r) != "not distinguished"
    ]
    assert won == [("uncertain", 1000)]
    for row in tables["summary"]:
        own = runs[(runs["method"] == row["method"]) & (runs["n_labels"] == row["n_labels"])]
        assert row["balanced_accuracy"] == pytest.approx(
            np.mean(own["balanced_accuracy"]), abs=2e-6
        )
        assert row["roc_auc"] == pytest.approx(np.mean(own["roc_auc"]), abs=2e-6)


def ablation(name):
    study = differences.load("book/studies", f"ablations-{name}")
    scores = list(differences.SCORES)
    said = {(r["group"], str(r["variant"])): differences.verdict(r) for r in study.table}
    lost = {(r["group"], str(r["variant"])): [float(r[s]) for s in scores] for r in study.table}
    outside = sum(r[f"{s}_says"] != "not told apart" for r in study.table for s in scores)
    return said, lost, outside / (len(study.table) * len(scores))


def test_on_simulated_galaxies_hardly_any_choice_matters():
    said, _, outside = ablation("simulated")
    assert len(said) > 60 and outside <= 0.06, "one in twenty is luck"
    assert [key for key, word in said.items() if word == "hurt"] == [("stretch", "asinh x0.3")]
    assert "helped" not in said.values()


def test_on_real_pictures_the_colour_is_to_be_hidden_and_the_stamp_to_be_cut():
    said, lost, outside = ablation("pictures")
    assert len(said) > 60 and outside > 0.2 and "helped" not in said.values()
    assert max(lost["left out", "band scaling"]) < -0.05
    for stamp in ("64/1", "64/2", "64/4"):
        assert said["stamps", stamp] == "hurt" and lost["stamps", stamp][1] < -0.03


@pytest.mark.parametrize("name", ["simulated", "pictures"])
def test_a_record_of_ablations_holds_no_path_either(name):
    _, about = studies.read_study(studies.study_path("book/studies", f"ablations-{name}"))
    assert not [value for value in about["base"].values() if "/" in str(value)]


def test_labels_do_not_travel_and_the_encoder_does_from_the_sky_to_the_simulation():
    tables, _ = studies.read_study(studies.study_path("book/studies", "shift_pictures"))
    assert len(tables["cost"]) == 8 and max(tables["cost"]["mean"]) < -0.15
    assert max(tables["cost"]["high"]) < 0
    said = {(r["tested"], r["b"].split(",")[0]): scoreboard.verdict(r) for r in tables["encoders"]}
    assert said["simulated", "SimCLR"] == said["pictures", "random weights"] == "not distinguished"
    assert said["simulated", "random weights"] == "better" and said["pictures", "SimCLR"] == "worse"


def test_in_colour_the_shortcut_is_taken_and_without_it_the_exceptions_are_found():
    tables, about = studies.read_study(studies.study_path("book/studies", "arms"))
    assert "SIMULATED" in about["caption"]
    (gap,) = tables["gap"]
    assert gap["a"] == "colour arm" and 0 < gap["low"] and 0.015 < gap["mean"] < 0.025
    right = {(row["group"], row["method"]): row["mean"] for row in tables["arms"]}
    interval = {(row["group"], row["method"]): (row["low"], row["high"]) for row in tables["arms"]}
    assert right["blue early", "colour arm"] < 0.6 and right["blue early", "luminance arm"] > 0.74
    gain = right["red late", "luminance arm"] - right["red late", "colour arm"]
    assert gain == pytest.approx(0.08, abs=0.005)
    assert interval["blue early", "luminance arm"][0] > interval["blue early", "colour arm"][1]
