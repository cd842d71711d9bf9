"""Open a folder of SDSS downloads as a source of galaxies.

The folder is filled by `acquire`, or by hand from `query.sample` and `sdss.download`::

    FOLDER/sample.fits    one row a galaxy, with the votes of Galaxy Zoo; sample.sql, pages-*
    FOLDER/frames/        whole fields of the survey, with a journal; or
    FOLDER/cutouts/       one file a galaxy and band, with a journal
    FOLDER/sky.json       how they were had, and whether the unit of cut-outs was measured
    FOLDER/stamps-WAY/    what was cut, kept to be read again (see `cutting`)
    FOLDER/failures.csv   every galaxy of the sample without a stamp, and why

No galaxy is dropped silently: those that give no stamp are counted on the card and listed.
"""

# N galaxies, n of them in a block, C bands, H, W pixels

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
from astropy.table import Table, hstack, vstack

from galclr_utils import checks, cutting
from galclr_utils import sdss as archive
from galclr_utils.catalogs import as_ids, read_catalog, reading
from galclr_utils.columns import open_table
from galclr_utils.crossmatch import join
from galclr_utils.cutting import WHAT, Piece, Recipe
from galclr_utils.dataset import Source, plain_table
from galclr_utils.downloads import JOURNAL, open_journal
from galclr_utils.frames import BANDS
from galclr_utils.labels import apply_rule, read_labels
from galclr_utils.provenance import read_json, sha256, whole_file
from galclr_utils.stamping import ARCSEC_PER_PIXEL, SIZE_PX, brightest

SAMPLE, FACTS, FAILURES = "sample.fits", "sky.json", "failures.csv"
RULES = ("auto", "gz1", "gz2", "none")
VOTES = {"gz1": "p_el_debiased", "gz2": "t01_smooth_or_features_a01_smooth_debiased"}


def sdss(
    folder: str | Path,
    catalog_path: str | Path = "",
    way: str = "auto",
    rule: str = "auto",
    units_checked: bool = False,
    workers: int = 1,
    **parameters,
) -> Source:
    """Open a folder of downloads from SDSS: 64x64 pixels of 0.396", g, r, i, in nanomaggies.

    The first call cuts all galaxies (see `cutting`), later ones find them cut. Galaxies without a
    stamp are left out, counted in ``facts`` and listed in ``failures.csv``.

    Args:
        folder: see above.
        catalog_path: a published catalogue of labels, in a layout of `labels.published`, or one of
            your own with a column ``label``; joined by id or position. "": votes of the sample.
        way: ``"frames"``, ``"cutouts"``, or ``"auto"``: as ``sky.json`` says, else what is there.
        rule: how votes become labels: ``"gz1"`` or ``"gz2"`` (`labels.published`); ``"none"``; or
            ``"auto"``: a ``label`` that the sample has, else gz1, else gz2, else none. With a
            catalogue it is read there, and ``rule`` must be auto.
        units_checked: whether you vouch that cut-outs are in nanomaggies. Otherwise ``sky.json``
            has to say that they were compared with frames (`unitcheck`).
        workers: processes that cut.
        parameters: of the rule, such as ``threshold``.
    Returns:
        Source named after the release and the way, or ``SIMULATED`` where ``sky.json`` says so.
        Its rows have all columns of the sample, ``label``, ``ttype``, and the flags of the stamp:
        ``cut_from, edge_px, missing_bands, blank_fraction, masked_fraction, saturated_fraction,
        bright_flux, stamp_status, stamp_reason``.
    Raises:
        ValueError: no sample, no pictures, no galaxy with a stamp, unknown units of cut-outs.
    """
    folder = Path(folder)
    sample, told = read_sample(folder), read_facts(folder)
    recipe = recipe_of(folder, told, way)
    factor, units = unit_of(recipe.way, told, folder, checks.flag("units_checked", units_checked))
    sample, labels = add_labels(sample, catalog_path, rule, parameters)
    pieces = cutting.cut_all(recipe, sample, workers)
    failures = write_failures(folder, sample, pieces)
    n = len(sample) - len(failures)
    if not n:
        why = f"{failures['what'][0]}: {failures['reason'][0]}"
        raise ValueError(
            f"{folder}: no galaxy of {len(sample)} has a stamp; the first: {why}. All reasons are "
            f"in {FAILURES}; ask again for what is missing with "
            f"python -m galclr_utils.acquire --folder {folder}"
        )

    def blocks():
        for piece in pieces:
            if not piece.kept.any():
                continue
            with reading(piece.path, "stamps that were cut before (delete the folder)"):
                stamps = np.load(piece.path, allow_pickle=False)
            flags = piece.flags[piece.kept]
            flags.remove_column("left_out")
            if recipe.way == "cutouts":  # brightness is known once the unit is
                stamps *= np.float32(factor)[:, None, None]
                flags["bright_flux"] = [brightest(s, recipe.arcsec_per_pixel) for s in stamps]
            yield stamps, hstack([sample[piece.rows[piece.kept]], flags])

    survey = str(sample.meta.get("SURVEY") or told.get("release") or "SDSS")
    facts = {"path": str(folder), "catalog_path": str(catalog_path), **told, "way": recipe.way}
    facts |= {"survey": survey, "query": str(sample.meta.get("SQLHASH", "")), "unit": units}
    facts |= {"labels": labels, "sample": len(sample), "left_out": _count(failures)}
    facts["left_out_are_listed_in"] = FAILURES
    name = f"{survey}, {'frames' if recipe.way == 'frames' else 'cut-outs'}"
    if told.get("simulated"):
        name, facts["survey"] = "SIMULATED", f"SIMULATED sky in the format of {name}"
    shape = (len(BANDS), recipe.size_px, recipe.size_px)
    return Source(name, "nanomaggy", BANDS, recipe.arcsec_per_pixel, n, shape, blocks, facts)


def read_sample(folder: Path) -> Table:
    """Return the sample of a folder, ids as str, numbers in native byte order."""
    with reading(folder / SAMPLE, "the sample that acquire or query.sample writes"):
        sample = Table.read(folder / SAMPLE)
    meta, sample = sample.meta, plain_table(sample)
    archive.need(sample, ("id", "ra", "dec"))
    sample["id"] = as_ids(sample["id"], f"{folder / SAMPLE}: column 'id'")
    sample.meta = dict(meta)
    return sample


def read_facts(folder: Path) -> dict:
    """Return what ``sky.json`` says; an empty dictionary where there is none."""
    return read_json(folder / FACTS) if (folder / FACTS).exists() else {}


def recipe_of(folder: Path, told: dict, way: str = "auto") -> Recipe:
    """Return how a folder's galaxies are cut.

    Raises:
        ValueError: there are no pictures of this kind, or of both and nobody says which.
    """
    checks.choice("way", way, ("auto", *archive.WAYS))
    there = [name for name in archive.WAYS if (folder / name).is_dir()]
    if way == "auto":
        way = told.get("way", "") or (there[0] if len(there) == 1 else "")
        if way not in there:
            raise ValueError(
                f"{folder}: got {' and '.join(there) or 'no pictures'}, expected "
                f"{way or 'a folder frames or cutouts'}: download them with python -m "
                f"galclr_utils.acquire --folder {folder}, or say which with way="
            )
    elif way not in there:
        raise ValueError(
            f"{folder / way}: no such folder; there is {' and '.join(there) or 'none'}"
        )
    size = checks.number("size_px", told.get("size_px", SIZE_PX), 8, 1024, integer=True)
    scale = told.get("arcsec_per_pixel", ARCSEC_PER_PIXEL)
    return Recipe(folder, way, size, checks.number("arcsec_per_pixel", scale, 0.1, 10))


def unit_of(way: str, told: dict, folder: Path, vouched: bool = False) -> tuple[list, str]:
    """Return by what each band is multiplied to be nanomaggies, and how that is known.

    Raises:
        ValueError: the unit of cut-outs is unknown.

    >>> unit_of("frames", {}, Path("data/sdss"))
    ([1.0, 1.0, 1.0], "nanomaggies, as the archive's frames are")
    >>> unit_of("cutouts", {"units_checked": True, "units": {"factor": [2, 2, 2]}}, Path("."))[1]
    'nanomaggies, cut-outs multiplied by 2, 2, 2; compared with frames'
    """
    if way == "frames":
        return [1.0] * len(BANDS), "nanomaggies, as the archive's frames are"
    if told.get("simulated") and told.get("units_checked"):
        return [1.0] * len(BANDS), "nanomaggies: SIMULATED so"
    if told.get("units_checked"):
        factor = told.get("units", {}).get("factor", [1.0] * len(BANDS))
        factor = checks.numbers("sky.json, units, factor", factor, 1e-9, 1e9)
        same = all(value == 1 for value in factor)
        how = "as they came" if same else f"multiplied by {', '.join(f'{f:.4g}' for f in factor)}"
        return factor, f"nanomaggies, cut-outs {how}; compared with frames"
    if vouched:
        return [1.0] * len(BANDS), "nanomaggies by the user's word: NOT compared with frames"
    why = told.get("units", {}).get("reason", "they have not been compared with a frame")
    raise ValueError(
        f"{folder}: the unit of these cut-outs is unknown: {why}. Compare them with frames by "
        f"python -m galclr_utils.acquire --folder {folder} --check-units (some 40 MB); or use "
        "frames; or, if you know that they are nanomaggies, say units: nanomaggy"
    )


def add_labels(sample: Table, catalog_path: str | Path, rule: str, parameters: dict) -> tuple:
    """Return the sample with label and ttype, and a sentence (or facts) that says whence.

    Args:
        sample: N galaxies. catalog_path, rule, parameters: see `sdss`.
    """
    checks.choice("rule", rule, RULES)
    sample = sample.copy()
    if str(catalog_path):
        if rule != "auto":
            raise ValueError(f"rule: got {rule!r} for votes, but labels come from {catalog_path}")
        names, _ = open_table(catalog_path)
        own = "label" in {name.lower() for name in names}
        labels = read_catalog(catalog_path) if own else read_labels(catalog_path, **parameters)
        told = {key: value for key, value in labels.meta.items() if not own and key != "path"}
        sample = join(sample, labels)
        told = {"catalogue": Path(catalog_path).name, **told, "join": sample.meta.pop("join")}
    else:
        if rule == "auto":
            voted = [k for k, name in VOTES.items() if _any_finite(sample, name)]
            rule = "own" if "label" in sample.colnames else voted[0] if voted else "none"
        if rule == "own":
            told = "the sample's own column"
            with reading(Path(SAMPLE), "labels 0, 1 or -1"):
                sample["label"] = np.asarray(sample["label"]).astype(np.int8)
        elif rule == "none":
            told = "none: the sample has no votes, and no catalogue was given"
            sample["label"] = np.full(len(sample), -1, np.int8)
        else:
            labels = apply_rule(sample, rule, **parameters)
            for name in ("label", "ttype", "votes"):
                if name in labels.colnames and not (name == "ttype" and name in sample.colnames):
                    sample[name] = labels[name]
            told = {"votes": rule, **labels.meta}
            if rule == "gz2":
                told["note"] = "debiased as in Willett et al. 2013, not as in Hart et al. 2016"
    if "ttype" not in sample.colnames:
        sample["ttype"] = np.full(len(sample), np.nan, np.float32)
    return sample, told


def write_failures(folder: Path, sample: Table, pieces: list[Piece]) -> Table:
    """Write ``failures.csv``, and return it: id, ra, dec, what, reason; sorted by id."""
    parts = [
        Table(names=("id", "ra", "dec", "what", "reason"), dtype=(str, float, float, str, str))
    ]
    for piece in pieces:
        lost = sample[piece.rows[~piece.kept]]["id", "ra", "dec"]
        if len(lost):
            flags = piece.flags[~piece.kept]
            lost["what"] = [WHAT[str(what)] for what in flags["left_out"]]
            lost["reason"] = np.asarray(flags["stamp_reason"])
            parts.append(lost)
    failures = vstack(parts, metadata_conflicts="silent")
    failures.sort("id")
    with whole_file(folder / FAILURES) as part:
        failures.write(part, format="ascii.csv")
    return failures


def fingerprint(folder: str | Path) -> str:
    """Return a hash that changes when a folder's sample, facts, or pictures do.

    What is derived from them (stamps, failures.csv) does not count.
    """
    folder, digest = Path(folder), hashlib.sha256()
    digest.update(
        "".join(sha256(p) for p in (folder / SAMPLE, folder / FACTS) if p.exists()).encode()
    )
    for way in archive.WAYS:
        if (folder / way / JOURNAL).exists():
            with open_journal(folder / way) as journal:
                digest.update(journal.digest().encode())
        else:
            for path in sorted((folder / way).rglob("*.fits*")):
                digest.update(
                    f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}".encode()
                )
    return digest.hexdigest()


def _count(failures: Table) -> dict:
    """Return how many galaxies were left out for each reason."""
    return dict(sorted(Counter(map(str, failures["what"])).items()))


def _any_finite(table: Table, name: str) -> bool:
    return name in table.colnames and bool(np.isfinite(table[name]).any())
