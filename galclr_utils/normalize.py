"""Map stamps to [0, 1]: the last thing that happens to a galaxy before a network sees it."""

# N images, C bands, H, W pixels (rows, columns)

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from galclr_utils import checks


class Normalize(nn.Module):
    """Map stamps to [0, 1] with one scale for all bands, so that colour survives.

    - ``asinh``, for flux: ``asinh(x / softening)`` between ``low`` and ``high``, the same for all
      galaxies. It is linear at the sky and logarithmic in a bright core (Lupton, Gunn & Szalay
      1999): arms and nucleus both show, and a bright galaxy stays brighter than a faint one.
    - ``identity``, for display units, which are in [0, 1] already.
    - ``minmax``, the poster's: the darkest pixel of a stamp, over its bands, becomes 0 and the
      brightest 1. A star on the stamp then sets the scale of the galaxy.

    Never per band: that would divide the colours away.

    Args:
        kind: ``"asinh"``, ``"identity"`` or ``"minmax"``.
        softening: flux at which asinh turns from linear to logarithmic, in the set's units.
        low, high: fluxes that asinh takes to 0 and to 1, in the set's units; beyond is clipped.

    >>> normalize = Normalize("asinh", softening=0.05, low=-0.1, high=5.0)
    >>> normalize(torch.tensor([-0.1, 0.0, 5.0]).view(1, 1, 1, 3)).round(decimals=3)
    tensor([[[[0.0000, 0.2140, 1.0000]]]])
    """

    KINDS = ("asinh", "identity", "minmax")

    def __init__(self, kind: str, softening: float = 1.0, low: float = 0.0, high: float = 1.0):
        super().__init__()
        self.kind = checks.choice("normalize", kind, self.KINDS)
        self.softening = checks.number("softening", softening, 0, math.inf, low_open=True)
        self.low = checks.number("low", low, -math.inf, math.inf)
        self.high = checks.number("high", high, self.low, math.inf, low_open=True)

    @classmethod
    def fit(cls, images, kind: str, sky_rms) -> Normalize:
        """Measure the survey-wide scale of ``asinh`` on training stamps; the others need none.

        With s the sky's rms, averaged over the bands, the softening is 2 s, ``low`` is 3 s below
        the sky, which is 0 in flux, and ``high`` is what one value in a thousand exceeds. (Our
        choices.)

        Args:
            images: float (N, C, H, W), training stamps in the set's units; 2000 are plenty.
            kind: ``"asinh"``, ``"identity"`` or ``"minmax"``.
            sky_rms: (C,), rms of the sky per band in the set's units: ``card["sky_rms"]``.
        Returns:
            The module, with its numbers in ``settings``.
        """
        if checks.choice("normalize", kind, cls.KINDS) != "asinh":
            return cls(kind)
        rms = float(np.mean(sky_rms))
        high = max(float(np.quantile(np.asarray(images, np.float32), 0.999)), 10 * rms)
        return cls(kind, softening=2 * rms, low=-3 * rms, high=high)

    @property
    def settings(self) -> dict:
        """Plain numbers and words: ``Normalize(**settings)`` is the same module."""
        names = ("kind", "softening", "low", "high") if self.kind == "asinh" else ("kind",)
        return {name: getattr(self, name) for name in names}

    def forward(self, images: torch.Tensor, reference: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise stamps.

        Args:
            images: float (N, C, H, W), in the set's units.
            reference: (N, C, H, W), the stamps that set the scale of ``minmax``: for views, those
                they were made of, so that noise, a cut-out or a star that is turned out of the
                picture do not change the galaxy's brightness. Default: ``images``.
        Returns:
            float32 (N, C, H, W) in [0, 1].
        """
        images = images.float()
        if self.kind == "asinh":
            bottom, top = (math.asinh(flux / self.softening) for flux in (self.low, self.high))
            x = images.clamp(self.low, self.high).div_(self.softening)
            # log(x + sqrt(x^2 + 1)) is asinh x, and on a CPU several times faster than torch.asinh
            x.add_((x * x).add_(1).sqrt_()).log_().sub_(bottom).div_(top - bottom)
            return x.clamp_(0, 1)
        if self.kind == "minmax":
            reference = images if reference is None else reference.float()
            low, high = (end.view(-1, 1, 1, 1) for end in reference.flatten(1).aminmax(dim=1))
            images = (images - low) / (high - low).clamp_min(1e-12)
        return images.clamp(0, 1)

    def extra_repr(self) -> str:
        """Show the settings in ``repr``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
