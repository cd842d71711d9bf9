"""Build the book: execute the chapters that changed, stage the pages, run Jupyter Book.

python book/build.py                          the profile small: minutes on a CPU
python book/build.py --profile poster         another profile of notebooks/profiles, or a YAML file
python book/build.py --explain                say what would run, and why; run nothing
python book/build.py --only 04_umap --force   one chapter, whether it changed or not

--force repeats a finished pretraining, too. A data set that was made from the same inputs is
reopened; `make clean` removes everything.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import pages
from chapters import (
    Chapter,
    ChapterFailed,
    Run,
    execute,
    merge_prose,
    read_chapters,
)
from freshness import dependencies, reasons, remember, snapshot

from galclr_utils.checks import choice
from galclr_utils.parameters import check_names, read_profile

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command line; return the exit status: 0 only if there is a book to read.

    Args:
        arguments: what follows the command; by default that of this process.
        root: the folder of the project.
    """
    options = parse(arguments)
    try:
        chapters = read_chapters(root)
        run, profile = open_run(options, root, chapters)
        chosen = [c for c in chapters if not options.only or c.name in options.only]
        if options.explain:
            explain(chosen, run, options.force)
            return 0
        for chapter in chosen:
            bring_up_to_date(chapter, run, options.force)
        if missing := [c.name for c in chapters if not copy_of(c, run).exists()]:
            say(f"no book yet: {', '.join(missing)} did not run")
            return 0
        output = options.output or root
        stage(run, chapters, profile, output / "_build" / "stage")
        build(output)
    except (ValueError, ChapterFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--profile", default="small", help="a name in notebooks/profiles, or a YAML file")
    add("--only", nargs="+", metavar="NN_word", help="run these chapters, leave the others")
    add("--force", action="store_true", help="run what did not change, pretraining too")
    add("--explain", action="store_true", help="say what would run, and why; run nothing")
    add("--run-dir", metavar="DIR", help="the run's folder (default: runs/PROFILE)")
    add("--output", type=Path, metavar="DIR", help="where _build goes (default: the project)")
    return parser.parse_args(arguments)


def open_run(options: argparse.Namespace, root: Path, chapters: list[Chapter]) -> tuple[Run, str]:
    """Check every name before a kernel starts; return the run and the profile's name."""
    profile, values = read_profile(root, options.profile)
    check_names(values, [name for chapter in chapters for name in chapter.parameters])
    for name in options.only or []:
        choice("--only", name, [c.name for c in chapters])
    values["run_dir"] = options.run_dir or values.get("run_dir") or f"runs/{profile}"
    folder = (root / Path(values["run_dir"]).expanduser()).resolve()
    return Run(root, folder, values), profile


def explain(chapters: list[Chapter], run: Run, force: bool) -> None:
    """Say for each chapter why it would run. One that runs may change what later ones read."""
    for chapter in chapters:
        why = ["forced"] if force else reasons(chapter, run)
        say(f"{chapter.name:12} {'runs: ' + '; '.join(why) if why else 'is up to date'}")


def bring_up_to_date(chapter: Chapter, run: Run, force: bool) -> None:
    """Execute a chapter if it must be, else take over what changed in its prose."""
    why = ["forced"] if force else reasons(chapter, run)
    if not why:
        merge_prose(chapter, run)
        say(f"{chapter.name:12} is up to date")
        return
    more = f" (and {len(why) - 1} more: --explain)" if len(why) > 1 else ""
    say(f"{chapter.name:12} runs: {why[0]}{more}")
    needs, before, start = dependencies(chapter, run), snapshot(run.folder), time.monotonic()
    execute(chapter, run, force)
    remember(chapter, run, needs, before, seconds := time.monotonic() - start)
    say(f"{chapter.name:12} took {pages.minutes(seconds)}")


def copy_of(chapter: Chapter, run: Run) -> Path:
    """Return where the executed copy of a chapter lies."""
    return run.executed / f"{chapter.name}.ipynb"


def stage(run: Run, chapters: list[Chapter], profile: str, folder: Path) -> None:
    """Lay out what Jupyter Book reads: configuration, prose, generated files, executed chapters.

    The page of a chapter is thus called ``notebooks/NN_word``, and its launch buttons open the
    notebook of that name in the repository.
    """
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.py", "__pycache__", ".*", "_generated")
    shutil.copytree(run.root / "book", folder / "book", ignore=ignored)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(run.root / name, folder / name)
    pages.write_all(run, chapters, profile, folder / "book" / "_generated")
    (folder / "notebooks").mkdir()
    for chapter in chapters:
        done = nbformat.read(copy_of(chapter, run), as_version=4)
        nbformat.write(pages.number_figures(done), folder / "notebooks" / f"{chapter.name}.ipynb")


def build(output: Path) -> None:
    """Render the stage with every warning an error, and make sure that there is a page to open.

    Raises:
        ValueError: Jupyter Book 2, which ignores the configuration and exits 0; or a warning.
    """
    if not (found := version("jupyter-book")).startswith("1."):
        raise ValueError(f"jupyter-book: got {found}, expected 1.x, as in requirements.txt")
    start, folder = time.monotonic(), output / "_build"
    for old in ("html", ".doctrees"):  # only a whole build shows every warning
        shutil.rmtree(folder / old, ignore_errors=True)
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    where = [str(folder / "stage"), "--path-output", str(output)]
    result = subprocess.run(
        [*program, *where, "-n", "-W", "--keep-going"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"},
    )
    log = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)
    (folder / "build.log").write_text(log)
    index = folder / "html" / "index.html"
    if result.returncode or not index.exists():
        told = [line for line in log.splitlines() if re.search("(WARNING|ERROR|CRITICAL): ", line)]
        shown = "\n".join(told or log.splitlines()[-30:]).replace(f"{folder / 'stage'}/", "")
        raise ValueError(f"{shown}\n\nthe book was not built; all of it: {folder / 'build.log'}")
    say(f"{'the book':12} took {pages.minutes(time.monotonic() - start)}: {index}")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
