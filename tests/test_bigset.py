"""The script that measures large sets: its arithmetic, its watch on memory, and what is told of it.

What it measures at toy size means nothing, so it is not run here.
"""

import doctest
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from galclr_utils import reports, timings
from galclr_utils.sources import survey_size

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))  # scripts, not a package

import bigset  # noqa: E402
import ledger  # noqa: E402
import pages  # noqa: E402

ROWS = [  # SIMULATED numbers: nobody measured them
    ["noise", "processes", 400_001, 2, 0, 800.0, 700.0, 60.0, 571.4, 1.95, 293.0, 1.5, 1.2, "a"],
    ["SIMULATED", "processes", 20_001, 1, 0, 70.0, 66.0, 3.0, 303.0, 0.99, 306.0, 0.9, 0.8, "b"],
    ["SIMULATED", "killed", 20_001, 2, 5, 60.0, "", "", "", "", "", 0.9, 0.8, "b"],
]


def test_the_examples_in_the_docstrings():
    result = doctest.testmod(bigset)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("n", [500, 4000])
def test_at_least_as_many_are_simulated_as_asked_for(n):
    assert n < survey_size(bigset.n_train(n), 0, bigset.VAL, bigset.TEST) < n + 20


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux to look")
def test_memory_is_that_of_a_process_and_of_those_below_it():
    hold = (
        "import sys, numpy as np; a = np.ones(10**8, np.uint8); print(flush=True); sys.stdin.read()"
    )
    above = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}])"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", above], **pipes) as process:
        process.stdout.readline()
        resident, proportional = bigset.memory_of(process.pid)
        process.stdin.close()
    assert 1e8 < proportional <= resident < 4e8
    assert bigset.memory_of(process.pid).sum() == 0, "it has ended"


def test_a_set_that_begins_otherwise_is_noticed(tmp_path):
    images = np.random.default_rng(0).random((2500, 1, 2, 2), np.float32)
    for name, rows in {"few": images[:1200], "many": images, "other": images[::-1]}.items():
        (tmp_path / name / "dataset").mkdir(parents=True)
        np.save(tmp_path / name / "dataset" / "images.npy", rows)
    assert bigset.begins_alike(tmp_path / "few", tmp_path / "many")
    assert not bigset.begins_alike(tmp_path / "few", tmp_path / "other")


def stored(folder, same=True):
    rows = [dict(zip(bigset.COLUMNS, row, strict=True)) for row in ROWS]
    ledger.write_rows(folder / "bigset.csv", rows, bigset.COLUMNS)
    facts = {"quick": False, "same_bytes": same, "begins_alike": True, "cpu": "a CPU"}
    facts |= {"provenance": {"time": "2026-01-01T00:00:00", "device": "CPU", "threads": 2}}
    (folder / "bigset.json").write_text(json.dumps(facts))


def test_the_page_tells_what_was_measured_and_that_nothing_was(tmp_path):
    run = SimpleNamespace(root=ROOT, values={"results_dir": str(tmp_path)})
    assert pages.bigset(run) == timings.absent("bigset")
    stored(tmp_path)
    _, *lines = reports.bigset_lines(timings.load(tmp_path, "bigset"))
    assert lines[0] == ["noise", "2 processes", "400,001", "13.3 min", "571", "293", "1.20 GB"]
    assert lines[2] == [
        "SIMULATED",
        "2 processes, killed 5 times",
        "20,001",
        "1.0 min",
        "–",
        "–",
        "0.80 GB",
    ]
    told = pages.bigset(run)
    assert "are the same bytes" in told and "SIMULATED" in told and "begins with" in told
    stored(tmp_path, same=False)
    assert "**not the same bytes**" in pages.bigset(run)
