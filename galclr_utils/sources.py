"""Open any source of galaxies and make the data set of a run from it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils import (
    arrays,
    blocks,
    catalogs,
    checks,
    crossmatch,
    cutting,
    folders,
    frames,
    hdf5,
    labels,
    population,
    profiles,
    resampling,
    simulate,
    sky,
    stamping,
)
from galclr_utils import assemble as assembly
from galclr_utils import dataset as sets
from galclr_utils import duplicates as twins
from galclr_utils.dataset import UNITS, GalaxySet, Source, assign_splits
from galclr_utils.provenance import (
    project_root,
    read_json,
    run_path,
    run_record,
    sha256,
    whole_folder,
)

SOURCES = ("simulated", "arrays", "pictures", "fits", "hdf5", "galaxy10", "sdss")
CODE = (sets, twins, population, profiles, simulate)
CODE += (catalogs, arrays, hdf5, folders, blocks, assembly)
SKY_CODE = (sky, cutting, stamping, resampling, frames, labels, crossmatch)


def open_source(
    source: str, source_path: str = "", catalog_path: str = "", units: str = "", workers: int = 1
) -> Source:
    """Open galaxies: ``"arrays"``, ``"pictures"``, ``"fits"``, ``"hdf5"`` or ``"sdss"``.

    Args:
        source: which reader.
        source_path: file or folder, see the reader.
        catalog_path: catalogue, "" for none.
        units: of float arrays: ``"nanomaggy"``, ``"display"`` or "" (see `arrays.arrays`); of SDSS
            cut-outs: ``"nanomaggy"`` if you vouch for it (see `sky.sdss`).
        workers: processes that cut SDSS frames.

    >>> open_source("sdss")
    Traceback (most recent call last):
    ...
    ValueError: source_path: got nothing, expected the file or folder of 'sdss'
    """
    checks.choice("source", source, SOURCES)
    if not str(source_path):
        raise ValueError(f"source_path: got nothing, expected the file or folder of {source!r}")
    if source == "sdss":
        checks.choice("units (of sdss)", units, ("", "nanomaggy"))
        vouched = units == "nanomaggy"
        return sky.sdss(source_path, catalog_path, units_checked=vouched, workers=workers)
    if source in ("hdf5", "galaxy10"):
        return hdf5.hdf5(source_path, catalog_path, units)
    if source == "arrays":
        return arrays.arrays(source_path, catalog_path, units)
    read = folders.pictures if source == "pictures" else folders.fits
    return read(source_path, catalog_path)


def unlabelled(path: str, units: str = "") -> Source:
    """Open more galaxies for pretraining: an array file, or a folder of FITS, pictures or arrays.

    All labels are -1, whatever the folder holds beside the images.
    """
    path = Path(path)
    if path.is_dir() and not list(path.glob("images.*")):
        endings = {catalogs.suffix(file) for file in path.iterdir()}
        return open_source("fits" if endings & set(catalogs.FITS) else "pictures", str(path))
    return arrays.arrays(path, "", units, prefix="unlabelled/")  # no folder's name has a slash


def survey_size(n_train: int, seed: int, val_fraction: float, test_fraction: float) -> int:
    """Return how long a simulated survey must be to hold ``n_train`` training galaxies.

    Ids alone decide on the split, so a galaxy stays in its split when the survey grows.

    >>> survey_size(8000, 0, 0.1, 0.2)
    11419
    """
    n = int(n_train / (1 - val_fraction - test_fraction) * 1.2) + 200
    ids = [f"sim-{seed}-{k:07d}" for k in range(n)]
    split, _ = assign_splits(Table({"id": ids}), val_fraction, test_fraction)
    return int(np.flatnonzero(np.cumsum(split == "train") == n_train)[0]) + 1


def prepare(
    run_dir: str,
    source: str = "simulated",
    source_path: str = "",
    catalog_path: str = "",
    unlabelled_path: str = "",
    test_split: str = "",
    n_galaxies: int = 2000,
    crop_px: int = 0,
    image_size_px: int = 32,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    seed: int = 0,
    label_scatter: float = 1.1,
    workers: int = 0,
    units: str = "",
    pool=None,
) -> GalaxySet:
    """Make the data set of a run from a source, or reopen it if it was made from the same.

    Args:
        run_dir: folder of the run; the set goes to ``dataset/`` in it, whole or not at all.
        source: simulated, arrays, pictures, fits, hdf5, galaxy10 or sdss.
        source_path, catalog_path: the galaxies and their catalogue ("" for simulated).
        unlabelled_path: more galaxies, added to training without labels; "" for none.
        test_split: which split of the catalogue plays test; "" as the catalogue names it.
        n_galaxies: training galaxies, chosen by a hash of the id; 0 for all there are.
        crop_px: central crop before binning, in raw pixels; 0 for the whole stamp.
        image_size_px: size after binning; divides the crop.
        val_fraction, test_fraction: share of the galaxies for a split the catalogue does not give.
        seed: of the simulated survey.
        label_scatter: of the simulated human labels, in T-type units.
        workers: processes that simulate or cut; 0 for one a core (frames of SDSS are cut by this
            one alone then). The result does not depend on it.
        units: of float arrays: nanomaggy, display or "" (nanomaggy); of SDSS cut-outs: nanomaggy
            if you vouch for it.
        pool: instead of processes a Dask client, or any executor of `concurrent.futures`.
    Returns:
        GalaxySet whose images stay on disk.
    Raises:
        ValueError: a parameter or the input is wrong; it says what to do, and nothing is written.

    >>> import tempfile
    >>> survey = prepare(tempfile.mkdtemp(), n_galaxies=20, image_size_px=16, workers=1)
    >>> survey.images.shape[1:], len(survey.indices("train")), survey.card["source"]
    ((3, 16, 16), 20, 'SIMULATED')
    """
    whole = {"integer": True}
    asked = {
        "source": checks.choice("source", source, SOURCES),
        "source_path": _path(source_path),
        "catalog_path": _path(catalog_path),
        "unlabelled_path": _path(unlabelled_path),
        "test_split": str(test_split).strip(),
        "n_galaxies": checks.number("n_galaxies", n_galaxies, 0, 10_000_000, **whole),
        "crop_px": checks.number("crop_px", crop_px, 0, 100_000, **whole),
        "image_size_px": checks.number("image_size_px", image_size_px, 8, 1024, **whole),
        "val_fraction": checks.number("val_fraction", val_fraction, 0, 0.45),
        "test_fraction": checks.number("test_fraction", test_fraction, 0, 0.45),
        "seed": checks.number("seed", seed, 0, 2**63, **whole),
        "label_scatter": checks.number("label_scatter", label_scatter, 0, 10),
        "units": checks.choice("units", units, ("", *UNITS)),
    }
    workers = checks.number("workers", workers, 0, 1024, **whole)
    folder = run_path(run_dir) / "dataset"
    inputs = {name: _fingerprint(asked[name]) for name in asked if name.endswith("_path")}
    code = (*CODE, *SKY_CODE) if asked["source"] == "sdss" else CODE
    made_from = {**asked, "inputs": inputs, "code": sha256(__file__, *(m.__file__ for m in code))}
    if _is_made(folder, made_from):
        return GalaxySet.load(folder)
    sources = open_all(asked, workers)
    cut = ("crop_px", "image_size_px", "test_split", "n_galaxies", "val_fraction", "test_fraction")
    with blocks.building(folder, made_from) as building:
        if _is_made(folder, made_from):  # by another process, while this one waited for it
            return GalaxySet.load(folder)
        with whole_folder(folder) as part:
            card = {"seed": asked["seed"], "made_from": made_from}
            card |= {"provenance": run_record(asked["seed"])}
            how = {name: asked[name] for name in cut}
            assembly.assemble(
                part, sources, card, **how, building=building, workers=workers, pool=pool
            )
    return GalaxySet.load(folder)


def _is_made(folder: Path, made_from: dict) -> bool:
    """Tell whether the set in a folder was made from the same."""
    card = folder / "card.json"
    return card.exists() and read_json(card).get("made_from") == made_from


def _path(path: str | Path) -> str:
    """Return a path as text, "" for none; a relative one starts at the project root."""
    path = str(path).strip()
    return str(project_root() / Path(path).expanduser()) if path else ""


def _fingerprint(path: str) -> str:
    """Return what changes when a file, or a file in a folder, does: names, sizes and times.

    Of a folder of SDSS downloads only what was downloaded counts, not what is made from it there.
    """
    if not path:
        return ""
    if (Path(path) / sky.SAMPLE).exists():
        return sky.fingerprint(path)
    files = sorted(Path(path).iterdir()) if Path(path).is_dir() else [Path(path)]
    found = [
        (file.name, (s := file.stat()).st_size, s.st_mtime_ns) for file in files if file.exists()
    ]
    return hashlib.sha256(repr(found).encode()).hexdigest()


def open_all(asked: dict, workers: int) -> list[Source]:
    """Open the source and the unlabelled one beside it; they must be alike and fit the binning."""
    if asked["source"] != "simulated":
        where = (asked[k] for k in ("source", "source_path", "catalog_path", "units"))
        main = open_source(*where, workers=max(1, workers))
    else:
        for name in ("source_path", "catalog_path", "test_split", "units"):
            if asked[name]:
                raise ValueError(f"{name}: got {asked[name]!r}, but source 'simulated' reads none")
        if not asked["n_galaxies"]:
            raise ValueError("n_galaxies: got 0, expected how many galaxies to simulate")
        fractions = asked["val_fraction"], asked["test_fraction"]
        n = survey_size(asked["n_galaxies"], asked["seed"], *fractions)
        main = simulate.survey(n, asked["seed"], asked["label_scatter"], workers)
    if not asked["unlabelled_path"]:
        return [main]
    more = unlabelled(asked["unlabelled_path"], asked["units"])
    for name in ("units", "bands", "stamp"):
        if (got := getattr(more, name)) != (expected := getattr(main, name)):
            raise ValueError(
                f"unlabelled_path: got {name} {got}, expected {expected} as the source"
            )
    scales = (main.arcsec_per_pixel, more.arcsec_per_pixel)
    if None not in scales and abs(scales[0] - scales[1]) > 0.01 * scales[0]:
        raise ValueError(f"unlabelled_path: pixels of {scales[1]} arcsec, the source {scales[0]}")
    return [main, more]
