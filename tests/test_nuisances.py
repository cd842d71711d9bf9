"""A property is found where it is and not where it is not; what is invariant is found to be so."""

import numpy as np
import pytest
import torch
from astropy.table import Table

from galclr_utils import GalaxySet, nuisances
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.normalize import Normalize

CARD = {"units": "nanomaggy", "bands": ["g", "r", "i"], "sky_rms": [0.05] * 3}


def test_a_property_is_found_where_it_is_and_not_where_it_is_not():
    random = np.random.default_rng(3)
    x = random.normal(size=(600, 8))
    half = x[:, 0] + random.normal(size=600)  # half of its variance is in x
    found = nuisances.nuisance_r2(x, half)
    assert found["low"] < 0.5 < found["high"] and found["mean"] == pytest.approx(0.5, abs=0.08)
    assert nuisances.nuisance_r2(x, random.normal(size=600))["mean"] < 0.02
    assert nuisances.nuisance_r2(x, half * 100 + 7)["mean"] == pytest.approx(found["mean"])
    circle = np.hypot(x[:, 0], x[:, 1])
    flat = x[:, :2]
    assert nuisances.nuisance_r2(flat, circle)["mean"] < 0.05, "no line finds a radius"
    cosine = flat[:, 0] / circle  # neighbours by direction find the direction
    assert nuisances.nuisance_r2(flat, cosine, kind="knn")["mean"] > 0.95


def test_every_property_is_asked_of_every_space():
    x = np.random.default_rng(6).normal(size=(200, 3))
    table = nuisances.nuisance_table(
        {"all": x, "none": 0 * x}, {"first": x[:, 0], "same": x[:, 0] * 0}
    )
    found = {(r["group"], r["method"]): r["mean"] for r in table}
    assert found["first", "all"] > 0.99 and found["first", "none"] < 0.01
    assert np.isnan(found["same", "all"]) and len(found) == 4


def test_what_is_constant_or_unknown_has_no_r2():
    x = np.random.default_rng(4).normal(size=(100, 3))
    assert np.isnan(nuisances.nuisance_r2(x, np.ones(100))["mean"])
    values = np.where(np.arange(100) < 90, np.nan, 1.0 * np.arange(100))
    assert nuisances.nuisance_r2(x, values)["n_galaxies"] == 10
    with pytest.raises(ValueError, match="as many"):
        nuisances.nuisance_r2(x, values[:5])


def test_nuisances_of_stamps_count_neighbours_and_noise():
    random = np.random.default_rng(5)
    y, x = np.mgrid[:32, :32] - 15.5
    galaxy = np.exp(-(x**2 + y**2) / 8)
    star = np.exp(-((x - 9) ** 2 + (y - 9) ** 2) / 2)
    light = np.stack([galaxy, galaxy + star])[:, None].repeat(3, 1)
    images = np.concatenate([light, light]).astype(np.float32)
    noise = random.normal(size=images.shape).astype(np.float32)
    images[:2] += 0.002 * noise[:2]
    images[2:] += 0.02 * noise[2:]
    catalog = Table({"id": list("abcd"), "label": [0] * 4, "split": ["test"] * 4})
    catalog["psf_fwhm"] = [1.0, 2.0, 3.0, 4.0]
    found = nuisances.nuisances(GalaxySet(images, catalog, CARD), [0, 1, 2, 3])
    assert set(found) == {"psf_fwhm", "sky_noise", "neighbour_light", "n_neighbours"}
    assert found["n_neighbours"].tolist() == [0, 1, 0, 1]
    share = star.sum() / (star + galaxy).sum()
    assert found["neighbour_light"][1] == pytest.approx(share, abs=0.03)
    assert found["neighbour_light"][0] == 0
    assert np.diff(found["sky_noise"])[1] == pytest.approx(1, abs=0.15), "ten times the noise"


class Brightness(Encoder):
    """See the mean of all pixels, and nothing else: blind to where they are."""

    def forward(self, normalised):
        return normalised.mean(dim=(1, 2, 3))[:, None].repeat(1, self.representation_dim)


def test_who_sees_the_brightness_only_is_blind_to_mirrors_and_not_to_zoom():
    random = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] - 15.5
    size = random.uniform(2, 5, (200, 1, 1, 1))
    images = np.exp(-np.hypot(x, y)[None, None] / size).repeat(3, 1).astype(np.float32)
    views = GalaxyViews(Normalize("identity"), sky_rms=[0.02] * 3, zoom=1.5)
    encoder = Brightness("cnn4", 2)
    still = nuisances.moved(encoder, views, images, "orientation")
    zoom = nuisances.moved(encoder, views, images, "zoom")
    assert still["distance"] < 0.05 and still["cosine"] > 0.99
    assert zoom["distance"] > 5 * still["distance"] and zoom["r2"] > 0.5 > still["r2"]


def test_every_step_has_numbers_that_were_drawn():
    views = GalaxyViews(Normalize("identity"), sky_rms=[0.02] * 3)
    for step in views.steps:
        params = views.only(step).draw((50, 3, 16, 16), torch.Generator().manual_seed(0))
        drawn = nuisances._numbers(step, params[step])
        assert drawn.shape[0] == 50 and (drawn.std(axis=0) > 0).all(), step
