"""Hold a set of galaxies: images, catalogue and card; save, load, validate, de-duplicate, split."""

# N galaxies, C bands, H, W pixels

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils.provenance import read_json, sha256, whole_folder, write_json

SPLITS = ("train", "val", "test")
UNITS = ("nanomaggy", "display")


@dataclass
class Source:
    """Offer raw galaxies block by block, so that the full set is never in memory.

    Attributes:
        name: what the card calls it: ``"SIMULATED"``, ``"arrays"``, ...
        units: ``"nanomaggy"`` (linear flux) or ``"display"`` (a picture in [0, 1]).
        bands: names of the C bands, blue to red.
        arcsec_per_pixel: angular size of a raw pixel; None if unknown or not the same for all.
        n: number of galaxies.
        stamp: raw stamp, (C, H, W).
        blocks: called without arguments, yields ``(images float32 (n, C, H, W), rows Table)``
            in a fixed order; the rows have an ``id`` (str) and a ``label`` (0, 1 or -1).
        facts: what else the card should say.
        block: called with k, returns block k alone; None where a block can only be reached by
            reading those before it. These blocks have their own size:
        block_size: galaxies in each of them but the last, which has the rest.
        recipe: ``(function, *arguments)`` that opens this source again, in another process; empty
            where none can.
    """

    name: str
    units: str
    bands: tuple[str, ...]
    arcsec_per_pixel: float | None
    n: int
    stamp: tuple[int, int, int]
    blocks: Callable[[], Iterator[tuple[np.ndarray, Table]]]
    facts: dict = field(default_factory=dict)
    block: Callable[[int], tuple[np.ndarray, Table]] | None = None
    block_size: int = 0
    recipe: tuple = ()


@dataclass(repr=False)
class GalaxySet:
    """Galaxy stamps with their catalogue and a card that says what they are.

    Attributes:
        images: float16 or float32 (N, C, H, W) in the card's units, perhaps a read-only memmap.
        catalog: N rows: ``id`` (str), ``split`` (train, val or test), ``label`` (int8: 0 early,
            1 late, -1 unknown), and what else is known of each galaxy.
        card: ``units``, ``bands``, ``arcsec_per_pixel``, ``source``, ``sky_rms``, ``counts``, ...
    Raises:
        ValueError: the three do not fit together.

    >>> catalog = Table({"id": ["a", "b"], "split": ["train", "test"], "label": [1, -1]})
    >>> card = {"units": "display", "bands": ["g", "r", "i"], "source": "two grey squares"}
    >>> GalaxySet(np.full((2, 3, 8, 8), 0.5, np.float16), catalog, card)
    GalaxySet(two grey squares: 2 galaxies, bands gri, 8x8 px, display units; train 1, val 0, \
test 1; early 0, late 1, unknown 1)
    """

    images: np.ndarray
    catalog: Table
    card: dict

    def __post_init__(self):
        _validate(self.images, self.catalog, self.card)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        c = self.card
        splits = ", ".join(f"{s} {len(self.indices(s))}" for s in SPLITS)
        types = {"early": 0, "late": 1, "unknown": -1}
        labels = ", ".join(f"{t} {int((self.labels == v).sum())}" for t, v in types.items())
        height, width = self.images.shape[2:]
        return (
            f"GalaxySet({c.get('source', '?')}: {len(self)} galaxies, bands {''.join(c['bands'])}, "
            f"{height}x{width} px, {c['units']} units; {splits}; {labels})"
        )

    @property
    def labels(self) -> np.ndarray:
        """The labels, int8 (N,): 0 early, 1 late, -1 unknown."""
        return np.asarray(self.catalog["label"], dtype=np.int8)

    def indices(self, split: str) -> np.ndarray:
        """Return the rows of a split, int64, in the catalogue's order."""
        if split not in SPLITS:
            raise ValueError(f"split: got {split!r}, expected one of {', '.join(SPLITS)}")
        return np.flatnonzero(np.asarray(self.catalog["split"]) == split)

    def labelled(self, split: str) -> np.ndarray:
        """Return the rows of a split whose label is known, int64."""
        rows = self.indices(split)
        return rows[self.labels[rows] >= 0]

    def labelled_train_test(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the labelled rows of ``train`` and of ``test``, int64: to learn from, to judge by.

        Raises:
            ValueError: one of them is empty.
        """
        train, test = self.labelled("train"), self.labelled("test")
        if not (len(train) and len(test)):
            raise ValueError(
                f"labels: got {len(train)} in train and {len(test)} in test, expected some in "
                "both: this measures with labels; the chapters before 05_probes need none"
            )
        return train, test

    def save(self, folder: str | Path) -> Path:
        """Write ``images.npy``, ``catalog.fits`` and ``card.json``, all of them or none."""
        with whole_folder(folder) as part:
            np.save(part / "images.npy", self.images, allow_pickle=False)
            self.card = write_catalog_and_card(part, self.catalog, self.card)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, mmap: bool = True) -> GalaxySet:
        """Open a saved set; its images stay on disk unless ``mmap`` is false.

        Raises:
            ValueError: a file is missing, cut short or does not fit the others.

        >>> import tempfile
        >>> catalog = Table({"id": ["a"], "split": ["train"], "label": [0]})
        >>> card = {"units": "nanomaggy", "bands": ["g", "r", "i"]}
        >>> saved = GalaxySet(np.zeros((1, 3, 8, 8), np.float32), catalog, card)
        >>> GalaxySet.load(saved.save(tempfile.mkdtemp() + "/dataset")).images.shape
        (1, 3, 8, 8)
        """
        folder = Path(folder)
        card = read_json(folder / "card.json")
        try:
            mode = "r" if mmap else None
            images = np.load(folder / "images.npy", mmap_mode=mode, allow_pickle=False)
            catalog = plain_table(Table.read(folder / "catalog.fits"))
        except Exception as error:
            raise ValueError(
                f"{folder}: expected images.npy, catalog.fits and card.json from 01_data, got "
                f"{type(error).__name__}: {error}. Delete the folder and run 01_data again"
            ) from error
        return cls(images, catalog, card)


def data_key(galaxies: GalaxySet) -> str:
    """Return one hash of the stamps and of who is in which split: what a training depends on."""
    split = ",".join(map(str, galaxies.catalog["split"]))
    return hashlib.sha256(f"{galaxies.card['sha256']} {split}".encode()).hexdigest()


def write_catalog_and_card(folder: Path, catalog: Table, card: dict) -> dict:
    """Write the catalogue and the card beside ``images.npy``; return the card with the sha256."""
    plain = plain_table(catalog)
    for name in plain.colnames:
        if plain[name].dtype == np.int8:  # FITS has no signed byte: it would come back as a boolean
            plain[name] = plain[name].astype(np.int16)
    plain.write(folder / "catalog.fits")
    card = {**card, "sha256": sha256(folder / "images.npy")}
    write_json(folder / "card.json", card)
    return card


def plain_table(catalog: Table) -> Table:
    """Return a copy in native byte order, text as str, without masks (missing: NaN or '').

    FITS is big-endian and its text is bytes, which torch and comparisons with str refuse. Whole
    numbers with gaps become floats, or text where a float would lose digits (ids of 18 digits).
    """
    plain = Table()
    for name in catalog.colnames:
        values, missing = np.asarray(catalog[name]), np.ma.getmaskarray(catalog[name])
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8")
        elif values.dtype.kind == "O" or _loses_digits(values, missing):
            values = values.astype(str)
        if values.dtype.kind == "U":
            values = np.where(missing, "", values)
            values = values.astype(f"U{max(1, values.dtype.itemsize // 4)}")  # FITS: no empty type
        elif values.dtype.kind in "iufb":
            values = values.astype(values.dtype.newbyteorder("="))
            if missing.any():
                values = np.where(missing, np.nan, values.astype(np.float64))
        plain[name] = values
    numeric = "label" in plain.colnames and plain["label"].dtype.kind in "iufb"
    if numeric and np.isin(plain["label"], (0, 1, -1)).all():  # others are refused where read
        plain["label"] = plain["label"].astype(np.int8)
    return plain


def _loses_digits(values: np.ndarray, missing: np.ndarray) -> bool:
    """Tell whether these are whole numbers with gaps, and some too long for a float."""
    if values.dtype.kind not in "iu" or not missing.any():
        return False
    return bool((np.abs(values[~missing].astype(np.float64)) >= 2**53).any())


def _validate(images: np.ndarray, catalog: Table, card: dict) -> None:
    """Raise ValueError unless images, catalogue and card are those of one set."""
    for key, allowed in (("units", UNITS), ("bands", None)):
        if key not in card or (allowed and card[key] not in allowed):
            raise ValueError(f"card: got {key}={card.get(key)!r}, expected {allowed or 'a list'}")
    check_stamps(images, len(card["bands"]), "images")
    if images.dtype not in (np.float16, np.float32):
        raise ValueError(f"images: got {images.dtype}, expected float16 or float32")
    if len(images) != len(catalog):
        raise ValueError(f"got {len(images)} images but {len(catalog)} catalogue rows")
    for name in ("id", "split", "label"):
        if name not in catalog.colnames:
            raise ValueError(f"catalog: no column {name!r}, got {', '.join(catalog.colnames)}")
    for name, allowed in (("split", SPLITS), ("label", (0, 1, -1))):
        if (wrong := ~np.isin(catalog[name], allowed)).any():
            row = int(np.argmax(wrong))
            got = catalog[name][row].item()
            raise ValueError(f"catalog row {row}: got {name} {got!r}, expected one of {allowed}")
    ids, counts = np.unique(np.asarray(catalog["id"], dtype=str), return_counts=True)
    if len(ids) < len(catalog):
        raise ValueError(f"catalog: id {str(ids[counts > 1][0])!r} appears more than once")


def check_stamps(images, n_bands: int, name: str) -> None:
    """Raise ValueError unless ``images`` is a non-empty, square (N, C, H, W) with C bands."""
    shape, expected = tuple(images.shape), f"{name}: expected (N, {n_bands}, H, W)"
    if len(shape) == 4 and shape[3] == n_bands and shape[1] != n_bands:
        got = f"(N, H, W, {n_bands})"
        raise ValueError(f"{expected}, got {got} = {shape}: use images.transpose(0, 3, 1, 2)")
    if len(shape) != 4 or shape[1] != n_bands:
        raise ValueError(f"{expected}, got {shape}")
    if not shape[0]:
        raise ValueError(f"{expected} with at least one galaxy, got an empty set {shape}")
    if shape[2] != shape[3]:
        raise ValueError(f"{expected} with square stamps (H = W), got {shape}: crop them first")


def centre_crop(images: np.ndarray, size: int) -> np.ndarray:
    """Return the central ``size`` x ``size`` pixels of stamps (..., H, W), as a view.

    >>> centre_crop(np.zeros((5, 3, 64, 64)), 48).shape
    (5, 3, 48, 48)
    """
    top, left = (images.shape[-2] - size) // 2, (images.shape[-1] - size) // 2
    if top < 0 or left < 0:
        raise ValueError(f"crop_px: got {size}, expected at most {min(images.shape[-2:])}")
    return images[..., top : top + size, left : left + size]


def bin_pixels(images: np.ndarray, factor: int, how: str) -> np.ndarray:
    """Bin stamps (..., H, W) by a whole factor: ``"sum"`` keeps flux, ``"mean"`` the brightness.

    >>> bin_pixels(np.ones((1, 3, 4, 4), np.float32), 2, "sum")[0, 0]
    array([[4., 4.],
           [4., 4.]], dtype=float32)
    """
    *lead, height, width = images.shape
    if height % factor or width % factor:
        raise ValueError(f"binning by {factor} does not divide stamps of {height}x{width} pixels")
    boxes = images.reshape(*lead, height // factor, factor, width // factor, factor)
    return {"sum": boxes.sum, "mean": boxes.mean}[how](axis=(-3, -1))


def hash_unit(keys) -> np.ndarray:
    """Return a fixed number in [0, 1) for each key: the same on any machine, in any company.

    >>> hash_unit(["587722952767439450"]).round(3)
    array([0.52])
    """
    digests = (hashlib.blake2b(str(key).encode(), digest_size=6).digest() for key in keys)
    return np.array([int.from_bytes(d, "big") / 2**48 for d in digests])


def assign_splits(catalog: Table, val_fraction: float, test_fraction: float) -> tuple:
    """Return the split of each galaxy; one that the catalogue gives is kept.

    A missing test or validation set is carved from ``train`` by a hash of the id, so that a galaxy
    keeps its split when others are added. Where there are coordinates in at least 50 different
    sky blocks of one degree, whole blocks are carved: neighbours share sky, seeing and sometimes
    the stamp. (A survey that grows past 50 blocks is therefore carved anew, once.) There a galaxy
    without coordinates is still carved by its id.

    Args:
        catalog: ``id``, and perhaps ``split`` (empty means train) and ``ra``, ``dec`` in degrees.
        val_fraction, test_fraction: the expected share of the carved galaxies.
    Returns:
        ``(split, by)``: array of str (N,), and what was hashed: ``"id"`` or ``"sky block"``.

    >>> from collections import Counter
    >>> split, by = assign_splits(Table({"id": np.arange(1000)}), 0.1, 0.2)
    >>> sorted(Counter(split.tolist()).items()), by
    ([('test', 201), ('train', 710), ('val', 89)], 'id')
    """
    split = np.full(len(catalog), "train", dtype="U5")
    if "split" in catalog.colnames:
        given = np.asarray(catalog["split"], dtype=str)
        split = np.where(given == "", "train", given)
    keys, by = np.asarray(catalog["id"], dtype=str), "id"
    if {"ra", "dec"} <= set(catalog.colnames):
        ra, dec = (np.asarray(catalog[name], dtype=float) for name in ("ra", "dec"))
        known = np.isfinite(ra + dec)
        row = np.floor(dec)
        column = np.floor(ra % 360 * np.cos(np.radians(row + 0.5)))
        blocks = np.array([f"{r:.0f} {c:.0f}" for r, c in zip(row, column, strict=True)])
        if len(np.unique(blocks[known])) >= 50:
            keys, by = np.where(known, blocks, keys), "sky block"
    u, free = hash_unit(keys), split == "train"
    for name, low, high in (
        ("test", 0.0, test_fraction),
        ("val", test_fraction, test_fraction + val_fraction),
    ):
        if name not in split:
            split[free & (low <= u) & (u < high)] = name
    return split, by
