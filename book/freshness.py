"""Tell whether a chapter must run again, and why.

jupyter-cache looks at a notebook's code only. A chapter here also depends on its parameters, on the
module behind it, on what earlier chapters wrote and on the user's own files.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from chapters import Chapter, Run, parameters_of

from galclr_utils.provenance import read_json, sha256, write_json

# parameters that name files from outside the run: the user's, and what was measured and stored
PATHS = ("source_path", "catalog_path", "unlabelled_path", "results_dir", "studies_dir", "sky_dir")
# written, and read by no later chapter, or found again there by a key of its own
NOT_READ = (
    "metrics/",
    "figures/",
    "embedding/umap.csv",
    "labels/",
    "bought/",
    ".journal/",
    "audit/",
    "morphology/",
    "sky/",
)


@functools.cache
def meaning(code: str) -> str:
    """Return code without its comments, layout and docstrings: what decides the result.

    >>> meaning("x = 1  # one") == meaning("x  =  1") != meaning("x = 2")
    True
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a cell with a magic
        return code
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and len(body) > 1:
            if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:]
    return ast.dump(tree)


def reached(package: Path, code: str) -> set[Path]:
    """Return the files of the package that code imports, directly or through others.

    A name that the package itself exports is followed to the file it comes from. Where that cannot
    be told (``import galclr_utils``, a star), every file counts.
    """
    files: set[Path] = set()
    wanted = _files_named(package, code)
    while wanted:
        path = wanted.pop()
        if path not in files:
            files.add(path)
            if path.name != "__init__.py":  # what it exports was followed name by name
                wanted |= _files_named(package, path.read_text())
    return files


def _files_named(package: Path, code: str) -> set[Path]:
    """Return the package's files that the import statements of a piece of code name."""
    return {path for name in _imported(package.name, code) for path in _files_of(package, name)}


@functools.cache
def _imported(package: str, code: str) -> set[str]:
    """Return what a piece of code imports from a package: names in it, ``*`` for all of them."""
    lines = ["" if line.startswith(("%", "!")) else line for line in code.splitlines()]
    names: set[str] = set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [package if node.level else "", node.module]))
            aliases = {f"{base}.{alias.name}" for alias in node.names}
            names |= aliases if base == package else {base}
    ours = [name.split(".") for name in names if name.split(".")[0] == package]
    return {name[1] if name[1:] else "*" for name in ours}


def _files_of(package: Path, name: str) -> set[Path]:
    """Return the files behind ``package.name``: a module, or where ``__init__`` takes it from."""
    top = package / "__init__.py"
    if (package / f"{name}.py").exists():
        return {top, package / f"{name}.py"}
    for node in ast.walk(ast.parse(top.read_text())):  # an import may wait inside a function
        if isinstance(node, ast.ImportFrom) and node.module:
            if name in [alias.asname or alias.name for alias in node.names]:
                return {top, package / f"{node.module.split('.')[-1]}.py"}
    return set(package.glob("*.py"))


@functools.cache
def _hash(path: Path, size: int, mtime_ns: int) -> str:
    """Return a file's hash, computed once for each of its states."""
    return sha256(path)


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file a run holds, hidden ones and executed notebooks left out."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] != "executed" and not any(p.startswith(".") for p in parts):
            stat = path.stat()
            hashes["/".join(parts)] = _hash(path, stat.st_size, stat.st_mtime_ns)
    return hashes


def _stamp(path: Path) -> str:
    """Return the size and time of a user's file, or of all files in a folder: too big to hash."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    return hashlib.sha256(repr(stats).encode()).hexdigest() if stats else "absent"


def dependencies(chapter: Chapter, run: Run) -> dict[str, str]:
    """Return everything that decides a chapter's result, by name, each as a short text or hash."""
    code = [
        meaning(cell.source)
        for cell in chapter.notebook.cells
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", [])
    ]
    found = {"its code": hashlib.sha256("\n".join(code).encode()).hexdigest()}
    values = chapter.defaults | parameters_of(chapter, run)
    found |= {f"parameter {name}": repr(value) for name, value in values.items()}
    for path in reached(run.root / "galclr_utils", "\n".join(chapter.code)):
        digest = hashlib.sha256(meaning(path.read_text()).encode()).hexdigest()
        found[f"galclr_utils/{path.name}"] = digest
    found |= {
        f"{values[name]}": _stamp(run.root / Path(values[name]).expanduser())
        for name in PATHS
        if values.get(name)
    }
    now = snapshot(run.folder)
    for path, (writer, _) in read_state(run)["files"].items():
        if writer < chapter.name and not path.startswith(NOT_READ):
            found[path] = now.get(path, "absent")
    lock = run.root / "requirements.txt"
    found[lock.name] = sha256(lock) if lock.exists() else "absent"
    return found


def reasons(chapter: Chapter, run: Run) -> list[str]:
    """Say why a chapter must run; an empty list means that its executed copy still holds."""
    state = read_state(run)
    before = state["chapters"].get(chapter.name)
    if before is None or not (run.executed / f"{chapter.name}.ipynb").exists():
        return ["it has not run"]
    old, new = before["dependencies"], dependencies(chapter, run)
    found = [
        f"{name}: {old[name]} -> {new[name]}"
        if name.startswith("parameter ")
        else f"{name} changed"
        for name in old.keys() & new.keys()
        if old[name] != new[name]
    ]
    found += [f"{name} is new" for name in new.keys() - old.keys()]
    found += [f"{name} is gone" for name in old.keys() - new.keys()]
    now = snapshot(run.folder)
    for path, (writer, digest) in state["files"].items():
        if writer == chapter.name and now.get(path) != digest:
            found.append(f"{path}, which it wrote, {'changed' if path in now else 'is gone'}")
    return sorted(found)


def read_state(run: Run) -> dict:
    """Return what was executed, by chapter, and who wrote each file: ``[chapter, sha256]``."""
    path = run.executed / "state.json"
    return read_json(path) if path.exists() else {"chapters": {}, "files": {}}


def remember(chapter: Chapter, run: Run, needs: dict, before: dict, seconds: float) -> None:
    """Record what a chapter depended on, which files it wrote and how long it took.

    Args:
        needs, before: ``dependencies`` and ``snapshot`` from before the chapter ran.
        seconds: the wall time it took.
    """
    state, after = read_state(run), snapshot(run.folder)
    files = {p: v for p, v in state["files"].items() if p in after or v[0] != chapter.name}
    files |= {p: [chapter.name, h] for p, h in after.items() if before.get(p) != h}
    when = datetime.now(UTC).isoformat(timespec="seconds")
    record = {"seconds": round(seconds, 2), "time": when, "dependencies": needs}
    chapters = state["chapters"] | {chapter.name: record}
    write_json(run.executed / "state.json", {"chapters": chapters, "files": files})
