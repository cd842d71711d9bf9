"""Images in one array."""

import h5py
import numpy as np
import pytest

from galclr_utils.arrays import arrays, block_length

RNG = np.random.default_rng(0)
FLUX = RNG.normal(size=(5, 3, 16, 16)).astype(np.float32)
PICTURES = RNG.integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)


def write(path, images, ids=None):
    names = {} if ids is None else {"objid": ids}
    if path.suffix == ".npz":
        np.savez_compressed(path, images=images, **names)
    elif path.suffix == ".npy":
        np.save(path, images)
    else:
        with h5py.File(path, "w") as file:
            for name, values in {"images": images, **names}.items():
                file[name] = values
    return path


def read(source):
    blocks = list(source.blocks())
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1]["id"] for b in blocks])


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.h5"])
@pytest.mark.parametrize("images", [FLUX, FLUX.astype(">f8"), PICTURES])
def test_every_kind_of_file_gives_the_images(tmp_path, name, images, monkeypatch):
    monkeypatch.setattr("galclr_utils.arrays.block_length", lambda stamp: 2)
    source = arrays(write(tmp_path / name, images))
    got, ids = read(source)
    is_picture = images.dtype == np.uint8
    assert source.units == ("display" if is_picture else "nanomaggy")
    assert (source.n, source.stamp, source.bands) == (5, (3, 16, 16), ("g", "r", "i"))
    assert got.dtype == np.float32 and got.dtype.isnative and len(list(source.blocks())) == 3
    np.testing.assert_allclose(got, images / 255 if is_picture else images, rtol=1e-6)
    assert len(set(ids)) == 5


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
@pytest.mark.parametrize("ids", [np.arange(5) + 10**17, np.array([b"e", b"d", b"c", b"b", b"a"])])
def test_rows_are_matched_by_id(tmp_path, name, ids):
    words = [i.decode() if isinstance(i, bytes) else str(i) for i in ids.tolist()]
    labels = dict(zip(words, ["early", "late", "", "late", "early"], strict=True))
    lines = [f"{word},{labels[word]}" for word in sorted(words)[::-1]]
    (tmp_path / "c.csv").write_text("\n".join(["objid,label", *lines]))
    source = arrays(write(tmp_path / name, FLUX, ids), tmp_path / "c.csv")
    ((images, rows),) = source.blocks()
    np.testing.assert_array_equal(images, FLUX)
    assert rows["id"].tolist() == words and rows["label"].tolist() == [0, 1, -1, 1, 0]


def test_without_ids_the_order_counts(tmp_path):
    (tmp_path / "c.csv").write_text("id,label\n" + "".join(f"g{k},late\n" for k in range(5)))
    source = arrays(write(tmp_path / "a.npy", FLUX), tmp_path / "c.csv")
    assert read(source)[1].tolist() == ["g0", "g1", "g2", "g3", "g4"]
    (tmp_path / "c.csv").write_text("id,label\ng0,late\n")
    with pytest.raises(ValueError, match=r"5 images but .*c.csv has 1 rows"):
        arrays(tmp_path / "a.npy", tmp_path / "c.csv")


def test_ids_made_up_for_two_files_differ(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "images.npy", FLUX)
    one, two = (read(arrays(tmp_path / folder))[1] for folder in ("one", "two"))
    assert not set(one) & set(two)


def test_float_pictures_are_display_if_told(tmp_path):
    file = write(tmp_path / "a.npy", PICTURES / np.float32(255))
    assert arrays(file, units="display").units == "display"
    with pytest.raises(ValueError, match=r"images\[0\] .*expected a finite number in \[0, 1\]"):
        read(arrays(write(tmp_path / "b.npy", FLUX), units="display"))
    with pytest.raises(ValueError, match="units: got 'nanomaggy' for uint8"):
        arrays(write(tmp_path / "c.npy", PICTURES), units="nanomaggy")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (FLUX.transpose(0, 2, 3, 1), r"got \(N, H, W, 3\) .*use images.transpose\(0, 3, 1, 2\)"),
        (FLUX[:, :2], r"expected \(N, 3, H, W\), got \(5, 2, 16, 16\)"),
        (FLUX[0], r"got \(3, 16, 16\)"),
        (FLUX[:0], "empty set"),
        (FLUX[..., :12], "square"),
        (FLUX.astype(str), "expected uint8 or float"),
        (FLUX.astype(np.int32), "int32, expected uint8 or float"),
    ],
)
def test_a_wrong_shape_or_type_is_refused(tmp_path, images, expected):
    with pytest.raises(ValueError, match=expected) as error:
        arrays(write(tmp_path / "a.npz", images))
    assert "a.npz" in str(error.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_that_is_no_number_is_found(tmp_path, value):
    images = FLUX.copy()
    images[3, 1, 4, 5] = value
    source = arrays(write(tmp_path / "a.npz", images, np.arange(5) + 100))
    with pytest.raises(
        ValueError, match=r"a.npz, images\[3\] \(id '103'\): pixel \(4, 5\) in band r"
    ):
        read(source)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.h5"])
def test_a_truncated_file_is_named(tmp_path, name):
    file = write(tmp_path / name, RNG.normal(size=(50, 3, 16, 16)))
    file.write_bytes(file.read_bytes()[:-20_000])
    with pytest.raises(ValueError, match=rf"{name}: expected .* complete"):
        read(arrays(file))


def test_damage_inside_an_npz_is_named(tmp_path):
    file = write(tmp_path / "a.npz", RNG.normal(size=(50, 3, 16, 16)))
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 50] = b"x" * 50
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"a.npz: expected a complete array file"):
        read(arrays(file))


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_pickles_are_refused(tmp_path, name):
    file = write(tmp_path / name, np.array([[1], [1, 2]], dtype=object))
    with pytest.raises(ValueError, match=rf"{name}: expected an array file.*(pickle|object)"):
        arrays(file)


def test_a_file_that_is_something_else_is_named(tmp_path):
    for name in ("a.npz", "a.npy", "a.h5"):
        (tmp_path / name).write_text("not an array")
        with pytest.raises(ValueError, match=rf"{name}: expected an array file"):
            arrays(tmp_path / name)
    with pytest.raises(ValueError, match=r"a.tar: expected a file in .npz"):
        arrays(tmp_path / "a.tar")
    np.savez(tmp_path / "b.npz", pictures=FLUX)
    with pytest.raises(ValueError, match="no array 'images' among pictures"):
        arrays(tmp_path / "b.npz")
    with pytest.raises(ValueError, match=r"none.npz: no such file"):
        arrays(tmp_path / "none.npz")


def test_ids_must_fit_the_images(tmp_path):
    with pytest.raises(ValueError, match="got 4 ids for 5 images"):
        arrays(write(tmp_path / "a.npz", FLUX, np.arange(4)))
    with pytest.raises(ValueError, match="id 1 is in row 1 and in row 2"):
        arrays(write(tmp_path / "b.npz", FLUX, np.array([1, 1, 2, 3, 4])))


def test_a_block_is_at_most_64_megabytes():
    assert block_length((3, 64, 64)) * 3 * 64 * 64 * 4 <= 2**26
    assert block_length((3, 4000, 4000)) == 1
