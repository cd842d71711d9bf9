"""Read the chapters and a profile, and execute a chapter into the folder of a run."""

from __future__ import annotations

import ast
import copy
import sys
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbclient
import nbformat
import papermill
from nbformat import NotebookNode

from galclr_utils.provenance import whole_file


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


def parameters_of(chapter: Chapter, run: Run) -> dict:
    """Return the values to pass to a chapter: those that it declares and that differ."""
    known = chapter.defaults
    return {n: v for n, v in run.values.items() if n in known and v != known[n]}


class ChapterFailed(Exception):
    """A notebook raised an error; the message says where, and where its copy lies."""


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
