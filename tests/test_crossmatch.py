"""Labels joined to a catalogue, one galaxy to one entry."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils.crossmatch import id_kind, join

ARCSEC = 1 / 3600


def galaxies(ra, dec, ids=None, **more):
    ids = [f"g{k}" for k in range(len(ra))] if ids is None else ids
    return Table({"id": ids, "ra": np.array(ra, float), "dec": np.array(dec, float), **more})


def entries(ra, dec, label, ids=None, ttype=None):
    table = galaxies(ra, dec, [f"e{k}" for k in range(len(ra))] if ids is None else ids)
    table["label"] = np.array(label, np.int8)
    table["ttype"] = np.full(len(ra), np.nan, np.float32) if ttype is None else np.float32(ttype)
    table["votes"] = np.full(len(ra), -1, np.int32)
    return table


def test_of_two_galaxies_near_one_entry_the_nearer_has_it():
    catalog = galaxies([10, 10 + 1.5 * ARCSEC, 20], [0, 0, 0])
    joined = join(catalog, entries([10 + 1.0 * ARCSEC], [0], [1]), radius_arcsec=2)
    assert joined["label"].tolist() == [-1, 1, -1]
    assert joined["label_id"].tolist() == ["", "e0", ""]
    np.testing.assert_allclose(joined["separation_arcsec"][1], 0.5, rtol=1e-6)
    counts = joined.meta["join"]
    assert (counts["matched"], counts["ambiguous"], counts["without_entry"]) == (1, 1, 2)


def test_of_two_entries_near_one_galaxy_the_nearer_is_taken():
    labels = entries([30 + 1.2 * ARCSEC, 30 - 0.4 * ARCSEC, 31], [0, 0, 0], [0, 1, 0])
    joined = join(galaxies([30, 31], [0, 0]), labels, radius_arcsec=2)
    assert joined["label"].tolist() == [1, 0] and joined["label_id"].tolist() == ["e1", "e2"]
    assert joined.meta["join"]["ambiguous"] == 1 and joined.meta["join"]["unused"] == 1


def test_a_pair_of_pairs_is_matched_one_to_one():
    """The first galaxy's nearest entry belongs to the second: it does not take the other one."""
    catalog = galaxies([10, 10 + 1.0 * ARCSEC], [0, 0])
    labels = entries([10 + 0.9 * ARCSEC, 10 - 1.8 * ARCSEC], [0, 0], [1, 0])
    joined = join(catalog, labels, radius_arcsec=2)
    assert joined["label"].tolist() == [-1, 1] and joined.meta["join"]["matched"] == 1


def test_the_radius_is_the_limit():
    catalog = galaxies([50, 60], [45, 45])
    apart = np.array([1.99, 2.01]) * ARCSEC
    labels = entries([50, 60], 45 + apart, [0, 1])
    assert join(catalog, labels, radius_arcsec=2)["label"].tolist() == [0, -1]
    assert join(catalog, labels, radius_arcsec=2.02)["label"].tolist() == [0, 1]
    assert join(catalog, labels, radius_arcsec=2).meta["join"]["ambiguous"] == 0


def test_right_ascension_wraps_and_shrinks_with_declination():
    catalog = galaxies([359.9999, 0.0001, 100.0], [0, 30, 60])
    labels = entries([0.0001, 359.9999, 100 + 3 * ARCSEC], [0, 30, 60], [1, 0, 1])
    joined = join(catalog, labels, radius_arcsec=1.6)
    assert joined["label"].tolist() == [1, 0, 1]
    expected = [0.72, 0.72 * np.cos(np.radians(30)), 3 * np.cos(np.radians(60))]
    np.testing.assert_allclose(joined["separation_arcsec"], expected, rtol=1e-3)


def test_across_the_pole_two_positions_are_near():
    catalog = galaxies([0, 90], [90 - 0.5 * ARCSEC, -90 + 5 * ARCSEC])
    labels = entries([180, 270], [90 - 0.5 * ARCSEC, -90 + 5 * ARCSEC], [1, 0])
    joined = join(catalog, labels, radius_arcsec=2)
    assert joined["label"].tolist() == [1, -1]  # 1 and 10 arcsec, over the pole
    np.testing.assert_allclose(joined["separation_arcsec"][0], 1, rtol=1e-3)


def test_a_scattered_sky_is_matched_back():
    random = np.random.default_rng(0)
    ra, dec = random.uniform(0, 360, 500), np.degrees(np.arcsin(random.uniform(-1, 1, 500)))
    order, label = random.permutation(500), random.integers(0, 2, 500)
    labels = entries(ra[order], dec[order] + random.normal(0, 0.2, 500) * ARCSEC, label[order])
    joined = join(galaxies(ra, dec), labels, radius_arcsec=2)
    assert joined["label"].tolist() == label.tolist()
    assert joined.meta["join"] == {
        "by": "sky",
        "radius_arcsec": 2.0,
        "matched": 500,
        "ambiguous": 0,
        "without_entry": 0,
        "unused": 0,
    }


def test_galaxies_without_a_position_stay_unlabelled():
    catalog = galaxies([10, np.nan, 12], [0, 0, np.nan])
    joined = join(catalog, entries([12, 10], [0, 0], [1, 1]))
    assert joined["label"].tolist() == [1, -1, -1]


DR7 = ["587722952767439450", "587722952767439451", "588011216726261929"]


def test_ids_of_one_kind_are_joined_by_id_whatever_the_positions():
    catalog = galaxies([10, 20, 30], [0, 0, 0], DR7)
    labels = entries([30, 20], [0, 0], [0, 1], [DR7[0], DR7[1]])
    joined = join(catalog, labels)
    assert joined["label"].tolist() == [0, 1, -1] and joined["label_id"].tolist() == [*DR7[:2], ""]
    assert joined.meta["join"]["by"] == "id" and np.isnan(joined["separation_arcsec"]).all()
    assert join(catalog, labels, by="sky")["label"].tolist() == [-1, 1, 0]


def test_ids_of_two_kinds_or_of_none_are_joined_by_position():
    labels = entries([20, 10], [0, 0], [0, 1], DR7[:2])
    assert join(galaxies([10], [0], ["1237645879551066262"]), labels)["label"].tolist() == [1]
    small = entries([20, 10], [0, 0], [0, 1], ["1", "2"])  # running numbers agree by chance
    assert join(galaxies([10, 20], [0, 0], ["1", "2"]), small)["label"].tolist() == [1, 0]
    assert join(galaxies([10, 20], [0, 0], ["1", "2"]), small, by="id")["label"].tolist() == [0, 1]


def test_without_positions_the_id_must_do():
    labels = Table({"id": ["PGC0000212", "PGC0000218"], "label": np.int8([1, 0])})
    labels["ra"], labels["dec"] = np.nan, np.nan
    assert join(Table({"id": ["PGC0000218"]}), labels)["label"].tolist() == [0]
    with pytest.raises(ValueError, match=r"labels: no galaxy has a position.*join by='id'"):
        join(galaxies([1], [2], ["J010203.4+050607.8"]), labels)
    with pytest.raises(ValueError, match="catalog: got columns id, expected ra and dec"):
        join(Table({"id": ["x"]}), labels)


def test_kinds_of_id():
    assert id_kind(DR7).endswith("7 or before") and "8 or later" in id_kind(["1237645879551066262"])
    assert id_kind([DR7[0], "1237645879551066262"]) == ""
    assert id_kind(["J081412.47+220853.0", "SDSS J081412.47+220853.0"]) == "IAU name"
    assert id_kind(["PGC0000212"]) == "PGC number" and id_kind([]) == id_kind(["7"]) == ""


def test_what_the_catalogue_had_stays_except_its_labels():
    catalog = galaxies([10, 20], [0, 0], z=[0.1, 0.2], label=np.int8([0, 0]), ttype=[3.0, 4.0])
    joined = join(catalog, entries([10], [0], [1]))
    assert joined["label"].tolist() == [1, -1] and joined["z"].tolist() == [0.1, 0.2]
    assert joined["ttype"].tolist() == [3, 4] and "votes" not in joined.colnames
    joined = join(catalog, entries([10], [0], [1], ttype=[7]))
    np.testing.assert_array_equal(joined["ttype"], [7, np.nan])
    assert catalog["label"].tolist() == [0, 0] and "join" not in catalog.meta


def test_no_match_tells_how_far_the_nearest_is():
    with pytest.raises(ValueError, match=r"within 2.0 arcsec: .*row 2 and entry 1, is 7.2 arcsec"):
        join(galaxies([5, 10], [0, 0]), entries([10.002], [0], [1]))
    with pytest.raises(
        ValueError, match=r"no id in common: got g0 \(\) and e0 \(\).*join by='sky'"
    ):
        join(galaxies([5], [0]), entries([5], [0], [1]), by="id")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"radius_arcsec": 0}, r"radius_arcsec: got 0, expected a number in \(0, 3600\]"),
        ({"by": "name"}, "by: got 'name', expected one of auto, id, sky"),
        ({"catalog": galaxies([5], [95])}, "catalog: ra or dec is beyond the sky"),
        ({"catalog": galaxies([5, 6], [0, 0], ["a", "a"])}, "id a is in row 1 and in row 2"),
    ],
)
def test_wrong_input_is_refused(change, expected):
    asked = {"catalog": galaxies([5], [0]), "labels": entries([5], [0], [1])} | change
    with pytest.raises(ValueError, match=expected):
        join(**asked)
