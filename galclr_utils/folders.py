"""Read images that come as a folder of files: JPEG or PNG pictures, or FITS stamps."""

# N galaxies, C bands, H, W pixels

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from astropy.io import fits as pyfits
from astropy.table import Table
from PIL import Image

from galclr_utils.arrays import BANDS, block_length, check_pixels
from galclr_utils.catalogs import FITS, ID_NAMES, match, read_catalog, reading, suffix
from galclr_utils.dataset import Source, check_stamps

PICTURES = (".jpg", ".jpeg", ".png")
NANOMAGGY = {"nanomaggy", "nanomaggies", "nanomaggys", "nmgy", "nmgys"}


def pictures(folder: str | Path, catalog_path: str | Path = "") -> Source:
    """Read a folder of JPEG or PNG pictures, all of one size; the file name is the id.

    SDSS colour composites show i in red, r in green and g in blue (Lupton et al. 2004), so the
    channels are stored in reverse: g, r, i. The units are display units, 0..255 becomes 0..1.
    """
    folder = Path(folder)
    files = {}
    for path in _list_folder(folder, PICTURES):
        if path.stem in files:
            raise ValueError(f"{path} and {files[path.stem][0]} have the same id: keep one")
        files[path.stem] = [path]
    first = next(iter(files.values()))[0]
    with reading(first, "a picture"), Image.open(first) as picture:
        size = picture.size

    def read(name: str) -> np.ndarray:
        path = files[name][0]
        with reading(path, "a whole JPEG or PNG"), Image.open(path) as picture:
            mode, shape = picture.mode, picture.size
            pixels = np.asarray(picture.convert("RGB"))
        if mode not in ("RGB", "RGBA"):
            raise ValueError(f"{path}: expected a colour picture (RGB), got mode {mode}")
        if shape != size:
            raise ValueError(
                f"{path}: got {shape[0]}x{shape[1]} pixels but {first.name} has "
                f"{size[0]}x{size[1]}: all pictures must have one size"
            )
        return pixels[:, :, ::-1].transpose(2, 0, 1).astype(np.float32) / 255

    stamp = (3, size[1], size[0])
    return _of_files("pictures", folder, catalog_path, files, "display", None, stamp, read)


def fits(folder: str | Path, catalog_path: str | Path = "") -> Source:
    """Read a folder of FITS stamps in nanomaggies: one cube a galaxy, or one file a band.

    A cube is (3, H, W) in the order g, r, i, called ``ID.fits``; files of one band are (H, W),
    called ``ID-g.fits`` or ``ID_g.fits``. BUNIT must say nanomaggies. FILTER, BAND or BANDS in the
    header must agree with that order where they are there. The pixel scale comes from the
    header (PIXSCALE in arcsec, CD, or CDELT) and must be one for all.
    """
    folder = Path(folder)
    files: dict[str, list] = {}
    names = [(path, path.name[: -len(suffix(path))]) for path in _list_folder(folder, FITS)]
    by_band = [re.fullmatch(r"(.+)[-_]([ugrizy])", stem) for _, stem in names]
    if all(by_band):
        for (path, _), found in zip(names, by_band, strict=True):
            files.setdefault(found[1], [None] * len(BANDS))
            if found[2] in BANDS:
                files[found[1]][BANDS.index(found[2])] = path
        for name, parts in files.items():
            if None in parts:
                band = BANDS[parts.index(None)]
                raise ValueError(f"{folder}: galaxy {name!r} has no file in band {band}")
    else:
        files = {stem: [path] for path, stem in names}

    def read_one(path: Path, bands: tuple) -> tuple[np.ndarray, float | None]:
        with reading(path, "a complete FITS image"), pyfits.open(path, memmap=False) as hdus:
            hdu = next((h for h in hdus if h.is_image and h.data is not None), None)
            if hdu is None:
                raise OSError("no image in it")
            pixels, header = hdu.data, hdu.header
        _check_header(header, bands, path)
        pixels = pixels if pixels.ndim == 3 else pixels[None]
        if len(bands) == len(BANDS) and len(pixels) == 1:
            raise ValueError(
                f"{path}: got one band {pixels.shape[1:]}, expected a cube (3, H, W) as its "
                "neighbours; or name all files of one band NAME-g.fits"
            )
        check_stamps(pixels[None], len(bands), str(path))
        return pixels.astype(np.float32), _pixel_scale(header)  # FITS is big-endian: now native

    def read_raw(name: str) -> tuple[np.ndarray, float | None]:
        parts = files[name]
        bands = [BANDS] if len(parts) == 1 else [(band,) for band in BANDS]
        read = [read_one(path, b) for path, b in zip(parts, bands, strict=True)]
        for path, (pixels, scale) in zip(parts, read, strict=True):
            if pixels.shape[1:] != read[0][0].shape[1:] or not _close(scale, read[0][1]):
                raise ValueError(
                    f"{path}: got {pixels.shape[1:]} pixels of {scale} arcsec, but its first band "
                    f"has {read[0][0].shape[1:]} of {read[0][1]}: cut all bands on one grid"
                )
        return np.concatenate([pixels for pixels, _ in read]), read[0][1]

    first = next(iter(files))
    stamp, scale = read_raw(first)

    def read(name: str) -> np.ndarray:
        pixels, own = read_raw(name)
        if pixels.shape != stamp.shape or not _close(own, scale):
            raise ValueError(
                f"{files[name][0]}: got {pixels.shape} pixels of {own} arcsec, but "
                f"{files[first][0].name} has {stamp.shape} of {scale}: all must be alike"
            )
        return pixels

    shape = stamp.shape
    return _of_files("fits", folder, catalog_path, files, "nanomaggy", scale, shape, read)


def _check_header(header, bands: tuple, path: Path) -> None:
    """Raise ValueError unless the header's unit and bands are the expected ones."""
    unit = str(header.get("BUNIT", "")).strip().lower()
    if re.sub(r"\s*(/|per)\s*pix(el)?$", "", unit) not in NANOMAGGY:
        raise ValueError(
            f"{path}: got BUNIT {unit or 'absent'!r}, expected 'nanomaggy': convert the pixels to "
            "nanomaggies (1 nanomaggy is magnitude 22.5) and set BUNIT"
        )
    for key in ("BANDS", "FILTERS", "BAND", "FILTER"):
        words = re.findall("[a-z]+", str(header.get(key, "")).lower())
        got = [word for word in words if len(word) == 1] or list("".join(words[-1:]))
        if got and tuple(got) != bands:
            raise ValueError(
                f"{path}: got {key} = {header[key]!r}, expected {', '.join(bands)}: put the bands "
                "in the order g, r, i"
            )


def _pixel_scale(header) -> float | None:
    """Return arcsec per pixel from a FITS header (the root of a pixel's area); None if unknown."""
    if "PIXSCALE" in header:
        return float(header["PIXSCALE"])
    keys, matrix = ("1_1", "1_2", "2_1", "2_2"), "CD" if "CD1_1" in header else "PC"
    default = np.eye(2).ravel() * (matrix == "PC")
    values = [float(header.get(matrix + key, d)) for key, d in zip(keys, default, strict=True)]
    steps = 1.0 if matrix == "CD" else header.get("CDELT1", 0.0) * header.get("CDELT2", 0.0)
    area = abs(np.linalg.det(np.reshape(values, (2, 2))) * steps)
    return float(np.sqrt(area)) * 3600 if area else None


def _close(a: float | None, b: float | None) -> bool:
    return (a is None) == (b is None) and (a is None or abs(a - b) <= 0.01 * b)


def _of_files(name, folder, catalog_path, files, units, scale, stamp, read: Callable) -> Source:
    """Return the Source of a folder whose galaxies ``read(id)`` returns one by one.

    ``files[id]`` lists the galaxy's files: one, or one a band.
    """
    ids = list(files)
    if str(catalog_path):
        catalog = read_catalog(catalog_path)
        if "id" not in catalog.colnames:
            raise ValueError(f"{catalog_path}: expected an id column: {', '.join(ID_NAMES)}")
        catalog = match(ids, catalog, folder, catalog_path)
    else:
        catalog = Table({"id": ids, "label": np.full(len(ids), -1, np.int8)})
    check_stamps(np.broadcast_to(np.float32(0), (len(ids), *stamp)), len(BANDS), str(folder))

    step = block_length(stamp)

    def block(k: int) -> tuple[np.ndarray, Table]:
        rows = catalog[k * step : (k + 1) * step]
        images = np.stack([read(name) for name in rows["id"]])
        parts = [files[name] for name in rows["id"]]
        check_pixels(images, rows["id"], units, lambda k, b: str(parts[k][b % len(parts[k])]))
        return images, rows

    return Source(
        name=name,
        units=units,
        bands=BANDS,
        arcsec_per_pixel=scale,
        n=len(ids),
        stamp=stamp,
        blocks=lambda: map(block, range(-(-len(ids) // step))),
        facts={"path": str(folder), "catalog_path": str(catalog_path)},
        block=block,
        block_size=step,
        recipe=({"pictures": pictures, "fits": fits}[name], str(folder), str(catalog_path)),
    )


def _list_folder(folder: Path, endings: tuple) -> list[Path]:
    """Return the files with these endings, sorted by name; at least one."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder of {', '.join(endings)}, got no folder")
    found = sorted(path for path in folder.iterdir() if suffix(path) in endings)
    if not found:
        raise ValueError(
            f"{folder}: expected files in {', '.join(endings)}, got none: an empty set"
        )
    return found
