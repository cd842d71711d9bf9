"""The scripts that measure growth, precision and the GPU: their arithmetic, and that they run.

No time is asserted here: what the scripts find at toy size means nothing.
"""

import doctest
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from galclr_utils import atlas, timings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts, not a package

import growth  # noqa: E402
import ledger  # noqa: E402
import parts  # noqa: E402
import poster  # noqa: E402
import precision  # noqa: E402

N = np.array([1000, 4000, 16_000, 64_000, 400_000])


@pytest.mark.parametrize("module", [growth, ledger, parts, poster, precision])
def test_the_examples_in_the_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


# --- growth --------------------------------------------------------------------------------------


def test_a_fixed_cost_is_no_growth():
    fit = growth.exponent(N, 5 + N / 1000)
    assert fit["value"] == pytest.approx(1, abs=1e-6)
    assert fit["from_n"] == 16_000, "at 4000 it is 9 s, not yet twice the 6 s at 1000"
    plain = np.polyfit(np.log(N), np.log(5 + N / 1000), 1)[0]
    assert plain < 0.8, "what the fixed cost would have done"


@pytest.mark.parametrize("power", [0.5, 1.5, 2.0])
def test_the_exponent_of_a_power_law_is_nearly_recovered(power):
    fit = growth.exponent(N, 3 * (N / 1000.0) ** power)
    assert fit["value"] == pytest.approx(power, abs=0.15)


def test_noise_widens_the_interval_and_stays_inside():
    noise = np.array([1, 1.1, 0.92, 1.06, 0.97])
    smooth, noisy = growth.exponent(N, N / 1000), growth.exponent(N, N / 1000 * noise)
    assert noisy["high"] - noisy["low"] > smooth["high"] - smooth["low"] + 0.05
    assert noisy["low"] < 1 < noisy["high"]


def test_what_does_not_grow_has_exponent_zero_and_two_sizes_have_no_interval():
    assert growth.exponent(N, np.full(5, 0.02))["value"] == pytest.approx(0, abs=1e-9)
    fit = growth.exponent([100, 200], [1, 1.5])
    assert fit["low"] is None and fit["high"] is None and math.isfinite(fit["value"])


def growth_rows(stage, seconds):
    row = {"stage": stage, "peak_gb": 1.0, "own_gb": 1.0, "cpu_per_wall": 1.0}
    return [row | {"n": int(n), "seconds": float(s)} for n, s in zip(N, seconds, strict=True)]


def test_only_umap_may_grow_faster_than_the_set():
    rows = growth_rows("embed", N / 1000) + growth_rows("duplicates", (N / 1000) ** 1.4)
    rows += growth_rows("umap", (N / 1000) ** 1.4)
    found = growth.exponents(rows)
    assert growth.worse_than_linear(found) == ["duplicates"]
    unsure = {"knn": {"time": [1.05, 0.9, 1.2]}, "pca": {"time": [1.05, None, None]}}
    assert growth.worse_than_linear(unsure) == [] and growth.worse_than_linear(unsure, False) == [
        "knn"
    ]


@pytest.mark.slow
def test_growth_writes_what_the_book_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(atlas, "umap_map", lambda h: np.zeros((len(h), 2)))  # minutes to compile
    out, work = tmp_path / "out", tmp_path / "work"
    assert growth.main(["--quick", "--out", str(out), "--work", str(work)]) == 0
    measured = timings.load(out, "growth", quick=True)
    stages = {*growth.STAGES, "simulate", "duplicates", "umap"}
    assert set(measured.table["stage"]) == stages == set(measured.facts["exponents"])
    own = measured.table[measured.table["stage"] == "prepare"]
    assert sorted(own["n"]) == [150, 300] and (own["seconds"] > 0).all()
    parts_of_it = [
        measured.table["seconds"][measured.table["stage"] == part]
        for part in ("simulate", "duplicates")
    ]
    assert (sum(parts_of_it) < own["seconds"]).all(), "parts are less than the whole"
    assert {"worse_than_linear", "rule"} <= set(measured.facts) and measured.facts["quick"]
    with pytest.raises(ValueError, match="--quick"):
        timings.load(out, "growth")


@pytest.mark.slow
def test_an_interrupted_growth_repeats_nothing(tmp_path, monkeypatch):
    asked = []

    def measured(stage, run, n, quick):
        asked.append((stage, n))
        if len(asked) == 10:
            raise KeyboardInterrupt
        inside = {"simulate": 0.5, "duplicates": 0.1} if stage == "prepare" else {}
        same = {"peak_gb": 1.0, "own_gb": 0.5, "cpu_per_wall": 1.0}
        return same | {"seconds": n / 100, "parts": inside}

    monkeypatch.setattr(growth, "measure_here", measured)
    arguments = ["--quick", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    with pytest.raises(KeyboardInterrupt):
        growth.main(arguments)
    assert not (tmp_path / "out").exists(), "a result is whole or not there"
    growth.main(arguments)
    assert len(asked) == len(set(asked)) + 1, "only the one that was interrupted"
    n_asked = len(asked)
    growth.main(arguments)
    assert len(asked) > n_asked + 10, "a finished measurement is measured anew when asked for"


@pytest.mark.slow
def test_a_stage_in_a_process_of_its_own(run):
    found = growth.measure("open", run, 384, quick=True)
    assert found["seconds"] > 0 and found["peak_gb"] > 0.05
    if sys.platform == "linux":
        assert 0 < found["own_gb"] < found["peak_gb"]
    with pytest.raises(SystemExit, match="knn of 384"):
        growth.measure("knn", run, 384, quick=True)  # nothing is embedded


# --- precision -----------------------------------------------------------------------------------


def case(mean, low=0.78, high=0.82):
    at = {"n_labels": 100, "probe": "logistic"}
    return at | {"fp32": {"mean": 0.8, "low": low, "high": high}, "bf16": {"mean": mean}}


def test_one_mean_outside_the_interval_decides_for_fp32():
    assert precision.decide([case(0.79), case(0.82)]).startswith("bf16 stays")
    lower = precision.decide([case(0.79), case(0.779)])
    assert lower.startswith("fp32: in 1 of 2") and "below" in lower
    assert "above" in precision.decide([case(0.83)])


def test_validation_galaxies_judge_and_test_galaxies_are_not_touched(galaxies):
    before = np.array(galaxies.catalog["split"])
    judged = precision.judged_by_validation(galaxies)
    np.testing.assert_array_equal(judged.indices("test"), galaxies.indices("val"))
    np.testing.assert_array_equal(judged.indices("train"), galaxies.indices("train"))
    np.testing.assert_array_equal(before, galaxies.catalog["split"])


def test_without_bfloat16_nothing_is_measured(tmp_path, monkeypatch, capsys):
    from galclr_utils import device

    monkeypatch.setattr(device, "has_bfloat16", lambda: False)
    assert precision.main(["--quick", "--out", str(tmp_path)]) == 0
    assert "not run" in capsys.readouterr().out and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_precision_writes_what_the_book_reads(tmp_path, monkeypatch):
    from galclr_utils import device

    monkeypatch.setattr(device, "has_bfloat16", lambda: True)  # emulated, where it is not
    arguments = ["--quick", "--out", str(tmp_path / "out"), "--work", str(tmp_path / "run")]
    run_one, asked = precision.run_one, []

    def interrupted(*args):
        asked.append(args[3:5])
        if len(asked) == 3:
            raise KeyboardInterrupt
        return run_one(*args)

    monkeypatch.setattr(precision, "run_one", interrupted)
    with pytest.raises(KeyboardInterrupt):
        precision.main(arguments)
    assert precision.main(arguments) == 0
    assert asked == [(p, s) for s in (0, 1) for p in precision.PRECISIONS][:3] + asked[3:]
    assert len(asked) == 5, "only the one that was interrupted is done again"
    measured = timings.load(tmp_path / "out", "precision", quick=True)
    assert len(measured.table) == 2 * 2 * 2 * 2, "seeds, precisions, budgets, probes"
    assert set(measured.table["precision"]) == set(precision.PRECISIONS)
    table = measured.table[measured.table["probe"] == "logistic"]
    for row in measured.facts["paired"]:
        if row["probe"] == "logistic":
            own = table[table["n_labels"] == row["n_labels"]]
            of = {p: own["balanced_accuracy"][own["precision"] == p] for p in precision.PRECISIONS}
            means = [of[p].mean() for p in precision.PRECISIONS]
            assert row["mean"] == pytest.approx(means[1] - means[0], abs=1e-4), "bf16 minus fp32"
            assert row["low"] <= row["mean"] <= row["high"]
    assert measured.facts["decision"].split(":")[0] in ("bf16 stays", "fp32")


# --- the GPU -------------------------------------------------------------------------------------


def test_the_projection_takes_the_best_rate_that_was_measured():
    rates = {
        "eager": {"cnn4": {"device": {"galaxies_per_s": 1e5}, "memory map": {"error": "x"}}},
        "cuda_graphs": {"cnn4": {"device": {"galaxies_per_s": 4e5}}, "resnet18": {"error": "y"}},
    }
    stock = {"cnn4": {"galaxies_per_s": 2e4}, "resnet18": {"error": "z"}}
    found = poster.project(rates, 376_832, stock)
    assert set(found) == {"cnn4"}, "what was not measured is not projected"
    assert found["cnn4"]["how"] == "cuda_graphs, device"
    assert found["cnn4"]["minutes"] == pytest.approx(1000 * 376_832 / 4e5 / 60)
    assert found["cnn4"]["reached"] and found["cnn4"]["times_stock"] == pytest.approx(20)
    rates["cuda_graphs"]["cnn4"]["device"]["galaxies_per_s"] = 3e5
    assert not poster.project(rates, 376_832, stock)["cnn4"]["reached"], "20.9 minutes"


def test_resnet18_does_as_much_work_as_counted_by_hand():
    work = parts.work_per_galaxy("resnet18")
    assert work["flop"] == pytest.approx(2 * 3.33e9, rel=0.01), "two views of 3,329 MFLOP"
    slow = parts.fractions(10.0, work, {"gemm_flop_per_s": 1e12, "copy_bytes_per_s": 1e12})
    assert slow["of_gemm"] == pytest.approx(10 * work["flop"] / 1e12)
    assert parts.fractions(10.0, work, {"error": "no machine"}) == {}


@pytest.mark.slow
def test_the_poster_runs_and_a_failing_part_costs_only_itself(tmp_path, monkeypatch):
    done = []

    def boom(*args):
        raise RuntimeError("operation failed due to a previous error during capture")

    def here(name, run, quick, state, *args):
        done.append(name)
        return run_part(name, run, quick, state)

    run_part, machine = poster.run_part, poster.PARTS["machine"]
    monkeypatch.setattr(poster, "on_gpu", lambda: False)
    monkeypatch.setattr(poster, "run_part", here)
    monkeypatch.setitem(poster.PARTS, "machine", (boom, ()))
    out = tmp_path / "out"
    arguments = ["--quick", "--out", str(out), "--run-dir", str(tmp_path / "run")]
    assert poster.main(arguments) == 0
    found = timings.load(out, "gpu", quick=True).facts
    assert found["failed"] == ["machine"] and "capture" in found["measured"]["machine"]["error"]
    assert done == list(poster.PARTS) and not found["not_run"]
    assert set(found["projection"]) == {"cnn4", "resnet18"}
    if not torch.cuda.is_available():
        assert found["cuda_graphs"]["cnn4"]["skipped"] == "not run: no GPU"
        assert found["eager"]["cnn4"]["device"]["skipped"] == "not run: no GPU"
        assert found["device"] == "not run: no GPU"
    methods = {row["method"] for row in found["quality"]["scores"]}
    assert {"SimCLR + fully connected", "PCA-64 + logistic", "random weights + kNN"} <= methods
    kernels = ledger.read_rows(out / "gpu.csv")
    assert set(kernels[0]) == set(poster.CSV) and kernels[0]["share"] > 0

    monkeypatch.setitem(poster.PARTS, "machine", machine)
    done.clear()
    assert poster.main(arguments) == 0
    assert done == ["machine"], "what is there is not measured again"
    assert json.loads((out / "gpu.json").read_text())["failed"] == []


def test_without_a_gpu_the_poster_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(poster, "on_gpu", lambda: False)
    out = tmp_path / "out"
    assert poster.main(["--out", str(out), "--run-dir", str(tmp_path / "run")]) == 1
    assert "no GPU" in capsys.readouterr().out and not out.exists()


@pytest.mark.slow
def test_a_part_apart_that_works_hangs_or_dies(tmp_path, monkeypatch):
    (tmp_path / "benchmark.json").write_text("{}")
    assert poster.run_apart("machine", tmp_path, True, 120)["gemm_flop_per_s"] > 0
    assert "longer than 0 s" in poster.run_apart("machine", tmp_path, True, 0.01)["error"]
    monkeypatch.setattr(poster.sys, "executable", "/bin/false")
    assert "left no answer" in poster.run_apart("machine", tmp_path, True, 60)["error"]
