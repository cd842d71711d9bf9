"""Change the picture of a galaxy in what should not matter.

Every transform imitates something that changes the picture of a galaxy and not the galaxy: how it
lies on the sky, how far away it is, how well it was centred, the colour of its light, the seeing,
the noise of the sky, a piece that is missing. What contrastive learning can still tell apart after
all of them is the shape.

A transform draws its parameters in one method, :meth:`Transform.draw`, and applies them in another,
:meth:`Transform.apply`, so that what happened to an image can be looked up, repeated and tested. It
works on a whole batch at once, on any device, and every image has a draw of its own. An accelerator
is never waited for: no number is read back from it and no choice depends on one.
"""

# N images, C bands, H, W pixels (rows, columns)

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F


def _draw(shape, low, high, p: float, generator, device) -> torch.Tensor:
    """Draw uniform numbers in [low, high) for a share ``p`` of the images, 0 for the others.

    They are drawn where the generator lives and then moved, so that a generator on the CPU makes
    the same views whatever the device of the images.
    """
    one_each, here = (shape[0],) + (1,) * (len(shape) - 1), generator.device
    tossed = torch.rand(one_each, generator=generator, device=here) < p
    drawn = torch.empty(shape, device=here).uniform_(low, high, generator=generator)
    return (drawn * tossed).to(device)


def touched(values: torch.Tensor) -> torch.Tensor:
    """Return the indices of the images that a step has to work on.

    On a CPU they are those whose value is not 0. Counting these on an accelerator would mean to
    wait for it; there it works on all images, and a value of 0 changes nothing.

    Args:
        values: (N,), one per image.
    Returns:
        int64 (M,), on the device of the values.

    >>> touched(torch.tensor([0.0, 0.7, 0.0, 0.2]))
    tensor([1, 3])
    """
    if values.device.type == "cpu":
        return values.nonzero()[:, 0]
    return torch.arange(len(values), device=values.device)


class Transform:
    """One way in which pictures of the same galaxy differ.

    A share ``p`` of the images is changed; the others keep their pixels.
    """

    def draw(self, shape, generator: torch.Generator, device="cpu") -> dict[str, torch.Tensor]:
        """Draw the parameters for a batch of shape (N, C, H, W), each with a row per image."""

    def apply_(self, images: torch.Tensor, params: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return changed float32 (N, C, H, W) images, in the memory of the given ones or not."""

    def apply(self, images: torch.Tensor, params: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return changed float32 (N, C, H, W) images; the given ones stay as they are."""
        return self.apply_(images.to(torch.float32, copy=True), params)

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Draw parameters and apply them."""
        return self.apply(images, self.draw(images.shape, generator, images.device))


class Geometry(Transform):
    """A transform that moves pixels: all it says is where each pixel of the view is looked up."""

    def frame(self, params: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return (N, 2, 3) matrices [A | b]: pixel q of the view is pixel A q + b of the stamp.

        Both are counted in pixels from the centre, x to the right and y down.
        """

    def apply_(self, images, params):
        return resample(images, self.frame(params))


def compose(first: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
    """Return the frame of two geometric transforms in a row, so that pixels are read only once.

    Args:
        first, then: (N, 2, 3) frames.
    Returns:
        (N, 2, 3): A1 (A2 q + b2) + b1.
    """
    both = first[:, :, :2] @ then
    both[:, :, 2] += first[:, :, 2]
    return both


def resample(images: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """Look up the pixels of a view in its stamp, bilinearly.

    Beyond its edge the stamp is mirrored: black corners would give the angle away.

    Args:
        images: float32 (N, C, H, W).
        frame: float32 (N, 2, 3), see ``Geometry.frame``.
    Returns:
        float32 (N, C, H, W).
    """
    height, width = images.shape[-2:]
    x, y = (torch.arange(n, device=images.device) - (n - 1) / 2 for n in (width, height))
    # grid_sample counts from -1 to 1 between the outer edges of the stamp
    scaled = torch.stack([frame[:, 0] * (2 / width), frame[:, 1] * (2 / height)], 1)
    from_x, from_y, shift = scaled[..., None, None].unbind(2)
    grid = (from_x * x + (from_y * y[:, None] + shift)).permute(0, 2, 3, 1)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


@dataclass
class Orientation(Geometry):
    """Turn each image by any angle, and mirror half of them.

    Claims: a galaxy has no up, and its mirror image is as likely as itself. False for what has a
    direction on the sky: the sense in which arms wind, tidal tails towards a neighbour, trails of
    the detector. Looking up between pixels smooths the noise a little.

    >>> quarter = {"angle": torch.tensor([math.pi / 2]), "mirror": torch.tensor([False])}
    >>> Orientation().apply(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), quarter)[0, 0].round()
    tensor([[2., 4.],
            [1., 3.]])
    """

    p: float = 1.0

    def draw(self, shape, generator, device="cpu"):
        angle = _draw(shape[:1], -math.pi, math.pi, self.p, generator, device)
        side = _draw(shape[:1], -1, 1, self.p, generator, device)
        return {"angle": angle, "mirror": side < 0}

    def frame(self, params):
        cos, sin = params["angle"].cos(), params["angle"].sin()
        side = 1 - 2 * params["mirror"].float()
        zero = torch.zeros_like(cos)
        return torch.stack([side * cos, -sin, zero, side * sin, cos, zero], 1).view(-1, 2, 3)


@dataclass
class Zoom(Geometry):
    """Enlarge each image by a factor from ``1 / factor`` to ``factor``, around its centre.

    Claims: distance does not matter. What is kept is surface brightness, as in nature: a nearer
    galaxy is larger and brighter in all, but not per pixel. False for the galaxy's true size, for
    the seeing and the noise, which do not grow with it, and far away, where surface brightness
    fades as (1 + z)^-4 and the bands see bluer light.

    >>> line = torch.tensor([0.0, 0, 0, 0, 5, 5, 0, 0, 0, 0]).expand(1, 1, 10, 10)
    >>> Zoom().apply(line, {"zoom": torch.tensor([2.0])})[0, 0, 5].round()
    tensor([0., 0., 1., 4., 5., 5., 4., 1., 0., 0.])
    """

    factor: float = 1.25
    p: float = 0.5

    def draw(self, shape, generator, device="cpu"):
        limit = math.log(self.factor)
        return {"zoom": _draw(shape[:1], -limit, limit, self.p, generator, device).exp()}

    def frame(self, params):
        return torch.eye(2, 3, device=params["zoom"].device) / params["zoom"][:, None, None]


@dataclass
class Recentre(Geometry):
    """Shift each image by up to ``shift_px`` pixels in x and in y.

    Claims: where exactly the centre was measured does not matter. False for shifts as large as
    the galaxy, after which a neighbour may be the subject of the picture.

    >>> stamp = torch.eye(3)[None, None]
    >>> Recentre().apply(stamp, {"shift_px": torch.tensor([[1.0, 0.0]])})[0, 0]
    tensor([[1., 1., 0.],
            [0., 0., 1.],
            [0., 0., 0.]])
    """

    shift_px: float = 2.0
    p: float = 0.5

    def draw(self, shape, generator, device="cpu"):
        limit = self.shift_px
        return {"shift_px": _draw((shape[0], 2), -limit, limit, self.p, generator, device)}

    def frame(self, params):
        shift = params["shift_px"][:, :, None]
        return torch.cat([torch.eye(2, device=shift.device).expand(len(shift), 2, 2), -shift], 2)


@dataclass
class BandScaling(Transform):
    """Multiply each band by a factor of its own, from ``1 - strength`` to ``1 + strength``.

    Claims: colour and brightness do not matter, be it through dust on the way, redshift or
    calibration. False as physics, and meant so: colour alone nearly tells the type, and a network
    that may use it learns nothing else (the colour distortion of Chen et al. 2020). With it gone,
    shape is left.

    >>> drawn = BandScaling(strength=0.4, p=1.0).draw((2, 3, 8, 8), torch.manual_seed(0))
    >>> drawn["factor"].shape, bool((drawn["factor"] - 1).abs().max() <= 0.4)
    (torch.Size([2, 3]), True)
    """

    strength: float = 0.4
    p: float = 0.5

    def draw(self, shape, generator, device="cpu"):
        limit = self.strength
        return {"factor": 1 + _draw(tuple(shape[:2]), -limit, limit, self.p, generator, device)}

    def apply_(self, images, params):
        return images.mul_(params["factor"][:, :, None, None])


@dataclass
class Seeing(Transform):
    """Blur each image with a round Gaussian whose sigma is up to ``sigma_px`` pixels.

    Claims: the same galaxy seen on a worse night. Flux is kept. False where the blur hides what
    makes the type, such as thin arms or a bar; and real seeing has wings, and comes before the
    noise, while here the noise of the stamp is smoothed along with the galaxy.

    >>> star = torch.zeros(1, 1, 9, 9)
    >>> star[0, 0, 4, 4] = 100
    >>> seen = Seeing().apply(star, {"sigma_px": torch.tensor([1.0])})
    >>> float(seen.sum().round()), float(seen.max().round())
    (100.0, 16.0)
    """

    sigma_px: float = 1.0
    p: float = 0.5

    def draw(self, shape, generator, device="cpu"):
        return {"sigma_px": _draw(shape[:1], 0, self.sigma_px, self.p, generator, device)}

    def apply_(self, images, params):
        blurred = touched(params["sigma_px"])
        sigma, sharp = params["sigma_px"][blurred], images.index_select(0, blurred)
        height, width = images.shape[-2:]
        blur = {size: blur_matrix(sigma, size) for size in {height, width}}
        along_x = (sharp.flatten(1, 2) @ blur[width]).view_as(sharp)
        return images.index_copy_(0, blurred, blur[height][:, None] @ along_x)


def blur_matrix(sigma_px: torch.Tensor, size_px: int) -> torch.Tensor:
    """Return the matrices that blur a line of pixels with a Gaussian, mirrored at both ends.

    Row i holds the weights of the pixels that make the new pixel i. A line and its mirror image
    close to a ring, and blurred around the ring no light is lost: rows sum to 1, the matrix is
    symmetric, so its columns do too.

    Args:
        sigma_px: (N,), standard deviations in pixels; 0 gives the identity.
        size_px: length of the line.
    Returns:
        float32 (N, size_px, size_px).

    >>> (100 * blur_matrix(torch.tensor([1.0]), 3)[0]).round().int()
    tensor([[64, 30,  6],
            [30, 41, 30],
            [ 6, 30, 64]], dtype=torch.int32)
    """
    distance = torch.arange(2 * size_px + 1, device=sigma_px.device)
    gauss = torch.exp(-0.5 * (distance / sigma_px.clamp_min(1e-3)[:, None]) ** 2)
    ring = (gauss + gauss.flip(1))[:, :-1]  # there are two ways around it
    ring = ring / ring.sum(1, keepdim=True)
    # pixel j lies j - i from pixel i, and its mirror image i + j + 1
    direct = ring.roll(size_px - 1, 1)[:, :-1].unfold(1, size_px, 1).flip(1)
    return direct + ring[:, 1:].unfold(1, size_px, 1)


@dataclass
class SkyNoise(Transform):
    """Add Gaussian noise: up to ``strength`` times the rms of the sky, band by band.

    Claims: the same galaxy in a shorter exposure. False for galaxies already lost in the noise,
    and for bright cores, where the noise is that of the galaxy's own photons. Display units are
    not linear in flux, so there it is only something like noise.

    >>> noise, generator = SkyNoise(sky_rms=(0.02, 0.05), p=1.0), torch.Generator().manual_seed(0)
    >>> drawn = noise.draw((1, 2, 64, 64), generator)
    >>> added = noise.apply(torch.zeros(1, 2, 64, 64), drawn).std(dim=(2, 3))
    >>> bool(torch.allclose(added, drawn["sigma"], rtol=0.05))
    True
    """

    sky_rms: tuple[float, ...]
    strength: float = 1.5
    p: float = 0.5

    def draw(self, shape, generator, device="cpu"):
        """Draw sigmas (N, C), which images get noise (M,), and their unit noise (M, C, H, W)."""
        here = generator.device
        strength = _draw(shape[:1], 0, self.strength, self.p, generator, here)
        noisy = touched(strength)
        unit = torch.randn((len(noisy), *shape[1:]), generator=generator, device=here)
        sigma = torch.stack([strength * rms for rms in self.sky_rms], 1)
        return {"sigma": sigma.to(device), "noisy": noisy.to(device), "unit": unit.to(device)}

    def apply_(self, images, params):
        noise = params["sigma"][params["noisy"]][:, :, None, None] * params["unit"]
        return images.index_add_(0, params["noisy"], noise)


@dataclass
class CutOut(Transform):
    """Replace a square of each image by sky, 0: its side up to ``side`` of the stamp's.

    Claims: no single piece makes the type (DeVries & Taylor 2017); a masked star or a dead column
    is no feature of a galaxy. False where the square covers the whole of a small one.

    >>> drawn = {"centre_px": torch.tensor([[1.0, 1.0]]), "side_px": torch.tensor([2.0])}
    >>> CutOut().apply(torch.ones(1, 1, 3, 3), drawn)[0, 0]
    tensor([[0., 0., 1.],
            [0., 0., 1.],
            [1., 1., 1.]])
    """

    side: float = 0.4
    p: float = 0.5

    def draw(self, shape, generator, device="cpu"):
        height, width = shape[-2:]
        centre = [_draw(shape[:1], 0, size, 1, generator, device) for size in (width, height)]
        side = _draw(shape[:1], 0, self.side * min(height, width), self.p, generator, device)
        return {"centre_px": torch.stack(centre, 1), "side_px": side}

    def apply_(self, images, params):
        height, width = images.shape[-2:]
        x, y = (torch.arange(n, device=images.device) + 0.5 for n in (width, height))
        centre, half = params["centre_px"], params["side_px"][:, None] / 2
        in_x = ((x - centre[:, :1]).abs() < half).float()
        in_y = ((y - centre[:, 1:]).abs() < half).float()
        hole = in_y[:, None, :, None] * in_x[:, None, None]
        return images.mul_(1 - hole)
