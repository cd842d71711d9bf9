"""Download many files politely, and go on from wherever it was stopped.

A few thousand cut-outs take an hour, and in an hour something happens: a server is busy, a line
breaks, a disk is full, somebody presses Ctrl-C. So every file is written under another name and
takes its own only when it is whole and what was asked for, and a journal (see `downloads`) says of
each file whether it is there, how often it was asked for, and why it is not. Whoever starts again
asks only for what is missing. urllib3 asks again after a busy server or a broken line, with growing
pauses; a body that is cut short or is something else it cannot know, and that is done here.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from itertools import islice
from pathlib import Path

import requests
from astropy.table import Table
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from galclr_utils import checks
from galclr_utils.downloads import FULL, Job, check_jobs, check_space, disk_full, open_journal
from galclr_utils.provenance import progress

PARTS = ".parts"  # holds the files on their way; emptied at every start
PASSING = (429, 500, 502, 503, 504)  # HTTP: too many requests, or a server in trouble
LONGEST_PAUSE_S = 300.0  # what a server may ask for with Retry-After


class Pace:
    """Let the next request start only when its time has come, whichever thread asks.

    Args:
        rate_hz: requests per second.
    """

    def __init__(self, rate_hz: float):
        self.step = 1 / checks.number("rate_hz", rate_hz, 0, 1e6, low_open=True)
        self.next, self.lock = 0.0, threading.Lock()

    def wait(self, stop: threading.Event | None = None) -> None:
        """Sleep until it is this caller's turn, or until ``stop`` is set."""
        with self.lock:
            now = time.monotonic()
            start = max(now, self.next)
            self.next = start + self.step
        (stop or threading.Event()).wait(start - now)


def polite_session(
    retries: int = 4, backoff_s: float = 1.0, statuses: tuple = PASSING, read: bool | None = None
) -> requests.Session:
    """Return a session that asks again, after growing pauses, where a fault may pass.

    It asks again after a refused or broken connection, silence, and the given HTTP statuses, and
    waits as long as a Retry-After says (five minutes at most). It says who it is, keeps no
    cookies, and wants no compression, so that Content-Length counts the bytes of the file.

    Args:
        retries: requests after the first.
        backoff_s: the pauses are 0, 2, 4, 8, ... times this (and some jitter), a minute at most.
        statuses: HTTP statuses to ask again after.
        read: False: not again after silence or a break once the request was sent.
    """
    retry = Retry(
        total=retries,
        read=read,
        backoff_factor=backoff_s,
        backoff_jitter=backoff_s / 2,
        backoff_max=60,
        status_forcelist=statuses,
        allowed_methods=["GET"],
        raise_on_status=False,
        retry_after_max=int(LONGEST_PAUSE_S),
    )
    session = requests.Session()
    session.headers["User-Agent"] = f"galclr-utils/{importlib.metadata.version('galclr-utils')}"
    session.headers["Accept-Encoding"] = "identity"
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # threads share it all
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=32))
    return session


def fetch_all(
    jobs: Iterable[tuple[str, str, str]],
    folder: str | Path,
    *,
    check: Callable[[Path], object] | None = None,
    rate_hz: float = 2.0,
    workers: int = 2,
    timeout_s: float = 60.0,
    tries: int = 3,
    backoff_s: float = 1.0,
    bytes_each: float = 0,
    retry_failed: bool = False,
    session: requests.Session | None = None,
) -> Table:
    """Download what is not there yet, and return what could not be had.

    A file is there when the journal calls it done and it has its size. After Ctrl-C, a crash or a
    full disk call it again: nothing is lost but the files on their way.

    Args:
        jobs: rows (key, url, filename), see `downloads.Job`.
        folder: made if missing; holds the files and the journal.
        check: is given the path of a whole file before it takes its name, and raises whatever it
            likes if that is not what was asked for; the message becomes the reason.
        rate_hz: requests that may start in a second, all workers together (a repeat by the
            session waits its own pause instead).
        workers: files on their way at a time, 1 to 32.
        timeout_s: silence after which an answer is given up.
        tries: how often a file is asked for whose body came short or wrong.
        backoff_s: pause before the second of these; doubled each time.
        bytes_each: expected size of a file, to see beforehand whether they fit; 0: unknown.
        retry_failed: ask again for what failed in an earlier call.
        session: from `polite_session`.
    Returns:
        Table with a row for each of the jobs that failed, now or earlier: key, url, tries, reason.
    Raises:
        ValueError: jobs that share a key or a file, or leave the folder.
        OSError: no room for them, or the disk ran full on the way.
        RuntimeError: another process is at work in this folder.

    >>> import tempfile
    >>> job = Job("a", "http://127.0.0.1:9/a.fits", "a.fits")  # nobody answers there
    >>> quick = polite_session(retries=1, backoff_s=0)
    >>> failures = fetch_all([job], tempfile.mkdtemp(), session=quick)
    >>> failures["key"].tolist(), failures["tries"].tolist()
    (['a'], [2])
    """
    jobs, folder = check_jobs(jobs), Path(folder)
    workers = checks.number("workers", workers, 1, 32, integer=True)
    timeout_s = checks.number("timeout_s", timeout_s, 0, 1e5, low_open=True)
    tries = checks.number("tries", tries, 1, 100, integer=True)
    stop, parts = threading.Event(), folder / PARTS
    ask = partial(_ask, session or polite_session(), timeout_s, check, stop)
    pauses = [backoff_s * 2**k for k in range(tries - 1)]
    work = partial(_fetch, folder, ask, Pace(rate_hz), pauses, stop)
    with open_journal(folder) as journal:
        todo = [job for job in jobs if journal.wants(job, retry_failed)]
        check_space(folder, bytes_each * len(todo))
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        try:
            with contextlib.closing(_in_parallel(work, todo, workers, stop)) as found:
                for job, facts in progress(found, "downloading", total=len(todo)):
                    journal.record(job, **facts)
        except OSError as error:
            if error.errno in FULL:
                raise disk_full(folder) from error
            raise
        finally:
            shutil.rmtree(parts, ignore_errors=True)
        return journal.failures(jobs)


class _Refused(Exception):
    """The body is not the file that was asked for."""


class _Stopped(Exception):
    """All is being stopped."""


def _in_parallel(work: Callable, todo: list, workers: int, stop: threading.Event) -> Iterator:
    """Yield the results of ``work`` as they come, with few jobs in the queue at a time."""
    pool, jobs, waiting = ThreadPoolExecutor(workers), iter(todo), set()
    try:
        while True:
            waiting |= {pool.submit(work, j) for j in islice(jobs, 2 * workers - len(waiting))}
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:  # also after Ctrl-C: what is on its way stops at its next piece, then all are done
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _fetch(folder: Path, ask: Callable, pace: Pace, pauses: list, stop, job: Job) -> tuple:
    """Download one file; return the job and what to write down of it."""
    path = folder / job.filename
    part = folder / PARTS / f"{threading.get_ident()}-{path.name}"
    tries = 0
    for pause in [0, *pauses]:
        stop.wait(pause * random.uniform(1, 1.5))
        pace.wait(stop)
        if stop.is_set():
            raise _Stopped
        n, again, facts = ask(job.url, part)
        tries += n
        if not again:
            break
    if "reason" not in facts:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, path)
    return job, {"tries": tries, **facts}


def _ask(session, timeout_s: float, check, stop, url: str, part: Path) -> tuple[int, bool, dict]:
    """Ask once, with the session's own repeats; write the body to ``part``.

    Returns:
        requests made; whether to ask again; size and sha256, or the reason of a failure.
    """
    try:
        response = session.get(url, stream=True, timeout=timeout_s)
    except requests.RequestException as error:  # the session has asked again already
        limit = session.get_adapter(url).max_retries.total
        return 1 + int(limit), False, {"reason": _in_a_line(error)}
    with response:
        n = 1 + len(response.raw.retries.history)
        if response.status_code != 200:
            reason = f"HTTP {response.status_code} {response.reason}"
            return n, False, {"reason": reason}
        try:
            return n, False, _write(response, part, check, stop)
        except (requests.RequestException, _Refused) as error:  # asked again by nobody else
            return n, True, {"reason": _in_a_line(error)}


def _write(response: requests.Response, part: Path, check, stop) -> dict:
    """Write a body to ``part``; return size and sha256 if it is what was asked for."""
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise _Refused("got a page of HTML, expected a file")
    digest, size = hashlib.sha256(), 0
    with open(part, "wb") as file:
        for piece in response.iter_content(1 << 16):
            if stop.is_set():
                raise _Stopped
            file.write(piece)
            digest.update(piece)
            size += len(piece)
    expected = int(response.headers.get("Content-Length", size))
    if size != expected or not size:
        raise _Refused(f"got {size} bytes, expected {expected or 'some'}")
    if check:
        try:
            check(part)
        except Exception as error:  # each library has its own for a file that it cannot read
            raise _Refused(f"not what was asked for: {error}") from error
    return {"size": size, "sha256": digest.hexdigest()}


def _in_a_line(error: Exception) -> str:
    """Return an error as one line of a table."""
    name = "" if isinstance(error, _Refused) else f"{type(error).__name__}: "
    return name + " ".join(str(error).split())[:300]
