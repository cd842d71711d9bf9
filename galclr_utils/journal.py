"""Keep every finished run of a long comparison, so that it can be stopped, and shared.

A sweep over methods, budgets and draws takes hours. Each run is written as soon as it is done,
under the hash of everything that decides its result: whoever asks for the same run again is given
what is there, and whoever changed an input gets a new one. Several processes may work on one
journal. A run is claimed by a lock that the operating system takes back when a process dies, so a
dead one never keeps the others waiting.
"""

# T test galaxies

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from galclr_utils.dataset import GalaxySet, data_key
from galclr_utils.provenance import whole_file

BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)  # or missing


@dataclass(frozen=True)
class Journal:
    """Hold the finished runs of one comparison in a folder.

    Args:
        folder: where; a name that begins with a dot is not hashed by the book's driver.
        shared: what all its runs depend on: data, training labels and test galaxies.

    >>> import tempfile
    >>> journal = Journal(Path(tempfile.mkdtemp()), {"data": "abc"})
    >>> key = journal.key(method="coin", draw=0)
    >>> p_late, seconds = journal.once(key, lambda: np.array([0.25, 0.75]))
    >>> journal.once(key, lambda: 1 / 0)[0]
    array([0.25, 0.75], dtype=float32)
    """

    folder: Path
    shared: dict

    @classmethod
    def of(cls, folder: Path, galaxies: GalaxySet, test: np.ndarray) -> Journal:
        """Open the journal of a data set.

        Args:
            folder: made if missing; others may work in it at the same time.
            galaxies: the data set, saved or loaded: its pixels are known by their hash.
            test: (T,) rows of the galaxies that are judged.
        Raises:
            ValueError: the data set was never saved.
        """
        if "sha256" not in galaxies.card:
            raise ValueError(
                "journal: got a data set that was never saved, expected one whose pixels have a "
                "hash: use galaxies.save(folder) first, or leave the journal out"
            )
        shared = {"data": data_key(galaxies), "test": digest(test)}
        # some methods choose from all training galaxies what is labelled
        shared["train_labels"] = digest(galaxies.labels[galaxies.indices("train")])
        return cls(Path(folder), shared)

    def key(self, **inputs) -> str:
        """Return the name of a run: the hash of all that decides its result."""
        text = json.dumps(self.shared | inputs, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def read(self, key: str) -> tuple[np.ndarray, float] | None:
        """Return p_late float32 (T,) and the seconds it took, or None if it is not there whole."""
        with suppress(*BROKEN):
            with np.load(self.folder / f"{key}.npz", allow_pickle=False) as arrays:
                return arrays["p_late"], float(arrays["seconds"])
        return None

    def once(
        self, key: str, make: Callable[[], np.ndarray], wait: bool = True
    ) -> tuple[np.ndarray, float] | None:
        """Return a run that is here already; else make it and keep it.

        Args:
            key: from `key`.
            make: computes p_late (T,).
            wait: where another process is at this run: wait for it, or return None at once.
        """
        if found := self.read(key):
            return found
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.folder / f".{key}.lock"
        try:
            with FileLock(lock, timeout=-1 if wait else 0):
                if found := self.read(key):  # the other has finished it meanwhile
                    return found
                began = time.perf_counter()
                p_late = np.asarray(make(), np.float32)
                seconds = round(time.perf_counter() - began, 3)
                with whole_file(self.folder / f"{key}.npz") as part:
                    np.savez_compressed(part, p_late=p_late, seconds=seconds)
        except Timeout:
            return None
        with suppress(OSError):  # on Windows another may hold it open
            lock.unlink(missing_ok=True)
        return p_late, seconds


def digest(*arrays) -> str:
    """Return one hash of the values, types and shapes of arrays.

    >>> digest([1, 2]) == digest([1, 2]) != digest([2, 1])
    True
    """
    total = hashlib.sha256()
    for array in map(np.ascontiguousarray, arrays):
        total.update(f"{array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def code_key(*modules) -> str:
    """Return one hash of what modules do; comments, layout and docstrings do not count.

    A journal outlives a change of the code, so the code is one of a method's inputs.

    Args:
        modules: those that a method's result depends on.

    >>> from galclr_utils import metrics, probes
    >>> code_key(probes) == code_key(probes) != code_key(probes, metrics)
    True
    """
    total = hashlib.sha256()
    for module in modules:
        tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            told = isinstance(body, list) and body and isinstance(body[0], ast.Expr)
            if told and isinstance(body[0].value, ast.Constant):
                body[0].value.value = ""
        total.update(ast.dump(tree).encode())
    return total.hexdigest()[:16]
