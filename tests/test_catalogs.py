"""A user's catalogue: names, labels, ids, and what is wrong with it."""

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galclr_utils.catalogs import as_ids, match, parse_labels, read_catalog

LONG = 587722952767439450


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits"])
def test_the_three_formats_give_the_same_catalogue(tmp_path, ending):
    file = tmp_path / f"catalog.{ending}"
    table = Table({"objID": [LONG, LONG + 1], "Label": ["early", "late"], "redshift": [0.1, 0.2]})
    table["note"] = ["a", "b"]
    table.write(file, format="ascii.csv" if ending == "csv" else None)
    catalog = read_catalog(file)
    assert catalog["id"].tolist() == [str(LONG), str(LONG + 1)]
    assert catalog["label"].tolist() == [0, 1] and catalog["label"].dtype == np.int8
    assert catalog["z"].tolist() == [0.1, 0.2] and catalog["z"].dtype.isnative
    assert catalog["note"].tolist() == ["a", "b"]


@pytest.mark.parametrize("name", ["id", "objid", "dr7objid", "galaxy_id", "DR7OBJID"])
def test_the_id_may_have_several_names(tmp_path, name):
    (tmp_path / "c.csv").write_text(f"{name},ra\n007,1.5\n{LONG},\n")
    catalog = read_catalog(tmp_path / "c.csv")
    assert catalog["id"].tolist() == ["007", str(LONG)]
    assert np.isnan(catalog["ra"][1]) and catalog["label"].tolist() == [-1, -1]


def test_the_id_of_the_images_is_preferred(tmp_path):
    (tmp_path / "c.csv").write_text("id,galaxy_id\n1,10\n2,20\n")
    assert read_catalog(tmp_path / "c.csv")["id"].tolist() == ["1", "2"]
    assert read_catalog(tmp_path / "c.csv", "galaxy_id")["id"].tolist() == ["10", "20"]


def test_labels_are_words_or_numbers():
    assert parse_labels(["early", " LATE", "", "-1", "0", "1.0"], "x").tolist() == [
        0,
        1,
        -1,
        -1,
        0,
        1,
    ]
    assert parse_labels(np.array([0.0, np.nan, 1.0]), "x").tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,label\n1,early\n2,spiral\n", "row 2: got label 'spiral', expected early, late"),
        ("id,label\n1,early\n2,2\n", "row 2: got label '2'"),
        ("id,z\n1,0.1\n2,nearby\n", "column 'z', row 2: got 'nearby', expected a number"),
        ("id\n1\n2\n1\n", "id 1 is in row 1 and in row 3"),
        ("id,z\n1,1\n,2\n", "row 2: the id is empty"),
        ("id,z\n", "empty catalogue"),
        ("id,objid,z,redshift\n1,1,1,1\n", "more than one column means 'z'"),
        ("id,z\n1,2,3,4\n", "expected a catalogue, got"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, text, expected):
    file = tmp_path / "catalog.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=expected) as error:
        read_catalog(file)
    assert "catalog.csv" in str(error.value)


@pytest.mark.filterwarnings("ignore:Error validating header")  # astropy, of half a table
def test_a_missing_a_strange_and_a_truncated_file_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.csv: no such file"):
        read_catalog(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"c.xlsx: expected a catalogue in .csv"):
        read_catalog(tmp_path / "c.xlsx")
    Table({"id": np.arange(5000)}).write(tmp_path / "c.fits")
    (tmp_path / "c.fits").write_bytes((tmp_path / "c.fits").read_bytes()[:4000])
    with pytest.raises(ValueError, match=r"c.fits: expected a catalogue, got .* complete"):
        read_catalog(tmp_path / "c.fits")


def test_ids_that_lost_digits_are_refused():
    with pytest.raises(ValueError, match=r"float64.*lost digits"):
        as_ids(np.array([5.877e17, 1.0]), "c.fits")


def test_matching_counts_both_directions():
    catalog = Table({"id": ["a", "b", "c", "d"], "label": [0, 1, 0, 1]})
    assert match(["c", "a", "d", "b"], catalog, "i", "c")["label"].tolist() == [0, 0, 1, 1]
    with pytest.raises(
        ValueError, match=r"1 images without a row \(first: 'x'\) and 2 rows without"
    ):
        match(["a", "x", "d"], catalog, "images.npz", "c.csv")
    with pytest.raises(ValueError, match=r"c.csv do not match: 1 rows without an image.*'c'"):
        match(["a", "b", "d"], catalog, "images.npz", "c.csv")


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits"])
def test_what_was_not_measured_is_no_number(tmp_path, ending):
    file = tmp_path / f"c.{ending}"
    table = Table({"id": ["a", "b", "c"], "RA": [-999, 10, 20], "g_r": [0.5, -9999.0, -899.0]})
    table["votes"] = [-999, 1, 2]  # not ours to judge
    table.write(file, format="ascii.csv" if ending == "csv" else None)
    catalog = read_catalog(file)
    np.testing.assert_array_equal(catalog["ra"], [np.nan, 10, 20])
    np.testing.assert_array_equal(catalog["g_r"], [0.5, np.nan, -899])
    assert catalog["votes"].tolist() == [-999, 1, 2]


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits"])
@pytest.mark.parametrize(
    ("labels", "got"),
    [([0.0, 1.0, 0.7], "0.7"), ([0, 1, 256], "256"), ([-1, 1, -2], "-2"), (["0", "1", "x"], "x")],
)
def test_a_label_is_refused_with_file_and_row_in_any_format(tmp_path, ending, labels, got):
    file = tmp_path / f"c.{ending}"
    table = Table({"id": ["a", "b", "c"], "label": labels})
    table.write(file, format="ascii.csv" if ending == "csv" else None)
    with pytest.raises(ValueError, match=rf"c.{ending}, row 3: got label '{got}', expected early"):
        read_catalog(file)


@pytest.mark.parametrize("ending", ["ecsv", "fits"])
def test_labels_may_have_gaps(tmp_path, ending):
    labels = MaskedColumn([1, 0, 0], mask=[False, True, False])
    Table({"id": ["a", "b", "c"], "label": labels}).write(tmp_path / f"c.{ending}")
    assert read_catalog(tmp_path / f"c.{ending}")["label"].tolist() == [1, -1, 0]
