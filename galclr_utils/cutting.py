"""Cut all galaxies of a folder of downloads once, in pieces that are kept.

A data set has to know how many galaxies it has before the first is read, and some fail only when
they are cut: a file is not there, a position is off the frame, a stamp has no data. So all stamps
are cut beforehand, a piece of some hundred galaxies at a time. A piece is written whole or not at
all, under the hash of everything that decides it: the galaxies, their files, and the code. Whoever
comes again, or was stopped on the way, cuts only what is missing.
"""

# N galaxies, n of them in a piece, C bands, H, W pixels

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from filelock import FileLock

from galclr_utils import cutouts, frames, resampling, sdss, stamping
from galclr_utils.cutouts import read_cutout
from galclr_utils.dataset import plain_table
from galclr_utils.downloads import FULL, JOURNAL, disk_full, open_journal
from galclr_utils.frames import BANDS, read_frame
from galclr_utils.provenance import progress, sha256, whole_file
from galclr_utils.stamping import cut_field
from galclr_utils.workers import in_order

PIECE = 256  # galaxies, or some more where they share a field
CODE = (__file__, cutouts.__file__, frames.__file__, resampling.__file__, stamping.__file__)
WHAT = {
    "absent": "a file is not there",
    "broken": "a file cannot be read",
    "off": "off the frame",
    "blank": "too much of the stamp without data",
}


@dataclass(frozen=True)
class Recipe:
    """Say how the galaxies of a folder are cut.

    Attributes:
        folder: of the downloads; the stamps go to ``stamps-WAY`` in it.
        way: ``"frames"`` or ``"cutouts"``: which files there are, see `sdss`.
        size_px, arcsec_per_pixel: of the stamps.
        blank_max: a stamp is left out if a larger share of it is without data in any band.

    >>> Recipe(Path("data/sdss"), "frames").stamps.name
    'stamps-frames'
    """

    folder: Path
    way: str
    size_px: int = stamping.SIZE_PX
    arcsec_per_pixel: float = stamping.ARCSEC_PER_PIXEL
    blank_max: float = 0.05

    @property
    def pictures(self) -> Path:
        """The folder of the files."""
        return self.folder / self.way

    @property
    def stamps(self) -> Path:
        """The folder of the stamps."""
        return self.folder / f"stamps-{self.way}"


@dataclass(frozen=True)
class Piece:
    """Hold what became of some galaxies.

    Attributes:
        rows: (n,) rows of the sample, int64.
        flags: n rows; ``left_out`` is a key of `WHAT`, or "" where there is a stamp; the others are
            those of `stamping.cut`, with ``stamp_status`` and ``stamp_reason``.
        path: ``.npy`` with the stamps that there are, float32, in this order.
    """

    rows: np.ndarray
    flags: Table
    path: Path

    @property
    def kept(self) -> np.ndarray:
        """Which of the galaxies have a stamp, bool (n,)."""
        return np.asarray(self.flags["left_out"]) == ""


def cut_all(recipe: Recipe, sample: Table, workers: int = 1) -> list[Piece]:
    """Cut all galaxies of a sample, or open what was cut before.

    Galaxies come by field (frames) or by id (cut-outs), whatever the order of the sample or of the
    files. Each field is read once; a process holds one piece and three frames.

    Args:
        recipe: how, and where.
        sample: N rows: id, ra, dec and, for frames, run, camcol, field, perhaps rerun.
        workers: processes; the result does not depend on it.
    Returns:
        the pieces; together they have each row of the sample once.
    Raises:
        ValueError: a column is missing.
        OSError: the disk is full; what was cut is kept.
    """
    sdss.need(sample, ("id", "ra", "dec", *("run", "camcol", "field") * (recipe.way == "frames")))
    recipe.stamps.mkdir(parents=True, exist_ok=True)
    todo = list(_divide(recipe, sample))
    code, found = sha256(*CODE), []
    with FileLock(recipe.stamps / ".lock"):
        tasks = ((recipe, code, sample[rows]) for rows in todo)
        try:
            done = in_order(cut_piece, tasks, workers if len(todo) > 1 else 1)
            for rows, (path, flags) in zip(
                todo, progress(done, "cutting galaxies", len(todo)), strict=True
            ):
                found.append(Piece(rows, flags, path))
        except OSError as error:
            if error.errno in FULL:
                raise disk_full(recipe.stamps) from error
            raise
        used = {".lock"} | {
            p.path.with_suffix(end).name for p in found for end in (".npy", ".fits")
        }
        for path in recipe.stamps.iterdir():  # of another sample, or left by a process that died
            if path.name not in used:
                path.unlink()
    return found


def cut_piece(recipe: Recipe, code: str, rows: Table) -> tuple[Path, Table]:
    """Cut some galaxies and write their stamps and flags, or read them if they are there.

    Args:
        recipe: how, and where. code: hash of the code. rows: n galaxies.
    Returns:
        the file of the stamps, and the flags.
    """
    files = _files(recipe, rows)
    said = [recipe.way, recipe.size_px, recipe.arcsec_per_pixel, recipe.blank_max, code]
    said += [[str(row["id"]), float(row["ra"]), float(row["dec"])] for row in rows]
    said += [[(path.name, mark) for path, mark, _ in own] for own in files]
    key = hashlib.sha256(repr(said).encode()).hexdigest()[:24]
    path = recipe.stamps / f"{key}.npy"
    if path.exists() and path.with_suffix(".fits").exists():  # the flags are written last
        return path, plain_table(Table.read(path.with_suffix(".fits")))
    cut = _cut_frames if recipe.way == "frames" else _cut_outs
    stamps, flags = cut(recipe, rows, files)
    blank = (flags["left_out"] == "") & (flags["blank_fraction"] > recipe.blank_max)
    flags["left_out"][blank] = "blank"
    with whole_file(path) as part:
        np.save(part, stamps[flags["left_out"] == ""])
    flags = plain_table(flags)
    with whole_file(path.with_suffix(".fits")) as part:
        flags.write(part)
    return path, flags


def names_of(recipe: Recipe, row) -> list[tuple[str, str]]:
    """Return the key and the file name of a galaxy's picture in each band, as `sdss` gives them."""
    if recipe.way == "cutouts":
        return [(f"{row['id']}-{band}", f"{row['id']}-{band}.fits") for band in BANDS]
    rerun = row["rerun"] if "rerun" in row.colnames else sdss.RERUN
    where = rerun, row["run"], row["camcol"], row["field"]
    paths = [sdss.frame_path(*where, band) for band in BANDS]
    return [(path.rsplit("/", 1)[1], path) for path in paths]


def _divide(recipe: Recipe, sample: Table) -> Iterator[np.ndarray]:
    """Yield the rows of one piece after the other; a field lies in one piece."""
    ids = np.asarray(sample["id"], str)
    if recipe.way == "cutouts":
        order = np.argsort(ids, kind="stable")
        cuts = np.arange(PIECE, len(order), PIECE)
    else:
        columns = [np.asarray(sample[name], int) for name in ("field", "camcol", "run")]
        order = np.lexsort([ids, *columns])
        fields = np.stack(columns, axis=1)[order]
        new = np.flatnonzero((fields[1:] != fields[:-1]).any(axis=1)) + 1
        cuts, last = [], 0
        for at in new.tolist():
            if at - last >= PIECE:
                cuts, last = [*cuts, at], at
    yield from (rows for rows in np.split(order, cuts) if len(rows))


def _files(recipe: Recipe, rows: Table) -> list[list[tuple[Path, str, str]]]:
    """Return of each galaxy and band the file, what tells it from another, and why it is absent.

    The journal of the downloads knows both; without one a file is known by its size and time.
    """
    folder = recipe.pictures
    kept = (folder / JOURNAL).exists()
    with open_journal(folder) if kept else nullcontext() as journal:
        return [
            [_look(folder / name, journal.look(key) if kept else None) for key, name in own]
            for own in (names_of(recipe, row) for row in rows)
        ]


def _look(path: Path, known: tuple | None) -> tuple[Path, str, str]:
    """Return a file, its mark, and the reason why it is not there ("" if it is)."""
    state, size, digest, reason = known or ("", 0, "", "")
    try:
        facts = path.stat()
    except OSError:
        lost = "it was downloaded, and is gone" if state == "done" else "not asked for yet"
        return path, "absent", reason or lost
    if state == "done" and facts.st_size == size:
        return path, f"{digest} {facts.st_mtime_ns}", ""
    return path, f"{facts.st_size} {facts.st_mtime_ns}", ""


def _cut_frames(recipe: Recipe, rows: Table, files: list) -> tuple[np.ndarray, Table]:
    """Cut galaxies field by field; each field is read once."""
    stamps = np.empty((len(rows), len(BANDS), recipe.size_px, recipe.size_px), np.float32)
    fields: dict[tuple, list] = {}
    for k, own in enumerate(files):
        fields.setdefault(tuple(path for path, _, _ in own), []).append(k)
    parts, order = [], []
    for own in fields.values():
        there, why, broken = {}, {}, False
        for band, (path, _, absent) in zip(BANDS, files[own[0]], strict=True):
            try:
                if absent:
                    why[band] = f"{path.name}: {absent}"
                else:
                    there[band] = read_frame(path)
            except ValueError as error:
                why[band], broken = str(error), True
        stamps[own], flags = cut_field(
            there, rows[own], recipe.size_px, recipe.arcsec_per_pixel, why=why
        )
        flags["cut_from"] = "-".join(Path(files[own[0]][0][0]).name.split(".")[0].split("-")[2:])
        lacks = "broken" if broken else "absent" if why else "off"
        flags["left_out"] = np.where(flags["status"] == "failed", lacks, "").astype("U8")
        parts, order = [*parts, flags], [*order, *own]
    flags = vstack(parts)[np.argsort(order)]
    flags.rename_columns(("status", "reason"), ("stamp_status", "stamp_reason"))
    return stamps, flags


def _cut_outs(recipe: Recipe, rows: Table, files: list) -> tuple[np.ndarray, Table]:
    """Read galaxies' cut-outs; where they have no datum they get 0, the subtracted sky."""
    stamps = np.zeros((len(rows), len(BANDS), recipe.size_px, recipe.size_px), np.float32)
    flags = []
    for stamp, row, own in zip(stamps, rows, files, strict=True):
        why, left_out = {}, ""
        for band, pixels, (path, _, absent) in zip(BANDS, stamp, own, strict=True):
            try:
                if absent:
                    why[band], left_out = f"{path.name}: {absent}", left_out or "absent"
                else:
                    pixels[:] = read_cutout(path, row, recipe.size_px, recipe.arcsec_per_pixel)
            except ValueError as error:
                why[band], left_out = str(error), "broken"
        blank = ~np.isfinite(stamp)
        stamp[blank] = 0
        share = np.nan if why else float(blank.mean(axis=(1, 2)).max())
        said = [f"{band}: {text}" for band, text in why.items()]
        said += [f"{share:.1%} of the stamp without data"] * bool(share > 0)
        flags.append(
            {
                "stamp_status": "failed" if why else "flagged" if said else "ok",
                "stamp_reason": "; ".join(said),
                "missing_bands": "".join(why),
                "blank_fraction": share,
                "left_out": left_out,
                **dict.fromkeys(("edge_px", "masked_fraction", "saturated_fraction"), np.nan),
                "bright_flux": stamping.brightest(stamp, recipe.arcsec_per_pixel),
                "cut_from": "cut-outs",
            }
        )
    flags = Table(rows=flags)
    flags["left_out"] = flags["left_out"].astype("U8")
    return stamps, flags
