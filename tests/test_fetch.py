"""Downloads: each fault ends in a repeat that works or in a row that says why; none is lost."""

import errno
import multiprocessing
import os
import re
import signal
import threading
import time

import numpy as np
import pytest
import requests
from sky_server import SkyServer, download_slowly, fits_bytes, is_fits

from galclr_utils import fetch
from galclr_utils.downloads import Job, check_jobs, open_journal, read_journal, verify
from galclr_utils.fetch import Pace, fetch_all, polite_session

QUICK = {"rate_hz": 1000, "timeout_s": 20, "backoff_s": 0.01}
IMPATIENT = {"timeout_s": 0.4}  # the server's silence is longer
needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs signals")


@pytest.fixture
def server():
    with SkyServer() as running:
        yield running


def put(server, n, size=20):
    """Put n different images on the server; return their jobs."""
    jobs = []
    for k in range(n):
        path = f"/stamps/{k:03d}.fits"
        server.files[path] = fits_bytes(np.random.default_rng(k).normal(size=(size, size)))
        jobs.append(Job(f"stamp {k}", server.url + path, f"{k % 2}/{k:03d}.fits"))
    return jobs


def get(jobs, folder, **options):
    session = polite_session(retries=2, backoff_s=0.01)
    return fetch_all(jobs, folder, **{"session": session, "check": is_fits, **QUICK, **options})


def files(folder):
    """All files in a folder but the journal: name -> bytes."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if not path.name.startswith("downloads.sqlite")
    }


def wanted(server, jobs):
    return {job.filename: server.files[job.url.removeprefix(server.url)] for job in jobs}


def test_files_come_whole_under_their_names_with_a_journal(server, tmp_path):
    jobs = put(server, 5)
    assert not len(get(jobs, tmp_path))
    assert files(tmp_path) == wanted(server, jobs)
    journal = read_journal(tmp_path)
    assert journal["key"].tolist() == [job.key for job in jobs]
    assert set(journal["state"]) == {"done"} and set(journal["tries"]) == {1}
    assert journal["bytes"].tolist() == [len(body) for body in wanted(server, jobs).values()]
    assert not len(verify(tmp_path))


PASSING = [500, 502, 503, 504, 429, "retry-after", "timeout", "reset", "truncated"]
PASSING += ["html", "disguised", "type", "empty"]


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_overcome(server, tmp_path, fault):
    jobs = put(server, 3)
    server.faults["001"] = [fault]
    assert not len(get(jobs, tmp_path, **IMPATIENT if fault == "timeout" else {}))
    assert files(tmp_path) == wanted(server, jobs)
    assert read_journal(tmp_path)["tries"][1] == server.count("001") == 2
    if fault == "retry-after":
        first, second = (at for at, path in server.asked if "001" in path)
        assert second - first >= 1, "as long as the server said"


LASTING = [(500, "500"), (503, "503"), ("timeout", "imed out"), ("reset", "reset|aborted")]
LASTING += [("truncated", "IncompleteRead|got .* bytes"), ("html", "page of HTML")]
LASTING += [("disguised", "not what was asked for.*SIMPLE"), ("empty", "got 0 bytes")]
LASTING += [("type", "not what was asked for"), (404, "HTTP 404")]


@pytest.mark.parametrize(("fault", "reason"), LASTING)
def test_a_fault_that_stays_is_a_row_of_the_failures(server, tmp_path, fault, reason):
    jobs = put(server, 3)
    server.faults["001"] = [fault] * 20
    failures = get(jobs, tmp_path, **IMPATIENT if fault == "timeout" else {})
    assert failures.colnames == ["key", "url", "tries", "reason"]
    assert failures["key"].tolist() == ["stamp 1"] and failures["url"][0] == jobs[1].url
    assert failures["tries"][0] == server.count("001") == (1 if fault == 404 else 3)
    assert re.search(reason, failures["reason"][0])
    assert set(files(tmp_path)) == {"0/000.fits", "0/002.fits"}, "and no part of it is left"


def test_what_is_there_is_not_asked_for_again(server, tmp_path):
    jobs = put(server, 6)
    server.faults["001"] = [404]
    get(jobs, tmp_path)
    asked = server.count()
    assert get(jobs, tmp_path)["key"].tolist() == ["stamp 1"], "told again, and not asked again"
    assert server.count() == asked
    (tmp_path / jobs[2].filename).unlink()
    (tmp_path / jobs[3].filename).write_bytes(b"half")
    get(jobs, tmp_path)
    assert server.count() == asked + 2
    assert not len(get(jobs, tmp_path, retry_failed=True))
    assert server.count() == asked + 3
    assert read_journal(tmp_path)["tries"].tolist() == [1, 2, 2, 2, 1, 1]
    assert files(tmp_path) == wanted(server, jobs)


def test_another_address_is_another_file(server, tmp_path):
    jobs = put(server, 2)
    get(jobs[:1], tmp_path)
    moved = jobs[0]._replace(url=jobs[1].url)
    get([moved], tmp_path)
    assert (tmp_path / moved.filename).read_bytes() == server.files["/stamps/001.fits"]


def test_a_file_changed_since_is_found_by_its_checksum(server, tmp_path):
    jobs = put(server, 3)
    get(jobs, tmp_path)
    path = tmp_path / jobs[1].filename
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (tmp_path / jobs[2].filename).unlink()
    bad = verify(tmp_path)
    assert bad["key"].tolist() == ["stamp 1", "stamp 2"]
    assert bad["reason"].tolist() == ["its bytes are not those that came", "gone"]


def test_jobs_must_differ_and_stay_in_the_folder(tmp_path):
    a, b = Job("a", "http://x/a", "a"), Job("b", "http://x/b", "b")
    with pytest.raises(ValueError, match="key 'a' is there twice"):
        check_jobs([a, b._replace(key="a")])
    with pytest.raises(ValueError, match="filename 'a' is there twice"):
        check_jobs([a, b._replace(filename="a")])
    for name in ("../a", "/etc/a", "a/../../b", ""):
        with pytest.raises(ValueError, match="expected one in the folder"):
            fetch_all([a._replace(filename=name)], tmp_path)


def test_nothing_starts_without_room_for_it(server, tmp_path):
    jobs = put(server, 2)
    with pytest.raises(OSError, match=r"needs about 2e\+06 GB, got .* GB free: make room"):
        get(jobs, tmp_path, bytes_each=1e15)
    assert not server.asked


def test_a_full_disk_stops_cleanly(server, tmp_path, monkeypatch):
    """The fifth file meets a full disk; with room again, the rest comes."""
    jobs, written = put(server, 8), []

    class Full:
        def __init__(self, path, mode):
            self.file = open(path, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, piece):
            if len(written) >= 4:
                self.file.write(piece[:10])
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(self.file.write(piece))

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "open", Full, raising=False)
        with pytest.raises(OSError, match=r"the disk is full\. What has come") as error:
            get(jobs, tmp_path)
    assert error.value.errno == errno.ENOSPC
    whole = wanted(server, jobs)
    have = files(tmp_path)
    assert have == {name: whole[name] for name in have} and len(have) == 4
    assert set(read_journal(tmp_path)["filename"]) <= set(have)
    assert not len(get(jobs, tmp_path)) and files(tmp_path) == whole


def test_a_journal_without_room_says_so_too(tmp_path):
    job = Job("a", "http://x/a", "a" * 100000)
    with pytest.raises(OSError, match="the disk is full"), open_journal(tmp_path) as journal:
        journal.base.execute("PRAGMA max_page_count = 3")
        journal.record(job, tries=1)


def test_another_process_is_kept_out(server, tmp_path):
    jobs = put(server, 1)
    with open_journal(tmp_path), pytest.raises(RuntimeError, match="another process"):
        get(jobs, tmp_path)
    assert not len(get(jobs, tmp_path))


@needs_signals
def test_ctrl_c_loses_nothing(server, tmp_path):
    jobs, answer, main = put(server, 30), server.answer, threading.main_thread().ident

    def pressed(path, words):
        if "012" in path and server.count("012") == 1:
            signal.pthread_kill(main, signal.SIGINT)
        return answer(path, words)

    server.answer = pressed
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            get(jobs, tmp_path, rate_hz=50)
    finally:
        signal.signal(signal.SIGINT, before)
    whole, have = wanted(server, jobs), files(tmp_path)
    have = {name: body for name, body in have.items() if not name.startswith(".parts")}
    assert 5 < len(have) < 30 and have == {name: whole[name] for name in have}
    assert not len(get(jobs, tmp_path)) and files(tmp_path) == whole
    assert server.count() < 30 + 10


def test_requests_keep_their_distance(server, tmp_path):
    get(put(server, 9), tmp_path, rate_hz=40, workers=4)
    at = [when for when, _ in server.asked]
    assert at[-1] - at[0] >= 8 / 40 * 0.9


def test_the_pace_holds_for_all_threads_together():
    pace, began = Pace(100), time.monotonic()
    threads = [threading.Thread(target=lambda: [pace.wait() for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.19


def test_no_more_workers_than_asked_for(server, tmp_path):
    server.pause_s, busy, most = 0.02, [0], [0]
    answer, lock = server.answer, threading.Lock()

    def watched(path, words):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.02)
        with lock:
            busy[0] -= 1
        return answer(path, words)

    server.answer = watched
    get(put(server, 12), tmp_path, workers=3)
    assert 1 < most[0] <= 3


def test_the_session_says_who_it_is_and_keeps_no_cookies():
    session = polite_session()
    assert session.headers["User-Agent"].startswith("galclr-utils/")
    request = session.prepare_request(requests.Request("GET", "http://x/"))
    assert "Cookie" not in request.headers and request.headers["Accept-Encoding"] == "identity"


@pytest.mark.slow
@needs_signals
def test_killed_at_20_random_moments_it_ends_as_if_undisturbed(server, tmp_path):
    jobs, folder = put(server, 160), tmp_path / "killed"
    jobs.append(Job("nowhere", f"{server.url}/nowhere.fits", "nowhere.fits"))
    whole = wanted(server, jobs[:-1])
    server.pause_s = 0.01  # between the halves of a file
    context, random = multiprocessing.get_context("forkserver"), np.random.default_rng(5)
    context.set_forkserver_preload(["pytest", "http.server", "galclr_utils.fetch"])  # once for all
    for _ in range(20):
        goal = server.count() + random.integers(0, 6)  # 0: before it has begun
        process = context.Process(target=download_slowly, args=(jobs, folder))
        process.start()
        while server.count() < goal and process.is_alive():
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.04))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it had ended by itself"
        have = {k: v for k, v in files(folder).items() if not k.startswith(".parts")}
        assert have == {name: whole[name] for name in have}, "a part under a final name"
    before, server.pause_s = server.count(), 0
    assert get(jobs, folder)["key"].tolist() == ["nowhere"]
    assert len(jobs) - len(have) <= server.count() - before < len(jobs)
    get(jobs, tmp_path / "undisturbed")
    assert files(folder) == files(tmp_path / "undisturbed") == whole
    both = [read_journal(tmp_path / name) for name in ("killed", "undisturbed")]
    for journal in both:
        journal.remove_column("time")
    assert all(both[0] == both[1]) and len(both[0]) == 161
