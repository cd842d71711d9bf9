"""SkyServer's language: what the query selects, and what becomes of the answer."""

import numpy as np
import pytest
from sky_server import PAGE, SkyServer, insert, make_sky, set_value

from galclr_utils.skyserver import COLUMNS, as_catalog, read_page, sample_sql, told_error


def ask(sky, sql):
    """Run a query as the service does; return the text of its answer."""
    server = SkyServer()
    server.http.server_close()
    server.sky = sky
    return server.run(" ".join(sql.split()))[1].decode()


def objid(k):
    return str(1237650000000000000 + 17 * k)


CUT = {
    "a star": {"class": "STAR"},
    "a doubtful redshift": {"zWarning": 4},
    "a point source": {"type": 6},
    "bad photometry": {"clean": 0},
    "too faint": {"petroMag_r": 17.885},  # 17.77 + extinction 0.1143, and a bit
    "no magnitude": {"petroMag_r": -9999.0},
    "too near": {"z": 0.01},
    "too far": {"z": 0.15},
}


@pytest.mark.parametrize("what", CUT)
def test_the_sample_leaves_out(what):
    sky = make_sky(4)
    set_value(sky, 2, **CUT[what])
    page = read_page(ask(sky, sample_sql()))
    assert sorted(page["objid"]) == [objid(0), objid(1), objid(3)]


def test_extinction_is_taken_off_before_the_limit():
    sky = make_sky(2)
    set_value(sky, 0, petroMag_r=17.88)
    assert len(read_page(ask(sky, sample_sql()))) == 2
    assert len(read_page(ask(sky, sample_sql(mag_r_max=17.76)))) == 1


def test_a_region_may_run_through_zero_and_a_condition_may_be_added():
    sky = make_sky(5)
    for k, ra in enumerate((349.9, 350.0, 0.0, 9.9, 10.0)):
        set_value(sky, k, ra=ra, dec=0.5)
    page = read_page(ask(sky, sample_sql(region=(350, 10, 0, 1))))
    assert sorted(page["ra"]) == [0.0, 9.9, 350.0]
    page = read_page(ask(sky, sample_sql(region=(0, 10, 0, 1), where="p.ra < 5 OR p.ra > 359")))
    assert page["ra"].tolist() == [0.0]
    with pytest.raises(ValueError, match=r"expected \(ra from, ra to, dec from, dec to\)"):
        sample_sql(region=(1, 2, 3))
    with pytest.raises(ValueError, match="z_max: got"):
        sample_sql(z_min=0.05, z_max=0.01)


def test_every_row_says_how_many_there_are():
    page = read_page(ask(make_sky(7), sample_sql()))
    assert page["n_rows"].tolist() == [7] * 7
    server = SkyServer()
    server.http.server_close()
    server.sky, server.row_limit = make_sky(7), 3
    page = read_page(server.run(sample_sql())[1].decode())
    assert len(page) == 3 and page["n_rows"].tolist() == [7] * 3, "counted before it is cut"


def test_ids_keep_their_digits_and_votes_may_be_missing():
    page = read_page(ask(make_sky(6), sample_sql()))
    page.sort("objid")
    assert page["objid"].tolist() == [objid(k) for k in range(6)]
    assert page["specobjid"][1] == str(299489952322840576 + 2**40)
    assert page["dr7objid"].tolist()[:2] == ["", "587722952767439451"]
    np.testing.assert_array_equal(page["p_el"][:4], [np.nan, 0.9, 0.9, np.nan])
    np.testing.assert_array_equal(page["total_classifications"][:3], [np.nan, 43, np.nan])


def test_the_catalogue_has_our_names_and_the_right_numbers():
    sky = make_sky(2)
    set_value(sky, 0, fracDeV_r=0.3, petroMag_i=-9999.0)
    set_value(sky, 1, fracDeV_r=0.8, extinction_g=0.151728, extinction_r=0.110040)
    catalog = as_catalog(read_page(ask(sky, sample_sql())))
    expected = {
        "mag_r": [17.5 - 0.1143, 17.5 - 0.11004],
        "g_r": [18.2 - 17.5 - (0.1653 - 0.1143), 18.2 - 17.5 - (0.151728 - 0.11004)],
        "r_i": [np.nan, 17.5 - 17.1 - (0.11004 - 0.085)],
        "r50": [3, 3],
        "concentration": [8 / 3, 3],
        "psf_fwhm": [1.2, 1.3],
        "axis_ratio": [0.4, 0.7],  # exponential, de Vaucouleurs
        "ebv": [0.1143 / 2.285, 0.04],  # by the coefficients of 2011, and of 2002
    }
    for name, values in expected.items():
        np.testing.assert_allclose(catalog[name], values, rtol=1e-6, err_msg=name)
    assert catalog.colnames[:4] == ["id", "ra", "dec", "z"] and "label" not in catalog.colnames
    assert catalog["field"].tolist() == [30, 31] and catalog["run"].dtype.kind == "i"
    assert catalog["p_el_debiased"][1] == 0.85
    assert catalog["t01_smooth_or_features_a01_smooth_weighted_fraction"][1] == 0.25


def test_two_rows_of_votes_do_not_make_two_galaxies():
    sky = make_sky(3)
    votes = (12, 0.5, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 0, 0, 1)
    insert(sky, "zooSpec", (int(objid(1)), 9, 9, 180, 0, *votes))
    page = read_page(ask(sky, sample_sql()))
    assert len(page) == 4
    assert as_catalog(page)["id"].tolist() == [objid(0), objid(1), objid(2)]


def test_an_empty_answer_is_an_empty_page():
    header = ",".join([*COLUMNS, "n_rows"])
    for text in (f"#Table1\n{header}\n", "No objects have been found\n"):
        page = read_page(text)
        assert len(page) == 0 and page.colnames == [*COLUMNS, "n_rows"]
        assert page["objid"].dtype.kind == "U" and page["z"].dtype == float


HEADER = ",".join([*COLUMNS, "n_rows"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PAGE.decode(), "expected a table, got a page: Skyserver Error An error occured"),
        ("", "got a page: empty"),
        ('{"ErrorCode": 500, "ErrorMessage": "Invalid object name"}', "error: Invalid object"),
        ("#Table1\nerror_message\nerror: limit is top 5\n", "error: limit is top 5"),
        ("#Table1\nobjid,ra\n1,2\n", "other columns than were asked for: camcol, "),
        (f"#Table1\n{HEADER},u\n1,2\n", "other columns than were asked for: u"),
        (f"#Table1\n{HEADER}\n1,2\n", "got a broken table: its last row is '1,2'"),
        (f"#Table1\n{HEADER}\n{',a' * HEADER.count(',')}\n", "got a broken table"),
    ],
)
def test_what_is_no_table_is_named(text, expected):
    with pytest.raises(ValueError, match=expected):
        read_page(text)


def test_half_a_last_row_is_noticed():
    text = ask(make_sky(12), sample_sql()).rstrip()
    assert len(read_page(text)) == 12, "without the last line's end it is whole"
    for cut in (1, 2, 5, 40):
        with pytest.raises(ValueError, match="got a broken table"):
            read_page(text[:-cut])


def test_what_only_looks_like_an_error_is_none():
    assert told_error("{broken") == told_error("#Table1\nra\n1\n") == told_error("") == ""
