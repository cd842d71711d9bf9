"""A few columns of a catalogue in any format."""

import gzip
import tracemalloc

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galclr_utils.columns import open_table

LONG = 587722952767439450
TABLE = Table(
    {
        "Name": ["0007", " J01+02 ", "x"],
        "objid": [LONG, LONG + 1, LONG + 2],
        "share": np.float32([0.9, -999, 0.25]),
        "other": [1, 2, 3],
    }
)
FORMATS = {
    "csv": "ascii.csv",
    "fits": "fits",
    "fits.gz": "fits",
    "vot": "votable",
    "ecsv": "ascii.ecsv",
}


def check(file, text=("Name", "objid"), numbers=("share",)):
    names, read = open_table(file)
    assert list(names) == TABLE.colnames
    table = read(list(text), list(numbers))
    assert table.colnames == [*text, *numbers]
    return table


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_same_columns(tmp_path, ending):
    TABLE.write(tmp_path / f"a.{ending}", format=FORMATS[ending])
    table = check(tmp_path / f"a.{ending}")
    assert table["Name"].tolist() == ["0007", "J01+02", "x"]  # padding is no part of a name
    assert [str(i) for i in table["objid"]] == [str(LONG + k) for k in range(3)]
    np.testing.assert_array_equal(table["share"].astype("f4"), np.float32([0.9, np.nan, 0.25]))
    assert all(table[name].dtype.isnative for name in table.colnames)


def test_text_of_words_between_spaces_and_of_a_gzipped_csv(tmp_path):
    rows = ["Name objid share other", f"0007 {LONG} 0.9 1", f"x {LONG + 1} -999 2"]
    (tmp_path / "a.txt").write_text("# a comment, with a comma\n#\n" + "\n".join(rows))
    text = "# a comment\n" + "\n".join(rows).replace(" ", ",")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode("utf-8-sig")))
    for file in ("a.txt", "a.csv.gz"):
        table = check(tmp_path / file)
        assert table["Name"].tolist() == ["0007", "x"]
        assert table["objid"].tolist() == [str(LONG), str(LONG + 1)]
        np.testing.assert_array_equal(table["share"], [0.9, np.nan])


@pytest.mark.parametrize("ending", ["fits", "vot", "ecsv"])
def test_ids_with_gaps_keep_their_digits(tmp_path, ending):
    ids = MaskedColumn([LONG + 1, 0], mask=[False, True])
    share = MaskedColumn([0.5, 0.0], mask=[False, True])
    table = Table({"Name": ["a", "b"], "objid": ids, "share": share, "other": [1, 2]})
    table.write(tmp_path / f"a.{ending}", format=FORMATS[ending])
    table = check(tmp_path / f"a.{ending}")
    assert str(table["objid"][0]) == str(LONG + 1)
    np.testing.assert_array_equal(table["share"], [0.5, np.nan])


def test_the_bytes_of_dominguez_sanchez(tmp_path):
    """The published layout, counted from 0, ends excluded; every column filled to its edges."""
    spans = ((0, 19), (20, 26), (27, 38), (39, 50), (51, 62), (63, 74), (75, 86), (87, 98))
    spans += ((99, 110), (111, 119), (120, 131))
    names = "dr7objid galcount P_disk P_edge_on P_bar_GZ2 P_bar_Nair10 P_merg P_bulge P_cigar"
    names = f"{names} TType P_S0".split()
    lines = []
    for row in range(3):
        words = [f"{LONG + row:019d}", f"{670720 + row}"]
        words += [f"0.{k}{row}3456789"[: b - a] for k, (a, b) in enumerate(spans[2:], 2)]
        words[9] = f"-{row}.12345"
        words = [w.ljust(b - a, "1") for w, (a, b) in zip(words, spans, strict=True)]
        lines.append(" ".join(words))
    assert len(lines[0]) == 131
    (tmp_path / "ds18.dat").write_text("\n".join(lines) + "\n")
    found, read = open_table(tmp_path / "ds18.dat")
    assert found == names
    table = read(names[:1], names[1:])
    assert table["dr7objid"].tolist() == [f"{LONG + k:019d}" for k in range(3)]
    for name, (a, b) in list(zip(names, spans, strict=True))[1:]:
        assert table[name].tolist() == [float(line[a:b]) for line in lines], name


@pytest.mark.parametrize("word", ["", "-999", "nan", "null", "--", " NaN ", "-9999.0"])
def test_what_was_not_measured_is_nan(tmp_path, word):
    (tmp_path / "a.csv").write_text(f"Name,objid,share,other\na,1,{word},1\n")
    assert np.isnan(check(tmp_path / "a.csv")["share"][0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "an empty file"),
        ("  \n", "an empty file"),
        ("Name,objid,share,other\n", "at least one galaxy, got an empty catalogue"),
        ("Name,objid,share,other\na,1,2,3\nb,1", "2 cells in row 2, not 4"),
        ("Name,objid,share,other\na,1,2,3\nb,1,x,1", "'x' in row 2, column 'share', no number"),
        ("Name objid share other\na 1 2 3\nb 1", "a whole catalogue, got InconsistentTableError"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, expected):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=expected) as error:
        open_table(tmp_path / "a.csv")[1](["Name"], ["share"])
    assert "a.csv" in str(error.value)


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_a_truncated_a_strange_and_a_missing_file_are_named(tmp_path):
    Table({"objid": np.arange(5000), "share": np.ones(5000)}).write(tmp_path / "a.fits")
    (tmp_path / "a.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"a.fits: expected a whole catalogue, got .* complete"):
        open_table(tmp_path / "a.fits")[1](["objid"], ["share"])
    (tmp_path / "b.fits").write_text("SIMPLE  = not FITS")
    with pytest.raises(ValueError, match=r"b.fits: expected a catalogue, got"):
        open_table(tmp_path / "b.fits")
    with pytest.raises(ValueError, match=r"none.csv: no such file"):
        open_table(tmp_path / "none.csv")


def test_only_the_columns_that_are_asked_for_take_memory(tmp_path):
    """Row by row, 2 of 231 columns: to hold all its cells would take five times the file."""
    header = ",".join(["objid", "share", *(f"other{k}" for k in range(229))])
    rows = [f"{LONG + k},0.5" + ",0.123456789" * 229 for k in range(400)]
    (tmp_path / "a.csv").write_text("\n".join([header, *rows]))
    _, read = open_table(tmp_path / "a.csv")
    tracemalloc.start()
    table = read(["objid"], ["share"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 400
    assert (tmp_path / "a.csv").stat().st_size > 1e6 and peak < 5e5
