"""Galaxies that appear twice."""

import numpy as np
import pytest
from astropy.table import Table
from scipy.ndimage import gaussian_filter

import galclr_utils.duplicates as copies
from galclr_utils.catalogs import read_catalog
from galclr_utils.duplicates import (
    ENOUGH,
    SIMILAR,
    duplicates,
    near_identical,
    same_position,
)


def galaxies_and_copies(n=1500, copies=12):
    """Return smooth galaxies that look alike, and blurred, fainter, noisy copies of some."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] - 15.5
    images = np.empty((n + copies, 3, 32, 32), np.float32)
    for k in range(n):
        q, size, angle = rng.uniform(0.4, 1), rng.uniform(2, 5), rng.uniform(0, np.pi)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        light = np.exp(-np.hypot(u, v / q) / size)
        spots = np.zeros((32, 32))
        spots[tuple(rng.integers(0, 32, (2, 6)))] = rng.exponential(0.5, 6)
        light = light + gaussian_filter(spots, 1)
        images[k] = light * rng.uniform(0.6, 1, (3, 1, 1))
    for c in range(copies):
        images[n + c] = 0.9 * gaussian_filter(images[c * 10], (0, 0.5, 0.5))
    return images + rng.normal(0, 0.005, images.shape).astype(np.float32)


def test_copies_are_found_among_galaxies_that_look_alike():
    images = galaxies_and_copies()
    small = images.reshape(-1, 3, 16, 2, 16, 2).mean((3, 5)).reshape(len(images), -1)
    alike = np.triu(np.corrcoef(small), 1)[:1500, :1500] > SIMILAR
    assert alike.sum() > 100, "without galaxies that look alike this test is too easy"
    pairs = {tuple(p) for p in near_identical(images.astype(np.float16)).tolist()}
    expected = {(10 * c, 1500 + c) for c in range(12)}
    assert len(pairs & expected) >= 11
    assert len(pairs - expected) <= 1


def test_few_galaxies_need_an_exact_copy_and_blank_stamps_equal_nothing():
    images = galaxies_and_copies(40, 2)
    images[7] = images[3] * 1.0001
    images[20:23] = 0.5
    assert near_identical(images).tolist() == [[3, 7]]


def test_the_test_copy_stays():
    images = np.random.default_rng(0).normal(size=(5, 3, 16, 16)).astype(np.float32)
    images = images[[0, 0, 1, 1, 2]]
    catalog = Table(
        {
            "id": list("abcde"),
            "label": [0, -1, -1, 1, -1],
            "split": ["train", "test", "train", "train", "train"],
        }
    )
    found = duplicates(images, catalog)
    assert found["near-identical pixels"].tolist() == [0, 2]
    catalog["split"][:2] = "test"  # two test galaxies that look the same both stay
    assert duplicates(images, catalog)["near-identical pixels"].tolist() == [2]


def test_the_same_id_and_the_same_position_are_dropped_once():
    images = np.random.default_rng(0).normal(size=(4, 3, 16, 16)).astype(np.float32)
    catalog = Table({"id": ["a", "b", "a", "d"], "label": [-1, 0, 1, -1]})
    catalog["ra"], catalog["dec"] = [10.0, 20.0, 30.0, 20.0002], [5.0, 0.0, 5.0, 0.0]
    found = {reason: rows.tolist() for reason, rows in duplicates(images, catalog).items()}
    assert found == {"same id": [0], "same position": [3], "near-identical pixels": []}


def test_positions_wrap_meet_at_the_pole_and_may_be_unknown():
    sky = Table({"ra": [0.0, 180.0, np.nan, 50.0], "dec": [89.9999, 89.9999, 0.0, 0.0]})
    assert same_position(sky).tolist() == [[0, 1]]
    assert len(same_position(Table({"id": [1, 2]}))) == 0


def test_in_flux_only_the_same_pixels_are_copies():
    images = 50 * galaxies_and_copies(2000, 10)  # bright and alike, each with its own noise
    images[-10:-5] = images[:50:10]
    assert near_identical(images.astype(np.float16), flux=True).tolist() == [
        [10 * k, 2000 + k] for k in range(5)
    ]


def test_positions_that_were_not_measured_are_not_the_same(tmp_path):
    lines = ["id,ra,dec", "a,-999,-999", "b,-999,-999", "c,-9999.0,12", "d,-9999.0,12"]
    (tmp_path / "c.csv").write_text("\n".join(lines))
    assert len(same_position(read_catalog(tmp_path / "c.csv"))) == 0


@pytest.mark.parametrize("flux", [False, True])
@pytest.mark.parametrize("level", [0.0, 0.5, 1234.567])
def test_blank_stamps_equal_nothing_in_any_number(flux, level):
    blank = np.full((ENOUGH + 1, 3, 16, 16), level, np.float32)
    assert near_identical(blank, flux).shape == (0, 2)
    assert near_identical(blank[:50], flux).shape == (0, 2)
    few = np.random.default_rng(0).normal(level, 0.1, (20, 3, 16, 16)).astype(np.float32)
    few[19] = few[4]
    found = near_identical(np.concatenate([blank, few]), flux)
    assert found.tolist() == [[ENOUGH + 5, ENOUGH + 20]]


def test_the_trees_find_what_all_pairs_give(monkeypatch):
    random = np.random.default_rng(3)
    z = random.normal(size=(6000, 128)).astype(np.float32)
    z[1000:1200] = 0.95 * z[:200] + 0.31 * random.normal(size=(200, 128))
    z[2000:2040] = z[0]  # forty copies of one
    found = copies._neighbours(z, 0.85)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    np.testing.assert_array_equal(found, np.argwhere(np.triu(unit @ unit.T, 1) > 0.85))
    assert len(found) > 200 + 40 * 41 // 2
    monkeypatch.setattr(copies, "TREES", 1)
    assert len(copies._neighbours(z, 0.85)) < len(found), "one tree parts some"
