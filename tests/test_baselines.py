"""Baselines learn from what they may see, and from nothing else."""

import numpy as np
import pytest
import torch
from conftest import blobs
from sklearn.decomposition import PCA

from galclr_utils import baselines
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder
from galclr_utils.normalize import Normalize


@pytest.fixture(scope="module")
def galaxies():
    return blobs()


def test_pca_is_that_of_the_training_pixels(galaxies):
    found = baselines.pca_features(galaxies, Normalize("identity"), n_components=5)
    pixels = galaxies.images.reshape(len(galaxies), -1).astype(np.float32)
    pca = PCA(5).fit(pixels[galaxies.indices("train")])
    assert found.shape == (240, 5) and found.dtype == np.float32
    assert np.allclose(np.abs(found), np.abs(pca.transform(pixels)), atol=0.02)


def test_pca_does_not_look_at_test_galaxies(galaxies):
    changed = GalaxySet(galaxies.images.copy(), galaxies.catalog, galaxies.card)
    changed.images[galaxies.indices("test")] = 1.0
    train = galaxies.indices("train")
    a, b = (
        baselines.pca_features(g, Normalize("identity"), n_components=4)[train]
        for g in (galaxies, changed)
    )
    assert np.array_equal(a, b)


def test_pca_is_clamped_to_what_there_is_and_limited_in_memory(galaxies):
    few = baselines.pca_features(galaxies, Normalize("identity"), n_components=64, n_fit=10)
    assert few.shape == (240, 10)
    with pytest.raises(ValueError, match="n_components: got 0"):
        baselines.pca_features(galaxies, Normalize("identity"), n_components=0)


def test_more_components_miss_less_of_any_stamp(galaxies):
    few, more = (baselines.Pixels(galaxies, Normalize("identity"), n) for n in (5, 50))
    turned = np.rot90(galaxies.images[:20], axes=(2, 3))
    assert few.embed(turned).shape == (20, 5)
    assert more.error(turned).mean() < 0.95 * few.error(turned).mean()


def test_the_random_control_is_treated_as_the_trained_encoder_was(galaxies):
    """Where h is computed from the pooled features, it is for the control, too."""
    like = Encoder("cnn4", 16).set_principal(galaxies.images[:50])
    control = baselines.random_encoder(galaxies, like, seed=1)
    h = control.embed(galaxies.images[galaxies.indices("train")])
    assert control.principal and abs(h.mean(axis=0)).max() < 1e-4
    assert (np.diff(h.var(axis=0)) <= 1e-9).all(), "axes of falling variance"
    assert not baselines.random_encoder(galaxies, Encoder("cnn4", 16), seed=1).principal


def test_the_random_encoder_is_in_range_and_repeats(galaxies):
    a, b, c = (
        baselines.random_encoder(galaxies, Encoder("cnn4", 16), seed=s).embed(
            galaxies.images[:50], orientations=1
        )
        for s in (0, 0, 1)
    )
    assert np.array_equal(a, b) and not np.allclose(a, c)
    assert a.shape == (50, 16) and 1e-3 < a.std() < 100


def test_catalogue_features_are_filled_from_training_galaxies(galaxies):
    catalog = galaxies.catalog.copy()
    catalog["g_r"][:3] = [np.nan, np.inf, 0.5]
    holed = GalaxySet(galaxies.images, catalog, galaxies.card)
    x, reason = baselines.catalogue_features(holed, ["g_r"])
    train = np.asarray(catalog["g_r"])[3:160]
    assert reason == "" and x[0, 0] == x[1, 0] == pytest.approx(np.median([*train, 0.5]))
    assert np.isfinite(x).all() and x[2, 0] == 0.5


def test_what_the_catalogue_lacks_is_said(galaxies):
    features, reasons = baselines.photometry(galaxies)
    assert list(features) == ["colour"] and features["colour"].shape == (240, 2)
    assert reasons == {"catalogue": "the catalogue has no mag_r, r50, concentration"}
    catalog = galaxies.catalog.copy()
    catalog["g_r"][:100] = np.nan
    features, reasons = baselines.photometry(GalaxySet(galaxies.images, catalog, galaxies.card))
    assert "too few galaxies have g_r (58%)" in reasons["colour"]
    assert list(features) == ["band means"]
    assert np.allclose(features["band means"], galaxies.images.mean(axis=(2, 3), dtype="f4"))


def test_a_full_catalogue_gives_five_numbers(galaxies):
    catalog = galaxies.catalog.copy()
    for name in ("mag_r", "r50", "concentration"):
        catalog[name] = np.arange(240.0)
    features, reasons = baselines.photometry(GalaxySet(galaxies.images, catalog, galaxies.card))
    assert features["catalogue"].shape == (240, 5) and reasons == {}


def test_the_random_encoder_moves_before_it_is_calibrated(galaxies, monkeypatch):
    monkeypatch.setattr(baselines, "best_device", lambda: torch.device("meta"))
    monkeypatch.setattr(baselines.Encoder, "calibrate_batch_norm", lambda encoder, _: encoder)
    encoder = baselines.random_encoder(galaxies, Encoder())
    assert {p.device.type for p in encoder.parameters()} == {"meta"}
