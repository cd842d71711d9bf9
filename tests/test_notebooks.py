"""The notebooks: the pair of source and .ipynb, their parameters, and a run of all of them."""

import ast
import json
import os
import shutil

import jupytext
import nbformat
import numpy as np
import papermill
import pytest
import yaml
from astropy.table import Table
from conftest import ROOT, SMOKE, execute_here

from galclr_utils import GalaxySet, score_table, studies

SCORE_COLUMNS = "method n_labels seed draw split".split()
SCORE_COLUMNS += "accuracy balanced_accuracy precision recall roc_auc ece seconds".split()

SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
PROFILES = sorted((ROOT / "notebooks" / "profiles").glob("*.yml"))
TYPES = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list}
every_notebook = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
every_profile = pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)


def cells(notebook):
    """Return what a pair must share; cell ids are random."""
    return [(c.cell_type, c.source, dict(c.metadata)) for c in notebook.cells]


def parameters(path):
    """Return the parameters of a notebook as papermill reads them."""
    return papermill.inspect_notebook(jupytext.read(path))


def parameters_cell(path):
    tagged = [c for c in jupytext.read(path).cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1, "expected one cell tagged parameters"
    return tagged[0]


@every_notebook
def test_every_cell_marker_begins_a_cell(path):
    """A fence ``` inside another of the same length makes jupytext swallow the cells after it."""
    markers = [line for line in path.read_text().splitlines() if line.startswith("# %%")]
    assert len(jupytext.read(path).cells) == len(markers)


@every_notebook
def test_pair_is_equal(path):
    """If it is not: jupytext --update --to ipynb notebooks/*.py"""
    pair = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    assert cells(pair) == cells(jupytext.read(path))
    assert pair.metadata.kernelspec.name == "python3"
    nbformat.validate(pair)


@every_notebook
def test_no_outputs_are_committed(path):
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert [c.source for c in code if c.outputs or c.execution_count is not None] == []


def test_every_ipynb_has_a_source():
    assert {p.stem for p in (ROOT / "notebooks").glob("*.ipynb")} == {p.stem for p in SOURCES}


@every_notebook
def test_every_parameter_has_a_type_a_default_of_it_and_a_meaning(path):
    seen = parameters(path)
    written = ast.parse(parameters_cell(path).source).body
    assert [node.target.id for node in written] == list(seen), "papermill reads other names"
    assert {"run_dir", "seed"} <= set(seen)
    for name, parameter in seen.items():
        kind = TYPES[parameter["inferred_type_name"]]
        default = ast.literal_eval(parameter["default"])
        assert isinstance(default, kind), name
        assert isinstance(default, bool) == (kind is bool), name
        assert parameter["help"], f"{name} needs a comment that says what it is"


def test_a_parameter_means_the_same_in_every_notebook():
    defaults = {}
    for path in SOURCES:
        for name, parameter in parameters(path).items():
            defaults.setdefault(name, {}).setdefault(parameter["default"], []).append(path.stem)
    assert {name: found for name, found in defaults.items() if len(found) > 1} == {}


@every_notebook
def test_a_notebook_holds_no_class_and_no_long_function(path):
    for cell in jupytext.read(path).cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                assert not isinstance(node, ast.ClassDef), node.name
                if isinstance(node, ast.FunctionDef):
                    assert node.end_lineno - node.lineno <= 10, node.name


@every_profile
def test_a_profile_sets_known_parameters_to_values_of_their_type(path):
    known = {name: p for source in SOURCES for name, p in parameters(source).items()}
    for name, value in yaml.safe_load(path.read_text()).items():
        assert name in known
        kind = TYPES[known[name]["inferred_type_name"]]
        assert isinstance(value, kind), f"{name}: {value!r} (YAML reads 1e-3 as a string)"
        assert isinstance(value, bool) == (kind is bool), name


# --- the run ------------------------------------------------------------------------------------


@every_notebook
def test_a_chapter_runs_and_leaves_its_numbers(smoke, path):
    record = json.loads((smoke / "run" / "metrics" / f"{path.stem}.json").read_text())
    assert record["chapter"] == path.stem
    assert record["metrics"]
    done = nbformat.read(smoke / "run" / "executed" / f"{path.stem}.ipynb", as_version=4)
    code = [c for c in done.cells if c.cell_type == "code"]
    assert [c.source for c in code if c.execution_count is None] == []


def test_a_notebook_runs_from_its_own_folder_too(smoke, monkeypatch):
    """A relative run is found from the project's root, wherever the kernel starts."""
    monkeypatch.chdir(ROOT / "notebooks")
    execute_here("02_views", run_dir=os.path.relpath(smoke / "run", ROOT))


def test_words_that_papermill_passes_are_understood(smoke, tmp_path):
    """``-p resume false`` arrives as a string; so may numbers from YAML, such as 1e-3."""
    shutil.copytree(smoke / "run" / "dataset", tmp_path / "dataset")
    words = {"resume": "false", "epochs": "1", "learning_rate": "1e-3", "batch_size": "64"}
    execute_here("03_pretrain", run_dir=str(tmp_path), precision="32-true", **words)
    record = json.loads((tmp_path / "pretrain" / "settings.json").read_text())
    assert record["settings"]["epochs"] == 1 and record["settings"]["learning_rate"] == 0.001


def metrics_of(smoke, chapter):
    return json.loads((smoke / "run" / "metrics" / f"{chapter}.json").read_text())["metrics"]


def test_01_data_counts_what_it_made(smoke):
    found = metrics_of(smoke, "01_data")
    assert sum(found["counts"]["train"].values()) == 256
    assert found["simulated"] is True and found["arcsec_per_pixel"] == pytest.approx(0.792)
    flips = found["label_flips"]
    assert flips["0.0"] == 0 < flips["0.8"] < flips["1.6"], "label scatter shows its effect"


def test_03_pretrain_learned_something_and_did_not_collapse(smoke):
    found = metrics_of(smoke, "03_pretrain")
    assert found["loss"] < 4.8 and not found["collapsed"]  # guessing: log(2 x 64 - 1) = 4.84
    galaxies = GalaxySet.load(smoke / "run" / "dataset")
    h = np.load(smoke / "run" / "embedding" / "representation.npy")
    assert h.shape == (len(galaxies), 64) and np.isfinite(h).all()


def test_04_umap_maps_the_test_galaxies(smoke):
    found = metrics_of(smoke, "04_umap")
    assert found["n"] == 100 and 0.5 < found["trustworthiness"] <= 1
    table = Table.read(smoke / "run" / "embedding" / "umap.csv")
    galaxies = GalaxySet.load(smoke / "run" / "dataset")
    tested = set(galaxies.catalog["id"][galaxies.indices("test")])
    assert set(table["id"]) <= tested


def test_05_probes_scores_every_method_on_the_same_galaxies(smoke):
    scores = score_table.load_scores(smoke / "run")
    assert scores.table.colnames == SCORE_COLUMNS
    expected = {"majority", "colour + logistic", "catalogue + logistic", "supervised CNN"}
    expected |= {f"{space} + SVM" for space in ("catalogue", "PCA-64", "morphology")}
    for space in ("PCA-64", "random weights", "SimCLR"):
        expected |= {f"{space} + {kind}" for kind in ("fully connected", "logistic", "kNN")}
    assert set(scores.table["method"]) == expected
    assert set(scores.table["split"]) == {"test"}
    budgets = {m: set(scores.table["n_labels"][scores.table["method"] == m]) for m in expected}
    assert budgets.pop("morphology + SVM") == {40}, "slow: small budgets only"
    assert set(map(tuple, map(sorted, budgets.values()))) == {(40, 256)}
    majority = scores.table[scores.table["method"] == "majority"]
    assert set(majority["balanced_accuracy"]) == {0.5}
    catalogue = scores.table[scores.table["method"] == "catalogue + logistic"]
    assert catalogue["balanced_accuracy"].max() > 0.7, "colour and concentration do know the type"


def test_06_labels_keeps_every_run_and_buys_labels_in_several_ways(smoke):
    tables, record = studies.read_study(smoke / "run" / "labels")
    runs = tables["runs"]
    keys = set(zip(runs["method"], runs["n_labels"], runs["seed"], runs["draw"], strict=True))
    assert len(keys) == len(runs) and record["provenance"]["seed"] == 0
    assert {20, 100, 256} <= set(runs["n_labels"])
    found = metrics_of(smoke, "06_labels")
    assert found["hero"] == "SimCLR + fully connected"
    assert {"saving", "buying"} <= set(found)


def test_07_audit_states_the_ceiling_and_poison_hurts(smoke):
    found = metrics_of(smoke, "07_audit")
    galaxies = GalaxySet.load(smoke / "run" / "dataset")
    test = galaxies.labelled("test")
    truth = np.asarray(galaxies.catalog["true_label"])[test]
    assert found["ceiling"] == pytest.approx(np.mean(truth == galaxies.labels[test]))
    assert {"groups", "nuisances", "invariance", "calibration", "abstention"} <= set(found)
    assert found["poisoned"]["0.5"] < found["poisoned"]["0"], "labels drawn by lot teach nothing"


def test_08_search_finds_copies_and_is_judged_beside_controls(smoke):
    found = metrics_of(smoke, "08_search")
    assert found["found_first"]["noisier, PCA-64"] > 0.9
    assert found["found_first"]["shifted, SimCLR"] > 0.9
    assert 0 < found["chance_odd"] < 0.2 and len(found["average_precision"]) == 11


def test_09_sky_says_what_it_is_loses_nothing_silently_and_judges_all_alike(smoke):
    found = metrics_of(smoke, "09_sky")
    assert found["simulated"] is True, "nothing was downloaded for the tests"
    sky = GalaxySet.load(smoke / "run" / "sky" / "dataset")
    assert sky.card["simulated"] and "SIMULATED" in sky.card["source"]
    assert len(sky) + sum(found["left_out"].values()) == found["sample"]
    assert {"a file is not there", "a file cannot be read"} < set(found["left_out"])
    assert found["registration_px"] < 0.2, "bands that were 8 pixels apart"
    late = {(r["threshold"], r["votes"]): r["late"] for r in found["rules"]}
    kept = {(r["threshold"], r["votes"]): r["kept"] for r in found["rules"]}
    for threshold in (0.5, 0.6, 0.8, 0.9, 0.95):
        assert late[threshold, "debiased"] > late[threshold, "raw"]
    assert kept[0.95, "debiased"] < kept[0.8, "debiased"] < kept[0.5, "debiased"]
    groups = {r["method"]: r["group"] for r in found["scores"]}
    assert groups["SimCLR, carried over"] == "no label of the sky"
    assert groups["SimCLR, fine-tuned"] == groups["supervised CNN"] == "20 labels, trained"
    assert {p["b"] for p in found["pairs"]} <= set(groups)


def test_the_same_seed_gives_the_same_scores(smoke, tmp_path):
    """From the data to the scores, again in another folder: equal but for the seconds."""
    for chapter in ("01_data", "03_pretrain", "05_probes"):
        execute_here(chapter, **SMOKE | {"run_dir": str(tmp_path)})
    first, again = (
        [line.rsplit(",", 1)[0] for line in (run / "probes" / "scores.csv").open()]
        for run in (smoke / "run", tmp_path)
    )
    assert first == again
