"""Measured times: what is read, what is refused, and the arithmetic of the floor."""

import csv
import json
import math

import numpy as np
import pytest

from galclr_utils import reports, timings

RECORD = {"time": "2026-03-01T10:00:00+00:00", "commit": "abc1234", "device": "CPU", "threads": 2}
FACTS = {"quick": False, "cpu": "Processor X", "provenance": RECORD}
SPEED = [  # group, name, unit, threads, batch, median
    ("machine", "GEMM fp32", "GFLOP/s", 2, 2048, 200.0),
    ("machine", "GEMM bf16", "GFLOP/s", 1, 2048, 400.0),
    ("machine", "GEMM bf16", "GFLOP/s", 2, 2048, 800.0),
    ("machine", "copy", "GB/s", 2, 2048, 80.0),
    ("augmentation", "stock", "views/s", 1, 100, 1000.0),
    ("augmentation", "ours, as in a step", "views/s", 2, 200, 20_000.0),
    ("data", "ours, as in a step", "galaxies/s", 2, 100, 1e6),
    ("step", "cnn4 fp32", "galaxies/s", 2, 100, 500.0),
    ("step", "cnn4 bf16 channels_last", "galaxies/s", 2, 100, 2000.0),
    ("loss", "NT-Xent, 100 galaxies", "ms", 2, 100, 5.0),
    ("end to end", "stock", "galaxies/s", 2, 100, 250.0),
]
RATIOS = [
    {"name": "end to end, bf16 / stock", "value": 4.2, "low": 3.9, "high": 4.4, "target": 4},
    {"name": "loop overhead, ms a step", "value": 0.2, "low": 0.1, "high": 0.3, "target": 0.1},
    {"name": "cnn4 step / GEMM bf16", "value": 0.5, "low": 0.49, "high": 0.51},
]
GROWTH = [("embed", n, n / 1000, 0.5, 1.9) for n in (1000, 10_000)]
LOW, HIGH = 0.9, 1.1  # lowest and highest round over the median


def write(folder, name, rows, columns, **more):
    with open(folder / f"{name}.csv", "w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    (folder / f"{name}.json").write_text(json.dumps(FACTS | more))


@pytest.fixture
def results(tmp_path):
    """A folder with made-up results of two benchmarks."""
    columns = "group name unit threads batch median low high rounds cpu_per_wall rejected".split()
    rows = [(*row, LOW * row[5], HIGH * row[5], 7, 1.97, 0) for row in SPEED]
    write(tmp_path, "speed", rows, columns, ratios=RATIOS, others=RATIOS[2:])
    fits = {"embed": {"time": [1.01, 0.98, 1.04], "memory": [0.1, None, None], "from_n": 1000}}
    columns = "stage n seconds peak_gb cpu_per_wall".split()
    write(tmp_path, "growth", GROWTH, columns, exponents=fits)
    return tmp_path


@pytest.fixture
def speed(results):
    return timings.load(results, "speed")


def rewrite(path, **changed):
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


# --- reading ------------------------------------------------------------------------------------


def test_what_was_not_run_is_no_error_and_its_command_exists_in_words(results):
    assert timings.load(results, "precision") is None
    assert timings.load(results, "gpu") is None
    assert "benchmarks/precision.py" in timings.absent("precision")
    with pytest.raises(ValueError, match="did you mean 'speed'"):
        timings.load(results, "sped")


def test_the_origin_says_machine_day_and_commit(speed):
    said = "Measured on Processor X, 2 threads, on 2026-03-01, commit abc1234."
    assert speed.origin == said


def test_half_a_result_is_refused(results):
    (results / "speed.csv").unlink()
    with pytest.raises(ValueError, match=r"speed\.csv: not found, but speed\.json is there: run"):
        timings.load(results, "speed")


def test_quick_results_are_refused_unless_asked_for(results):
    rewrite(results / "speed.json", quick=True)
    with pytest.raises(ValueError, match=r"--quick, which mean nothing; run .*speed\.py"):
        timings.load(results, "speed")
    assert timings.load(results, "speed", quick=True).facts["quick"]


def test_a_missing_column_entry_or_time_is_named(results):
    text = (results / "growth.csv").read_text()
    (results / "growth.csv").write_text(text.replace("peak_gb", "peak"))
    with pytest.raises(ValueError, match=r"growth\.csv: expected a column 'peak_gb', got"):
        timings.load(results, "growth")
    rewrite(results / "speed.json", provenance={})
    with pytest.raises(ValueError, match="no time of measurement"):
        timings.load(results, "speed")
    (results / "speed.json").write_text('{"quick": false}')
    with pytest.raises(ValueError, match="expected an entry 'ratios'"):
        timings.load(results, "speed")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1000,1.0,0.5", "1000,soon,0.5", "column seconds: expected numbers"),
        ("embed,1000,1.0,0.5,1.9\nembed", "embed", None),
    ],
)
def test_a_word_in_place_of_a_number_is_refused_and_a_single_row_is_not(results, old, new, said):
    path = results / "growth.csv"
    text = path.read_text().replace("\r\n", "\n")
    assert old in text
    path.write_text(text.replace(old, new))
    if said:
        with pytest.raises(ValueError, match=said):
            timings.load(results, "growth")
    else:
        assert len(timings.load(results, "growth").table) == 1


def test_a_median_outside_its_rounds_is_refused(results):
    text = (results / "speed.csv").read_text()
    assert "250.0,225.0,275.0" in text
    (results / "speed.csv").write_text(text.replace("250.0,225.0,275.0", "250.0,260.0,275.0"))
    with pytest.raises(ValueError, match="stock: expected low <= median <= high, got 260, 250"):
        timings.load(results, "speed")


def test_an_empty_cell_is_not_a_number_and_no_rows_are_refused(results):
    path = results / "growth.csv"
    path.write_text(path.read_text().replace("1.0,0.5", "1.0,"))
    assert math.isnan(timings.load(results, "growth").table["peak_gb"][0])
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(ValueError, match="got no rows"):
        timings.load(results, "growth")


# --- what is made of it -------------------------------------------------------------------------


def test_of_several_rows_the_one_on_most_threads_is_found(speed):
    assert timings.find(speed, "machine", "GEMM bf16")["median"] == 800
    assert timings.find(speed, "loss", "NT-Xent, 100 galaxies", batch=100)["median"] == 5
    assert timings.find(speed, "loss", "NT-Xent, 100 galaxies", batch=7) is None
    assert timings.find(speed, "machine", "GEMM") is None


def test_ratios_are_judged_by_their_sense(speed):
    table = reports.ratios_table(speed)
    assert list(table["reached"]) == ["yes", "no", "", ""]
    assert list(table["aim"]) == ["≥ 4", "≤ 0.1", "", ""]
    assert table["rounds"][0] == "3.90 to 4.40"
    assert reports.met({"name": "new", "value": 1.0, "target": 2, "sense": "at most"}) is True


def test_the_parts_of_a_step_add_up_to_its_time(speed):
    bars, whole = timings.budget(speed)
    assert set(bars) == {"stock", "tuned stock", "ours bf16"}, "no fp32 row in channels_last"
    # 200 views at 1000/s on one core, two cores: 100 ms; 100 galaxies at 500/s: 200 ms, loss inside
    assert bars["stock"] == {"data": 0, "augmentation": 100, "loss": 5, "network": 195}
    assert bars["ours bf16"]["augmentation"] == 10, "measured on both cores: not scaled"
    assert bars["ours bf16"]["data"] == pytest.approx(0.1)
    assert sum(bars["ours bf16"].values()) == pytest.approx(60.1)
    assert whole == {"stock": 400}


def test_exponents_are_told_with_the_interval_that_there_is(results):
    row = reports.exponents_table(timings.load(results, "growth"))[0]
    assert row["exponent of time"] == "1.01 [0.98, 1.04]"
    assert row["of memory"] == "0.10" and row["of own memory"] == "–"
    assert row["time fitted from N"] == "1,000"
    n = np.array([10.0, 100.0, 1000.0])
    assert reports.slope(n, 3 * n**1.7) == pytest.approx(1.7)


def test_growth_is_judged_as_the_benchmark_did_and_nonsense_not_at_all(results):
    fits = {name: {"time": [1.0, 0.9, 1.2]} for name in ("embed", "prepare", "simulate")}
    fits |= {"umap": {"time": [0.1, -6.0, 6.2]}, "open": {"time": [0.5, None, None]}}
    fits |= {"knn": {"time": [3.0, 1.1, 4.9]}, "probe": {"time": [0.4, -2.0, 2.8]}}
    fits["prepare"] |= {"memory": [0.2, 0.1, 0.3], "own": [0.1, 0.0, 0.2]}
    judged = {"worse_than_linear": ["knn"], "undecided": ["embed", "probe"]}
    rewrite(results / "growth.json", exponents=fits, **judged)
    growth = timings.load(results, "growth")
    said = {name: reports.verdict(growth, name) for name in fits}
    assert said["umap"] == "not judged" and said["embed"] == said["probe"] == "undecided"
    assert said["knn"] == "yes" and said["open"] == said["prepare"] == "no"
    straight = {name for name in fits if reports.straight(growth, name)}
    assert straight == {"embed", "prepare", "simulate", "open"}
    table = reports.exponents_table(growth)
    own = dict(zip(table["stage"], table["of own memory"], strict=True))
    assert own["prepare"] == "0.10 [0.00, 0.20]" and own["simulate"] == "as prepare"


def test_a_ratio_measured_in_two_ways_is_held_against_one_aim(results):
    assert reports.twice(timings.load(results, "speed")) == ""
    name = "augmentation per core / kornia"
    first = {"name": name, "value": 5.0, "low": 4.5, "high": 5.5, "target": 4}
    second = {"name": f"{name}, no hue", "value": 3.0, "low": 2.5, "high": 3.5}
    rewrite(results / "speed.json", ratios=[first], others=[second])
    assert reports.twice(timings.load(results, "speed")).splitlines() == [
        f"{name}: 5.00 (4.50 to 5.50), reaches 4",
        f"{name}, no hue: 3.00 (2.50 to 3.50), does not reach 4",
    ]


def test_a_gpu_is_told_line_by_line(tmp_path):
    facts = {"quick": False, "device": "GPU Y", "provenance": RECORD | {"device": "GPU Y"}}
    facts |= {"measured": {"cnn4": {"galaxies_per_s": 51234.5}, "note": "x" * 200}}
    facts |= {"projection": {"cnn4": {"minutes": 12.34, "reached": True}}, "quality": {}}
    (tmp_path / "gpu.json").write_text(json.dumps(facts))
    gpu = timings.load(tmp_path, "gpu")
    assert gpu.origin.startswith("Measured on GPU Y, on 2026-03-01")
    assert reports.gpu_lines(gpu) == [
        ("device", "GPU Y"),
        ("measured: cnn4: galaxies per s", "51,234"),
        ("projection: cnn4: minutes", "12.3"),
        ("projection: cnn4: reached", "yes"),
    ]


# --- the chapter and the pages ------------------------------------------------------------------


def test_the_chapter_runs_on_results_that_are_there(results, tmp_path):
    from conftest import execute_here

    execute_here("10_speed", run_dir=str(tmp_path / "run"), results_dir=str(results))
    record = json.loads((tmp_path / "run" / "metrics" / "10_speed.json").read_text())
    found = record["metrics"]
    assert found["flop_a_view"]["cnn4"] == pytest.approx(88.8e6, rel=0.01)
    assert found["milliseconds"]["stock"]["augmentation"] == 100
    assert set(found["origin"]) == {"speed", "growth"}
    drawn = {path.stem for path in (tmp_path / "run" / "figures").glob("*.png")}
    assert drawn == {"fig-ratios", "fig-anatomy", "fig-growth"}


def test_new_results_make_the_chapter_run_again(results):
    import chapters
    import freshness
    from conftest import ROOT

    chapter = next(c for c in chapters.read_chapters(ROOT) if c.name == "10_speed")
    run = chapters.Run(ROOT, results / "run", {"results_dir": str(results)})
    before = freshness.dependencies(chapter, run)
    rewrite(results / "speed.json", cpu="Processor Z, the second")
    after = freshness.dependencies(chapter, run)
    assert {name for name in before if before[name] != after[name]} == {str(results)}


def test_the_pages_tell_of_a_gpu_only_what_was_measured(tmp_path):
    import chapters
    import pages

    run = chapters.Run(tmp_path, tmp_path / "run", {})
    assert pages.gpu(run) == "The poster's configuration has not yet been run on a GPU."
    facts = {"quick": False, "device": "GPU Y", "measured": {"galaxies_per_s": 5.0}}
    facts |= {"projection": {}, "provenance": RECORD | {"device": "GPU Y"}}
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    (folder / "gpu.json").write_text(json.dumps(facts))
    text = pages.gpu(run)
    assert "| measured: galaxies per s | 5.00 |" in text and "2026-03-01" in text
    assert "not yet" not in text
