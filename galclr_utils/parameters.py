"""Read the parameters of the notebooks, and the profiles that change them.

The defaults are written once, in the notebooks. A profile is a flat YAML file of other values; it
serves papermill, the driver of the book and the command that trains on several GPUs alike.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import yaml

from galclr_utils.checks import did_you_mean
from galclr_utils.provenance import project_root


def defaults(notebook: str, root: Path | None = None) -> dict:
    """Return the parameters of a notebook and their defaults: what it assigns with a type.

    Args:
        notebook: its name, ``"03_pretrain"``.
        root: the folder of the project; by default this one.

    >>> defaults("03_pretrain")["temperature"]
    0.2
    """
    source = (root or project_root()) / "notebooks" / f"{notebook}.py"
    found = (node for node in ast.parse(source.read_text()).body if isinstance(node, ast.AnnAssign))
    return {node.target.id: ast.literal_eval(node.value) for node in found}


def read_profile(root: Path, profile: str) -> tuple[str, dict]:
    """Return a profile's name and its parameters: a flat YAML file, or none at all for ``small``.

    Args:
        root: the folder of the project.
        profile: a name in ``notebooks/profiles``, or the path of a YAML file.
    Raises:
        ValueError: no such profile, or not a flat mapping.

    >>> read_profile(project_root(), "poster")[1]["n_galaxies"]
    377419
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


def check_names(values: dict, known: Iterable[str]) -> None:
    """Refuse a parameter that no notebook has: papermill would only log it and run the default.

    >>> check_names({"temprature": 1}, ["temperature"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: parameter 'temprature': no notebook has it; did you mean 'temperature'? (there ...
    """
    known = sorted(set(known))
    for name in values:
        if name not in known:
            raise ValueError(
                f"parameter {name!r}: no notebook has it{did_you_mean(name, known)} "
                f"(there are: {', '.join(known)})"
            )
