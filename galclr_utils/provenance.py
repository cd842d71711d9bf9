"""Record how a run came about, and write its files whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from multiprocessing import current_process
from pathlib import Path

PACKAGES = ("torch", "torchvision", "lightly", "numpy", "scipy", "scikit-learn", "umap-learn")
PACKAGES += ("astropy", "matplotlib", "papermill", "jupyter-book")


def project_root() -> Path:
    """Return the checkout that holds the notebooks, wherever the kernel started.

    >>> (project_root() / "_toc.yml").name
    '_toc.yml'
    """
    return Path(__file__).resolve().parent.parent


def run_path(run_dir: str | Path) -> Path:
    """Return the folder of a run, created if missing; a relative one starts at the project root.

    Args:
        run_dir: ``"runs/small"``, or any absolute folder.
    Returns:
        Absolute path of an existing folder.
    """
    if not str(run_dir).strip():
        raise ValueError("run_dir: got nothing, expected a folder such as 'runs/small'")
    path = Path(run_dir).expanduser()
    path = path if path.is_absolute() else project_root() / path
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` on success and vanishes on an error.

    A reader therefore meets the old file, the new one, or none: never half of one.

    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "a.txt") as part:
    ...     _ = part.write_text("all of it")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f"{platform.node()}-{os.getpid()}"  # several machines may write to one folder
    part = path.with_name(f".{path.stem}.{own}.part{path.suffix}")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())  # on the disk before it takes the name
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``path`` on success and vanishes on an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    new, old = aside / "new", aside / "old"
    new.mkdir()  # with the usual permissions: what mkdtemp makes is closed to all others
    try:
        yield new
        if path.exists():
            os.replace(path, old)
        os.replace(new, path)
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(aside, ignore_errors=True)


def write_json(path: str | Path, content: dict) -> Path:
    """Write a dictionary as indented JSON, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n")
    return Path(path)


def _plain(value):
    """Turn numpy scalars and arrays, and paths, into what JSON knows."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def read_json(path: str | Path) -> dict:
    """Read a JSON file; a missing or broken one is named in the error."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: expected a readable JSON file, got: {error}") from error


def sha256(*paths: str | Path) -> str:
    """Return one SHA-256 over the bytes of files, in the given order.

    >>> sha256(__file__) == sha256(__file__)
    True
    """
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def git_commit() -> str:
    """Return the short commit of the checkout, ``+`` appended if files differ; '' without git."""
    try:
        ask = {"cwd": project_root(), "capture_output": True, "text": True, "check": True}
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], **ask).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain", "-uno"], **ask).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if changed else "")


def run_record(seed: int) -> dict:
    """Return what is needed to repeat a run: seed, commit, versions, device, threads, time.

    >>> sorted(run_record(seed=0))
    ['commit', 'device', 'platform', 'python', 'seed', 'threads', 'time', 'versions']
    """
    import torch

    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    on_gpu = torch.cuda.is_available()
    return {
        "seed": int(seed),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git_commit(),
        "device": torch.cuda.get_device_name(0) if on_gpu else "CPU",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }


def write_metrics(run: Path, chapter: str, metrics: dict, seed: int) -> Path:
    """Write ``metrics/NN_word.json``: the numbers the book quotes, with their provenance.

    Args:
        run: the run's folder.
        chapter: the notebook's name, such as ``"04_umap"``.
        metrics: plain numbers, strings, lists and dictionaries.
        seed: the run's seed.
    """
    record = {"chapter": chapter, "metrics": metrics, "provenance": run_record(seed)}
    return write_json(Path(run) / "metrics" / f"{chapter}.json", record)


def progress(items: Iterable, desc: str, total: int | None = None) -> Iterable:
    """Wrap an iterable in a progress bar that shows on a terminal only, never in a page.

    >>> list(progress(range(3), "counting"))
    [0, 1, 2]
    """
    from tqdm import tqdm

    seen = sys.stderr.isatty() and current_process().name == "MainProcess"  # helpers stay silent
    return tqdm(items, desc=desc, total=total, disable=not seen, leave=False)
