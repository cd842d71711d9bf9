"""The data set on disk and its splits."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galclr_utils import GalaxySet
from galclr_utils.dataset import assign_splits, bin_pixels, centre_crop, plain_table


def make(n=6, **columns):
    rng = np.random.default_rng(0)
    catalog = Table(
        {
            "id": [f"galaxy-{k}" for k in range(n)],
            "split": ["train", "val", "test"] * (n // 3),
            "label": np.array([0, 1, -1] * (n // 3), np.int8),
            **columns,
        }
    )
    card = {"units": "nanomaggy", "bands": ["g", "r", "i"], "source": "noise"}
    return GalaxySet(rng.normal(size=(n, 3, 8, 8)).astype(np.float16), catalog, card)


def test_a_saved_set_comes_back_as_it_was(tmp_path):
    z = MaskedColumn([0.1, 0.2, 0.3, 0, 0, 0], mask=[0, 0, 0, 1, 1, 1])
    count = MaskedColumn([1, 2, 3, 0, 0, 0], mask=[0, 0, 0, 1, 1, 1])
    empty = np.array([""] * 6)
    small = np.array([-1, 0, 1, 2, 3, 4], np.int8)
    before = make(z=z, count=count, note=empty, small=small)
    after = GalaxySet.load(before.save(tmp_path / "dataset"))
    np.testing.assert_array_equal(after.images, before.images)
    assert after.images.dtype == np.float16 and isinstance(after.images, np.memmap)
    assert after.labels.tolist() == [0, 1, -1, 0, 1, -1] and after.labels.dtype == np.int8
    assert after.catalog["id"].tolist() == before.catalog["id"].tolist()
    assert after.catalog["small"].tolist() == small.tolist()
    assert np.isnan(after.catalog["z"][3:]).all() and after.catalog["z"][0] == pytest.approx(0.1)
    assert np.isnan(after.catalog["count"][5])
    assert all(after.catalog[c].dtype.isnative for c in after.catalog.colnames)
    assert len(after.card["sha256"]) == 64
    assert not isinstance(GalaxySet.load(tmp_path / "dataset", mmap=False).images, np.memmap)


def test_splits_and_labels_are_found():
    galaxies = make()
    assert galaxies.indices("val").tolist() == [1, 4]
    assert galaxies.labelled("train").tolist() == [0, 3]
    assert galaxies.labelled("test").tolist() == []
    assert "2 galaxies" not in repr(galaxies) and "train 2, val 2, test 2" in repr(galaxies)
    with pytest.raises(ValueError, match="split: got 'all'"):
        galaxies.indices("all")


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (np.zeros((6, 8, 8, 3), np.float32), r"got \(N, H, W, 3\).*use images.transpose\(0, 3, 1"),
        (np.zeros((6, 4, 8, 8), np.float32), r"expected \(N, 3, H, W\)"),
        (np.zeros((6, 3, 8, 9), np.float32), "square"),
        (np.zeros((0, 3, 8, 8), np.float32), "empty set"),
        (np.zeros((5, 3, 8, 8), np.float32), "5 images but 6"),
        (np.zeros((6, 3, 8, 8), np.float64), "float64"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, match):
    good = make()
    with pytest.raises(ValueError, match=match):
        GalaxySet(images, good.catalog, good.card)


@pytest.mark.parametrize(
    ("column", "row", "value", "match"),
    [
        ("label", 2, 3, "row 2: got label"),
        ("split", 1, "eval", "row 1: got split"),
        ("id", 4, "galaxy-0", "'galaxy-0' appears more than once"),
    ],
)
def test_rows_that_do_not_fit_are_refused(column, row, value, match):
    good = make()
    catalog = good.catalog.copy()
    catalog[column][row] = value
    with pytest.raises(ValueError, match=match):
        GalaxySet(good.images, catalog, good.card)


@pytest.mark.filterwarnings("ignore:Error validating header")  # astropy, of half a table
@pytest.mark.parametrize("name", ["images.npy", "catalog.fits", "card.json"])
def test_a_broken_set_is_named(tmp_path, name):
    folder = make().save(tmp_path / "dataset")
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="dataset"):
        GalaxySet.load(folder)


def test_a_failed_save_leaves_the_old_set(tmp_path):
    before = make()
    before.save(tmp_path / "dataset")
    worse = make()
    worse.catalog["strange"] = [complex(0, 1)] * 6
    worse.catalog["object"] = [{"a": 1}] * 6
    worse.card["sky"] = {1: object()}
    worse.card["loop"] = worse.card
    with pytest.raises(ValueError):
        worse.save(tmp_path / "dataset")
    assert len(GalaxySet.load(tmp_path / "dataset")) == 6
    assert [p.name for p in tmp_path.iterdir()] == ["dataset"]


def test_plain_table_is_native_text_without_masks():
    big = Table({"x": np.array([1.5], ">f8"), "s": np.array([b"early"])})
    plain = plain_table(big)
    assert plain["x"].dtype.isnative and plain["s"][0] == "early"


def test_binning_sums_flux_or_averages_brightness():
    images = np.random.default_rng(0).random((4, 3, 12, 12)).astype(np.float32)
    summed, mean = bin_pixels(images, 3, "sum"), bin_pixels(images, 3, "mean")
    np.testing.assert_allclose(summed.sum((2, 3)), images.sum((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(mean, summed / 9, rtol=1e-5)
    np.testing.assert_allclose(summed[1, 2, 0, 3], images[1, 2, :3, 9:].sum(), rtol=1e-5)
    with pytest.raises(ValueError, match="binning by 5"):
        bin_pixels(images, 5, "sum")


def test_the_crop_keeps_the_centre():
    image = np.zeros((1, 1, 9, 9))
    image[0, 0, 4, 4] = 1
    assert centre_crop(image, 3)[0, 0, 1, 1] == 1
    with pytest.raises(ValueError, match="at most 9"):
        centre_crop(image, 10)


def test_a_galaxy_keeps_its_split_when_others_come():
    ids = [f"g{k}" for k in range(3000)]
    few, _ = assign_splits(Table({"id": ids[:1000]}), 0.1, 0.2)
    many, _ = assign_splits(Table({"id": ids[::-1]}), 0.1, 0.2)
    assert (many[::-1][:1000] == few).all()
    assert np.mean(many == "test") == pytest.approx(0.2, abs=0.03)
    assert np.mean(many == "val") == pytest.approx(0.1, abs=0.03)


def test_given_splits_stay_and_the_missing_one_is_carved_from_train():
    given = np.array(["train"] * 800 + ["test"] * 100 + [""] * 100)
    split, _ = assign_splits(Table({"id": np.arange(1000), "split": given}), 0.1, 0.2)
    assert (split[800:900] == "test").all() and (split == "test").sum() == 100
    assert 0.06 < np.mean(split[given != "test"] == "val") < 0.14
    both = np.array(["train", "val", "test"] * 5)
    split, _ = assign_splits(Table({"id": np.arange(15), "split": both}), 0.4, 0.4)
    assert (split == both).all()


def test_neighbours_on_the_sky_share_a_split():
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(100, 120, 4000), rng.uniform(0, 20, 4000)
    split, by = assign_splits(Table({"id": np.arange(4000), "ra": ra, "dec": dec}), 0.1, 0.2)
    assert by == "sky block"
    block = np.floor(dec) * 1000 + np.floor(ra * np.cos(np.radians(np.floor(dec) + 0.5)))
    assert all(len(set(split[block == b])) == 1 for b in np.unique(block))
    assert set(split) == {"train", "val", "test"}


def test_a_galaxy_without_coordinates_is_carved_by_its_id():
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(100, 120, 3000), rng.uniform(0, 20, 3000)
    everywhere, _ = assign_splits(Table({"id": np.arange(3000), "ra": ra, "dec": dec}), 0.1, 0.2)
    by_id, _ = assign_splits(Table({"id": np.arange(3000)}), 0.1, 0.2)
    ra[:500] = dec[200:700] = np.nan
    split, by = assign_splits(Table({"id": np.arange(3000), "ra": ra, "dec": dec}), 0.1, 0.2)
    assert by == "sky block"
    assert (split[:700] == by_id[:700]).all() and (split[700:] == everywhere[700:]).all()
    ra[:] = np.nan
    split, by = assign_splits(Table({"id": np.arange(3000), "ra": ra, "dec": dec}), 0.1, 0.2)
    assert by == "id" and (split == by_id).all()


def test_long_whole_numbers_with_gaps_keep_their_digits():
    long = MaskedColumn([587722952767439453, 0, 7], mask=[False, True, False])
    plain = plain_table(Table({"specobjid": long}))
    assert plain["specobjid"].tolist() == ["587722952767439453", "", "7"]
    whole = plain_table(Table({"specobjid": long.data.data}))
    assert whole["specobjid"].dtype == np.int64


def test_a_label_is_never_changed_into_another():
    for value in (0.7, 256, -2, np.nan):
        labels = plain_table(Table({"label": [0, 1, value]}))["label"]
        np.testing.assert_array_equal(labels, [0, 1, value])
    assert plain_table(Table({"label": [0.0, 1.0, -1.0]}))["label"].dtype == np.int8
