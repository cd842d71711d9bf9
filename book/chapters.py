"""Read the chapters and a profile, and execute a chapter into the folder of a run."""

from __future__ import annotations

import ast
import copy
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbclient
import nbformat
import papermill
import yaml
from nbformat import NotebookNode

from galclr_utils.checks import did_you_mean
from galclr_utils.provenance import whole_file

# Read by glibc when a kernel starts: freed memory is kept for the next batch, not handed back
# to the system and faulted in again, page by page. Other systems ignore it.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2000000000"}


@dataclass
class Chapter:
    """One notebook: its name, its cells, and its parameters as papermill reads them."""

    name: str
    notebook: NotebookNode
    parameters: dict[str, dict]  # name -> inferred_type_name, default, help

    @property
    def defaults(self) -> dict:
        return {name: ast.literal_eval(p["default"]) for name, p in self.parameters.items()}

    @property
    def code(self) -> list[str]:
        return [cell.source for cell in self.notebook.cells if cell.cell_type == "code"]


@dataclass
class Run:
    """One run: the project, the run's folder, and the parameters that differ from the defaults."""

    root: Path
    folder: Path
    values: dict

    @property
    def executed(self) -> Path:
        return self.folder / "executed"


def read_chapters(root: Path) -> list[Chapter]:
    """Read ``notebooks/NN_word.py``, the source of the chapters, in order."""
    chapters = []
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.py")):
        notebook = jupytext.read(path, fmt="py:percent")
        chapters.append(Chapter(path.stem, notebook, papermill.inspect_notebook(notebook)))
    if not chapters:
        raise ValueError(f"{root / 'notebooks'}: expected chapters named NN_word.py, found none")
    return chapters


def read_profile(root: Path, profile: str) -> tuple[str, dict]:
    """Return a profile's name and its parameters: a flat YAML file, or none at all for ``small``.

    Args:
        profile: a name in ``notebooks/profiles``, or the path of a YAML file.
    Raises:
        ValueError: no such profile, or not a flat mapping.
    """
    folder = root / "notebooks" / "profiles"
    is_file = profile.endswith((".yml", ".yaml"))
    path = Path(profile) if is_file else folder / f"{profile}.yml"
    if profile == "small" and not path.exists():
        return profile, {}
    if not path.exists():
        known = ["small", *sorted(p.stem for p in folder.glob("*.yml"))]
        hint = did_you_mean(profile, known)
        raise ValueError(f"profile {profile!r}: expected a YAML file or one of {known}{hint}")
    values = yaml.safe_load(path.read_text()) or {}
    if not isinstance(values, dict) or any(isinstance(v, dict) for v in values.values()):
        raise ValueError(f"{path}: expected one flat mapping of parameter names to values")
    return path.stem, values


def check_names(values: dict, chapters: list[Chapter]) -> None:
    """Refuse a parameter that no notebook has: papermill would only log it and run the default."""
    known = sorted({name for chapter in chapters for name in chapter.parameters})
    for name in values:
        if name not in known:
            raise ValueError(
                f"parameter {name!r}: no notebook has it{did_you_mean(name, known)} "
                f"(there are: {', '.join(known)})"
            )


def parameters_of(chapter: Chapter, run: Run) -> dict:
    """Return the values to pass to a chapter: those that it declares and that differ."""
    known = chapter.defaults
    return {n: v for n, v in run.values.items() if n in known and v != known[n]}


class ChapterFailed(Exception):
    """A notebook raised an error; the message says where, and where its copy lies."""


@contextmanager
def environment(defaults: dict[str, str]) -> Iterator[None]:
    """Set the environment variables that are not set, for a while: a kernel inherits them."""
    added = defaults.keys() - os.environ.keys()
    os.environ.update({name: defaults[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def execute(chapter: Chapter, run: Run, force: bool = False) -> None:
    """Run a chapter from the project root and keep its executed copy.

    A copy that failed is kept beside as ``NN_word.failed.ipynb``, for inspection.

    Args:
        force: start anew also where the chapter would keep what it has finished before: pass
            ``resume: false`` to a chapter that has this parameter.
    """
    values = parameters_of(chapter, run)
    if force and "resume" in chapter.parameters:
        values["resume"] = False
    run.executed.mkdir(parents=True, exist_ok=True)
    target = run.executed / f"{chapter.name}.ipynb"
    part = target.with_suffix(".failed.ipynb")
    try:
        with environment(KEEP_MEMORY):
            papermill.execute_notebook(
                copy.deepcopy(chapter.notebook),
                str(part),
                parameters=values,
                kernel_name="python3",
                cwd=str(run.root),
                progress_bar=sys.stderr.isatty(),
                extra_arguments=["--IPKernelApp.log_level=ERROR"],  # no advice on transports
            )
    except papermill.PapermillExecutionError as error:
        trace = "\n".join(error.traceback)
        place = f"{chapter.name}, code cell {error.exec_count}:\n\n{error.source}\n\n{trace}"
        raise ChapterFailed(f"{place}\n\nThe notebook as far as it got: {part}") from None
    except nbclient.exceptions.DeadKernelError:
        reason = "the kernel died (often: out of memory)"
        raise ChapterFailed(f"{chapter.name}: {reason}; as far as it got: {part}") from None
    part.replace(target)


def merge_prose(chapter: Chapter, run: Run) -> None:
    """Take over text, tags and comments that changed since a chapter ran, keeping its outputs.

    Its code means the same, so the code cells correspond one to one.
    """
    path = run.executed / f"{chapter.name}.ipynb"
    done = nbformat.read(path, as_version=4)
    ran = [cell for cell in done.cells if cell.cell_type == "code"]
    injected = [c for c in ran if "injected-parameters" in c.metadata.get("tags", [])]
    outputs = iter([c for c in ran if c not in injected])
    cells = []
    for cell in copy.deepcopy(chapter.notebook.cells):
        if cell.cell_type == "code":
            old = next(outputs)
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
        cells.append(cell)
        if "parameters" in cell.metadata.get("tags", []):
            cells += injected
    done.cells = cells
    with whole_file(path) as part:
        nbformat.write(done, part)
