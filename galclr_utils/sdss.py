"""Get the pictures of a sample from SDSS, in one of two ways, and say first what it will cost.

*Cut-outs* come from the service hips2fits of the CDS, one small file for a galaxy and a band: the
way for galaxies scattered over the sky. *Frames* are whole SDSS fields from the science archive,
each downloaded once, in nanomaggies, with all its galaxies: the way for a few fields. Main-sample
galaxies are some 47 to a square degree, so most fields hold one or two of them.

A cut-out has been resampled twice (into the HiPS, whose pixels are 0.4 arcsec, and out of it), and
nothing in it tells its unit. So its units are UNVERIFIED until somebody has compared one with a
frame, and says so.

**Not run against the live services.** The address of a frame is the one used throughout public
code, and the six frames this was tried on are from there; the parameters of hips2fits are those
that astroquery sends. How fast the services answer, and what they say when something is wrong,
has not been measured.
"""

from __future__ import annotations

import bz2
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import requests
from astropy.io import fits
from astropy.table import Table

from galclr_utils import checks
from galclr_utils.downloads import Job
from galclr_utils.fetch import fetch_all
from galclr_utils.frames import frame_name

FRAMES = "https://data.sdss.org/sas/dr17/eboss/photoObj/frames"
CUTOUTS = "https://alasky.cds.unistra.fr/hips-image-services/hips2fits"
HIPS = {"g": "CDS/P/SDSS9/g", "r": "CDS/P/SDSS9/r", "i": "CDS/P/SDSS9/i"}
SDSS_PIXEL = 0.396  # arcsec
RERUN = 301  # of the imaging in every release since DR8
WAYS = ("cutouts", "frames")
FRAME_BYTES = 3.4e6  # mean of six frames of DR17 in g, r and i: 3.1 to 3.7 MB
FITS_BLOCK = 2880


def frame_jobs(catalog: Table, *, bands: str = "gri", base_url: str = FRAMES) -> list[Job]:
    """Return the frames that hold the galaxies of a catalogue, each once.

    Args:
        catalog: with run, camcol, field and, if it is not 301, rerun.
        bands: one letter each.
        base_url: up to ``frames``; a mirror has the same folders below.
    Returns:
        Jobs of `fetch.fetch_all`; the file names have the folders of the archive.

    >>> galaxies = Table({"run": [4510, 4510], "camcol": [4, 4], "field": [30, 30]})
    >>> [job.filename for job in frame_jobs(galaxies, bands="r")]
    ['301/4510/4/frame-r-004510-4-0030.fits.bz2']
    """
    need(catalog, ("run", "camcol", "field"))
    rerun = catalog["rerun"] if "rerun" in catalog.colnames else np.full(len(catalog), RERUN)
    columns = (rerun, *(catalog[name] for name in ("run", "camcol", "field")))
    fields = sorted({tuple(map(int, row)) for row in zip(*columns, strict=True)})
    jobs = []
    for rerun, run, camcol, field in fields:
        for band in bands:
            path = frame_path(rerun, run, camcol, field, band)
            jobs.append(Job(Path(path).name, f"{base_url.rstrip('/')}/{path}", path))
    return jobs


def frame_path(rerun: int, run: int, camcol: int, field: int, band: str) -> str:
    """Return where the archive keeps a frame, below ``frames``.

    >>> frame_path(301, 4510, 4, 30, "r")
    '301/4510/4/frame-r-004510-4-0030.fits.bz2'
    """
    return f"{int(rerun)}/{int(run)}/{int(camcol)}/{frame_name(run, camcol, field, band)}"


def cutout_jobs(
    catalog: Table,
    *,
    bands: str = "gri",
    size_px: int = 64,
    arcsec_per_pixel: float = SDSS_PIXEL,
    hips: Mapping[str, str] = HIPS,
    base_url: str = CUTOUTS,
) -> list[Job]:
    """Return the cut-outs of the galaxies of a catalogue, one for a galaxy and a band.

    Args:
        catalog: with id, ra and dec (degrees, ICRS).
        bands: keys of ``hips``.
        size_px: side of a cut-out. arcsec_per_pixel: its scale.
        hips: band -> name of the HiPS.
        base_url: of the service; the CDS has a second one at alaskybis.cds.unistra.fr.
    Returns:
        Jobs of `fetch.fetch_all`; the files are called ``ID-g.fits``.

    >>> galaxies = Table({"id": ["7"], "ra": [180.0], "dec": [1.5]})
    >>> cutout_jobs(galaxies, bands="g")[0].filename
    '7-g.fits'
    """
    need(catalog, ("id", "ra", "dec"))
    size_px = checks.number("size_px", size_px, 1, 4096, integer=True)
    scale = checks.number("arcsec_per_pixel", arcsec_per_pixel, 0, 3600, low_open=True)
    shape = {"width": size_px, "height": size_px, "fov": f"{size_px * scale / 3600:.8f}"}
    shape |= {"projection": "TAN", "coordsys": "icrs", "format": "fits"}
    jobs = []
    for name, ra, dec in zip(catalog["id"], catalog["ra"], catalog["dec"], strict=True):
        if not (np.isfinite(ra) and -90 <= dec <= 90):
            raise ValueError(f"galaxy {name}: got ra {ra}, dec {dec}, expected degrees")
        place = {"ra": f"{ra:.7f}", "dec": f"{dec:.7f}"}
        for band in bands:
            asked = urlencode({"hips": hips[checks.choice("band", band, hips)], **place, **shape})
            jobs.append(Job(f"{name}-{band}", f"{base_url}?{asked}", f"{name}-{band}.fits"))
    return jobs


def plan(
    catalog: Table,
    way: str,
    folder: str | Path = ".",
    *,
    rate_hz: float = 2.0,
    megabytes_per_s: float = 2.0,
    **options,
) -> Table:
    """State what the pictures of a sample will take, before anything is asked for.

    The time is the longer of what the rate allows and what the line does; a slow service makes it
    longer.

    Args:
        catalog: see `frame_jobs` and `cutout_jobs`.
        way: ``"cutouts"`` or ``"frames"``.
        folder: where they would go, for the room there.
        rate_hz: of `download`.
        megabytes_per_s: speed of the line, a guess.
        options: of `frame_jobs` or `cutout_jobs`.
    Returns:
        Table of one row: way, galaxies, files, gigabytes, hours, gigabytes_free.

    >>> galaxies = Table({"id": ["7", "8"], "ra": [180.0, 190.0], "dec": [1.5, 2.5]})
    >>> plan(galaxies, "cutouts")["galaxies", "files"].as_array().tolist()
    [(2, 6)]
    """
    jobs, size, _ = _prepare(catalog, way, options)
    folder = Path(folder).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    seconds = max(len(jobs) / rate_hz, len(jobs) * size / (megabytes_per_s * 1e6))
    row = {"way": way, "galaxies": len(catalog), "files": len(jobs)}
    row |= {"gigabytes": len(jobs) * size / 1e9, "hours": seconds / 3600}
    table = Table([row | {"gigabytes_free": shutil.disk_usage(there).free / 1e9}])
    for name in ("gigabytes", "hours", "gigabytes_free"):
        table[name].info.format = ".3g"
    return table


def download(
    catalog: Table,
    way: str,
    folder: str | Path,
    *,
    rate_hz: float = 2.0,
    workers: int = 2,
    timeout_s: float = 60.0,
    backoff_s: float = 1.0,
    retry_failed: bool = False,
    session: requests.Session | None = None,
    **options,
) -> Table:
    """Download the pictures of a sample; call it again to go on, or to see what is missing.

    Args:
        catalog, way: see `plan`, which says beforehand what it takes.
        folder: of the files and their journal.
        rate_hz, workers, timeout_s, backoff_s, retry_failed, session: see `fetch.fetch_all`.
        options: of `frame_jobs` or `cutout_jobs`.
    Returns:
        Table of the files that could not be had: key, url, tries, reason.
    Raises:
        OSError: there is no room for them.
    """
    jobs, size, check = _prepare(catalog, way, options)
    return fetch_all(
        jobs,
        folder,
        check=check,
        bytes_each=size,
        rate_hz=rate_hz,
        workers=workers,
        timeout_s=timeout_s,
        backoff_s=backoff_s,
        retry_failed=retry_failed,
        session=session,
    )


def image_facts(way: str, units_checked: bool = False, **options) -> dict:
    """Return what the card of a data set should say of its pictures' origin.

    Args:
        way: ``"cutouts"`` or ``"frames"``.
        units_checked: that the caller compared a cut-out with a frame, and found nanomaggies.
        options: ``base_url`` and ``hips`` where they were not the default.

    >>> image_facts("cutouts")["units"], image_facts("frames")["units"]
    ('UNVERIFIED', 'nanomaggy')
    """
    frames = checks.choice("way", way, WAYS) == "frames"
    facts = {"way": way, "service": options.get("base_url", FRAMES if frames else CUTOUTS)}
    if not frames:
        facts["hips"] = dict(options.get("hips", HIPS))
    known = frames or checks.flag("units_checked", units_checked)
    return facts | {"units": "nanomaggy" if known else "UNVERIFIED"}


def check_frame(path: Path) -> None:
    """Raise ValueError unless a file is a FITS image, whole, in bz2."""
    try:
        with bz2.open(path) as file:
            start = file.read(30)
            while file.read(1 << 20):  # to its end, where the checksum is
                pass
    except (OSError, EOFError) as error:
        raise ValueError(f"expected a frame in bz2, got: {error}") from error
    if not start.startswith(b"SIMPLE  ="):
        raise ValueError(f"expected a FITS image in bz2, got {start!r}")


def check_cutout(path: Path, size_px: int) -> None:
    """Raise ValueError unless a file is a FITS image of this size with something in it."""
    start = Path(path).read_bytes()[:200]
    if not start.startswith(b"SIMPLE  ="):
        raise ValueError(f"expected a FITS image, got {start[:80]!r}")
    with fits.open(path, memmap=False) as hdus:
        pixels = hdus[0].data
    if pixels is None or pixels.shape != (size_px, size_px):
        got = "no image" if pixels is None else f"an image of {pixels.shape}"
        raise ValueError(f"expected {size_px}x{size_px} pixels, got {got}")
    if not np.isfinite(pixels).any() or not np.nan_to_num(pixels).any():
        raise ValueError("got an empty image: is the galaxy within the survey?")


def _prepare(catalog: Table, way: str, options: dict) -> tuple[list[Job], float, Callable]:
    """Return the jobs, the bytes of a file, and its check."""
    if checks.choice("way", way, WAYS) == "frames":
        return frame_jobs(catalog, **options), FRAME_BYTES, check_frame
    size_px = int(options.get("size_px", 64))
    blocks = 1 + -(-(size_px**2) * 4 // FITS_BLOCK)  # a header, and float32
    check = partial(check_cutout, size_px=size_px)
    return cutout_jobs(catalog, **options), blocks * FITS_BLOCK, check


def need(catalog: Table, names: tuple) -> None:
    """Raise ValueError unless the catalogue has these columns."""
    if missing := [name for name in names if name not in catalog.colnames]:
        raise ValueError(
            f"catalogue: expected the columns {', '.join(names)}, got no {', '.join(missing)}: "
            "take it from query.sample, or add them"
        )
