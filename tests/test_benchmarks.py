"""Check `benchmarks/speed.py` and what it is made of; no test depends on how fast a machine is."""

import csv
import doctest
import json
import math
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from galclr_utils import reports, timings
from galclr_utils.device import has_bfloat16

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts, not a package

import cases  # noqa: E402
import rounds  # noqa: E402
import speed  # noqa: E402
import stock  # noqa: E402
import targets  # noqa: E402
import trainings  # noqa: E402
from rounds import Case, Ratio, Sample  # noqa: E402


def case(name="a", threads=1, unit="views/s", **options):
    return Case("group", name, unit, threads, 8, lambda: 8, **options)


def a_round(values: dict, cores: dict) -> dict:
    """Return a made-up round: by name of the case, its value and its CPU time per wall time."""
    return {case(name).key: Sample(values[name], cores.get(name, 1.0)) for name in values}


# --- ratios and rejection, on made-up numbers ----------------------------------------------------


def test_speed_ratio_is_formed_round_by_round():
    """The machine slows down threefold in between: the ratio of medians would say 0.67."""
    one, other = case("one").key, case("other").key
    made_up = [(4, 2), (4, 2), (2, 1), (9, 3), (3, 3)]
    some = [a_round({"one": a, "other": b}, {}) for a, b in made_up]
    wanted = [Ratio("one / other", lambda v: v[one] / v[other], "", 1.5, "at most")]
    (found,) = rounds.ratios(wanted, some)
    assert (found["value"], found["low"], found["high"], found["rounds"]) == (2, 1, 3, 5)
    assert (found["target"], found["sense"]) == (1.5, "at most")


def test_speed_ratio_without_its_case_is_left_out():
    wanted = [Ratio("one / none", lambda v: v[case("one").key] / v["none"], "")]
    assert rounds.ratios(wanted, [a_round({"one": 1.0}, {})]) == []


def test_speed_round_with_too_few_cores_is_thrown_away():
    both = [case("a", threads=2), case("b", threads=1)]

    def one(a, b):
        return {both[0].key: Sample(1, a), both[1].key: Sample(1, b)}

    fine, thin, fewest = one(1.9, 0.99), one(1.5, 0.99), one(1.9, 0.4)
    assert rounds.choose([fine, thin, fine, fewest], both, 2) == ([fine, fine], 2)
    assert rounds.choose([fewest, thin], both, 1) == ([thin], 1)  # none is good: the best stays
    assert rounds.choose([thin, fewest, fine], both, 3) == ([thin, fewest, fine], 0)


def test_speed_waiting_case_cannot_reject_a_round():
    both = [case("a", threads=2, busy=False), case("b", threads=1)]
    one = {both[0].key: Sample(1, 0.1), both[1].key: Sample(1, 0.9)}
    assert rounds.cores_share(one, both) == 0.9
    assert rounds.cores_share(one, both[:1]) == 1


@pytest.mark.parametrize(
    "shares, n_rounds, n_kept",
    [([1, 1, 1, 1], 2, 2), ([0.1, 1, 0.1, 1, 1], 4, 2), ([0.1] * 9, 5, 2)],
)
def test_speed_rounds_are_repeated_until_enough_are_good(monkeypatch, shares, n_rounds, n_kept):
    given, said = iter(shares), []
    monkeypatch.setattr(rounds, "measure", lambda case: Sample(1, next(given)))
    kept, rejected = rounds.run_rounds([case()], 2, 3, said.append)
    assert (len(kept), rejected, len(said)) == (n_kept, n_rounds - n_kept, n_rounds)
    assert f"round {n_rounds}" in said[-1]


@pytest.mark.parametrize(
    "unit, by_cpu, value",
    [("views/s", False, 4), ("views/s", True, 2), ("s", False, 0.25), ("ms", True, 500)],
)
def test_speed_measure_divides_by_the_right_clock(monkeypatch, unit, by_cpu, value):
    """A piece of 8 takes 2 s on the wall and 4 s of CPU, 1 of which another process spent."""
    clock = SimpleNamespace(wall=0.0, pieces=0)

    def run():
        clock.wall += 2
        clock.pieces += 1
        return 8

    fake = SimpleNamespace(perf_counter=lambda: clock.wall, process_time=lambda: clock.wall / 2 * 3)
    monkeypatch.setattr(rounds, "time", fake)
    done, threads = [], torch.get_num_threads()
    a_case = Case("group", "a", unit, threads, 8, run, seconds=5, warm=2, by_cpu=by_cpu)
    a_case.before, a_case.after = lambda: done.append("before"), lambda: done.append("after")
    a_case.cpu_elsewhere = lambda: clock.wall / 2
    sample = rounds.measure(a_case)
    assert (sample.value, sample.cpu_per_wall) == (value, 2)
    assert clock.pieces == 2 + 3  # warm, then as many as fill five seconds
    assert done == ["before", "after"]


def test_speed_rows_hold_median_and_spread():
    some = [a_round({"a": value}, {"a": cores}) for value, cores in ((3, 1), (1, 0.9), (8, 0.8))]
    (row,) = rounds.summarise([case()], some, 2)
    assert tuple(row) == rounds.COLUMNS
    assert list(row.values()) == ["group", "a", "views/s", 1, 8, 3, 1, 8, 3, 0.9, 2]


# --- what is compared ----------------------------------------------------------------------------


def test_speed_stock_is_lightly_with_the_options_it_names():
    steps = stock.describe(stock.stock_transform())
    words = " ".join(steps)
    assert not any(" at 0x" in step for step in steps)
    assert "RandomRotation(degrees=[-180.0, 180.0]" in words and "prob=0.5" in words
    assert "hue=(-0.1, 0.1)" in words and "RandomGrayscale(p=0.2)" in words
    assert "size=(32, 32), scale=(0.08, 1.0)" in words


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("tuned", [False, True])
def test_speed_stock_trains(pictures, tuned):
    one = stock.Stock(pictures, batch_size=4, tuned=tuned, workers=0)
    before = one.model.encoder.to_representation.weight.detach().clone()
    seen, kinds = [], set()
    one.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    first = one.model.encoder.trunk[0]
    first.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    assert one.step() == 4
    assert len(seen) == 2 and not torch.equal(*seen)  # two views, one forward pass each
    assert (one.model.encoder.to_representation.weight != before).any()
    assert kinds == {torch.bfloat16 if tuned and has_bfloat16() else torch.float32}
    assert seen[0].is_contiguous(memory_format=torch.channels_last) == tuned


def test_speed_stock_workers_are_started_counted_and_stopped(pictures):
    one = stock.Stock(pictures, batch_size=4, workers=1)
    try:
        assert one.step() == 4
        one.rest()
        assert len(one.processes) == 1 and one.cpu_seconds() > 0
    finally:
        one.close()
    assert not one.processes[0].is_running() or one.processes[0].status() == "zombie"


def test_speed_views_are_one_for_each_image(pictures):
    images = torch.rand(8, 3, 32, 32)
    assert stock.stock_views(pictures)() == 16
    assert stock.torchvision_views(images)() == 8
    same = torch.rand(1, 3, 32, 32).expand(8, -1, -1, -1)
    views = [stock.torchvision_list()(image) for image in same]
    assert not torch.equal(views[0], views[1])


def test_speed_kornia_draws_for_each_image():
    pytest.importorskip("kornia")
    views = stock.kornia_list()(torch.rand(1, 3, 32, 32).repeat(8, 1, 1, 1))
    assert views.shape == (8, 3, 32, 32)
    assert len({view.numpy().tobytes() for view in views}) == 8


@pytest.mark.parametrize("encoder, size", [("cnn4", 32)])
def test_speed_flop_are_those_of_a_count_by_hand(encoder, size):
    """Forward, gradient of weights, gradient of inputs; the first layer needs no last one."""
    widths = (3, 32, 64, 128, 256)
    pairs = zip(pairwise(widths), (size, size // 2, size // 4, size // 8), strict=True)
    layers = [2 * 9 * a * b * side**2 for (a, b), side in pairs]
    linear = 2 * (256 * 64 + 64 * 256 + 256 * 64)  # encoder and head
    by_hand = 3 * sum(layers) - layers[0] + 3 * linear
    assert math.isclose(trainings.flop_per_view(encoder, size), by_hand, rel_tol=0.01)


def test_speed_step_has_the_settings_of_its_name():
    views = torch.rand(4, 3, 32, 32)
    plain, fast = trainings.Step("cnn4", views), trainings.Step("cnn4", views, True, True)
    for one, layout in ((plain, torch.contiguous_format), (fast, torch.channels_last)):
        assert one.views.is_contiguous(memory_format=layout)
        assert one.model.encoder.trunk[4].weight.is_contiguous(memory_format=layout)
    kinds = []
    for one in (plain, fast):
        one.model.encoder.trunk[0].register_forward_hook(lambda m, i, o: kinds.append(o.dtype))
        before = one.model.encoder.trunk[0].weight.detach().clone()
        assert one() == 2
        assert (one.model.encoder.trunk[0].weight != before).any()
    assert kinds == [torch.float32, torch.bfloat16]


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Run the whole command, in seconds; what is optional counts as not installed."""
    out, said = tmp_path_factory.mktemp("speed"), []
    with pytest.MonkeyPatch.context() as patch:
        for name in ("kornia", "kornia.augmentation", "lightly_train"):
            patch.setitem(sys.modules, name, None)
        patch.setattr(speed, "say", said.append)
        assert speed.main(["--quick", "--out", str(out)]) == 0
    with open(out / "speed.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return out, rows, json.loads((out / "speed.json").read_text()), said


def needs(name: str) -> bool:
    """Whether a ratio needs what this machine, or the test, has not."""
    return "kornia" in name or (("bf16" in name or "tuned" in name) and not has_bfloat16())


@pytest.mark.slow
def test_speed_writes_every_group_and_every_ratio(measured):
    out, rows, record, _ = measured
    assert tuple(rows[0]) == rounds.COLUMNS
    assert {row["group"] for row in rows} == set(speed.GROUPS)
    quoted, _ = targets.wanted_ratios(1, speed.QUICK)
    names = [ratio.name for ratio in quoted]
    assert [r["name"] for r in record["ratios"]] == [n for n in names if not needs(n)]
    at_most = {ratio.name for ratio in quoted if ratio.sense == "at most"}
    assert at_most == set(reports.AT_MOST)
    assert all(r["low"] <= r["value"] <= r["high"] for r in record["ratios"] + record["others"])
    assert record["quick"] is True and record["cpu"] and record["provenance"]["versions"]
    assert (out / "speed.png").stat().st_size > 10_000


@pytest.mark.slow
def test_speed_is_what_the_book_reads(measured):
    out, *_ = measured
    speed_ = timings.load(out, "speed", quick=True)
    bars, whole = timings.budget(speed_)
    pipelines = [name for name in timings.PIPELINES if "fp32" in name or name == "stock"]
    assert set(pipelines) <= set(bars) and set(pipelines) <= set(whole)
    assert timings.find(speed_, "machine", "copy") is not None
    with pytest.raises(ValueError, match="--quick"):
        timings.load(out, "speed")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, one, other",
    [
        ("end to end, fp32 / stock", ("end to end", "ours fp32"), ("end to end", "stock")),
        ("augmentation per core / stock", ("augmentation", "ours"), ("augmentation", "stock")),
    ],
)
def test_speed_ratios_are_of_the_rows_they_name(measured, name, one, other):
    """A ratio of rounds lies between those of the extremes of its two rows."""
    _, rows, record, _ = measured

    def ends(group, case_name):
        (row,) = [r for r in rows if (r["group"], r["name"]) == (group, case_name)]
        return float(row["low"]), float(row["high"])

    (found,) = [r for r in record["ratios"] if r["name"] == name]
    (low, high), (low_other, high_other) = ends(*one), ends(*other)
    assert low / high_other <= found["low"] * 1.001
    assert found["high"] <= 1.001 * high / low_other


@pytest.mark.slow
def test_speed_overhead_is_the_difference_of_its_rows(measured):
    _, rows, record, _ = measured
    low, high = {}, {}
    for row in rows:
        if row["group"] == "loop":
            low[row["name"]], high[row["name"]] = float(row["low"]), float(row["high"])
    (found,) = [r for r in record["ratios"] if r["name"].startswith("loop overhead")]
    assert low["loop"] - high["plain step"] <= found["low"] + 1e-9
    assert found["high"] <= high["loop"] - low["plain step"] + 1e-9


@pytest.mark.slow
def test_speed_says_how_to_install_what_is_left_out(measured):
    *_, said = measured
    (line,) = [line for line in said if line.startswith("augmentation, kornia:")]
    assert "pip install --no-deps -r benchmarks/requirements.txt" in line
    assert any("augmentation, LightlyTrain" in line for line in said)


def test_speed_doctests_run():
    for module in (stock, rounds, cases, trainings, targets, speed):
        assert doctest.testmod(module).failed == 0
    assert doctest.testmod(stock).attempted > 3
