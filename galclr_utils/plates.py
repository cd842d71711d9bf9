"""Show a figure in a page, with a caption and an alternative text that are made from its data."""

from __future__ import annotations

import contextlib
import functools
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from galclr_utils.provenance import whole_file, write_json

# Okabe & Ito's palette, which colour-blind readers can tell apart; the markers say it again.
COLORS = {"early": "#D55E00", "late": "#0072B2", "unknown": "#777777"}
TYPES = {"early": 0, "late": 1}  # drawn in this order, and so stored
MARKERS = {"early": "o", "late": "^", "unknown": "."}
STYLE = {
    "figure.facecolor": "white",  # opaque, so that it is legible on a dark page too
    "savefig.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.frameon": False,
}
DPI = 144


@dataclass
class Plate:
    """Carry a figure with its name, caption and alternative text from the code to the page.

    As the last line of a notebook cell it shows itself; the three texts travel in the output's
    metadata, from where the book takes them.

    >>> plate = Plate(Figure(), "fig-empty", "Nothing, drawn.", "An empty white rectangle.")
    >>> data, metadata = plate._repr_mimebundle_()
    >>> metadata["galclr"]["alt"]
    'An empty white rectangle.'
    """

    figure: Figure
    name: str
    caption: str
    alt: str

    def png(self) -> bytes:
        """Return the figure as PNG, drawn once: it is shown as it was saved."""
        return self._drawn

    @functools.cached_property
    def _drawn(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight")
        return buffer.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        texts = {"name": self.name, "caption": self.caption, "alt": self.alt}
        return {"image/png": self.png(), "text/plain": self.alt}, {"galclr": texts}

    def save(self, run: str | Path) -> Plate:
        """Write ``figures/NAME.png`` and its texts ``NAME.json`` into the run; return itself."""
        path = Path(run) / "figures" / f"{self.name}.png"
        with whole_file(path) as part:
            part.write_bytes(self.png())
        texts = {"name": self.name, "caption": self.caption, "alt": self.alt}
        write_json(path.with_suffix(".json"), texts)
        return self


@dataclass
class Shown:
    """Carry a table to the page: HTML in a browser, aligned text elsewhere. See :func:`show`."""

    table: Table

    def _repr_html_(self) -> str:
        whole = {"show_dtype": False, "max_lines": -1, "max_width": -1}
        return "\n".join(
            self.table.pformat(html=True, tableid="", tableclass="table dataframe", **whole)
        ).replace(' id=""', "")

    def __repr__(self) -> str:
        return "\n".join(self.table.pformat(show_dtype=False, max_lines=-1, max_width=-1))


def show(table: Table) -> Shown:
    """Return the table such that a cell that ends with it shows all rows and no column types.

    Give a column its ``format`` first, where the number of digits matters.

    >>> table = Table({"split": ["train", "test"], "share": [0.51, 0.5]})
    >>> table["share"].format = ".2f"
    >>> show(table)
    split share
    ----- -----
    train  0.51
     test  0.50
    """
    return Shown(table)


@contextlib.contextmanager
def canvas(
    rows: int = 1,
    columns: int = 1,
    width: float = 7.5,
    height: float = 3.5,
    layout: str = "constrained",
    **options,
):
    """Yield a figure and its axes in the book's style, apart from pyplot's state."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout=layout)
        yield figure, figure.subplots(rows, columns, **options)


def source_tag(card: dict) -> str:
    """Return what every caption ends with: which galaxies these are.

    >>> source_tag({"simulated": True, "source": "SIMULATED"})
    'SIMULATED galaxies.'
    """
    if card.get("simulated"):
        return "SIMULATED galaxies."
    return f"Source: {card.get('source', 'unknown')}."


def to_rgb(images: np.ndarray, card: dict) -> np.ndarray:
    """Return colour pictures of stamps: i, r, g as red, green, blue (after Lupton et al. 2004).

    The mean of the three is stretched by asinh, and the colour kept, also where it is brightest.
    Blue is weighted up, so that old stars look yellow and young ones bluish (our choice).

    Args:
        images: (N, 3, H, W) in the card's units. Flux is stretched; display units are shown as
            they are.
    Returns:
        float32 (N, H, W, 3) in [0, 1].

    >>> stamp = np.ones((1, 3, 1, 1)) * [[[[0.2]], [[0.4]], [[0.6]]]]
    >>> to_rgb(stamp, {"units": "display"}).ravel()
    array([0.6, 0.4, 0.2], dtype=float32)
    """
    light = np.asarray(images)[:, ::-1].astype("f8")
    if card["units"] == "nanomaggy":
        sky = float(np.mean(card["sky_rms"]))
        light = light * np.reshape([0.65, 0.85, 1.5], (3, 1, 1)) / (2 * sky)
        mean = light.mean(axis=1, keepdims=True).clip(1e-6)
        light *= np.arcsinh(mean) / np.arcsinh(75) / mean
        light /= light.max(axis=1, keepdims=True).clip(1)
    return light.clip(0, 1).transpose(0, 2, 3, 1).astype("f4")
