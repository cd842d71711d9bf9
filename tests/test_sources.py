"""From any source to the data set of a run."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galclr_utils import GalaxySet, simulate
from galclr_utils.dataset import bin_pixels, centre_crop
from galclr_utils.sources import open_source, prepare, survey_size, unlabelled

RNG = np.random.default_rng(99)


def user_files(folder, n=120, split=True, dtype=np.uint8, seed=0):
    """Write images.npz and catalog.csv of n galaxies; return the images and what prepare needs."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 3, 24, 24), dtype=np.uint8)
    images = images if dtype == np.uint8 else rng.normal(0, 0.5, images.shape).astype(dtype)
    ids = np.arange(n) + 10**6 * (seed + 1)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "images.npz", images=images, objid=ids)
    lines = ["objid,label,split" if split else "objid,label"]
    for k, name in enumerate(ids):
        row = [name, ("early", "late", "")[k % 3], "val" if k % 4 == 0 else "train"]
        lines.append(",".join(map(str, row if split else row[:2])))
    (folder / "catalog.csv").write_text("\n".join(lines))
    paths = {"source_path": folder / "images.npz", "catalog_path": folder / "catalog.csv"}
    return images, {"source": "arrays", "image_size_px": 8, "n_galaxies": 0, **paths}


def test_the_simulated_survey_is_what_was_asked_for(tmp_path):
    asked = {"n_galaxies": 70, "image_size_px": 16, "crop_px": 48, "seed": 3, "workers": 1}
    survey = prepare(tmp_path, **asked)
    card = survey.card
    assert len(survey.indices("train")) == card["counts"]["train"] == 70
    assert card["source"] == "SIMULATED" and card["simulated"] and "SIMULATED" in card["notes"][0]
    assert card["units"] == "nanomaggy" and survey.images.dtype == np.float16
    assert card["arcsec_per_pixel"] == pytest.approx(3 * 0.396)
    assert card["counts"]["galaxies"] == len(survey) == survey_size(70, 3, 0.1, 0.2)
    raw = np.concatenate(
        [images for images, _ in simulate.survey(len(survey), 3, workers=1).blocks()]
    )
    expected = bin_pixels(centre_crop(raw, 48), 3, "sum")
    np.testing.assert_allclose(survey.images, expected, rtol=2e-3, atol=1e-4)
    assert 0.01 < min(card["sky_rms"]) <= max(card["sky_rms"]) < 1


def test_a_simulated_galaxy_keeps_its_split_when_the_survey_grows(tmp_path):
    few, more = (
        prepare(tmp_path / str(n), n_galaxies=n, image_size_px=8, workers=1) for n in (20, 50)
    )
    n = len(few)
    assert few.catalog["split"].tolist() == more.catalog["split"][:n].tolist()
    np.testing.assert_array_equal(few.images, more.images[:n])


def test_users_pictures_pass_unchanged_but_for_the_binning(tmp_path):
    images, asked = user_files(tmp_path / "mine")
    galaxies = prepare(tmp_path / "run", **asked, test_split="val")
    assert len(galaxies) == 120 and galaxies.card["units"] == "display"
    expected = bin_pixels(images.astype(np.float32) / 255, 3, "mean")
    np.testing.assert_allclose(galaxies.images, expected, atol=5e-4)
    assert galaxies.labels[:3].tolist() == [0, 1, -1]
    assert len(galaxies.indices("test")) == 30 and len(galaxies.indices("val")) > 0
    assert all(galaxies.catalog["split"][0::4] == "test")
    assert "approximate" in galaxies.card["notes"][0] and not galaxies.card["simulated"]


def test_flux_is_summed_and_the_sky_is_measured(tmp_path):
    images, asked = user_files(tmp_path / "mine", dtype=np.float32)
    galaxies = prepare(tmp_path / "run", **asked)
    np.testing.assert_allclose(galaxies.images, bin_pixels(images, 3, "sum"), atol=5e-3)
    assert galaxies.card["sky_rms"] == pytest.approx([1.5] * 3, rel=0.05)  # 0.5 of 9 pixels


def test_without_a_split_both_are_carved_and_with_val_only_test_is(tmp_path):
    _, asked = user_files(tmp_path / "mine", n=300, split=False)
    counts = prepare(tmp_path / "run", **asked).card["counts"]
    assert counts["test"] == pytest.approx(60, abs=20) and counts["val"] == pytest.approx(
        30, abs=15
    )
    _, asked = user_files(tmp_path / "mine", n=300)
    galaxies = prepare(tmp_path / "run", **asked)
    assert len(galaxies.indices("val")) == 75 and 20 < len(galaxies.indices("test")) < 70


def test_unlabelled_galaxies_only_train_and_copies_of_test_are_dropped(tmp_path):
    images, asked = user_files(tmp_path / "mine")
    more = np.concatenate(
        [RNG.integers(0, 256, (30, 3, 24, 24), dtype=np.uint8), images[[0, 4, 5]]]
    )
    (tmp_path / "more").mkdir()
    np.savez(tmp_path / "more" / "images.npz", images=more)
    galaxies = prepare(
        tmp_path / "run", **asked, test_split="val", unlabelled_path=tmp_path / "more"
    )
    assert galaxies.card["cuts"]["duplicates"]["near-identical pixels"] == 3
    assert len(galaxies) == 150 and len(galaxies.indices("test")) == 30
    assert set(galaxies.catalog["split"][120:]) == {"train"} and set(galaxies.labels[120:]) == {-1}


def test_training_is_limited_and_a_smaller_choice_lies_in_a_larger(tmp_path):
    _, asked = user_files(tmp_path / "mine", n=200)
    chosen = []
    for n in (20, 60):
        galaxies = prepare(tmp_path / "run", **asked | {"n_galaxies": n})
        train = galaxies.indices("train")
        assert len(train) == n and len(galaxies.indices("val")) == 50
        chosen.append(set(galaxies.catalog["id"][train]))
    assert chosen[0] < chosen[1]
    assert galaxies.card["cuts"]["beyond_n_galaxies"] > 0


def test_the_same_inputs_are_not_read_again(tmp_path):
    _, asked = user_files(tmp_path / "mine")
    when = lambda: (tmp_path / "run/dataset/images.npy").stat().st_mtime_ns  # noqa: E731
    prepare(tmp_path / "run", **asked)
    first = when()
    prepare(tmp_path / "run", **asked)
    assert when() == first
    prepare(tmp_path / "run", **asked | {"crop_px": "16"})  # papermill may pass a string
    second = when()
    assert second != first
    os.utime(tmp_path / "mine/images.npz", ns=(1, 1))
    prepare(tmp_path / "run", **asked | {"crop_px": 16})
    assert when() != second


def test_galaxies_without_labels_or_of_one_type_are_welcome(tmp_path):
    _, asked = user_files(tmp_path / "mine")
    assert set(prepare(tmp_path / "run", **asked | {"catalog_path": ""}).labels) == {-1}
    text = (tmp_path / "mine/catalog.csv").read_text().replace("late", "early")
    (tmp_path / "mine/catalog.csv").write_text(text)
    assert set(prepare(tmp_path / "run", **asked).labels) == {0, -1}


def test_pictures_go_all_the_way(tmp_path):
    (tmp_path / "mine").mkdir()
    for k in range(20):
        pixels = RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "mine" / f"g{k}.png")
    asked = {"source": "pictures", "source_path": tmp_path / "mine", "image_size_px": 8}
    with pytest.raises(ValueError, match=r"crop_px: got 0 for stamps of 20 .* such as crop_px=16"):
        prepare(tmp_path / "run", **asked)
    galaxies = prepare(tmp_path / "run", **asked, crop_px=16)
    assert len(galaxies) == 20 and galaxies.card["binning"] == "2x2, mean"
    assert unlabelled(tmp_path / "mine").name == "pictures"


def damage_nan(folder):
    with np.load(folder / "images.npz") as file:
        images, ids = file["images"].astype(np.float32), file["objid"]
    images[77, 2, 3, 4] = np.nan
    np.savez(folder / "images.npz", images=images, objid=ids)


def damage_end(folder):
    np.savez_compressed(folder / "images.npz", images=np.load(folder / "images.npz")["images"])
    whole = bytearray((folder / "images.npz").read_bytes())
    whole[-4000:-3000] = bytes(1000)
    (folder / "images.npz").write_bytes(whole)
    rows = (folder / "catalog.csv").read_text()
    (folder / "catalog.csv").write_text(rows)


def damage_label(folder):
    text = (folder / "catalog.csv").read_text().replace("1000001,late", "1000001,spiral")
    (folder / "catalog.csv").write_text(text)


def damage_split(folder):
    text = (folder / "catalog.csv").read_text().replace("1000001,late,train", "1000001,late,eval")
    (folder / "catalog.csv").write_text(text)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (damage_nan, r"images.npz, images\[77\] \(id '1000077'\): pixel \(3, 4\) in band i is nan"),
        (damage_end, "images.npz: expected a complete array file"),
        (damage_label, "catalog.csv, row 2: got label 'spiral'"),
        (damage_split, "catalog.csv, row 2: got split 'eval', expected train, val, test"),
    ],
)
def test_bad_input_leaves_nothing_behind_and_a_good_set_alone(tmp_path, damage, expected):
    _, asked = user_files(tmp_path / "mine")
    damage(tmp_path / "mine")
    with pytest.raises(ValueError, match=expected):
        prepare(tmp_path / "run", **asked)
    assert list((tmp_path / "run").iterdir()) == []
    _, asked = user_files(tmp_path / "mine")
    prepare(tmp_path / "run", **asked)
    damage(tmp_path / "mine")
    with pytest.raises(ValueError, match=expected):
        prepare(tmp_path / "run", **asked)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["dataset"]
    assert len(GalaxySet.load(tmp_path / "run/dataset")) == 120


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"source": "sdss"}, "sample.fits: .*expected the sample that acquire"),
        ({"source": "array"}, "did you mean 'arrays'"),
        ({"source_path": ""}, "source_path: got nothing"),
        ({"source_path": "no/such.npz"}, "such.npz: no such file"),
        (
            {"test_split": "vla"},
            "test_split: got 'vla', expected one of train, val; did you mean 'val'",
        ),
        ({"n_galaxies": -1}, "n_galaxies: got -1"),
        ({"image_size_px": "big"}, "image_size_px: got 'big'"),
        ({"image_size_px": 32}, "image_size_px of at most 24"),
        ({"crop_px": 20}, "crop_px: got 20 .* such as crop_px=24"),
        ({"crop_px": 32}, "crop_px: got 32"),
        ({"val_fraction": 0.7}, "val_fraction: got 0.7"),
        ({"units": "counts"}, "units: got 'counts'"),
        ({"source": "simulated"}, "source_path: got .* reads none"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path, wrong, expected):
    _, asked = user_files(tmp_path / "mine")
    with pytest.raises(ValueError, match=expected):
        prepare(tmp_path / "run", **asked | wrong)
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


def test_simulating_no_galaxies_is_refused(tmp_path):
    with pytest.raises(ValueError, match="n_galaxies: got 0, expected how many"):
        prepare(tmp_path, n_galaxies=0)


def test_galaxies_of_other_units_or_size_are_not_added(tmp_path):
    _, asked = user_files(tmp_path / "mine")
    user_files(tmp_path / "flux", dtype=np.float32)
    with pytest.raises(ValueError, match="unlabelled_path: got units nanomaggy, expected display"):
        prepare(tmp_path / "run", **asked, unlabelled_path=tmp_path / "flux")
    np.save(tmp_path / "flux" / "small.npy", np.zeros((3, 3, 16, 16), np.uint8))
    with pytest.raises(ValueError, match="unlabelled_path: got stamp"):
        prepare(tmp_path / "run", **asked, unlabelled_path=tmp_path / "flux" / "small.npy")


def test_too_bright_for_half_precision_is_said(tmp_path):
    np.save(tmp_path / "a.npy", np.full((4, 3, 16, 16), 30_000, np.float32))
    with pytest.raises(ValueError, match=r"more than float16 holds .* counts"):
        prepare(tmp_path / "run", "arrays", tmp_path / "a.npy", image_size_px=8)


def test_only_test_galaxies_is_no_set_to_train_on(tmp_path):
    _, asked = user_files(tmp_path / "mine")
    text = (tmp_path / "mine/catalog.csv").read_text()
    (tmp_path / "mine/catalog.csv").write_text(text.replace("train", "test").replace("val", "test"))
    with pytest.raises(ValueError, match="no training galaxy among 120"):
        prepare(tmp_path / "run", **asked)


def test_the_card_is_plain_json(tmp_path):
    _, asked = user_files(tmp_path / "mine")
    prepare(tmp_path / "run", **asked)
    card = json.loads((tmp_path / "run/dataset/card.json").read_text())
    needed = {"units", "bands", "arcsec_per_pixel", "source", "simulated", "counts", "cuts", "seed"}
    assert needed | {"sky_rms", "sha256", "notes", "provenance"} <= set(card)


def test_open_source_reads_each_kind(tmp_path):
    user_files(tmp_path / "mine")
    assert open_source("arrays", tmp_path / "mine").n == 120
    assert unlabelled(tmp_path / "mine").n == unlabelled(tmp_path / "mine/images.npz").n == 120


@pytest.mark.real_data
def test_real_galaxies_in_two_collections_share_copies(tmp_path):
    data = os.environ["GALCLR_REAL_DATA"]
    galaxies = prepare(
        tmp_path,
        source="arrays",
        source_path=f"{data}/gz1/images.npz",
        catalog_path=f"{data}/gz1/catalog.csv",
        unlabelled_path=f"{data}/gz2_unlabelled",
        test_split="val",
        n_galaxies=0,
    )
    counts = galaxies.card["counts"]
    assert 16 <= galaxies.card["cuts"]["duplicates"]["near-identical pixels"] <= 30
    assert counts["test"] == 1021 and counts["test_labelled"] == 1000
    assert counts["val"] == pytest.approx(466, abs=60) and counts["early"] > 1000 < counts["late"]


def test_ids_made_up_for_two_files_of_one_name_differ(tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent / "data").mkdir(parents=True)
        pixels = np.random.default_rng(ord(parent)).integers(0, 256, (30, 3, 24, 24), np.uint8)
        np.savez(tmp_path / parent / "data/images.npz", images=pixels)
    files = [tmp_path / parent / "data/images.npz" for parent in ("a", "b")]
    asked = {"source": "arrays", "source_path": files[0], "unlabelled_path": files[1]}
    galaxies = prepare(tmp_path / "run", **asked, image_size_px=8, n_galaxies=0)
    assert len(galaxies) == 60 and galaxies.card["cuts"]["duplicates"]["same id"] == 0


def test_long_numbers_that_unlabelled_galaxies_lack_keep_their_digits(tmp_path):
    _, asked = user_files(tmp_path / "mine")
    user_files(tmp_path / "more", n=9, seed=1)
    lines = (tmp_path / "mine/catalog.csv").read_text().splitlines()
    spectra = [587722952767439453 + k for k in range(120)]
    lines = [f"{line},{x}" for line, x in zip(lines, ["specobjid", *spectra], strict=True)]
    (tmp_path / "mine/catalog.csv").write_text("\n".join(lines))
    alone = prepare(tmp_path / "run", **asked)
    assert alone.catalog["specobjid"].tolist() == spectra
    joined = prepare(tmp_path / "run", **asked, unlabelled_path=tmp_path / "more")
    assert joined.catalog["specobjid"].tolist() == [*map(str, spectra), *[""] * 9]


def test_positions_that_were_not_measured_drop_no_galaxy(tmp_path):
    _, asked = user_files(tmp_path / "mine")
    lines = (tmp_path / "mine/catalog.csv").read_text().splitlines()
    lines = [f"{lines[0]},ra,dec", *(f"{line},-9999,-9999" for line in lines[1:])]
    (tmp_path / "mine/catalog.csv").write_text("\n".join(lines))
    galaxies = prepare(tmp_path / "run", **asked)
    assert len(galaxies) == 120 and galaxies.card["cuts"]["duplicates"]["same position"] == 0


def test_a_wrong_split_is_named_by_its_row_in_the_catalogue(tmp_path):
    """The file's own row, though galaxies are in the order of the images."""
    _, asked = user_files(tmp_path / "mine")
    head, *lines = (tmp_path / "mine/catalog.csv").read_text().splitlines()
    lines[1] = lines[1].replace("train", "eval")
    (tmp_path / "mine/catalog.csv").write_text("\n".join([head, *lines[::-1]]))
    with pytest.raises(ValueError, match=r"catalog.csv, row 119: got split 'eval', expected train"):
        prepare(tmp_path / "run", **asked)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux to look")
def test_no_file_is_deleted_while_it_is_mapped(tmp_path, monkeypatch):
    """Windows refuses to."""
    mapped, unlink = [], Path.unlink

    def look(path, **how):
        mapped.append(str(path) in Path("/proc/self/maps").read_text())
        unlink(path, **how)

    monkeypatch.setattr(Path, "unlink", look)
    prepare(tmp_path, n_galaxies=20, image_size_px=8, workers=1)
    assert mapped and not any(mapped)
