"""The whole command: from the query to a data set, through every fault, and after every stop."""

import errno
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest
from astropy.table import Table
from small_sky import N, SmallSky, acquire_slowly, objid
from test_fetch import needs_signals

from galclr_utils import acquire, fetch, sdss, sky
from galclr_utils.sources import prepare

TRUSTED = ["--no-check", "--trust-units"]
KILLS = int(os.environ.get("GALCLR_KILLS", 2))  # of each way


@pytest.fixture(scope="module")
def service():
    with SmallSky() as running:
        yield running


@pytest.fixture
def server(service):
    service.faults, service.pause_s = {}, 0.0
    service.asked.clear()
    yield service


def failures(folder):
    return Table.read(folder / "failures.csv", format="ascii.csv", converters={"id": str})


def run(server, folder, *more):
    """Acquire, cut-outs as a rule; their unit is the subject of another test."""
    return acquire.main(server.words(folder, *TRUSTED, *more))


def content(folder):
    """What a folder gives: ids, stamps, flags, and what failed."""
    blocks = list(sky.sdss(folder, units_checked=True).blocks())
    images = np.concatenate([images for images, _ in blocks])
    rows = [tuple(map(str, row)) for _, rows in blocks for row in rows]
    return images.tobytes(), rows, (folder / "failures.csv").read_text()


@pytest.mark.parametrize("way", sdss.WAYS)
def test_from_the_query_to_a_set_of_galaxies(server, tmp_path, capsys, way):
    assert acquire.main(server.words(tmp_path / "sky", "--way", way)) == 0
    said = capsys.readouterr().out
    assert "16 galaxies were found, 16 are taken" in said
    assert said.index("gigabytes") < said.index("have a stamp"), "the plan comes first"
    assert "book/build.py --profile sdss" in said
    galaxies = prepare(tmp_path / "run", source="sdss", source_path=tmp_path / "sky", n_galaxies=0)
    assert len(galaxies) == N and galaxies.card["units"] == "nanomaggy"
    assert {0, 1} <= set(galaxies.labels) and galaxies.card["arcsec_per_pixel"] == 0.792
    assert ("lie in 4 fields, 4.0 to a field" in said) == (way == "frames")
    before = server.count()
    assert acquire.main(["--folder", str(tmp_path / "sky"), "--yes"]) == 0
    assert server.count() == before, "all was there, and what was asked for is remembered"


def test_the_plan_alone_asks_for_no_picture(server, tmp_path, capsys):
    assert run(server, tmp_path, "--plan") == 0
    assert server.count() == server.count("SqlSearch") > 0
    assert "files" in capsys.readouterr().out and not (tmp_path / "cutouts").exists()


def test_without_a_yes_nothing_big_is_asked_for(server, tmp_path, capsys, monkeypatch):
    words = [word for word in server.words(tmp_path, "--way", "frames") if word != "--yes"]
    (tmp_path / "sample.fits").touch()  # the survey has been asked for before
    assert acquire.main(words) == 2 and "--yes" in capsys.readouterr().out
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, status in (("", 2), ("n", 2), ("y", 0)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        assert server.count("/frames/") == 0
        assert acquire.main(words) == status


def test_fewer_galaxies_are_among_more(server, tmp_path):
    chosen = []
    for n in (5, 9, 0):
        assert run(server, tmp_path, "--plan", "--galaxies", n) == 0
        chosen.append(set(sky.read_sample(tmp_path)["id"]))
    assert [len(ids) for ids in chosen] == [5, 9, N] and chosen[0] < chosen[1] < chosen[2]


def test_a_list_of_objects_is_taken(server, tmp_path):
    some = server.galaxies["ra", "dec", "field"][:7]
    some["run"], some["camcol"] = 4510, 4
    some.write(tmp_path / "mine.csv", format="ascii.csv")
    listed = ["--list", tmp_path / "mine.csv"]
    assert run(server, tmp_path / "a", "--way", "frames", *listed) == 0
    some["label"], some["id"] = ["early", "late", ""] * 2 + ["late"], [f"m{k}" for k in range(7)]
    some["id", "ra", "dec", "label"].write(tmp_path / "mine.csv", overwrite=True)
    assert run(server, tmp_path / "b", "--no-check", "--trust-units", *listed) == 0
    labels = [rows["label"] for _, rows in sky.sdss(tmp_path / "b", units_checked=True).blocks()]
    assert np.concatenate(labels).tolist() == [0, 1, -1, 0, 1, -1, 1]
    assert server.count("SqlSearch") == 0
    assert sky.sdss(tmp_path / "a").n == 7 and "none" in sky.sdss(tmp_path / "a").facts["labels"]
    assert run(server, tmp_path / "c", "--way", "frames", *listed) == 1, "no run, camcol, field"


PASSING = [500, 503, "retry-after", "timeout", "truncated", "type", "html", "disguised", "empty"]
PASSING += ["reset"]


def test_faults_that_pass_leave_no_trace(server, tmp_path):
    """Each of them once in the cut-outs, and those of a query in the query."""
    server.silence_s = 1.2
    names = [f"ra={row['ra']:.7f}" for row in server.galaxies]
    server.faults = {name: [fault] for name, fault in zip(names, PASSING, strict=False)}
    server.faults["SqlSearch"] = [500, "reset", 503]
    assert run(server, tmp_path, "--timeout", 1, "--workers", 8) == 0
    assert all(not faults for faults in server.faults.values()), "all of them happened"
    assert len(failures(tmp_path)) == 0 and sky.sdss(tmp_path, units_checked=True).n == N


STAYING = {
    404: "HTTP 404",
    500: "HTTP 500",
    "retry-after": "HTTP 503",
    "timeout": "timed out|ReadTimeout",
    "truncated": "IncompleteRead|bytes, expected",
    "type": "expected a FITS image",
    "html": "got a page of HTML",
    "disguised": "expected a FITS image",
    "empty": "expected some",
    "reset": "Connection",
}


def test_faults_that_stay_become_rows_of_the_table(server, tmp_path, capsys, monkeypatch):
    """Each of them for one galaxy in one band; the others come, and the command says so."""
    monkeypatch.setattr(sdss, "fetch_all", impatient(fetch.fetch_all))
    server.silence_s = 0.9
    for row, fault in zip(server.galaxies, STAYING, strict=False):
        name = f"hips=CDS%2FP%2FSDSS9%2Fr&ra={row['ra']:.7f}"
        server.faults[name] = [fault] * 99
    assert run(server, tmp_path, "--timeout", 0.5, "--workers", 8) == 0
    found = {row["id"]: str(row["reason"]) for row in failures(tmp_path)}
    assert list(found) == [objid(k) for k in range(len(STAYING))]
    for reason, expected in zip(found.values(), STAYING.values(), strict=True):
        assert any(word in reason for word in expected.split("|")), (reason, expected)
    said = capsys.readouterr().out
    assert f"{len(STAYING)} files could not be had" in said
    assert f"{len(STAYING)} left out: a file is not there" in said
    galaxies = prepare(
        tmp_path / "run", source="sdss", source_path=tmp_path, n_galaxies=0, units="nanomaggy"
    )
    assert galaxies.card["facts"][0]["left_out"] == {"a file is not there": len(STAYING)}
    assert len(galaxies) == N - len(STAYING)
    server.faults = {}
    assert run(server, tmp_path) == 0 and len(failures(tmp_path)) == len(STAYING), "not asked again"
    assert run(server, tmp_path, "--retry-failed") == 0 and len(failures(tmp_path)) == 0


def impatient(fetch_all):
    """Two requests of the session, whose Retry-After is not waited for."""
    session = fetch.polite_session(retries=1, backoff_s=0)
    for adapter in session.adapters.values():
        adapter.max_retries = adapter.max_retries.new(respect_retry_after_header=False)
    return lambda *words, **options: fetch_all(*words, **{**options, "session": session})


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ({"SqlSearch": ["html"] * 99}, "expected a table, got a page"),
        ({"SqlSearch": [404] * 99}, "HTTP 404.*Pages that came are kept"),
        ({"SqlSearch": ["empty"] * 99}, "got a page: empty"),
        ({"/hips2fits": [404] * 999}, "no galaxy of 16"),
    ],
)
def test_a_fault_of_everything_is_told_and_how_to_go_on(server, tmp_path, capsys, faults, expected):
    server.faults = faults
    assert run(server, tmp_path) == 1
    said = capsys.readouterr().err
    assert re.search(expected, said.replace("\n", " ")) and "Go on with" in said
    server.faults = {}
    assert (
        run(server, tmp_path, "--retry-failed") == 0
        and sky.sdss(tmp_path, units_checked=True).n == N
    )


def test_a_survey_without_such_galaxies_is_told(server, tmp_path, capsys):
    assert run(server, tmp_path, "--region", 10, 20, -5, 5) == 1
    assert "got no galaxy: is the region within the survey" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["download", "cut"])
def test_a_full_disk_stops_it_and_nothing_is_lost(server, tmp_path, capsys, monkeypatch, where):
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        if where == "download":
            write, n = fetch._write, []

            def some(*words):
                n.append(1)
                if len(n) > 20:
                    raise full
                return write(*words)

            patch.setattr(fetch, "_write", some)
        else:
            patch.setattr(np, "save", lambda *_: (_ for _ in ()).throw(full))
        assert run(server, tmp_path) == 1
    assert "the disk is full. What has come is kept" in capsys.readouterr().err
    before = server.count("hips2fits")
    assert before < 3 * N if where == "download" else before == 3 * N
    assert run(server, tmp_path) == 0 and sky.sdss(tmp_path, units_checked=True).n == N
    assert server.count("hips2fits") <= 3 * N + 4, "what had come was not asked for again"


def test_without_room_it_does_not_begin(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Free)
    assert run(server, tmp_path) == 1
    assert "GB free: make room" in capsys.readouterr().err and server.count("hips2fits") == 0


class Free:
    total = used = free = 1000


def test_a_simulated_sky_is_not_mixed_with_the_real_one(server, tmp_path, capsys):
    (tmp_path / "sky.json").write_text(json.dumps({"simulated": True}))
    assert run(server, tmp_path) == 1 and "holds a SIMULATED sky" in capsys.readouterr().err
    assert server.count() == 0


def test_units_that_were_checked_are_forgotten_with_another_service(server, tmp_path):
    assert acquire.main(server.words(tmp_path, "--galaxies", 6)) == 0
    assert sky.read_facts(tmp_path)["units_checked"]
    assert run(server, tmp_path, "--way", "frames", "--plan") == 0
    assert "units_checked" not in sky.read_facts(tmp_path)


@needs_signals
def test_ctrl_c_is_answered_with_how_to_go_on(server, tmp_path, capsys):
    answer, main = server.answer, threading.main_thread().ident

    def pressed(path, words):
        if server.count("hips2fits") == 12:
            signal.pthread_kill(main, signal.SIGINT)
        return answer(path, words)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    server.answer = pressed
    try:
        assert run(server, tmp_path, "--rate", 60) == 130
    finally:
        server.answer = answer
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr().out
    assert "Nothing is lost" in said and f"--folder {tmp_path}" in said
    assert run(server, tmp_path) == 0 and server.count("hips2fits") < 3 * N + 12


@pytest.mark.slow
@needs_signals
@pytest.mark.parametrize("way", sdss.WAYS)
def test_killed_at_random_moments_it_ends_as_if_undisturbed(server, tmp_path, way):
    """GALCLR_KILLS=20 for more; while it asks, downloads and cuts."""
    context, random = multiprocessing.get_context("forkserver"), np.random.default_rng(11)
    context.set_forkserver_preload(["pytest", "http.server", "galclr_utils.acquire"])
    folder, words = tmp_path / "killed", server.words(tmp_path / "killed", *TRUSTED, "--way", way)
    asked = 2 + (3 * N if way == "cutouts" else 12)
    cutting, killed = folder / f"stamps-{way}", 0
    for k in range(KILLS):  # the first half while it asks, the others while it cuts
        asking = k < (KILLS + 1) // 2
        server.pause_s = 0.01
        goal = server.count() + random.integers(0, max(2, 2 * asked // KILLS))
        reached = (lambda goal=goal: server.count() >= goal) if asking else cutting.exists
        process = context.Process(target=acquire_slowly, args=(words,))
        process.start()
        while process.is_alive() and not reached():
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.05 if asking else 0.3))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    server.pause_s = 0
    print(f"{killed} of {KILLS} were killed")
    assert killed >= KILLS / 2, "most had ended by themselves"
    assert acquire.main(words) == 0
    assert run(server, tmp_path / "undisturbed", "--way", way) == 0
    assert content(folder) == content(tmp_path / "undisturbed")
    assert len(list(cutting.iterdir())) == 3, "the lock, stamps and flags; no part of a file"
