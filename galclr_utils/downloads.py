"""Keep a journal of downloads: which file is there, and why another is not.

The journal is one SQLite file in the folder that it tells of. Each line is written whole or not at
all, also when the process is killed, and after the file has its name: the journal never calls done
what is not there. Its lock keeps a second process out of the folder, and is freed when its holder
dies.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from astropy.table import Table

from galclr_utils.provenance import progress, sha256

JOURNAL = "downloads.sqlite"
FULL = (errno.ENOSPC, errno.EDQUOT)  # what the system says of a full disk, or a full quota
COLUMNS = {"key": str, "url": str, "filename": str, "state": str, "tries": int, "bytes": int}
COLUMNS |= {"sha256": str, "reason": str, "time": str}
FAILURES = ("key", "url", "tries", "reason")


class Job(NamedTuple):
    """Name one file: its key in the journal, where it comes from, where it goes.

    Attributes:
        key: unique. url: asked with GET. filename: in the folder; ``/`` makes sub-folders.
    """

    key: str
    url: str
    filename: str


class Downloads:
    """Read and write the open journal of a folder; made by `open_journal`.

    >>> import tempfile
    >>> with open_journal(Path(tempfile.mkdtemp())) as journal:
    ...     job = Job("a", "http://somewhere/a.fits", "a.fits")
    ...     journal.record(job, tries=1, reason="HTTP 404 Not Found")
    ...     wanted = journal.wants(job), journal.wants(job, retry_failed=True)
    ...     wanted, journal.failures([job])["reason"].tolist()
    ((False, True), ['HTTP 404 Not Found'])
    """

    def __init__(self, folder: Path, base: sqlite3.Connection):
        self.folder, self.base = folder, base

    def wants(self, job: Job, retry_failed: bool = False) -> bool:
        """Tell whether a file has to be asked for: what is written, checked against the disk."""
        ask = "SELECT url, filename, state, bytes FROM downloads WHERE key = ?"
        found = self.base.execute(ask, (job.key,)).fetchone()
        if found is None or found[:2] != (job.url, job.filename):  # unknown, or another file by now
            return True
        if found[2] == "failed":
            return retry_failed
        with contextlib.suppress(OSError):
            return (self.folder / job.filename).stat().st_size != found[3]
        return True

    def record(self, job: Job, tries: int, size: int = 0, sha256: str = "", reason: str = ""):
        """Write down what became of a job: done, or failed if there is a reason."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = (*job, "failed" if reason else "done", tries, size, sha256, reason, now)
        news = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "tries")
        self.base.execute(
            f"INSERT INTO downloads VALUES ({', '.join('?' * len(row))}) ON CONFLICT (key) "
            f"DO UPDATE SET {news}, tries = tries + excluded.tries",
            row,
        )

    def look(self, key: str) -> tuple[str, int, str, str] | None:
        """Return state, bytes, sha256 and reason of one job; None if it was never asked for."""
        ask = "SELECT state, bytes, sha256, reason FROM downloads WHERE key = ?"
        return self.base.execute(ask, (key,)).fetchone()

    def digest(self) -> str:
        """Return one hash of what is there and what is not: of key, state and checksum."""
        digest = hashlib.sha256()
        for row in self.base.execute("SELECT key, state, sha256 FROM downloads ORDER BY key"):
            digest.update(repr(row).encode())
        return digest.hexdigest()

    def failures(self, jobs: Iterable[Job]) -> Table:
        """Return those of the jobs that failed, in their order: key, url, tries, reason."""
        ask = f"SELECT {', '.join(FAILURES)} FROM downloads WHERE state = 'failed'"
        failed = {row[0]: row for row in self.base.execute(ask)}
        return _as_table([failed[job.key] for job in jobs if job.key in failed], FAILURES)


@contextlib.contextmanager
def open_journal(folder: Path) -> Iterator[Downloads]:
    """Open the journal of a folder for this process alone; both are made if missing.

    Raises:
        RuntimeError: another process has it open.
        OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = sqlite3.connect(folder / JOURNAL, isolation_level=None, timeout=0.5)
    try:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = NORMAL"):
            base.execute(f"PRAGMA {pragma}")
        kinds = ", ".join(
            f"{name} {'INTEGER' if kind is int else 'TEXT'}{' PRIMARY KEY' * (name == 'key')}"
            for name, kind in COLUMNS.items()
        )
        base.execute(f"CREATE TABLE IF NOT EXISTS downloads ({kinds})")
        yield Downloads(folder, base)
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise disk_full(folder) from error
        if "locked" in str(error):
            raise RuntimeError(
                f"{folder}: another process is downloading into this folder: wait for it, or "
                "choose another folder"
            ) from error
        raise
    finally:
        base.close()


def read_journal(folder: str | Path) -> Table:
    """Return the journal of a folder of downloads, sorted by key.

    Returns:
        Table with columns key, url, filename, state (done, failed), tries (requests so far),
        bytes, sha256, reason (of a failure), time (UTC).
    Raises:
        ValueError: nothing was ever downloaded into this folder.
    """
    if not (Path(folder) / JOURNAL).exists():
        raise ValueError(f"{folder}: got no {JOURNAL}, expected a folder filled by fetch_all")
    with open_journal(Path(folder)) as journal:
        rows = journal.base.execute(f"SELECT {', '.join(COLUMNS)} FROM downloads ORDER BY key")
        return _as_table(rows.fetchall(), tuple(COLUMNS))


def verify(folder: str | Path) -> Table:
    """Compare every file that the journal calls done with its checksum.

    Returns:
        Table key, filename, reason of those that are gone or changed; empty if all is well.
    """
    bad, journal = [], read_journal(folder)
    for row in progress(journal[journal["state"] == "done"], "verifying"):
        path = Path(folder) / str(row["filename"])
        if not path.is_file():
            bad.append((row["key"], row["filename"], "gone"))
        elif sha256(path) != row["sha256"]:
            bad.append((row["key"], row["filename"], "its bytes are not those that came"))
    return _as_table(bad, ("key", "filename", "reason"))


def check_jobs(jobs: Iterable[tuple[str, str, str]]) -> list[Job]:
    """Return the jobs, or say which share a key or a file, or leave the folder."""
    jobs = [Job(*map(str, job)) for job in jobs]
    for what in ("key", "filename"):
        seen = set()
        for job in jobs:
            if (value := getattr(job, what)) in seen:
                raise ValueError(f"jobs: {what} {value!r} is there twice, expected each once")
            seen.add(value)
    for job in jobs:
        path = PurePosixPath(job.filename)
        if not path.name or path.is_absolute() or ".." in path.parts:
            raise ValueError(f"jobs: got filename {job.filename!r}, expected one in the folder")
    return jobs


def check_space(folder: str | Path, n_bytes: float) -> None:
    """Raise OSError unless so many bytes fit on the disk that holds a folder."""
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise OSError(
            errno.ENOSPC,
            f"{folder}: needs about {n_bytes / 1e9:.3g} GB, got {free / 1e9:.3g} GB free: make "
            "room, choose another folder, or ask for fewer files",
        )


def disk_full(folder: Path) -> OSError:
    """Return the error that says that the disk ran full, and what to do."""
    return OSError(
        errno.ENOSPC,
        f"{folder}: the disk is full. What has come is kept and written down: make room and start "
        "again, and it goes on from here",
    )


def _as_table(rows: list, names: tuple) -> Table:
    """Return rows as a Table, with its columns even where there are none."""
    return Table(rows=rows or None, names=names, dtype=[COLUMNS[name] for name in names])
