"""Hold the transforms against per-image references and against what they claim to be."""

import contextlib
import functools
import math

import numpy as np
import pytest
import torch
from astropy.table import Table
from scipy import ndimage
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as vision

from galclr_utils import galaxy_views, transforms
from galclr_utils.dataset import GalaxySet
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.normalize import Normalize
from galclr_utils.transforms import (
    BandScaling,
    CutOut,
    Orientation,
    Recentre,
    Seeing,
    SkyNoise,
    Zoom,
    blur_matrix,
    compose,
    resample,
    touched,
)

RMS = (0.02, 0.03, 0.05)
STEPS = ("band_scaling", "orientation", "zoom", "recentre", "seeing", "noise", "cutout")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussians(n=6, size=33, sigma=2.5, seed=1):
    """Return compact lopsided sources (n, 3, size, size), far from the edges, as float32."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    stamps = np.zeros((n, 3, size, size), np.float32)
    for stamp in stamps:
        for _ in range(2):
            x0, y0 = rng.uniform(-2, 2, 2)
            blob = np.exp(-((x - x0) ** 2 + 1.5 * (y - y0) ** 2) / 2 / sigma**2)
            stamp += rng.uniform(0.5, 2, (3, 1, 1)) * blob
    return torch.from_numpy(stamps)


def random_stamps(n=8, size=32, seed=2):
    return torch.rand(n, 3, size, size, generator=seeded(seed))


def views(p=0.5, kind="identity", **settings):
    return GalaxyViews(Normalize(kind), RMS, p=p, **settings)


def changed(before, after, tolerance=1e-6):
    """Return which images of a batch differ."""
    return ((before - after).abs() > tolerance).flatten(1).any(1)


# --- geometry against torchvision and scipy, image by image


def test_rotation_and_zoom_match_torchvision():
    images, angles = random_stamps(5), torch.tensor([0.0, 0.3, 1.2, -2.0, 3.0])
    zooms = torch.tensor([1.0, 1.3, 1.25, 1.6, 1.45])
    turn = Orientation().frame({"angle": angles, "mirror": torch.zeros(5, dtype=bool)})
    ours = resample(images, compose(Zoom().frame({"zoom": zooms}), turn))
    inside = slice(9, 23)  # torchvision fills beyond the edge with black, we do not
    for image, angle, zoom, mine in zip(images, angles, zooms, ours, strict=True):
        theirs = vision.affine(
            image, -math.degrees(angle), [0, 0], float(zoom), [0, 0], InterpolationMode.BILINEAR
        )
        torch.testing.assert_close(
            mine[:, inside, inside], theirs[:, inside, inside], atol=2e-5, rtol=0
        )


def test_whole_geometry_matches_scipy_with_mirrored_edges():
    images, geometry = random_stamps(8), views(p=1.0, zoom=1.6, recentre_px=4.0)
    params = geometry.draw(images.shape, seeded(3))
    names = ("orientation", "zoom", "recentre")
    frames = [geometry.steps[name].frame(params[name]) for name in names]
    frame = functools.reduce(compose, frames)
    ours = resample(images, frame)
    swap = np.array([[0, 1], [1, 0]])  # scipy counts (y, x)
    for image, matrix, mine in zip(images.numpy(), frame.double().numpy(), ours, strict=True):
        linear, centre = swap @ matrix[:, :2] @ swap, np.full(2, 15.5)
        offset = centre + swap @ matrix[:, 2] - linear @ centre
        for band, got in zip(image, mine.numpy(), strict=True):
            want = ndimage.affine_transform(band, linear, offset, order=1, mode="reflect")
            np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("order", [1, -1])
def test_one_resampling_is_what_the_steps_do_in_a_row(order):
    images = gaussians(sigma=4.0, size=49)
    steps, random = [Orientation(), Zoom(p=1), Recentre(4.0, p=1)][::order], seeded(4)
    params = [step.draw(images.shape, random) for step in steps]
    in_a_row, frames = images, []
    for step, drawn in zip(steps, params, strict=True):
        in_a_row = step.apply(in_a_row, drawn)
        frames.append(step.frame(drawn))
    together = resample(images, functools.reduce(compose, frames))
    error = (together - in_a_row)[:, :, 14:35, 14:35].abs().max()  # edges are mirrored thrice
    assert float(error) < 0.06 * float(images.max())


def test_quarter_turns_and_mirror_images_are_exact():
    images = random_stamps(2)
    quarter = {"angle": torch.tensor([math.pi / 2] * 2), "mirror": torch.tensor([False, True])}
    turned = Orientation().apply(images, quarter)
    candidates = [torch.rot90(images, k, (2, 3)) for k in (1, 3)]
    errors = [float((turned[0] - c[0]).abs().max()) for c in candidates]
    assert min(errors) < 1e-4
    mirrored = candidates[int(np.argmin(errors))][1]
    errors = [float((turned[1] - mirrored.flip(d)).abs().max()) for d in (1, 2)]
    assert min(errors) < 1e-4


def test_recentre_by_whole_pixels_moves_the_picture_there():
    images = gaussians(n=1)
    moved = Recentre().apply(images, {"shift_px": torch.tensor([[3.0, -2.0]])})
    torch.testing.assert_close(moved, images.roll((-2, 3), (2, 3)), atol=1e-4, rtol=0)


def test_stamps_that_are_not_square_keep_angles():
    images = torch.zeros(1, 3, 21, 41)
    images[:, :, 10, 14:27] = 1  # a horizontal bar, 13 px long
    upright = {"angle": torch.tensor([math.pi / 2]), "mirror": torch.tensor([False])}
    turned = Orientation().apply(images, upright)
    assert (turned[0, 0, 4:17, 20] > 0.99).all()
    assert float(turned.sum()) == pytest.approx(3 * 13, abs=1e-2)


def test_orientation_conserves_flux_and_zoom_surface_brightness():
    images = gaussians(n=32, size=65, sigma=3.0)
    turned = Orientation()(images, seeded())
    flux = images.sum((2, 3))
    torch.testing.assert_close(turned.sum((2, 3)), flux, rtol=2e-3, atol=0)
    zoom = {"zoom": torch.linspace(0.8, 1.25, 32)}
    nearer = Zoom().apply(images, zoom)
    larger = flux * zoom["zoom"][:, None] ** 2  # bilinear sums beat with the pixel grid, by 1%
    torch.testing.assert_close(nearer.sum((2, 3)), larger, rtol=1.5e-2, atol=0)
    peak = nearer.amax((2, 3)) / images.amax((2, 3))
    assert ((peak - 1).abs() < 0.05).all()


def test_no_black_corners():
    sky = torch.full((64, 3, 32, 32), 0.3)
    moved = views(p=1.0, zoom=2.0, recentre_px=8.0).only("orientation", "zoom", "recentre")
    torch.testing.assert_close(moved(sky, seeded()), sky, atol=1e-5, rtol=0)


def test_every_angle_and_both_mirror_images_are_drawn():
    drawn = Orientation().draw((4000, 3, 8, 8), seeded())
    counts = np.histogram(drawn["angle"], bins=8, range=(-math.pi, math.pi))[0]
    assert (abs(counts - 500) < 5 * math.sqrt(500)).all()
    assert abs(float(drawn["mirror"].float().mean()) - 0.5) < 5 * 0.5 / math.sqrt(4000)


# --- light: blur, band scaling, noise, cut-out


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_seeing_matches_scipy(size):
    images = torch.rand(5, 3, *size, generator=seeded())
    sigmas = torch.tensor([0.0, 0.4, 0.8, 1.5, 2.5])
    ours = Seeing().apply(images, {"sigma_px": sigmas})
    for image, sigma, mine in zip(images.numpy(), sigmas, ours.numpy(), strict=True):
        sigma = (0, max(float(sigma), 1e-3), max(float(sigma), 1e-3))
        want = ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=8)
        np.testing.assert_allclose(mine, want, atol=2e-5)


def test_seeing_conserves_flux_and_widens():
    images = gaussians(n=50)
    drawn = Seeing(sigma_px=2.0, p=1.0).draw(images.shape, seeded())
    blurred = Seeing().apply(images, drawn)
    torch.testing.assert_close(blurred.sum((2, 3)), images.sum((2, 3)), rtol=1e-5, atol=0)
    x = torch.arange(33.0) - 16

    def width(stamps):
        profile = stamps.sum((1, 2))
        mean = (profile * x).sum(1) / profile.sum(1)
        return (profile * (x - mean[:, None]) ** 2).sum(1) / profile.sum(1)

    grown = (width(blurred) - width(images))[drawn["sigma_px"] > 0.6]
    torch.testing.assert_close(
        grown, drawn["sigma_px"][drawn["sigma_px"] > 0.6] ** 2, rtol=2e-2, atol=0
    )


def test_blur_matrices_lose_no_light():
    weights = blur_matrix(torch.tensor([0.0, 0.5, 3.0]), 32)
    torch.testing.assert_close(weights[0], torch.eye(32))
    torch.testing.assert_close(weights.sum(1), torch.ones(3, 32), atol=1e-5, rtol=0)
    torch.testing.assert_close(weights.sum(2), torch.ones(3, 32), atol=1e-5, rtol=0)
    torch.testing.assert_close(weights, weights.mT, atol=0, rtol=0)
    wide = blur_matrix(torch.tensor([40.0]), 5)[0]  # the light goes round and round
    torch.testing.assert_close(wide, torch.full((5, 5), 0.2), atol=0.01, rtol=0)


def test_band_scaling_multiplies_whole_bands_within_its_limits():
    images = random_stamps(500) + 0.1
    ratio = BandScaling(strength=0.4, p=1.0)(images, seeded()) / images
    factor = ratio.mean((2, 3))
    torch.testing.assert_close(ratio, factor[:, :, None, None].expand_as(ratio))
    assert 0.6 <= factor.min() < 0.62 and 1.38 < factor.max() <= 1.4
    correlation = np.corrcoef(factor.T.numpy())
    assert abs(correlation - np.eye(3)).max() < 0.2  # each band has its own factor


def test_noise_has_the_drawn_sigma_in_each_band():
    images, step = torch.zeros(300, 3, 32, 32), SkyNoise(RMS, strength=2.0, p=1.0)
    drawn = step.draw(images.shape, seeded())
    noise = step.apply(images, drawn)
    torch.testing.assert_close(noise.std((2, 3)), drawn["sigma"], rtol=0.12, atol=0)
    strength = drawn["sigma"] / torch.tensor(RMS)
    assert 0 <= strength.min() and 1.9 < strength.max() < 2.001
    assert abs(float(noise.mean())) < 1e-3
    z = noise / drawn["sigma"][:, :, None, None]
    between_bands = float((z[:, 0] * z[:, 1]).mean())
    between_images = float((z[1:] * z[:-1]).mean())
    assert abs(between_bands) < 0.01 and abs(between_images) < 0.01


def test_noise_goes_to_the_images_it_was_drawn_for():
    images, step = random_stamps(64), SkyNoise(RMS)
    drawn = step.draw(images.shape, seeded())
    assert torch.equal(changed(images, step.apply(images, drawn), 0), drawn["sigma"][:, 0] > 0)
    assert len(drawn["unit"]) == int((drawn["sigma"][:, 0] > 0).sum()) < 64
    assert torch.equal(drawn["noisy"], drawn["sigma"][:, 0].nonzero()[:, 0])


def test_cut_out_is_one_square_per_image_and_all_bands():
    images, step = torch.ones(200, 3, 32, 32), CutOut(side=0.5, p=1.0)
    drawn = step.draw(images.shape, seeded())
    holes = step.apply(images, drawn) == 0
    assert torch.equal(holes[:, 0], holes[:, 1]) and torch.equal(holes[:, 0], holes[:, 2])
    height, width = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert torch.equal(holes[:, 0].sum((1, 2)), height * width)  # filled rectangles
    centre, half = drawn["centre_px"], drawn["side_px"][:, None] / 2
    within = ((centre > half) & (centre < 32 - half)).all(1)
    assert within.sum() > 50
    for side in (height, width):
        assert ((side - drawn["side_px"])[within].abs() <= 1).all()
    assert 15 < drawn["side_px"].max() <= 16
    assert len({hole.numpy().tobytes() for hole in holes[:, 0]}) > 150  # not one for the batch


def test_cut_outs_reach_every_part_of_a_stamp_that_is_not_square():
    images, step = torch.ones(2000, 1, 24, 40), CutOut(side=0.5, p=1.0)
    rate = (step(images, seeded()) == 0).float().mean((0, 1))
    for row, column in ((12, 3), (12, 36), (2, 20), (22, 20)):
        assert rate[row, column] > 0.015


def test_a_cut_out_is_quiet_and_nothing_is_added_to_it():
    both = views(noise=5.0, cutout=1.0).only("noise", "cutout")
    images = torch.full((50, 3, 32, 32), 0.5)
    params = both.draw(images.shape, seeded())
    hole = both.steps["cutout"].apply(images, params["cutout"]) == 0
    shown = both.apply(images, params)
    assert (shown[hole] == 0).all() and (shown[~hole] > 0).float().mean() > 0.98


# --- rates, independence, repeatability


@pytest.mark.parametrize("name", [s for s in STEPS if s != "orientation"])
@pytest.mark.parametrize("p", [0.2, 0.5])
def test_steps_apply_at_their_rate_and_leave_the_others_alone(name, p):
    n = 3000
    step = views(p=p).steps[name]
    images = torch.rand(1, 3, 16, 16, generator=seeded()).expand(n, -1, -1, -1).contiguous()
    after = step(images, seeded(5))
    touched = changed(images, after, 1e-4)
    # a few applied draws change nothing that can be seen: a sigma near 0, a cut-out below a pixel
    invisible = {"seeing": 0.22, "cutout": 0.16}.get(name, 0.02) * p
    slack = 5 * math.sqrt(p * (1 - p) / n)
    assert p - invisible - slack < float(touched.float().mean()) < p + slack
    # and it is the images, not the batch, that the coin is tossed for
    assert 0.3 < float((touched[1:] ^ touched[:-1]).float().mean()) / (2 * p * (1 - p)) < 1.3


@pytest.mark.parametrize("name", ["zoom", "recentre", "band_scaling", "seeing", "noise", "cutout"])
def test_drawn_rates_are_binomial(name):
    n = 20_000
    neutral = {"zoom": 1.0, "band_scaling": 1.0}.get(name, 0.0)
    key = {"zoom": "zoom", "recentre": "shift_px", "band_scaling": "factor"}
    key |= {"seeing": "sigma_px", "noise": "sigma", "cutout": "side_px"}
    drawn = views().steps[name].draw((n, 3, 1, 1), seeded())[key[name]]
    applied = (drawn.view(n, -1) != neutral).any(1).float().mean()
    assert abs(float(applied) - 0.5) < 5 * 0.5 / math.sqrt(n)


def test_orientation_is_always_applied_and_coins_are_independent():
    n = 4000
    drawn = views().draw((n, 3, 2, 2), seeded())
    assert (drawn["orientation"]["angle"] != 0).all()
    coins = torch.stack(
        [
            drawn["zoom"]["zoom"] != 1,
            drawn["recentre"]["shift_px"][:, 0] != 0,
            drawn["band_scaling"]["factor"][:, 0] != 1,
            drawn["seeing"]["sigma_px"] > 0,
            drawn["noise"]["sigma"][:, 0] > 0,
            drawn["cutout"]["side_px"] > 0,
        ]
    )
    correlation = np.corrcoef(coins.float().numpy())
    assert abs(correlation - np.eye(6)).max() < 5 / math.sqrt(n)


def test_images_of_a_batch_and_the_two_views_differ():
    same = gaussians(n=1).expand(200, -1, -1, -1) / 10
    random = seeded()
    one, other = views()(same, random), views()(same, random)
    assert changed(one, other).all()  # the two views of each galaxy
    assert changed(one[1:], one[:-1]).all()  # neighbours in the batch
    bright = torch.stack([one.mean((1, 2, 3)), other.mean((1, 2, 3))]).numpy()
    assert abs(np.corrcoef(bright)[0, 1]) < 0.25  # draws of one view say nothing about the other


def test_a_view_of_an_image_does_not_depend_on_its_neighbours():
    images = random_stamps(16)
    params = views().draw(images.shape, seeded())
    together = views().apply(images, params)
    strangers = images.clone()
    strangers[1:] = random_stamps(15, seed=9)
    torch.testing.assert_close(views().apply(strangers, params)[0], together[0])


def test_a_large_batch_is_worked_through_in_pieces(monkeypatch):
    monkeypatch.setattr(galaxy_views, "PIECE", 6)
    images, random = random_stamps(16), seeded()
    together = views()(images, seeded())
    pieces = [
        views().apply(some, views().draw(some.shape, random)) for some in images.split([6, 6, 4])
    ]
    torch.testing.assert_close(together, torch.cat(pieces), atol=0, rtol=0)
    assert changed(together[:4], together[6:10]).all()  # every piece has draws of its own
    assert together.is_contiguous(memory_format=torch.channels_last)


def test_a_seed_repeats_the_views():
    images = random_stamps()
    assert torch.equal(views()(images, seeded(7)), views()(images, seeded(7)))
    assert not torch.equal(views()(images, seeded(7)), views()(images, seeded(8)))
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    views()(images, seeded(7))
    assert torch.equal(first, torch.rand(1))  # nothing is drawn from the global generator


def test_the_given_images_stay_as_they_are():
    images = random_stamps()
    before = images.clone()
    for step in views(p=1.0).steps.values():
        after = step(images, seeded())
        assert torch.equal(images, before) and changed(before, after).any()
    kinds = [views(p=1.0, kind=kind) for kind in ("identity", "asinh", "minmax")]
    for make in kinds:
        params = make.draw(images.shape, seeded())
        first = make.apply(images, params)
        assert torch.equal(images, before)
        assert torch.equal(make.apply(images, params), first)  # and so do the parameters


def test_float16_arrays_become_float32_views():
    images = random_stamps().half()
    from_half = views()(images.numpy(), seeded())
    assert from_half.dtype == torch.float32 and from_half.shape == images.shape
    torch.testing.assert_close(from_half, views()(images.float(), seeded()))
    assert 0 <= from_half.min() and from_half.max() <= 1


def test_an_empty_choice_of_steps_shows_the_stamps():
    images = random_stamps()
    torch.testing.assert_close(views().only()(images, seeded()), images, atol=1e-5, rtol=0)
    assert changed(views().only("noise")(images, seeded()), images).all()
    with pytest.raises(ValueError, match="did you mean 'noise'"):
        views().only("nose")
    assert views().only("cutout").steps["cutout"].side == views().cutout


def test_one_band_and_wrong_bands():
    grey = GalaxyViews(Normalize("identity"), sky_rms=[0.02])
    assert grey(torch.rand(2, 1, 16, 16), seeded()).shape == (2, 1, 16, 16)
    with pytest.raises(ValueError, match=r"got shape \(2, 16, 16, 3\), expected \(N, 3, H, W\)"):
        views()(torch.rand(2, 16, 16, 3), seeded())


@pytest.mark.parametrize(
    ("name", "value"), [("zoom", 0.5), ("p", 1.5), ("cutout", "big"), ("band_scaling", -0.1)]
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: got {value!r}"):
        GalaxyViews(Normalize("identity"), RMS, **{name: value})


def test_settings_make_the_same_views_and_repr_shows_them():
    first = GalaxyViews(Normalize("asinh", 0.1, -0.2, 3.0), RMS, zoom=1.4, cutout=0.2)
    settings = dict(first.settings)
    again = GalaxyViews(Normalize(**settings.pop("normalize")), **settings)
    images = random_stamps()
    assert torch.equal(first(images, seeded()), again(images, seeded()))
    assert "zoom=1.4" in repr(first) and "softening=0.1" in repr(first)
    assert repr(SkyNoise(RMS)) == "SkyNoise(sky_rms=(0.02, 0.03, 0.05), strength=1.5, p=0.5)"
    for step in first.steps.values():
        assert "False" in type(step).__doc__ and "Claims:" in type(step).__doc__


# --- normalisation


def test_asinh_is_numpys_within_its_range_and_clips_beyond():
    normalize = Normalize("asinh", softening=0.05, low=-0.1, high=5.0)
    flux = torch.linspace(-0.5, 8, 2000).view(1, 1, 40, 50)
    got = normalize(flux).flatten().numpy()
    bottom, top = np.arcsinh([-0.1 / 0.05, 5 / 0.05])
    want = (np.arcsinh(flux.flatten().numpy() / 0.05) - bottom) / (top - bottom)
    np.testing.assert_allclose(got, want.clip(0, 1), atol=2e-6)
    assert (np.diff(got) >= 0).all() and got.min() < 1e-6 and got.max() == 1


def test_asinh_keeps_colour_and_brightness_in_order():
    normalize = Normalize("asinh", softening=0.05, low=-0.1, high=5.0)
    red = torch.tensor([0.2, 0.4, 0.8]).view(1, 3, 1, 1)
    bands = normalize(red).flatten()
    assert (bands.diff() > 0.05).all()  # the redder band stays brighter: one scale for all
    assert torch.equal(normalize(red.flip(1)).flatten(), bands.flip(0))
    alone = normalize(torch.cat([red, 100 * red]))[:1].flatten()
    assert torch.equal(alone, bands)  # no other galaxy sets the scale


def test_fit_measures_the_survey():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.04, (500, 3, 16, 16)).astype(np.float16)
    images[:, :, 6:10, 6:10] += rng.uniform(1, 8, (500, 1, 1, 1)).astype(np.float16)
    fitted = Normalize.fit(images, "asinh", sky_rms=[0.03, 0.04, 0.05])
    assert fitted.settings == {
        "kind": "asinh",
        "softening": pytest.approx(0.08),
        "low": pytest.approx(-0.12),
        "high": pytest.approx(8, abs=0.3),
    }
    again = Normalize(**fitted.settings)
    stamps = torch.from_numpy(images)
    assert torch.equal(again(stamps), fitted(stamps))
    clipped = (fitted(stamps) >= 1).float().mean()
    assert clipped < 0.002 and float((fitted(stamps) <= 0).float().mean()) < 0.01
    assert Normalize.fit(images, "identity", [0.02] * 3).settings == {"kind": "identity"}


def galaxy_set(units):
    """Return 12 galaxies, 8 of them for training; the others are brighter."""
    images = np.full((12, 3, 8, 8), 0.5, np.float32)
    images[:, :, 3:5, 3:5] = 2.0
    images[8:] *= 100
    split = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    label = np.full(12, -1, np.int8)
    catalog = Table({"id": [f"g{k}" for k in range(12)], "split": split, "label": label})
    return GalaxySet(images, catalog, {"units": units, "bands": ["g", "r", "i"], "sky_rms": RMS})


def test_a_set_gets_the_normalisation_of_its_units_from_training_galaxies():
    flux = GalaxyViews.for_set(galaxy_set("nanomaggy"), zoom=1.1)
    assert flux.normalize.kind == "asinh" and flux.normalize.high == pytest.approx(2.0)
    assert flux.sky_rms == RMS and flux.zoom == 1.1
    assert GalaxyViews.for_set(galaxy_set("display")).normalize.kind == "identity"
    assert GalaxyViews.for_set(galaxy_set("display"), "minmax").normalize.kind == "minmax"
    with pytest.raises(ValueError, match="normalize: got 'lupton'"):
        GalaxyViews.for_set(galaxy_set("display"), "lupton")


def test_a_sky_without_noise_adds_none():
    silent = GalaxyViews(Normalize("identity"), [0.0, 0.0, 0.0], p=1.0).only("noise")
    images = random_stamps()
    torch.testing.assert_close(silent(images, seeded()), images, atol=1e-5, rtol=0)


def test_identity_is_the_identity_in_its_range():
    images = random_stamps()
    assert torch.equal(Normalize("identity")(images), images)
    assert Normalize("identity")(images * 3 - 1).max() == 1


def test_minmax_scales_the_bands_jointly():
    images = 5 * random_stamps() - 1
    images[:, 2] *= 0.5
    scaled = Normalize("minmax")(images)
    assert torch.equal(scaled.amax((1, 2, 3)), torch.ones(8))
    assert torch.equal(scaled.amin((1, 2, 3)), torch.zeros(8))
    assert scaled[:, 2].max() < 0.8
    sky = torch.full((1, 3, 8, 8), 0.2)
    assert torch.equal(Normalize("minmax")(sky), torch.zeros_like(sky))


def test_minmax_takes_its_scale_before_noise_and_cut_out():
    images = gaussians(n=20)
    images[:, :, 16, 16] += 20  # sets the scale, and a cut-out may remove it
    plain = Normalize("minmax")(images)
    cut = views(kind="minmax", cutout=1.0).only("cutout")(images, seeded())
    sky = Normalize("minmax")(torch.zeros_like(images), images)
    assert (((cut - plain).abs() < 1e-4) | ((cut - sky).abs() < 1e-4)).all()
    assert (cut.amax((1, 2, 3)) < 0.5).any()  # somewhere it was removed, and the rest stayed
    noisy = views(kind="minmax", noise=50.0).only("noise")(images, seeded())
    edge = (slice(None), slice(None), slice(0, 4))
    assert float((noisy - plain)[edge].median()) == pytest.approx(0, abs=0.01)


def test_minmax_takes_its_scale_after_band_scaling():
    scaled = views(kind="minmax").only("band_scaling")(gaussians(n=20), seeded())
    brightest = scaled.amax((1, 2, 3))
    torch.testing.assert_close(brightest, torch.ones(20), atol=1e-5, rtol=0)
    assert (scaled == 1).flatten(1).sum(1).max() <= 2  # the scale fits: nothing is clipped


def test_minmax_does_not_follow_a_star_that_is_turned_out_of_the_picture():
    images = gaussians(n=50)
    images[:, :, 0, 0] = 40  # in a corner: most angles lose it
    turned = views(kind="minmax").only("orientation")(images, seeded())
    assert (turned.amax((1, 2, 3)) < 0.5).sum() > 10
    core = turned[:, :, 14:19, 14:19].amax((1, 2, 3)) * 40
    torch.testing.assert_close(core, images[:, :, 14:19, 14:19].amax((1, 2, 3)), rtol=0.1, atol=0)


def test_wrong_normalisations_are_refused():
    with pytest.raises(ValueError, match="did you mean 'minmax'"):
        Normalize("min-max")
    with pytest.raises(ValueError, match=r"softening: got 0\.0"):
        Normalize("asinh", softening=0.0)
    with pytest.raises(ValueError, match=r"high: got -1\.0"):
        Normalize("asinh", low=0.0, high=-1.0)


# --- accelerators: the host runs ahead of them and never waits


class OnAccelerator(torch.Generator):
    """A generator that claims to live on "meta", where tensors have shapes but no numbers."""

    device = torch.device("meta")


class NoNumbersFromLists(TorchFunctionMode):
    """Fail where a small tensor is made of Python numbers, which an accelerator must wait for."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func not in (torch.tensor, torch.Tensor.new_tensor), f"host to device: {func}"
        return func(*args, **(kwargs or {}))


class NoTransfers(TorchDispatchMode):
    """Fail where a tensor leaves "meta", comes to it, or has a shape that depends on numbers."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)]
        assert {t.device.type for t in tensors} <= {"meta"}, f"between host and device: {func}"
        if "index" in str(func):
            assert not any(t.dtype == torch.bool for t in tensors), f"indexed by a mask: {func}"
        return out


@contextlib.contextmanager
def never_waiting():
    """Let only through what an accelerator can be told to do without waiting for it."""
    with NoNumbersFromLists(), NoTransfers():
        yield


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: int(x.sum()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.index_put_((x > 0,), x.new_zeros(())),
        lambda x: x.masked_select(x > 0),
        lambda x: x.new_tensor([1.0, 2.0]),
        lambda x: torch.tensor([1.0, 2.0], device=x.device),
        lambda x: x * torch.ones(4).to(x.device),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: bool((x > 0).any()),
    ],
)
def test_waiting_for_an_accelerator_would_be_noticed(wait):
    with pytest.raises((AssertionError, RuntimeError, NotImplementedError)), never_waiting():
        wait(torch.ones(4, device="meta"))


@pytest.mark.parametrize("kind", ["identity", "asinh", "minmax"])
def test_views_on_an_accelerator_never_wait_for_it(kind):
    images = torch.empty(5, 3, 24, 32, dtype=torch.float16, device="meta")
    with never_waiting():
        made = views(kind=kind)(images, OnAccelerator())
    assert made.device.type == "meta" and made.shape == images.shape
    assert made.dtype == torch.float32


def test_an_accelerator_works_on_all_images_and_makes_the_same_views(monkeypatch):
    assert len(touched(torch.empty(5, device="meta"))) == 5
    images, make = random_stamps(32), views()
    few = make.draw(images.shape, seeded())
    expected = make.apply(images, few)
    unit = torch.randn(images.shape, generator=seeded(1))
    unit[few["noise"]["noisy"]] = few["noise"]["unit"]
    every = {"sigma": few["noise"]["sigma"], "noisy": torch.arange(32), "unit": unit}
    assert 0 < len(few["noise"]["noisy"]) < 32 and (few["seeing"]["sigma_px"] == 0).any()
    monkeypatch.setattr(transforms, "touched", lambda values: torch.arange(len(values)))
    torch.testing.assert_close(make.apply(images, few | {"noise": every}), expected)
    assert len(make.draw(images.shape, seeded())["noise"]["unit"]) == 32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_cpu_generator_makes_the_same_views_on_a_gpu():
    images = random_stamps(64)
    here = views()(images, seeded())
    there = views()(images.cuda(), seeded())
    torch.testing.assert_close(there.cpu(), here, atol=1e-3, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_never_waited_for_and_its_views_can_be_captured():
    images, on_device = random_stamps(64).half().cuda(), torch.Generator("cuda").manual_seed(0)
    make = views(kind="asinh")
    first = make(images, on_device)
    again = make(images, on_device.manual_seed(0))
    assert first.device.type == "cuda" and torch.equal(first, again)
    torch.cuda.set_sync_debug_mode("error")
    try:
        other = make(images, on_device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert changed(first, other).all()
    graph = torch.cuda.CUDAGraph()
    graph.register_generator_state(on_device)
    with torch.cuda.graph(graph):
        captured = make(images, on_device)
    replays = []
    for _ in range(2):
        graph.replay()
        replays.append(captured.clone())
    assert changed(*replays).all() and 0 <= replays[1].min() and replays[1].max() <= 1
