"""Published label catalogues: every layout, its rule, and what is wrong with a file.

The rows are made up, in the columns that each catalogue was published with; the truth is by hand.
"""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.coordinates import Angle
from astropy.table import Table

from galclr_utils.labels import as_degrees, published, read_labels, rules
from galclr_utils.layouts import LAYOUTS

EARLY, LATE, UNKNOWN = 0, 1, -1
LONG = 587722952767439450
T01 = "t01_smooth_or_features_"
GZ1 = (
    "OBJID,RA,DEC,NVOTE,P_EL,P_CW,P_ACW,P_EDGE,P_DK,P_MG,P_CS,P_EL_DEBIASED,P_CS_DEBIASED,SPIRAL,"
    "ELLIPTICAL,UNCERTAIN\n"
    f"{LONG},00:00:00.41,-10:22:25.7,59,.61,.03,.01,.30,.02,.03,.34,.61,.34,0,0,1\n"
    f"{LONG + 1},12:30:00.00,+00:30:00.0,18,.90,.00,.00,.05,.03,.02,.05,.85,.10,0,1,0\n"
    f"{LONG + 2},23:59:59.99,-00:30:00.0,30,.82,.03,.03,.10,.01,.01,.16,.15,.83,1,0,0\n"
)
DECALS = (
    "iauname,ra,dec,redshift,smooth-or-featured_total-votes,smooth-or-featured_smooth_fraction,"
    "smooth-or-featured_smooth_debiased,smooth-or-featured_featured-or-disk_fraction,"
    "smooth-or-featured_featured-or-disk_debiased\n"
    "J000001.00+010000.0,0.1,1.0,0.05,40,.75,.20,.20,.78\n"
    "J000002.00+010000.0,0.2,1.0,,5,.20,,.80,\n"
    "J000003.00+010000.0,0.3,1.0,,4,1.0,,.00,\n"
)
EFIGI = (
    "# EFIGI_attributes.txt version 1.6.2 :\n#\n#    PGCname   PGC name\n#\n"
    "PGCname   T T_inf T_sup   Bulge_to_Total Bulge_to_Total_inf Bulge_to_Total_sup\n"
    "PGC0000001  -1  -2   0   0.5   0.5   0.5\n"
    "PGC0000002   0  -1   1  0.75   0.5  0.75\n"
    "PGC0000003   9   9  10     0     0  0.25\n"
    "PGC0000004  11  10  11     0     0  0.25\n"
)


def gz2(smooth, featured, n=40):
    """Return rows of Galaxy Zoo 2: three kinds of votes for both answers."""
    table = Table({"dr7objid": [LONG + k for k in range(len(smooth))]})
    table["ra"], table["dec"] = np.arange(len(smooth)) * 10.0, 5.0
    table["total_classifications"] = n
    table["gz2_class"] = "Sc"
    for answer, shares in (("a01_smooth", smooth), ("a02_features_or_disk", featured)):
        for k, kind in enumerate(("fraction", "weighted_fraction", "debiased")):
            table[f"{T01}{answer}_{kind}"] = [share[k] for share in shares]
        table[f"{T01}{answer}_flag"] = 0
    return table


def ds18_line(name, ttype):
    """Return a line of the fixed-width text: bytes (0, 19), (20, 26), (27, 38), ..."""
    words = [f"{name:>19}", f"{1:>6}", *[f"{0.25:>11}"] * 7, f"{ttype:>8}", f"{0.5:>11}"]
    return " ".join(words)


def write(path, content):
    if isinstance(content, Table):
        content.write(path, overwrite=True)
    else:
        path.write_text(content)
    return path


def test_galaxy_zoo_1(tmp_path):
    labels = read_labels(write(tmp_path / "GalaxyZoo1_DR_table2.csv", GZ1))
    assert labels.colnames == ["id", "ra", "dec", "label", "ttype", "votes"]
    assert labels["id"].tolist() == [str(LONG), str(LONG + 1), str(LONG + 2)]
    assert labels["label"].tolist() == [UNKNOWN, EARLY, LATE] and labels["label"].dtype == np.int8
    np.testing.assert_allclose(labels["ra"], [0.41 / 240, 187.5, 360 - 0.01 / 240], rtol=1e-12)
    np.testing.assert_allclose(labels["dec"], [-(10 + 22 / 60 + 25.7 / 3600), 0.5, -0.5])
    assert labels["votes"].tolist() == [59, 18, 30] and labels["votes"].dtype == np.int32
    assert np.isnan(labels["ttype"]).all() and labels["ttype"].dtype == np.float32
    assert labels.meta["layout"] == "gz1" and "Lintott" in labels.meta["source"]
    assert labels.meta["rule"] == {"threshold": 0.8, "votes": "debiased", "minimum_votes": 0}


def test_galaxy_zoo_1_in_fits(tmp_path):
    table = Table.read(GZ1, format="ascii.csv")
    labels = read_labels(write(tmp_path / "gz1.fits", table))
    assert labels.meta["layout"] == "gz1" and labels["votes"].tolist() == [59, 18, 30]
    assert labels["id"].tolist() == [str(LONG), str(LONG + 1), str(LONG + 2)]
    assert labels["label"].tolist() == [UNKNOWN, EARLY, LATE]
    np.testing.assert_allclose(labels["ra"], [0.41 / 240, 187.5, 360 - 0.01 / 240], rtol=1e-12)


@pytest.mark.parametrize("ending", ["fits", "vot"])
def test_the_flags_of_galaxy_zoo_1_on_vizier(tmp_path, ending):
    table = Table({"objID": [str(LONG + k) for k in range(4)], "N": [59, 18, 30, 5]})
    table["RAJ2000"], table["DEJ2000"] = [1.0, 2.0, 3.0, 4.0], 5.0
    flags = {"fE": [1, 0, 0, -999], "fS": [0, 1, 0, -999], "fU": [0, 0, 1, -999]}
    for name, values in flags.items():
        table[name] = np.int16(values)
    table.write(tmp_path / f"a.{ending}", format={"vot": "votable"}.get(ending, ending))
    labels = read_labels(tmp_path / f"a.{ending}")
    assert labels.meta["layout"] == "gz1_flags"
    assert labels["label"].tolist() == [EARLY, LATE, UNKNOWN, UNKNOWN]
    assert labels["votes"].tolist() == [59, 18, 30, 5] and labels["ra"].tolist() == [1, 2, 3, 4]


def test_the_default_of_galaxy_zoo_1_is_the_definition_of_its_flags(tmp_path):
    """On rows made up to it; of the real ones, 13% have flags that do not follow from the votes."""
    file = write(tmp_path / "gz1.csv", GZ1)
    flags = Table.read(file, format="ascii.csv")
    label = read_labels(file)["label"]
    np.testing.assert_array_equal(label == EARLY, flags["ELLIPTICAL"] == 1)
    np.testing.assert_array_equal(label == LATE, flags["SPIRAL"] == 1)


def test_debiased_and_raw_votes_differ(tmp_path):
    file = write(tmp_path / "gz1.csv", GZ1)
    assert read_labels(file, votes="raw")["label"].tolist() == [UNKNOWN, EARLY, EARLY]
    table = gz2([(0.9, 0.85, 0.1)] * 2, [(0.1, 0.15, 0.9)] * 2)
    file = write(tmp_path / "gz2.fits", table)
    got = [read_labels(file, votes=kind)["label"][0] for kind in ("raw", "weighted", "debiased")]
    assert got == [EARLY, EARLY, LATE]
    assert read_labels(file, votes="weighted", threshold=0.86)["label"][0] == UNKNOWN


def test_galaxy_zoo_1_without_debiased_votes_needs_the_raw_rule(tmp_path):
    table = Table.read(GZ1, format="ascii.csv")
    table.remove_columns(["P_EL_DEBIASED", "P_CS_DEBIASED"])
    file = write(tmp_path / "table3.fits", table)
    with pytest.raises(ValueError, match="needs p_el_debiased, p_cs_debiased too"):
        read_labels(file)
    assert read_labels(file, votes="raw")["label"].tolist() == [UNKNOWN, EARLY, EARLY]
    with pytest.raises(ValueError, match="needs p_el_debiased"):
        rules(file, votes=["raw", "debiased"])


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "fits", "fits.gz"])
def test_galaxy_zoo_2_in_csv_and_fits(tmp_path, ending):
    table = gz2([(0.5, 0.5, 0.8), (0.9, 0.9, 0.7), (0, 0, 0)], [(0.4, 0.4, 0.1)] * 2 + [(1, 1, 1)])
    file = tmp_path / f"gz2_hart16.{ending}"
    if ending == "csv.gz":
        table.write(tmp_path / "plain.csv")
        file.write_bytes(gzip.compress((tmp_path / "plain.csv").read_bytes()))
    else:
        table.write(file)
    labels = read_labels(file)
    assert labels["id"].tolist() == [str(LONG), str(LONG + 1), str(LONG + 2)]
    assert labels["label"].tolist() == [EARLY, UNKNOWN, LATE]
    assert labels["ra"].tolist() == [0, 10, 20] and labels["dec"].tolist() == [5, 5, 5]
    assert labels["votes"].tolist() == [40, 40, 40]
    assert all(labels[name].dtype.isnative for name in labels.colnames)


def test_a_share_at_the_threshold_counts_in_any_format(tmp_path):
    """0.9 as float32, which FITS files hold, is 0.899999976: less than 0.9 as float64."""
    shares = [(0.0, 0.0, x) for x in (0.9, 0.8999, 0.7, 0.3)]
    none = [(0.0, 0.0, 0.0)] * 4
    table = gz2(shares + none, none + shares)
    for name in table.colnames:
        if table[name].dtype == np.float64:
            table[name] = table[name].astype(np.float32)
    expected = {0.9: [1, 0, 0, 0], 0.7: [1, 1, 1, 0], 0.3: [1, 1, 1, 1]}
    for file in (write(tmp_path / "a.fits", table), write(tmp_path / "a.csv", table)):
        for threshold, kept in expected.items():
            labels = read_labels(file, threshold=threshold)
            early, late = ([k if i else UNKNOWN for i in kept] for k in (EARLY, LATE))
            assert labels["label"].tolist() == early + late


def test_few_votes_are_unknown(tmp_path):
    table = gz2([(1, 1, 1.0)] * 3, [(0, 0, 0.0)] * 3, n=[19, 20, 21])
    file = write(tmp_path / "gz2.csv", table)
    assert read_labels(file)["label"].tolist() == [UNKNOWN, EARLY, EARLY]
    assert read_labels(file, minimum_votes=21)["label"].tolist() == [UNKNOWN, UNKNOWN, EARLY]
    assert read_labels(file, minimum_votes=0)["label"].tolist() == [EARLY] * 3


def test_of_two_shares_above_the_threshold_the_larger_wins(tmp_path):
    table = gz2(
        [(0, 0, 0.655), (0, 0, 0.7), (0, 0, 0.6)], [(0, 0, 0.667), (0, 0, 0.6), (0, 0, 0.6)]
    )
    labels = read_labels(write(tmp_path / "gz2.csv", table), threshold=0.5)
    assert labels["label"].tolist() == [LATE, EARLY, UNKNOWN]


def test_galaxy_zoo_decals(tmp_path):
    file = write(tmp_path / "gz_decals_volunteers_5.csv", DECALS)
    labels = read_labels(file)
    assert labels.meta["layout"] == "gz_decals"
    assert labels["id"][0] == "J000001.00+010000.0"
    assert labels["label"].tolist() == [EARLY, LATE, UNKNOWN]  # four votes are too few
    debiased = read_labels(file, votes="debiased", minimum_votes=0)
    assert debiased["label"].tolist() == [LATE, UNKNOWN, UNKNOWN]  # no debiased votes: empty


@pytest.mark.parametrize("ending", ["dat", "dat.gz", "fits"])
def test_dominguez_sanchez_in_fixed_width_and_fits(tmp_path, ending):
    ttypes = ["-2.5", "0.0", "0.001", "4.25", "-999"]
    lines = [ds18_line(LONG + k, t) for k, t in enumerate(ttypes)]
    assert (lines[3][0:19].strip(), lines[3][111:119].strip()) == (str(LONG + 3), "4.25")
    file = tmp_path / f"ds18.{ending}"
    if ending == "fits":
        table = Table({"dr7objid": [LONG + k for k in range(5)], "galcount": range(5)})
        for name in ("P_disk", "P_merg", "P_S0"):
            table[name] = 0.5
        table["TType"] = np.array(ttypes, float)
        table.write(file)
    else:
        text = "\n".join(lines).encode()
        file.write_bytes(gzip.compress(text) if ending == "dat.gz" else text)
    labels = read_labels(file)
    assert labels.meta["layout"] == "ds18" and labels["id"].tolist()[4] == str(LONG + 4)
    assert labels["label"].tolist() == [EARLY, EARLY, LATE, LATE, UNKNOWN]
    np.testing.assert_array_equal(labels["ttype"], np.float32([-2.5, 0, 0.001, 4.25, np.nan]))
    assert np.isnan(labels["ra"]).all()
    assert read_labels(file, ttype_cut=1)["label"].tolist() == [EARLY] * 3 + [LATE, UNKNOWN]


def test_dominguez_sanchez_under_the_names_of_vizier(tmp_path):
    names = ("objID", "GalCount", "Pdisk", "Pedgeon", "PbarGZ2", "PbarNair10", "Pmerg", "Pbulge")
    names += ("Pcigar", "TType", "PS0")
    rows = [(LONG + k, k, *[0.25] * 7, t, 0.5) for k, t in enumerate([-2.5, 0.0, 4.25])]
    labels = read_labels(write(tmp_path / "ds18.fits", Table(rows=rows, names=names)))
    assert labels.meta["layout"] == "ds18" and labels["id"].tolist()[2] == str(LONG + 2)
    assert labels["label"].tolist() == [EARLY, EARLY, LATE]


@pytest.mark.parametrize("ending", ["fits", "vot", "ecsv", "csv"])
def test_nair_abraham_from_vizier(tmp_path, ending):
    names = ["J155341.74-003422.9", "J112408.63-010927.9", "J114750.01-000713.0"]
    table = Table({"recno": [1, 2, 3], "JID": names, "TType": np.int16([-5, 0, 99])})
    table["RAJ2000"], table["DEJ2000"] = [238.42392, 171.03597, 176.95839], [-0.57303, -1.15777, -2]
    form = {"vot": "votable", "ecsv": "ascii.ecsv", "csv": "ascii.csv", "fits": "fits"}[ending]
    table.write(tmp_path / f"na10.{ending}", format=form)
    labels = read_labels(tmp_path / f"na10.{ending}")
    assert labels.meta["layout"] == "na10" and labels["id"].tolist() == names
    assert labels["label"].tolist() == [EARLY, EARLY, UNKNOWN]
    np.testing.assert_array_equal(labels["ttype"], np.float32([-5, 0, np.nan]))
    np.testing.assert_allclose(labels["ra"], table["RAJ2000"])


def test_the_decimal_positions_of_vizier_are_preferred(tmp_path):
    table = Table({"SDSS": ["J010000.00+020000.0"], "TType": [5], "_RA": [15.0], "_DE": [2.0]})
    table["RAJ2000"], table["DEJ2000"] = ["01 00 00.0"], ["+02 00 00"]
    assert read_labels(write(tmp_path / "a.fits", table))["ra"].tolist() == [15]
    table.remove_columns(["_RA", "_DE"])
    labels = read_labels(write(tmp_path / "a.fits", table))
    assert (labels["ra"].tolist(), labels["dec"].tolist()) == ([15], [2])


@pytest.mark.parametrize(
    "names",
    [
        ("objid", "ra", "dec", "probaE", "probaEll", "probaS0", "probaSab", "probaScd"),
        ("SDSS", "RAJ2000", "DEJ2000", "pE/S0", "pE", "pS0", "pSab", "pScd"),
        ("ID", "_RAJ2000", "_DEJ2000", "p(Early)", "p(E)", "p(S0)", "p(Sab)", "p(Scd)"),
    ],
)
def test_huertas_company(tmp_path, names):
    rows = [
        (LONG, 1.0, 2.0, 0.9, 0.6, 0.3, 0.08, 0.02),
        (LONG + 1, 1.0, 2.0, 0.3, 0.1, 0.2, 0.30, 0.40),
        (LONG + 2, 1.0, 2.0, -999, -999, -999, -999, -999),
    ]
    file = write(tmp_path / "hc11.fits", Table(rows=rows, names=names))
    labels = read_labels(file)
    assert labels.meta["layout"] == "hc11"
    assert labels["label"].tolist() == [EARLY, LATE, UNKNOWN]
    assert read_labels(file, threshold=0.8)["label"].tolist() == [EARLY, UNKNOWN, UNKNOWN]
    assert read_labels(file, threshold=0.7)["label"].tolist() == [EARLY, LATE, UNKNOWN]


def test_the_more_probable_class_wins_and_a_tie_is_unknown(tmp_path):
    table = Table({"objid": [LONG, LONG + 1, LONG + 2], "probaE": [0.501, 0.5, 0.499]})
    labels = read_labels(write(tmp_path / "hc11.csv", table))
    assert labels["label"].tolist() == [EARLY, UNKNOWN, LATE]


def test_efigi(tmp_path):
    file = write(tmp_path / "EFIGI_attributes.txt", EFIGI)
    labels = read_labels(file)
    assert labels.meta["layout"] == "efigi"
    assert labels["id"].tolist() == [f"PGC000000{k}" for k in (1, 2, 3, 4)]
    assert labels["label"].tolist() == [EARLY, LATE, LATE, UNKNOWN]  # a dwarf elliptical is neither
    np.testing.assert_array_equal(labels["ttype"], np.float32([-1, 0, 9, np.nan]))
    assert read_labels(file, ttype_cut=0)["label"].tolist() == [EARLY, EARLY, LATE, UNKNOWN]


def test_every_layout_says_where_its_rule_is_from():
    assert len(published()) == len(LAYOUTS) == 8  # of seven catalogues: one lies in two forms
    assert all(any(c.isdigit() for c in source) for source in published()["source"])


def test_rules_count_what_each_choice_keeps(tmp_path):
    shares = [(x, x, 1 - x) for x in (0.95, 0.85, 0.6, 0.1)]
    file = write(tmp_path / "gz2.csv", gz2(shares, [(1 - x, 1 - x, x) for x, *_ in shares]))
    table = rules(file, threshold=[0.8, 0.5, 1.0], votes=["raw", "debiased"])
    assert table["threshold"].tolist() == [0.8, 0.8, 0.5, 0.5, 1.0, 1.0]
    assert table["votes"].tolist() == ["raw", "debiased"] * 3
    assert table["early"].tolist() == [2, 1, 3, 1, 0, 0]
    assert table["late"].tolist() == [1, 2, 1, 3, 0, 0]
    assert table["unknown"].tolist() == [1, 1, 0, 0, 4, 4]
    assert table["kept"].tolist() == [0.75, 0.75, 1, 1, 0, 0]
    np.testing.assert_allclose(table["late_share"][:4], [1 / 3, 2 / 3, 1 / 4, 3 / 4])
    assert np.isnan(table["late_share"][4:]).all()
    assert rules(file, threshold=0.5, votes="raw")["early"].tolist() == [3]
    with pytest.raises(ValueError, match="votes: got an empty list"):
        rules(file, votes=[])


def test_without_values_the_published_rule_is_counted(tmp_path):
    (row,) = rules(write(tmp_path / "gz1.csv", GZ1))
    assert (row["threshold"], row["early"], row["late"], row["unknown"]) == (0.8, 1, 1, 1)


def test_ids_stay_text(tmp_path):
    file = write(tmp_path / "a.csv", GZ1.replace(f"{LONG},", "0007,"))
    assert read_labels(file)["id"][0] == "0007"
    table = Table.read(GZ1, format="ascii.csv")
    table["OBJID"] = table["OBJID"].astype(float)
    with pytest.raises(ValueError, match=r"a.fits: column 'OBJID': .*a float has lost digits"):
        read_labels(write(tmp_path / "a.fits", table))


def test_padding_is_no_part_of_an_id(tmp_path):
    table = Table({"JID": ["  J010000.00+020000.0   ", "J02"], "TType": [1, 2]})
    labels = read_labels(write(tmp_path / "a.fits", table))
    assert labels["id"].tolist() == ["J010000.00+020000.0", "J02"]


def test_of_a_repeated_id_the_first_is_kept_and_the_rest_counted(tmp_path):
    lines = GZ1.splitlines()
    file = write(tmp_path / "a.csv", "\n".join([*lines, lines[2].replace("12:30", "13:30")]))
    labels = read_labels(file)
    assert labels["id"].tolist() == [str(LONG + k) for k in range(3)]
    assert labels["ra"][1] == 187.5 and labels.meta["n_repeated"] == 1


@pytest.mark.parametrize("word", ["", "-999", "nan", "null", "-9999.0"])
def test_what_was_not_measured_is_unknown(tmp_path, word):
    file = write(tmp_path / "a.csv", GZ1.replace(".85,.10", f"{word},{word}"))
    assert read_labels(file)["label"].tolist() == [UNKNOWN, UNKNOWN, LATE]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "an empty file"),
        (GZ1.splitlines()[0], "at least one galaxy, got an empty catalogue"),
        (GZ1 + "5,1", "2 cells in row 4, not 16"),
        (GZ1.replace(".85", "o.85"), "'o.85' in row 2, column 'P_EL_DEBIASED', no number"),
        (GZ1.replace("12:30:00.00", "12h30"), "column 'RA', row 2: got '12h30', no coordinate"),
        ("id,class\n1,2\n", r"got columns id, class; layout '\w+' needs .* there are layouts gz1"),
        ("SIMPLE  = not FITS", "expected a catalogue, got"),
    ],
)
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_what_is_wrong_with_a_file_is_named(tmp_path, text, expected):
    with pytest.raises(ValueError, match=expected) as error:
        read_labels(write(tmp_path / "a.csv", text))
    assert "a.csv" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.csv: no such file"):
        read_labels(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"threshold": 1.2}, r"got 1.2, expected a number in \[0, 1\]"),
        ({"treshold": 0.5}, "treshold: .*did you mean 'threshold'"),
        ({"ttype_cut": 0}, "no such parameter .it has threshold, votes, minimum_votes"),
        ({"votes": "debaised"}, "votes: got 'debaised', .*did you mean 'debiased'"),
        ({"minimum_votes": -1}, "expected a whole number in"),
        ({"layout": "gz3"}, "layout: got 'gz3', expected one of auto, gz1"),
        ({"layout": "efigi"}, "got columns OBJID, .*layout 'efigi' needs pgcname, t, t_inf, t_sup"),
    ],
)
def test_a_wrong_rule_is_refused(tmp_path, rule, expected):
    with pytest.raises(ValueError, match=expected):
        read_labels(write(tmp_path / "a.csv", GZ1), **rule)


def test_a_file_that_fits_two_layouts_must_be_named(tmp_path):
    table = Table.read(GZ1, format="ascii.csv")
    table["SDSS"], table["TType"] = ["a", "b", "c"], [-5, 1, 2]
    file = write(tmp_path / "both.fits", table)
    with pytest.raises(ValueError, match="layouts gz1 and na10 fit: name one"):
        read_labels(file)
    assert read_labels(file, layout="na10")["label"].tolist() == [EARLY, LATE, LATE]


def test_sexagesimal_positions_agree_with_astropy():
    words = np.array(["00:00:00.41", "23:59:59.99", "05 32 01.5"])
    np.testing.assert_allclose(as_degrees(words, True, "RA"), Angle(words, "hour").deg, rtol=1e-12)
    words = np.array(["-00:00:01", "+89:59:59.9", "-10 22 25.7"])
    np.testing.assert_allclose(as_degrees(words, False, "DEC"), Angle(words, "deg").deg, rtol=1e-12)


DATA = Path(os.environ.get("GALCLR_REAL_DATA", ""), "catalogues")


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="GALCLR_REAL_DATA names no folder with catalogues")
class TestRealRows:
    def test_efigi(self):
        labels = read_labels(DATA / "EFIGI_attributes.txt")
        ttype = [
            int(line.split()[1]) for line in open(DATA / "EFIGI_attributes.txt") if "PGC00" in line
        ]
        assert len(labels) == len(ttype) == 4458
        assert (labels["label"] == EARLY).sum() == sum(t < 0 for t in ttype)
        assert (labels["label"] == UNKNOWN).sum() == ttype.count(11)

    @pytest.mark.parametrize("ending", ["csv", "fits"])
    def test_galaxy_zoo_2_gives_its_own_clean_flags(self, tmp_path, ending):
        flags = Table.read(DATA / "gz2_hart16.csv", format="ascii.csv")
        if ending == "fits":  # all 231 columns of the published rows
            flags.write(tmp_path / "gz2_hart16.fits")
        labels = read_labels((tmp_path if ending == "fits" else DATA) / f"gz2_hart16.{ending}")
        assert len(flags.colnames) == 231 and labels.meta["layout"] == "gz2"
        assert labels["id"].tolist() == [str(i) for i in flags["dr7objid"]]
        np.testing.assert_array_equal(labels["label"] == EARLY, flags[f"{T01}a01_smooth_flag"] == 1)
        late = flags[f"{T01}a02_features_or_disk_flag"] == 1
        np.testing.assert_array_equal(labels["label"] == LATE, late)
        np.testing.assert_array_equal(labels["ra"], flags["ra"])

    def test_efigi_in_fits(self, tmp_path):
        plain = read_labels(DATA / "EFIGI_attributes.txt")
        table = Table.read(DATA / "EFIGI_attributes.txt", format="ascii.basic")
        Table(table, meta={}).write(tmp_path / "a.fits")
        labels = read_labels(tmp_path / "a.fits")
        assert labels.meta["layout"] == "efigi"
        for name in ("id", "label", "ttype"):
            np.testing.assert_array_equal(labels[name], plain[name])

    def test_galaxy_zoo_decals(self):
        labels = read_labels(DATA / "gz_decals_volunteers_5.csv")
        assert labels["id"][0] == "J081412.47+220853.0" and labels["votes"].tolist()[0] == 3
        assert labels["label"].tolist() == [UNKNOWN] * 3 + [LATE, UNKNOWN, LATE]
        debiased = read_labels(DATA / "gz_decals_volunteers_5.csv", votes="debiased")
        assert debiased["label"].tolist() == [UNKNOWN, UNKNOWN, LATE, LATE, UNKNOWN, LATE]
