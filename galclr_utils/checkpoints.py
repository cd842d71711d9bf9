"""Keep what an interrupted pretraining needs to go on: a checkpoint, and the one before it."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch

from galclr_utils.provenance import whole_file


def clear(folder: Path) -> None:
    """Remove what would make an unfinished pretraining look finished, and parts of files."""
    (folder / "settings.json").unlink(missing_ok=True)
    for part in folder.glob(".*.part.*"):  # left by a process that was killed
        part.unlink()


def save_checkpoint(folder: Path, content: dict) -> None:
    """Write ``checkpoint.pt``, whole or not at all, and keep the one before."""
    newest = folder / "checkpoint.pt"
    with whole_file(newest) as file:
        torch.save(content, file)
        if newest.exists():
            newest.replace(folder / "checkpoint.before.pt")


def load_checkpoint(folder: Path, key: str) -> dict | None:
    """Return the newest readable checkpoint of the same inputs, or None.

    Another run's is not ours to use. One that a failing disk has spoilt is passed over.
    """
    for path in (folder / "checkpoint.pt", folder / "checkpoint.before.pt"):
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            continue
        if state.get("key") == key:
            return state
    return None
