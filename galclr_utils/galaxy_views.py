"""Make the two views of a galaxy that SimCLR compares: all transforms in a row, then normalised."""

# N images, C bands, H, W pixels (rows, columns)

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch

from galclr_utils import checks
from galclr_utils.dataset import GalaxySet
from galclr_utils.normalize import Normalize
from galclr_utils.transforms import (
    BandScaling,
    CutOut,
    Orientation,
    Recentre,
    Seeing,
    SkyNoise,
    Transform,
    Zoom,
    compose,
    resample,
)

PIECE = 256  # images that stay in a CPU's cache from the first step to the last


@dataclass
class GalaxyViews:
    """Make a view of every galaxy in a batch; two calls make the two views of SimCLR.

    In the order of nature: what happens to the light on its way (band scaling), where it falls
    (orientation, zoom and recentre, in one resampling), the atmosphere (seeing), the detector
    (noise, cut-out); normalisation comes last. ``steps`` holds the transforms by name.

    Args:
        normalize: the normalisation of the set.
        sky_rms: (C,), rms of the sky per band in the set's units: ``card["sky_rms"]``.
        zoom: largest factor of ``Zoom``, [1, 4].
        recentre_px: largest shift of ``Recentre``, in pixels.
        band_scaling: strength of ``BandScaling``, [0, 1].
        seeing_px: largest sigma of ``Seeing``, in pixels.
        noise: largest sigma of ``SkyNoise``, in units of the sky's rms.
        cutout: largest side of ``CutOut``, as a fraction of the stamp's, [0, 1].
        p: probability of each of these six (0.5 in the poster). Orientation is always applied.
    Raises:
        ValueError: a setting out of its range.

    >>> views = GalaxyViews(Normalize("identity"), sky_rms=[0.02, 0.02, 0.02])
    >>> generator = torch.Generator().manual_seed(0)
    >>> stamps = torch.rand(4, 3, 32, 32, generator=generator)
    >>> one, other = views(stamps, generator), views(stamps, generator)
    >>> one.shape, torch.equal(one, other)
    (torch.Size([4, 3, 32, 32]), False)
    """

    normalize: Normalize
    sky_rms: tuple[float, ...]
    zoom: float = 1.25
    recentre_px: float = 2.0
    band_scaling: float = 0.1
    seeing_px: float = 1.0
    noise: float = 0.5
    cutout: float = 0.25
    p: float = 0.5

    @classmethod
    def for_set(cls, galaxies: GalaxySet, normalize: str = "auto", **settings) -> GalaxyViews:
        """Make the views of a set, with its sky and a normalisation measured on its training part.

        Args:
            galaxies: the set.
            normalize: ``"asinh"``, ``"identity"``, ``"minmax"``, or ``"auto"``: asinh for flux,
                identity for display units.
            settings: any other setting of these views.
        """
        if normalize == "auto":
            normalize = "asinh" if galaxies.card["units"] == "nanomaggy" else "identity"
        rms, train = galaxies.card["sky_rms"], galaxies.indices("train")
        some = galaxies.images[train[:: 1 + len(train) // 2048]]
        return cls(Normalize.fit(some, normalize, rms), rms, **settings)

    def __post_init__(self):
        self.sky_rms = tuple(checks.numbers("sky_rms", self.sky_rms, 0, math.inf))
        ranges = {"zoom": (1, 4), "recentre_px": (0, 100), "band_scaling": (0, 1)}
        ranges |= {"seeing_px": (0, 100), "noise": (0, 100), "cutout": (0, 1), "p": (0, 1)}
        for name, (low, high) in ranges.items():
            setattr(self, name, checks.number(name, getattr(self, name), low, high))
        self.steps: dict[str, Transform] = {
            "band_scaling": BandScaling(self.band_scaling, self.p),
            "orientation": Orientation(),
            "zoom": Zoom(self.zoom, self.p),
            "recentre": Recentre(self.recentre_px, self.p),
            "seeing": Seeing(self.seeing_px, self.p),
            "noise": SkyNoise(self.sky_rms, self.noise, self.p),
            "cutout": CutOut(self.cutout, self.p),
        }

    @property
    def settings(self) -> dict:
        """Return all settings as plain numbers and words, for the record of a run."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "normalize"}
        return {"normalize": self.normalize.settings} | own

    def only(self, *names: str) -> GalaxyViews:
        """Return views that always apply the named steps and never the others, to look at them.

        >>> views = GalaxyViews(Normalize("identity"), sky_rms=[0.02, 0.02, 0.02])
        >>> [name for name, step in views.only("seeing").steps.items() if step.p > 0]
        ['seeing']
        """
        for name in names:
            checks.choice("step", name, self.steps)
        views = replace(self)
        views.steps = {k: replace(step, p=float(k in names)) for k, step in self.steps.items()}
        return views

    def draw(self, shape, generator, device="cpu") -> dict[str, dict[str, torch.Tensor]]:
        """Draw the parameters of all steps for a batch of shape (N, C, H, W), by step."""
        return {name: step.draw(shape, generator, device) for name, step in self.steps.items()}

    def apply(self, images: torch.Tensor, params) -> torch.Tensor:
        """Return the normalised views that these parameters, from :meth:`draw`, make of images."""
        copy = images.to(torch.float32, copy=True)
        scaled = self.steps["band_scaling"].apply_(copy, params["band_scaling"])
        moves = ("orientation", "zoom", "recentre")
        turn, zoom, shift = (self.steps[name].frame(params[name]) for name in moves)
        view = resample(scaled, compose(turn, compose(zoom, shift)))
        for name in ("seeing", "noise", "cutout"):
            view = self.steps[name].apply_(view, params[name])
        return self.normalize(view, reference=scaled)

    @torch.no_grad()
    def __call__(self, images, generator: torch.Generator) -> torch.Tensor:
        """Make one view of every image; a CPU works through a large batch piece by piece.

        Args:
            images: float16 or float32 (N, C, H, W), tensor or array, in the set's units.
            generator: where all randomness comes from; on the CPU or on the images' device.
        Returns:
            float32 (N, C, H, W) in [0, 1], on the images' device; in memory the bands of a pixel
            lie side by side (``channels_last``), as convolutions like them.
        Raises:
            ValueError: images of another shape, or with other bands than ``sky_rms`` has.
        """
        images = torch.as_tensor(images)
        if images.ndim != 4 or images.shape[1] != len(self.sky_rms):
            expected = f"(N, {len(self.sky_rms)}, H, W)"
            raise ValueError(f"images: got shape {tuple(images.shape)}, expected {expected}")
        views = torch.empty(images.shape, device=images.device, memory_format=torch.channels_last)
        size = PIECE if generator.device.type == "cpu" else len(images)
        for some, view in zip(images.split(size), views.split(size), strict=True):
            view.copy_(self.apply(some, self.draw(some.shape, generator, images.device)))
        return views
