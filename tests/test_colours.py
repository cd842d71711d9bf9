"""Colours are measured above the sky, and change as asked; nothing else changes."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, colours

CARD = {"units": "nanomaggy", "bands": ["g", "r", "i"]}


@pytest.fixture(scope="module")
def stamps(galaxies):
    return np.asarray(galaxies.images[:32], np.float32)


def test_without_catalogue_colours_the_stamp_has_one():
    images = np.zeros((2, 3, 24, 24), np.float32) + 0.3  # a sky that must not count
    images[:, :, 10:14, 10:14] += np.reshape([1.0, 1.0, 1.0], (3, 1, 1))
    images[1, 0, 10:14, 10:14] += 1.512  # g is 1 mag brighter than r
    catalog = Table({"id": ["a", "b"], "label": [0, 1], "split": ["train"] * 2})
    values, name = colours.colour(GalaxySet(images, catalog, CARD))
    assert values == pytest.approx([0, -1], abs=0.01) and "stamp" in name
    one = GalaxySet(images[:, :1], catalog, CARD | {"bands": ["r"]})
    with pytest.raises(ValueError, match="one band has no colour"):
        colours.colour(one)


def test_recolouring_gives_the_asked_colour_and_keeps_the_light(stamps):
    wanted = np.array([0.2, 0.3, 0.5])
    changed = colours.recolour(stamps, wanted, {"units": "nanomaggy"})
    assert colours.band_shares(changed) == pytest.approx(
        np.tile(wanted, (len(stamps), 1)), abs=0.02
    )
    light = colours.band_light(stamps).sum(1)
    assert colours.band_light(changed).sum(1) == pytest.approx(light, rel=0.03)
    own = colours.recolour(stamps, colours.band_shares(stamps), {"units": "nanomaggy"})
    assert np.abs(own - stamps).max() < 1e-3, "its own colour changes nothing"


def test_without_colour_all_bands_show_one_picture(stamps):
    flat = colours.luminance(stamps, [0.2, 0.3, 0.5], {"units": "nanomaggy"})
    sky = colours.sky_level(stamps)[..., None, None]
    assert np.allclose((flat - sky)[:, 0] / 0.2, (flat - sky)[:, 2] / 0.5, atol=1e-3)
    picture = colours.recolour(stamps.clip(0, 1), [0.8, 0.1, 0.1], {"units": "display"})
    assert picture.min() >= 0 and picture.max() <= 1


def test_partners_are_of_the_other_type():
    labels = np.array([0, 0, 1, 1, 1])
    partner = colours.partners(labels, seed=4)
    assert (labels[partner] == 1 - labels).all()
    with pytest.raises(ValueError, match="one class only"):
        colours.partners([1, 1])
