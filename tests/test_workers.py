"""Processes share the work, take a core each, and change nothing in what comes out."""

import io
import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import current_process

import numpy as np
import pytest
import torch
from astropy.table import Table
from threadpoolctl import threadpool_info

from galclr_utils import provenance, regression, scoring, workers
from galclr_utils.dataset import GalaxySet
from galclr_utils.probes import probe
from galclr_utils.regression import regressor
from galclr_utils.workers import cores, in_order, side_by_side


@pytest.fixture(scope="module")
def galaxies():
    catalog = Table({"id": np.arange(90).astype(str), "label": np.arange(90) % 3 // 2})
    catalog["split"], catalog["ttype"] = ["train"] * 60 + ["test"] * 30, np.arange(90) % 7
    card = {"units": "display", "bands": ["g", "r", "i"]}
    return GalaxySet(np.zeros((90, 3, 4, 4), np.float32), catalog, card)


@pytest.fixture(scope="module")
def features(galaxies):
    return np.random.default_rng(0).normal(size=(90, 4)) + galaxies.labels[:, None]


def threads_used():
    return {library["num_threads"] for library in threadpool_info()}


def test_processes_that_work_in_order_take_one_core_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert list(in_order(threads_used, [(), ()], workers=2)) == [{1}, {1}]


def test_what_is_no_pool_is_refused():
    with pytest.raises(TypeError, match=r"pool: got 'tcp://a:1', .*pip install distributed"):
        list(in_order(pow, [(2, 3)], 2, pool="tcp://a:1"))


def test_threads_of_one_process_are_not_limited(monkeypatch):
    """They would undo each other's limits, and leave the process with one core for good."""
    limited = []
    monkeypatch.setattr(workers, "threadpool_limits", limited.append)
    with ThreadPoolExecutor(3) as pool:
        assert list(in_order(pow, [(2, 3), (3, 2)], 1, pool)) == [8, 9]
    assert limited == []


# ------------------------------------------------------------------------------- side by side


def test_runs_side_by_side_come_in_order_from_other_processes():
    factor = 3  # a function of a test, and what it closes over, go along

    def work(k):
        return factor * k, os.getpid(), torch.get_num_threads(), current_process().name

    found = list(side_by_side(work, [(k,) for k in range(6)], workers=2))
    assert [one[0] for one in found] == [0, 3, 6, 9, 12, 15]
    assert os.getpid() not in {one[1] for one in found}
    assert {one[2] for one in found} == {max(1, cores() // 2)}, "the cores are shared, not doubled"
    assert "MainProcess" not in {one[3] for one in found}


@pytest.mark.parametrize(("n_tasks", "asked"), [(1, 4), (5, 1)])
def test_a_single_run_or_worker_needs_no_other_process(n_tasks, asked):
    found = side_by_side(lambda k: os.getpid(), [(k,) for k in range(n_tasks)], asked)
    assert set(found) == {os.getpid()}


def test_an_accelerator_is_not_shared(monkeypatch):
    assert workers.default_workers() == torch.get_num_threads()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert workers.default_workers() == 1


def test_an_error_arrives_as_it_was_raised():
    def work(k):
        raise ValueError(f"galaxy {k} is broken")

    with pytest.raises(ValueError, match=r"galaxy [01] is broken"):
        list(side_by_side(work, [(0,), (1,)], workers=2))


def test_scores_do_not_depend_on_the_processes(tmp_path, galaxies, features):
    methods = {kind: probe(features, kind) for kind in ("fully connected", "logistic")}
    alone, shared = (
        scoring.score_methods(methods, galaxies, [20, 0], 3, [4, 5], workers=w) for w in (1, 2)
    )
    np.testing.assert_array_equal(alone.p_late, shared.p_late)
    columns = [name for name in alone.table.colnames if name != "seconds"]
    assert (alone.table[columns] == shared.table[columns]).all()

    galaxies.save(tmp_path / "dataset")
    told = {"journal": tmp_path / "journal", "inputs": "features of this test"}
    kept = scoring.score_methods(methods, galaxies, [20, 0], 3, [4, 5], workers=2, **told)
    np.testing.assert_array_equal(kept.p_late, alone.p_late)
    assert len(list((tmp_path / "journal").glob("*.npz"))) == 24, "each run is kept by who made it"


def test_with_all_labels_fewer_draws_will_do(galaxies, features):
    methods = {"kNN": probe(features, "knn")}
    table = scoring.score_methods(methods, galaxies, [20, 0], 3, draws_all=1).table
    assert [len(table[table["n_labels"] == n]) for n in (20, 60)] == [3, 1]
    methods["again"], most = methods["kNN"], {"kNN": 2, "again": 0}
    table = scoring.score_methods(methods, galaxies, [20, 0], 3, draws_all=most).table
    with_all = [str(m) for m, n in zip(table["method"], table["n_labels"], strict=True) if n == 60]
    assert sorted(with_all) == ["again"] * 3 + ["kNN"] * 2


def test_predictions_do_not_depend_on_the_processes(galaxies, features):
    methods = {kind: regressor(features, kind) for kind in ("ridge", "fully connected")}
    alone, shared = (
        regression.score_regressions(methods, galaxies, [20, 0], workers=w) for w in (1, 2)
    )
    np.testing.assert_array_equal(alone.predicted, shared.predicted)


def test_only_who_is_looked_at_shows_progress(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def shown(name):
        monkeypatch.setattr(provenance.sys, "stderr", Terminal())
        monkeypatch.setattr(current_process(), "name", name)
        list(provenance.progress(range(3), "counting"))
        return "counting" in provenance.sys.stderr.getvalue()

    assert shown("MainProcess") and not shown("LokyProcess-1")
