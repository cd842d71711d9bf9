"""Read SDSS corrected frames and their masks, and find the frame that holds a position."""

# N positions, H, W pixels (rows along the scan, columns across it)

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_area
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

BANDS = ("g", "r", "i")
NEEDED = ("CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")
NEEDED += ("CD1_1", "CD1_2", "CD2_1", "CD2_2", "NAXIS1", "NAXIS2", "RUN", "CAMCOL", "FILTER")
# electrons per count, and variance of dark current and read-out in counts²; rows are camera columns
# 1 to 6, columns g, r, i: the table of the "frame" data model of SDSS-III. Where a variance changed
# at run 1500, both are given.
GAIN = ((3.32, 4.71, 5.165), (3.855, 4.6, 6.565), (3.845, 4.72, 4.86))
GAIN += ((3.995, 4.76, 4.885), (4.05, 4.725, 4.64), (4.035, 4.895, 4.76))
DARK = ((15.6025, 1.8225, 7.84), (1.44, 1.0, (5.76, 6.25)), (1.3225, 1.3225, 4.6225))
DARK += ((1.96, 1.3225, (6.25, 7.5625)), (1.1025, 0.81, 7.84), (1.8225, 0.9025, 5.0625))
BAD_PLANES = (
    "INTERP",
    "SATUR",
    "CR",
    "GHOST",
)  # of an fpM file: those that other readers leave out
NAME = re.compile(r"frame-([ugriz])-(\d{6})-([1-6])-(\d{4})\.fits(\.bz2|\.gz)?")


@dataclass(frozen=True)
class Outline:
    """Say what a frame is and where on the sky, without its pixels.

    Attributes:
        path: the file.
        run, camcol, field, band: the name of the exposure.
        wcs: of the image; the centre of the first pixel is (0, 0).
        shape: (H, W), usually (1489, 2048).
    """

    path: Path
    run: int
    camcol: int
    field: int
    band: str
    wcs: WCS
    shape: tuple[int, int]

    @property
    def key(self) -> tuple[int, int, int]:
        """Run, camera column and field: what the bands of one field share."""
        return self.run, self.camcol, self.field

    @property
    def arcsec_per_pixel(self) -> float:
        """Root of a pixel's area on the sky."""
        return float(np.sqrt(proj_plane_pixel_area(self.wcs))) * 3600

    def margin_px(self, ra, dec) -> np.ndarray:
        """Return how far positions lie from the nearest edge, inwards, in pixels.

        Args:
            ra, dec: (N,), degrees; no further than some degrees from the frame.
        Returns:
            float64 (N,); negative outside.
        """
        x, y = self.wcs.all_world2pix(np.asarray(ra, float), np.asarray(dec, float), 0)
        height, width = self.shape
        return np.min([x + 0.5, width - 0.5 - x, y + 0.5, height - 0.5 - y], axis=0)


@dataclass(frozen=True)
class Frame:
    """Hold a frame: one band of a field of 13.5 x 9.8 arcmin, calibrated, without its sky.

    Attributes:
        outline: what and where it is.
        image: float32 (H, W), linear nanomaggies per pixel, NaN where there is no datum. Values
            have 10 binary digits: exact to a thousandth.
        nanomaggy_per_count: float32 (W,), flat field times calibration (HDU 1); None if absent.
        sky: the sky that was subtracted, in counts (HDU 2), as ``(coarse (h, w), x (W,), y (H,))``
            with the coarse image's coordinates of columns and rows; None if absent.
        gain: electrons per count. dark_variance: of a pixel without light, counts².
    """

    outline: Outline
    image: np.ndarray
    nanomaggy_per_count: np.ndarray | None
    sky: tuple[np.ndarray, np.ndarray, np.ndarray] | None
    gain: float
    dark_variance: float

    def noise(self) -> np.ndarray:
        """Return the rms that photons and detector give each pixel, float32 (H, W), nanomaggies.

        The recipe of the data model: back to counts, sky included; variance = counts / gain + dark.

        Raises:
            ValueError: the file came without its calibration or its sky.
        """
        if self.nanomaggy_per_count is None or self.sky is None:
            raise ValueError(
                f"{self.outline.path}: got no calibration vector (HDU 1) or no sky (HDU 2), from "
                "which the noise is computed: download the frame as the archive has it"
            )
        coarse, x, y = self.sky
        sky = map_coordinates(coarse, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
        counts = np.maximum(self.image / self.nanomaggy_per_count + sky, 0)
        return np.sqrt(counts / self.gain + self.dark_variance) * self.nanomaggy_per_count


def frame_name(run: int, camcol: int, field: int, band: str) -> str:
    """Return the archive's name of a frame.

    >>> frame_name(4510, 4, 30, "r")
    'frame-r-004510-4-0030.fits.bz2'
    """
    name = f"frame-{band}-{int(run):06d}-{int(camcol)}-{int(field):04d}.fits.bz2"
    if not NAME.fullmatch(name):
        raise ValueError(
            f"got run {run}, camcol {camcol}, field {field}, band {band!r}, expected a run below a "
            "million, a camera column 1..6, a field below ten thousand and a band of ugriz"
        )
    return name


def parse_name(path: str | Path) -> tuple[int, int, int, str]:
    """Return run, camera column, field and band of a frame, from the name of its file.

    >>> parse_name("frame-r-004510-4-0030.fits.bz2")
    (4510, 4, 30, 'r')
    """
    if not (found := NAME.fullmatch(Path(path).name)):
        raise ValueError(
            f"{path}: expected the archive's name, such as {frame_name(4510, 4, 30, 'r')}"
        )
    return int(found[2]), int(found[3]), int(found[4]), found[1]


def read_outline(path: str | Path) -> Outline:
    """Read what a frame is and where it lies: its first header only, in some milliseconds.

    A file cut short may still have its header: ``read_frame`` reads and checks all of it.

    Raises:
        ValueError: as ``read_frame``.
    """
    path = Path(path)
    with _opened(path) as file:
        header = fits.Header.fromfile(file)
    return _outline(path, header)


def read_frame(path: str | Path) -> Frame:
    """Read a whole frame, decompressed to its last block, whose checksums are thereby tested.

    Args:
        path: named as in the archive (``frame_name``); ``.fits``, ``.fits.bz2`` or ``.fits.gz``.
    Raises:
        ValueError: missing or cut short; a web page; no FITS; not the band, run or field that its
            name says; no TAN WCS; not in nanomaggies.
    """
    path = Path(path)
    with _opened(path) as file, warnings.catch_warnings():
        warnings.filterwarnings("error", "File may have been truncated", AstropyUserWarning)
        with fits.open(io.BytesIO(file.read())) as hdus:
            header = hdus[0].header
            image = np.array(hdus[0].data, np.float32)  # FITS is big-endian: now native
            if image.ndim != 2:
                raise OSError(f"an image with {image.ndim} axes")
            calibration, sky, field = None, None, None
            if len(hdus) > 1:
                calibration = np.array(hdus[1].data, np.float32)
            if len(hdus) > 2:
                row = hdus[2].data[0]
                sky = tuple(np.array(row[k], np.float32) for k in ("ALLSKY", "XINTERP", "YINTERP"))
            if len(hdus) > 3:
                field = int(hdus[3].data["FIELD"][0])
    outline = _outline(path, header)
    if field not in (None, outline.field):
        raise ValueError(f"{path}: got field {field} in HDU 3, expected {outline.field} as named")
    if calibration is not None and calibration.shape != image.shape[1:]:
        raise ValueError(
            f"{path}: got a calibration vector {calibration.shape}, expected ({image.shape[1]},), "
            "one value a column: download the frame again"
        )
    if outline.band not in BANDS:
        return Frame(outline, image, calibration, sky, np.nan, np.nan)
    row, column = outline.camcol - 1, BANDS.index(outline.band)
    dark = np.broadcast_to(DARK[row][column], 2)[int(outline.run >= 1500)]
    return Frame(outline, image, calibration, sky, GAIN[row][column], float(dark))


def read_mask(path: str | Path, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Read an fpM file: which pixels were interpolated, hit by cosmic rays, ghosts or saturated.

    Frames have no mask of their own: bad columns, cosmic rays and saturated cores are interpolated
    over and look harmless, saturated stars only fainter than they are. The archive's fpM files
    know them. Each entry is taken as its bounding box, as other readers do, so that a slanted
    trail comes out too wide.

    Args:
        path: ``fpM-RUN-BANDCAMCOL-FIELD.fit``, perhaps compressed.
        shape: (H, W) of the frame.
    Returns:
        ``(bad, saturated)``, boolean (H, W) each; bad includes saturated.
    Raises:
        ValueError: unreadable, or without the table of mask planes.
    """
    path = Path(path)
    found = {plane: np.zeros(shape, bool) for plane in BAD_PLANES}
    with _opened(path) as file, fits.open(io.BytesIO(file.read())) as hdus:
        words = hdus[-1].data  # the last table says which HDU holds which plane
        names = [str(name).strip().removeprefix("S_MASK_") for name in words["attributeName"]]
        for plane, pixels in found.items():
            boxes = hdus[1 + int(words["Value"][names.index(plane)])].data
            for box in boxes if boxes is not None else ():
                row, column = max(box["rmin"], 0), max(box["cmin"], 0)
                pixels[row : max(box["rmax"] + 1, 0), column : max(box["cmax"] + 1, 0)] = True
    return np.any(list(found.values()), axis=0), found["SATUR"]


def locate(ra, dec, outlines: Sequence[Outline]) -> tuple[np.ndarray, np.ndarray]:
    """Find for each position the frame in which it lies farthest from the edge.

    Fields overlap their neighbours along the scan, and runs overlap each other.

    Args:
        ra, dec: (N,), degrees; NaN is on no frame.
        outlines: of one band, as a rule: those of the others differ by some pixels.
    Returns:
        ``(index, margin_px)``: which outline, int64 (N,), -1 where none holds the position; and
        the distance from its edge, float64 (N,), NaN where none.

    >>> wcs = WCS(naxis=2)
    >>> wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [150, 2]
    >>> wcs.wcs.crpix, wcs.wcs.cd = [50.5, 50.5], np.diag([-1e-4, 1e-4])
    >>> frame = Outline(Path("frame-r-000001-1-0001.fits"), 1, 1, 1, "r", wcs, (100, 100))
    >>> index, margin = locate([150.0, 10.0], [2.0, 2.0], [frame])
    >>> index.tolist(), margin.round(2).tolist()
    ([0, -1], [50.0, nan])
    """
    ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
    index, margin = np.full(len(ra), -1), np.full(len(ra), np.nan)
    known = np.flatnonzero(np.isfinite(ra + dec))
    if not len(known):
        return index, margin
    sky = cKDTree(_on_sphere(ra[known], dec[known]))
    for k, outline in enumerate(outlines):
        height, width = outline.shape
        centre = outline.wcs.all_pix2world((width - 1) / 2, (height - 1) / 2, 0)
        reach = np.radians(0.51 * np.hypot(height, width) * outline.arcsec_per_pixel / 3600)
        near = known[sky.query_ball_point(_on_sphere(*centre), reach)]
        inside = outline.margin_px(ra[near], dec[near])
        # the first of equals: nobody's order but that of the outlines decides
        better = (inside > 0) & ~(inside <= margin[near])
        index[near[better]], margin[near[better]] = k, inside[better]
    return index, margin


def _on_sphere(ra, dec) -> np.ndarray:
    """Return unit vectors, (..., 3)."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def _outline(path: Path, header: fits.Header) -> Outline:
    """Return what a header says, after a comparison with what the file's name says."""
    run, camcol, field, band = parse_name(path)
    if missing := [key for key in NEEDED if key not in header]:
        raise ValueError(
            f"{path}: the header has no {', '.join(missing)}: expected an SDSS frame, not another "
            "image"
        )
    unit = str(header.get("BUNIT", "absent")).strip().lower()
    got = (str(header["FILTER"]).strip(), header["RUN"], header["CAMCOL"])
    if got != (band, run, camcol):
        raise ValueError(
            f"{path}: the header says band {got[0]!r}, run {got[1]}, camcol {got[2]}, expected "
            f"band {band!r}, run {run}, camcol {camcol} as named: download it again"
        )
    if unit not in ("nanomaggy", "nanomaggies") or header["CTYPE1"] != "RA---TAN":
        raise ValueError(
            f"{path}: got BUNIT {unit!r} and CTYPE1 {header['CTYPE1']!r}, expected 'nanomaggy' and "
            "'RA---TAN': a frame of data release 8 or later"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # RADECSYS, as one wrote in 2003
        wcs = WCS(header)
    shape = (header["NAXIS2"], header["NAXIS1"])
    return Outline(path, run, camcol, field, band, wcs, shape)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressed; what goes wrong while it is read becomes an error that names it.

    Servers send their errors as web pages, and these are saved under the name of the file.
    """
    opener = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix.lower(), open)
    try:
        with open(path, "rb") as file:
            start = file.read(60).lstrip()
        if start[:5].lower() in (b"<html", b"<!doc", b"<?xml"):
            raise OSError(f"a web page that begins {start!r}")
        with opener(path, "rb") as file:
            yield file
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file; download it from the archive") from error
    except Exception as error:  # each library has its own for a broken file
        raise ValueError(
            f"{path}: expected a complete SDSS file, got {type(error).__name__}: {error}. Delete "
            "it and download it again"
        ) from error
