"""Images in HDF5: Galaxy10, and bulk sets in either order of the axes."""

import tracemalloc

import h5py
import numpy as np
import pytest

from galclr_utils.assemble import assemble
from galclr_utils.hdf5 import SHAPES, hdf5

RNG = np.random.default_rng(0)
FLUX = RNG.normal(size=(7, 3, 16, 16)).astype(np.float32)  # g, r, i
LONG = 587722952767439450


def write(path, images, attributes=(), chunks=None, **datasets):
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("images", data=images, chunks=chunks)
        stored.attrs.update(dict(attributes))
        for name, values in datasets.items():
            file[name] = values
    return path


def read(source):
    blocks = list(source.blocks())
    return np.concatenate([images for images, _ in blocks]), blocks


def ladder(bands, n=2, size=16):
    """Return stamps (n, C, size, size) whose pixels say their band: u 1, g 2, r 3, i 4, z 5."""
    values = np.float32([" ugriz".index(band) for band in bands])
    return np.broadcast_to(values[:, None, None], (n, len(bands), size, size)).copy()


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_bands_first_or_last_give_the_same_images(tmp_path, last, dtype):
    images = FLUX.transpose(0, 2, 3, 1) if last else FLUX
    source = hdf5(write(tmp_path / "a.h5", images.astype(dtype)))
    got, _ = read(source)
    assert (source.n, source.stamp, source.bands) == (7, (3, 16, 16), ("g", "r", "i"))
    assert source.units == "nanomaggy" and source.name == "hdf5"
    assert got.dtype == np.float32 and got.dtype.isnative
    np.testing.assert_allclose(got, FLUX.astype(dtype), rtol=1e-6)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("stored", "named", "taken"),
    [
        ("ugriz", None, "gri"),
        ("gri", None, "gri"),
        ("ugriz", "ugriz", "gri"),
        ("irg", "i,r,g", "gri"),
        ("zirgu", ["z", "i", "r", "g", "u"], "gri"),
        ("griz", ["SDSS_g", "SDSS_r", "SDSS_i", "SDSS_z"], "gri"),
        ("grz", "grz", "grz"),
        ("zrg", [b"z", b"r", b"g"], "grz"),
    ],
)
@pytest.mark.parametrize("where", ["attribute", "dataset"])
def test_the_wanted_bands_are_taken_in_their_order(tmp_path, stored, named, taken, last, where):
    images = ladder(stored)
    images = images.transpose(0, 2, 3, 1) if last else images
    said = {} if named is None else {"bands": named}
    more = {"attributes": said} if where == "attribute" else said
    source = hdf5(write(tmp_path / "a.h5", images, **more))
    got, _ = read(source)
    assert "".join(source.bands) == taken and source.stamp == (3, 16, 16)
    np.testing.assert_array_equal(got, ladder(taken))
    assert source.facts["bands_named"] == (named is not None)


def test_pictures_with_bands_last_show_red_first(tmp_path):
    pictures = (ladder("irg") * 50).astype(np.uint8)
    source = hdf5(write(tmp_path / "a.h5", pictures.transpose(0, 2, 3, 1)))
    got, _ = read(source)
    assert source.units == "display" and source.bands == ("g", "r", "i")
    np.testing.assert_allclose(got, ladder("gri") * 50 / 255, rtol=1e-6)
    shown = (ladder("irg") / 5).transpose(0, 2, 3, 1)
    got, _ = read(hdf5(write(tmp_path / "b.h5", shown), units="display"))
    np.testing.assert_allclose(got, ladder("gri") / 5)
    got, _ = read(hdf5(write(tmp_path / "c.h5", pictures)))  # bands first: g, r, i as in arrays
    np.testing.assert_allclose(got, ladder("irg") * 50 / 255, rtol=1e-6)


def test_the_two_editions_of_galaxy10_have_their_own_shapes(tmp_path):
    for size, edition, bands in ((69, "SDSS", "gri"), (256, "DECaLS", "grz")):
        pictures = np.zeros((10, size, size, 3), np.uint8)
        pictures[..., 0] = 255  # red: the longest wavelength
        more = {"ra": np.arange(10.0), "redshift": np.full(10, 0.1), "pxscale": np.full(10, 0.262)}
        more = more if edition == "DECaLS" else {}
        file = write(
            tmp_path / f"{edition}.h5", pictures, ans=np.arange(10, dtype=np.uint8), **more
        )
        source = hdf5(file)
        ((images, rows),) = source.blocks()
        assert source.name == "galaxy10" and "".join(source.bands) == bands
        assert source.facts["collection"] == f"Galaxy10 {edition}"
        assert (images[:, 2] == 1).all() and (images[:, :2] == 0).all()
        expected = {"SDSS": [-1, 0, 0, 0, 1, 1, 1, 1, 1, 1], "DECaLS": [-1, -1, 0, 0, 0] + [1] * 5}
        assert rows["label"].tolist() == expected[edition] and rows["label"].dtype == np.int8
        assert rows["ans"].tolist() == list(range(10)) and len(set(rows["id"])) == 10
    assert rows["z"].tolist() == [0.1] * 10 and rows["ra"].tolist() == list(range(10))
    assert source.arcsec_per_pixel == pytest.approx(0.262)


def test_labels_follow_the_words_of_the_shapes():
    for shapes in SHAPES.values():
        for shape, label in shapes:
            assert (label == 0) == ("smooth" in shape), shape
            late = any(word in shape for word in ("edge-on", "tight", "medium", "loose", "barred"))
            assert (label == 1) == late, shape


def test_datasets_become_columns(tmp_path):
    more = {
        "dr7objid": np.arange(7) + LONG,
        "RA": np.arange(7) * 10.0,
        "dec": np.array([-999.0, 1, 2, 3, 4, 5, 6], ">f8"),
        "petroMag_r": np.full(7, 17.5, np.float32),
        "label": np.array([b"early", b"late", b"", b"0", b"1", b"-1", b"late"]),
        "survey": ["south"] * 7,
        "covariance": np.zeros((7, 2)),  # not one value a galaxy
        "about": "two words",
    }
    _, ((_, rows),) = read(hdf5(write(tmp_path / "a.h5", FLUX, **more)))
    assert rows["id"].tolist() == [str(LONG + k) for k in range(7)]
    assert rows["label"].tolist() == [0, 1, -1, 0, 1, -1, 1]
    np.testing.assert_array_equal(rows["dec"], [np.nan, 1, 2, 3, 4, 5, 6])
    assert rows["ra"].tolist() == list(range(0, 70, 10)) and rows["mag_r"][0] == 17.5
    assert rows["survey"].tolist() == ["south"] * 7
    assert not {"covariance", "about", "images"} & set(rows.colnames)
    assert all(rows[name].dtype.isnative for name in rows.colnames)


def test_a_catalogue_is_matched_by_id_and_wins(tmp_path):
    ids = [f"g{k}" for k in range(7)]
    file = write(tmp_path / "a.h5", FLUX, id=ids, redshift=np.full(7, 0.1), label=np.zeros(7, int))
    lines = [f"g{k},late,0.{k + 1}" for k in range(7)][::-1]
    (tmp_path / "c.csv").write_text("\n".join(["id,label,ra", *lines]))
    images, ((_, rows),) = read(hdf5(file, tmp_path / "c.csv"))
    np.testing.assert_array_equal(images, FLUX)
    assert rows["id"].tolist() == ids and rows["label"].tolist() == [1] * 7
    assert rows["ra"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7] and rows["z"][3] == 0.1
    (tmp_path / "c.csv").write_text("\n".join(["id,ra", *(f"g{k},5" for k in range(7))]))
    _, ((_, rows),) = read(hdf5(file, tmp_path / "c.csv"))
    assert rows["label"].tolist() == [0] * 7  # a catalogue without labels takes none away
    (tmp_path / "c.csv").write_text("id,ra\ng1,1\n")
    with pytest.raises(ValueError, match=r"6 images without a row \(first: 'g0'"):
        hdf5(file, tmp_path / "c.csv")


def test_without_ids_the_order_counts(tmp_path):
    file = write(tmp_path / "a.h5", FLUX)
    (tmp_path / "c.csv").write_text("id,label\n" + "".join(f"x{k},early\n" for k in range(7)))
    _, ((_, rows),) = read(hdf5(file, tmp_path / "c.csv"))
    assert rows["id"].tolist() == [f"x{k}" for k in range(7)]
    (tmp_path / "c.csv").write_text("id,label\nx0,early\n")
    with pytest.raises(ValueError, match=r"7 images but .*c.csv has 1 rows"):
        hdf5(file, tmp_path / "c.csv")


def test_ids_made_up_for_two_files_differ(tmp_path):
    one, two = (read(hdf5(write(tmp_path / f"{n}.h5", FLUX), prefix="u/"))[1] for n in "ab")
    ids = [*one[0][1]["id"], *two[0][1]["id"]]
    assert len(set(ids)) == 14 and all(name.startswith("u/") for name in ids)


@pytest.mark.parametrize(
    ("chunk", "block", "expected"),
    [(4, 10, [(0, 8), (8, 16), (16, 20)]), (6, 4, [(0, 6), (6, 12), (12, 18), (18, 20)])],
)
def test_reads_begin_and_end_with_the_chunks(tmp_path, monkeypatch, chunk, block, expected):
    images = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None, None, None], (20, 5, 8, 8))
    file = write(tmp_path / "a.h5", images, chunks=(chunk, 5, 8, 8))
    monkeypatch.setattr("galclr_utils.hdf5.block_length", lambda stamp: block)
    asked, plain = [], h5py.Dataset.__getitem__

    def counted(self, index, *more):
        if self.name == "/images":
            asked.append(index)
        return plain(self, index, *more)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    source = hdf5(file)
    assert not asked  # opening reads no pixel
    blocks = list(source.blocks())
    assert [range(20)[index[0]] for index in asked] == [range(a, b) for a, b in expected]
    assert all(index[1] == slice(1, 4) for index in asked)  # u and z are not read
    assert max(len(images) for images, _ in blocks) <= block
    got = np.concatenate([images for images, _ in blocks])
    np.testing.assert_array_equal(got[:, 0, 0, 0], np.arange(20))


@pytest.mark.parametrize("last", [False, True])
def test_memory_holds_a_block_and_not_the_file(tmp_path, monkeypatch, last):
    """64 MB of pixels in blocks of 1 MB of float32."""
    monkeypatch.setattr("galclr_utils.hdf5.block_length", lambda stamp: 20)
    shape, chunks = ((1280, 64, 64, 3), (10, 64, 64, 3))
    shape, chunks = (shape, chunks) if last else ((1280, 3, 64, 64), (10, 3, 64, 64))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", shape, "f4", chunks=chunks, fillvalue=0.5)
    source = hdf5(tmp_path / "a.h5")
    tracemalloc.start()
    seen = sum(len(images) for images, _ in source.blocks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == 1280 and peak < 10e6 < np.prod(shape) * 4 / 6


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (FLUX[:, :, :3, :3], r"\(7, 3, 3, 3\), where axis 1 and axis 3 may both be the bands"),
        (np.zeros((2, 3, 8, 5), "f4"), r"\(2, 3, 8, 5\), where axis 1 and axis 3"),
        (FLUX[:, :2], r"expected images .* with C = 3 or 5 bands, got \(7, 2, 16, 16\)"),
        (FLUX[0], r"expected images .*, got \(3, 16, 16\)"),
        (FLUX[:, 0, 0, 0], r"expected images .*, got \(7,\)"),
        (FLUX[:0], "empty set"),
        (FLUX[..., :12], "square"),
        (FLUX.astype(np.int32), "int32, expected uint8 or float"),
        (FLUX.astype("S3"), "expected uint8 or float"),
    ],
)
def test_a_wrong_shape_or_type_is_refused(tmp_path, images, expected):
    with pytest.raises(ValueError, match=expected) as error:
        hdf5(write(tmp_path / "a.h5", images))
    assert "a.h5" in str(error.value)


def test_as_many_pixels_as_bands_are_told_apart_where_stamps_are_square(tmp_path):
    for shape, bands in (((2, 5, 5, 3), "last"), ((2, 5, 3, 3), "first"), ((2, 3, 5, 5), "first")):
        source = hdf5(write(tmp_path / "a.h5", np.zeros(shape, np.float32)))
        assert source.stamp == ((3, 5, 5) if 5 in shape[2:] else (3, 3, 3)), bands


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"attributes": {"bands": "ugz"}}, "got bands u, g, z, expected g, r and i .or z"),
        ({"attributes": {"bands": "ggr"}}, "'bands' that repeat a name: g, g, r"),
        ({"attributes": {"bands": "griz"}}, r"with C = 4 bands, got \(7, 3, 16, 16\)"),
        ({"ans": np.zeros(7)}, "'ans' beside pictures of an unknown size, expected Galaxy10 of 69"),
        ({"label": np.full(7, 5)}, "row 1: got label '5'"),
        ({"id": np.zeros(7, int)}, "dataset 'id': id 0 is in row 1 and in row 2"),
        ({"objid": np.arange(7.0)}, "a float has lost digits"),
        ({"z": np.zeros(7), "redshift": np.zeros(7)}, "more than one dataset means 'z'"),
        ({"ra": ["east"] * 7}, "expected numbers in dataset 'ra', got"),
    ],
)
def test_what_is_wrong_beside_the_images_is_named(tmp_path, more, expected):
    with pytest.raises(ValueError, match=expected) as error:
        hdf5(write(tmp_path / "a.h5", FLUX, **more))
    assert "a.h5" in str(error.value)


def test_a_shape_that_galaxy10_does_not_have_is_refused(tmp_path):
    pictures = np.zeros((2, 69, 69, 3), np.uint8)
    with pytest.raises(ValueError, match="got ans = 10, expected 0 to 9"):
        hdf5(write(tmp_path / "a.h5", pictures, ans=[3, 10]))


def test_a_file_that_is_something_else_is_named(tmp_path):
    (tmp_path / "a.h5").write_text("not HDF5")
    with pytest.raises(ValueError, match=r"a.h5: expected an HDF5 file with 'images'"):
        hdf5(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"none.h5: no such file"):
        hdf5(tmp_path / "none.h5")
    for name in ("pictures", "images/inside"):
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file[name] = FLUX
        with pytest.raises(ValueError, match=f"no dataset 'images' among {name.split('/')[0]}"):
            hdf5(tmp_path / "b.h5")


def test_a_truncated_file_is_named(tmp_path):
    file = write(tmp_path / "a.h5", RNG.normal(size=(50, 3, 16, 16)))
    file.write_bytes(file.read_bytes()[:-20_000])
    with pytest.raises(ValueError, match=r"a.h5: expected .* complete"):
        read(hdf5(file))


def test_damage_inside_a_compressed_chunk_is_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=FLUX, chunks=(1, 3, 16, 16), compression="gzip")
        at = file["images"].id.get_chunk_info(5).byte_offset
    damaged = bytearray((tmp_path / "a.h5").read_bytes())
    damaged[at : at + 50] = b"x" * 50
    (tmp_path / "a.h5").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"a.h5: expected a complete HDF5 file"):
        read(hdf5(tmp_path / "a.h5"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_that_is_no_number_is_found(tmp_path, value):
    images = FLUX.transpose(0, 2, 3, 1).copy()
    images[3, 4, 5, 1] = value
    source = hdf5(write(tmp_path / "a.h5", images, id=np.arange(7) + 100))
    with pytest.raises(
        ValueError, match=r"a.h5, images\[3\] \(id '103'\): pixel \(4, 5\) in band r"
    ):
        read(source)


def test_units_must_fit_the_numbers(tmp_path):
    file = write(tmp_path / "a.h5", np.zeros((2, 3, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="units: got 'nanomaggy' for uint8"):
        hdf5(file, units="nanomaggy")
    with pytest.raises(ValueError, match=r"expected a finite number in \[0, 1\]"):
        read(hdf5(write(tmp_path / "b.h5", FLUX), units="display"))


def test_one_pixel_scale_is_known_and_several_are_not(tmp_path):
    for scales, expected in (([0.4] * 7, 0.4), ([0.4] * 6 + [0.5], None)):
        source = hdf5(write(tmp_path / "a.h5", FLUX, pxscale=np.array(scales)))
        assert source.arcsec_per_pixel == expected
    assert hdf5(write(tmp_path / "a.h5", FLUX, {"pxscale": 0.396})).arcsec_per_pixel == 0.396
    assert hdf5(write(tmp_path / "a.h5", FLUX)).arcsec_per_pixel is None


def test_a_data_set_is_made_of_it(tmp_path):
    pictures = RNG.integers(0, 256, (10, 256, 256, 3), dtype=np.uint8)
    source = hdf5(write(tmp_path / "Galaxy10_DECals.h5", pictures, ans=np.arange(10)))
    made = assemble(tmp_path, [source], {}, 64, 32, "", 0, 0.2, 0.2)
    assert made.images.shape == (10, 3, 32, 32) and made.card["bands"] == ["g", "r", "z"]
    expected = pictures[0, 96:98, 96:98, 2].mean() / 255  # blue is g; 2x2 pixels of the centre
    assert made.images[0, 0, 0, 0] == pytest.approx(expected, abs=1e-3)
    assert sorted(made.labels.tolist()) == [-1, -1, 0, 0, 0, 1, 1, 1, 1, 1]
