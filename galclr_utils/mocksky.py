"""Make a SIMULATED piece of sky as a folder of downloads: frames in the archive's format, a sample.

It stands in for the real sky where nothing was downloaded, so that all that reads SDSS frames can
be shown and tried offline. The galaxies are those of the simulated survey (`population`, drawn by
`simulate`), but here they are put on whole frames: each band has its own WCS, pixels and noise, and
stamps must be cut from them as from real ones. Nights differ from the simulated survey's by two
factors, seeing and sky. Volunteers vote as in Galaxy Zoo 1, also SIMULATED.

Not as in the sky: a hundred galaxies on a field are some two hundred times as dense as those of the
main sample; they are no nearer to each other than 40 pixels, and their positions are exact; fields
are a quarter of a real one in area; what else is on them are stars and faint galaxies in the
numbers of `simulate`.
"""

# n galaxies of a field, C = 3 bands (g, r, i), H, W pixels, S = 144 grid points a side

from __future__ import annotations

import bz2
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.wcs import WCS

from galclr_utils import checks, placing, population, profiles, sdss, simulate, volunteers
from galclr_utils.frames import BANDS, GAIN
from galclr_utils.placing import add_light
from galclr_utils.population import SEEING, magnitude_to_flux
from galclr_utils.profiles import GRID, STAMP
from galclr_utils.provenance import (
    progress,
    read_json,
    sha256,
    whole_file,
    whole_folder,
    write_json,
)
from galclr_utils.volunteers import simulate_votes

CODE = (placing, population, profiles, simulate, volunteers)
SHAPE = (744, 1024)  # pixels of a field; a real one has 1489 x 2048
CENTRE = (200.4, 36.8)  # ra, dec of the first field, degrees
RUN, CAMCOL, FIRST = 999999, 5, 100  # no run of the survey has this number
# where g, r, i lie against each other: pixels along columns and rows, and degrees turned
OFFSETS = ((7.3, -8.64, 0.011), (0.0, 0.0, 0.0), (-5.45, 3.21, -0.007))
TURN = 80.7  # degrees, of the scan on the sky
SCALE = 0.3961  # arcsec, of the frames' pixels
APART_PX, MARGIN_PX = 40, 40  # between galaxies, and from the edge but for a few
AT_EDGE = 4  # galaxies of a field that lie at its lower edge instead,
EDGE_PX = (2, 28)  # so far from it in r; in g, which is displaced, some of them are off the frame
LARGE = 1.6  # arcsec, half-light radius above which a galaxy is drawn with all lengths halved
LENGTHS = ("disc_scale", "bulge_r50", "bar_length")
BRIGHT_STAR = (13.5, 8.0)  # r magnitude, and arcsec from a galaxy
FAULTY = {"no i frame": 12, "r frame cut short": 12}  # galaxies of the fields that go wrong
SMALLEST = (240, 300)  # pixels of these fields, which are otherwise half as large on a side
STARS, FAINT = 0.22, 0.20  # per stamp of 64 pixels, as in `simulate`
NOTE = (
    "SIMULATED sky: no pixel, position, magnitude or vote here was observed. Galaxies are packed "
    "far denser than in the sky."
)


def make(
    folder: str | Path,
    n_fields: int = 4,
    n_per_field: int = 100,
    seed: int = 0,
    seeing: float = 1.15,
    sky: float = 1.5,
    shape: tuple[int, int] = SHAPE,
) -> Path:
    """Write a SIMULATED folder of downloads, or keep it if it was made from the same.

    Two more fields with a few galaxies each go wrong on purpose: one has no i frame, and the r
    frame of the other is cut short.

    Args:
        folder: replaced if it was made otherwise: ``sample.fits``, ``sky.json`` and ``frames/``.
        n_fields, n_per_field: whole fields, and galaxies on each.
        seed: 0 or more.
        seeing: width of the PSF, in units of the simulated survey's typical one.
        sky: brightness of the sky, likewise.
        shape: (H, W) of a frame, 200 pixels or more.
    Returns:
        The folder.
    Raises:
        ValueError: a value out of range, or more galaxies than a field has room for.

    >>> import tempfile
    >>> folder = make(tempfile.mkdtemp() + "/sky", n_fields=1, n_per_field=4, shape=(240, 320))
    >>> len(Table.read(folder / "sample.fits")), read_json(folder / "sky.json")["simulated"]
    (28, True)
    """
    folder = Path(folder)
    asked = {
        "n_fields": checks.number("n_fields", n_fields, 1, 1000, integer=True),
        "n_per_field": checks.number("n_per_field", n_per_field, 1, 10_000, integer=True),
        "seed": checks.number("seed", seed, 0, 2**63, integer=True),
        "seeing_factor": checks.number("seeing", seeing, 0.5, 5),
        "sky_factor": checks.number("sky", sky, 0.1, 100),
        "shape": list(checks.numbers("shape", shape, 200, 10_000, True)),
    }
    code = [__file__, *(m.__file__ for m in CODE)]
    made_from = asked | {"code": sha256(*code)}
    if (folder / "sky.json").exists():
        if read_json(folder / "sky.json").get("made_from") == made_from:
            return folder
    n_of_field = [n_per_field] * n_fields + list(FAULTY.values())
    with whole_folder(folder) as part:
        rows = []
        for k, n in enumerate(progress(n_of_field, "simulating fields")):
            broken = list(FAULTY)[k - n_fields] if k >= n_fields else ""
            size = np.maximum(np.array(shape) // 2, SMALLEST) if broken else shape
            images, wcs, catalog = simulate_field(k, n, seed, seeing, sky, tuple(size))
            _write_frames(part / "frames", images, wcs, catalog, sky, broken)
            rows.append(catalog)
        sample = vstack(rows)
        sample["id"] = [f"SIMULATED-{row:05d}" for row in range(len(sample))]
        sample["specobjid"] = sample["dr7objid"] = sample["id"]
        sample.meta = {"SURVEY": "SIMULATED", "SIMULATD": True}
        sample.write(part / "sample.fits")
        facts = {"simulated": True, "note": NOTE, **asked, "faults": FAULTY}
        write_json(part / "sky.json", facts | {"made_from": made_from})
    return folder


def simulate_field(
    k: int, n: int, seed: int, seeing: float, sky: float, shape: tuple[int, int] = SHAPE
) -> tuple[np.ndarray, list[WCS], Table]:
    """Simulate field ``k``: it depends on its number, the seed and these settings only.

    Args:
        k: number of the field, from 0. n: its galaxies.
        seed, seeing, sky, shape: see `make`.
    Returns:
        ``(images, wcs, catalog)``: float32 (3, H, W) in nanomaggies; the WCS of each band; n rows
        as from `query.sample`, without their ids.
    """
    rng = np.random.default_rng([seed, k, 9])
    wcs = [field_wcs(band, k, shape) for band in range(len(BANDS))]
    psf = seeing * SEEING * np.exp(rng.normal(0, 0.05))  # arcsec; a field has one night
    galaxies = population.sample(n, rng)
    x, y = _scatter(rng, n, shape)
    ra, dec = wcs[1].all_pix2world(x, y, 0)
    images = np.zeros((len(BANDS), *shape), np.float32)
    for row, at in zip(_rows(galaxies), _on_bands(wcs, ra, dec), strict=True):
        points = 1 if row.r50 > LARGE else 2
        add_light(images, _draw(rng, row, points), psf, at, points)
    _add_background(images, rng, psf, wcs, shape, (x[0], y[0]))
    level = (sky * simulate.SKY)[:, None, None]
    sigma = np.sqrt((np.maximum(images, 0) + level) / simulate.ELECTRONS[:, None, None])
    images += sigma.astype(np.float32) * rng.standard_normal(images.shape, dtype=np.float32)
    catalog = Table({"ra": ra, "dec": dec, "z": galaxies["z"]})
    measured = simulate.measure(_boxes(images, wcs, ra, dec), galaxies["ebv"])
    for name in ("mag_r", "r50", "g_r", "r_i", "concentration"):
        catalog[name] = measured[name].astype(float)
    catalog["psf_fwhm"], catalog["ebv"] = psf[1], galaxies["ebv"]
    catalog["axis_ratio"] = galaxies["axis_ratio"]
    catalog["run"], catalog["rerun"], catalog["camcol"] = RUN, 301, CAMCOL
    catalog["field"] = FIRST + k
    for name, values in simulate_votes(galaxies, rng).items():
        catalog[name] = values
    catalog["true_label"], catalog["true_ttype"] = galaxies["true_label"], galaxies["t_type"]
    return images, wcs, catalog


def field_wcs(band: int, k: int, shape: tuple[int, int] = SHAPE) -> WCS:
    """Return the tangent plane of a band of field ``k``, turned as a drift scan is.

    >>> wcs = field_wcs(band=1, k=0)
    >>> [float(v) for v in wcs.all_pix2world(512, 371.5, 0)]
    [200.4, 36.8]
    """
    dx, dy, more = OFFSETS[band]
    angle = np.radians(TURN + more)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = CENTRE[0], CENTRE[1] + k * 1.1 * SHAPE[1] * SCALE / 3600
    wcs.wcs.crpix = [shape[1] / 2 + 1 + dx, shape[0] / 2 + 0.5 + dy]
    turned = [[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]]
    wcs.wcs.cd = np.array(turned) * SCALE / 3600
    return wcs


def _rows(galaxies: dict):
    """Yield the galaxies of `population.sample` one by one, centred, as `simulate` draws them."""
    for k in range(len(galaxies["z"])):
        row = {name: v[k].item() if v.ndim == 1 else v[k] for name, v in galaxies.items()}
        yield SimpleNamespace(**row | {"offset": np.zeros(2)})


def _draw(rng, galaxy: SimpleNamespace, points: int) -> np.ndarray:
    """Draw a galaxy, (3, S, S); a large one with its lengths halved, so that the grid holds it."""
    small = {name: getattr(galaxy, name) * points / 2 for name in LENGTHS}
    return simulate.draw_galaxy(rng, SimpleNamespace(**vars(galaxy) | small))


def _scatter(rng, n: int, shape: tuple[int, int]) -> np.ndarray:
    """Return x, y (2, n) on the r frame, apart from each other, a few near the edge."""
    size, found = np.array(shape[::-1]), np.empty((0, 2))
    for _ in range(100 * n):
        at_edge = len(found) >= n - AT_EDGE
        at = rng.uniform(MARGIN_PX, size - MARGIN_PX)
        at[1] = rng.uniform(*EDGE_PX) if at_edge else at[1]
        if not len(found) or np.hypot(*(found - at).T).min() > APART_PX:
            found = np.vstack([found, at])
        if len(found) == n:
            return found.T
    raise ValueError(
        f"n_per_field: got {n}, but a field of {shape} pixels has no room for so many {APART_PX} "
        "pixels apart: ask for fewer, or larger fields"
    )


def _on_bands(wcs: list[WCS], ra, dec) -> np.ndarray:
    """Return where positions lie on the pixels of each band: (N, 3, 2), x and y from 0."""
    places = [np.stack(band.all_world2pix(ra, dec, 0), axis=-1) for band in wcs]
    return np.stack(places, axis=1)


def _add_background(images, rng, psf, wcs, shape, galaxy_at) -> None:
    """Add stars, one of them bright and beside a galaxy, and galaxies too faint for the sample."""
    stamps = shape[0] * shape[1] / STAMP**2
    n = rng.poisson(STARS * stamps)
    mag_r = np.append(BRIGHT_STAR[0], 21 - np.minimum(rng.exponential(2.2, n), 7))
    g_r = rng.choice([0.4, 0.6, 1.4], n + 1) + rng.normal(0, 0.1, n + 1)
    mags = np.stack([mag_r + g_r, mag_r, mag_r - np.where(g_r > 1.1, 0.9, 0.2)], axis=1)
    xy = rng.uniform(0, shape[::-1], (n + 1, 2))
    xy[0] = np.add(galaxy_at, (BRIGHT_STAR[1] / SCALE, 0))
    places = _on_bands(wcs, *wcs[1].all_pix2world(*xy.T, 0))
    for flux, at in zip(magnitude_to_flux(mags), places, strict=True):
        light = np.zeros((len(BANDS), GRID, GRID), np.float32)
        profiles.add_points(light, 0.0, 0.0, flux[None])
        points = 1 if flux[1] > 100 else 2  # the wings of a bright star reach far
        add_light(images, light, psf, at, points)
    galaxies = population.sample(max(1, rng.poisson(FAINT * stamps)), rng)
    mag_r = 21.3 - np.minimum(rng.exponential(1.3, len(galaxies["z"])), 3.3)
    galaxies["flux"] *= 10 ** (-0.4 * (mag_r - galaxies["mag_r"]))[:, None]
    smaller = 0.75 * 10 ** (0.12 * (21 - mag_r)) / galaxies["r50"]
    for name in LENGTHS:
        galaxies[name] = galaxies[name] * smaller
    sky = wcs[1].all_pix2world(*rng.uniform(0, shape[::-1], (len(mag_r), 2)).T, 0)
    for row, at in zip(_rows(galaxies), _on_bands(wcs, *sky), strict=True):
        add_light(images, simulate.draw_galaxy(rng, row), psf, at)


def _boxes(images: np.ndarray, wcs: list[WCS], ra, dec) -> np.ndarray:
    """Return 64 x 64 pixels about each position, to the nearest pixel, to be measured."""
    half = STAMP // 2
    wide = np.pad(images, ((0, 0), (half, half), (half, half)))
    corners = np.rint(_on_bands(wcs, ra, dec) + 0.5).astype(int)  # half a stamp to the left, padded
    found = np.empty((len(corners), len(BANDS), STAMP, STAMP), np.float32)
    for k, row in enumerate(corners):
        for band, (x, y) in enumerate(row):
            found[k, band] = wide[band, max(y, 0) :, max(x, 0) :][:STAMP, :STAMP]
    return found


def _write_frames(folder, images, wcs, catalog, sky: float, broken: str) -> None:
    """Write the frames of a field under the archive's names; ``broken`` says what goes wrong."""
    for job in sdss.frame_jobs(catalog):
        band = next(k for k, name in enumerate(BANDS) if f"frame-{name}-" in job.filename)
        if broken == f"no {BANDS[band]} frame":
            continue
        field = int(catalog["field"][0])
        packed = bz2.compress(frame_bytes(images[band], wcs[band], band, field, sky))
        if broken == f"{BANDS[band]} frame cut short":
            packed = packed[: len(packed) // 2]
        with whole_file(folder / job.filename) as part:
            part.write_bytes(packed)


def frame_bytes(image: np.ndarray, wcs: WCS, band: int, field: int, sky: float) -> bytes:
    """Return the FITS file of a frame: image, calibration, subtracted sky, and a table.

    Args:
        image: (H, W) nanomaggies; kept to 10 binary digits, as in the archive.
        wcs: of the band. band: 0, 1, 2 for g, r, i. field: its number. sky: see `make`.
    """
    header = fits.Header({"OBJECT": "SIMULATED", "SIMULATD": True})
    header.add_comment(NOTE)
    header.update({"BUNIT": "nanomaggy", "RUN": RUN, "CAMCOL": CAMCOL, "FRAME": field + 8})
    header.update({"FILTER": BANDS[band], "RADECSYS": "ICRS"})
    for axis in (0, 1):
        header[f"CTYPE{axis + 1}"] = wcs.wcs.ctype[axis]
        header[f"CRPIX{axis + 1}"] = wcs.wcs.crpix[axis]
        header[f"CRVAL{axis + 1}"] = wcs.wcs.crval[axis]
        header.update({f"CD{axis + 1}_{k + 1}": wcs.wcs.cd[axis, k] for k in (0, 1)})
    mantissa, exponent = np.frexp(image)
    image = np.ldexp(np.rint(mantissa * 1024) / 1024, exponent).astype(np.float32)
    height, width = image.shape
    per_count = GAIN[CAMCOL - 1][band] / simulate.ELECTRONS[band]
    level = np.full((1, 8, 10), sky * simulate.SKY[band] / per_count, np.float32)
    x, y = (np.linspace(0, k - 1, m, dtype="f4")[None] for m, k in ((width, 10), (height, 8)))
    tables = [
        Table({"ALLSKY": level, "XINTERP": x, "YINTERP": y}),
        Table({"RUN": [RUN], "FIELD": np.array([field], np.int32)}),
    ]
    hdus = [fits.PrimaryHDU(image, header)]
    hdus.append(fits.ImageHDU(np.full(width, per_count, np.float32)))
    file = io.BytesIO()
    fits.HDUList(hdus + [fits.BinTableHDU(table) for table in tables]).writeto(file)
    return file.getvalue()
