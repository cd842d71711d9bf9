"""The sample comes whole, each galaxy once, whatever the service does on the way."""

import itertools

import numpy as np
import pytest
from astropy.table import Table
from sky_server import PAGE, SkyServer, make_sky, set_value, told

from galclr_utils.fetch import polite_session
from galclr_utils.query import sample

IDS = [str(1237650000000000000 + 17 * k) for k in range(500)]


@pytest.fixture
def server():
    with SkyServer() as running:
        running.sky = make_sky(60)
        yield running


def ask(server, folder, **options):
    session = polite_session(retries=2, backoff_s=0.01, statuses=(429, 502, 503), read=False)
    quick = {"rate_hz": 500, "timeout_s": 20, "page_z": 0.05, "session": session}
    return sample(folder, base_url=server.url, **quick | options)


def test_a_limit_of_50_rows_gives_all_500_galaxies_once(server, tmp_path):
    server.sky, server.row_limit = make_sky(500), 50
    catalog = ask(server, tmp_path)
    assert catalog["id"].tolist() == IDS and catalog.meta["REPEATED"] == 0
    z = {k: v for k, v in server.sky.execute("SELECT bestObjID, z FROM SpecObj")}
    assert catalog["z"].tolist() == [z[int(name)] for name in catalog["id"]]
    assert server.count() > 10, "no page holds more than 50"
    sizes = [len(path.read_text().splitlines()) - 2 for path in tmp_path.glob("pages-*/*.csv")]
    assert max(sizes) <= 50 and sum(sizes) == 500


def test_pages_that_take_too_long_are_halved(server, tmp_path):
    server.slow_rows = 10
    assert ask(server, tmp_path)["id"].tolist() == IDS[:60]
    assert server.count() >= 11


def test_galaxies_on_the_edge_of_a_page_come_once(server, tmp_path):
    edges = np.linspace(0.01, 0.15, 4).round(7).tolist()
    halves = [round((low + high) / 2, 7) for low, high in itertools.pairwise(edges)]
    for k, z in enumerate([*edges[1:-1], *halves, 0.0100001, 0.1499999]):
        set_value(server.sky, k, z=z)
    server.row_limit = 12
    catalog = ask(server, tmp_path)
    assert catalog["id"].tolist() == IDS[:60] and catalog.meta["REPEATED"] == 0
    assert len(list(tmp_path.glob("pages-*/*.halved"))) >= 3


def test_query_and_catalogue_lie_beside_the_pages(server, tmp_path):
    catalog = ask(server, tmp_path, data_release=16)
    assert all("/dr16/SkyServerWS/" in path for _, path in server.asked)
    stored = Table.read(tmp_path / "sample.fits")
    assert stored["id"].tolist() == catalog["id"].tolist() and stored.meta["SURVEY"] == "SDSS DR16"
    np.testing.assert_array_equal(stored["p_el"], catalog["p_el"])
    found = server.sky.execute((tmp_path / "sample.sql").read_text()).fetchall()
    assert len(found) == len(catalog), "what is stored is the query, and it runs"


def test_a_second_call_asks_only_for_what_is_missing(server, tmp_path):
    server.row_limit = 10
    whole = ask(server, tmp_path / "whole")
    server.asked.clear()
    server.faults["SqlSearch"] = [None] * 6 + [404] * 10
    with pytest.raises(ConnectionError, match=r"HTTP 404.*Pages that came are kept"):
        ask(server, tmp_path / "cut")
    server.faults.clear()
    before = server.count()
    again = ask(server, tmp_path / "cut")
    assert all(again["id"] == whole["id"]) and len(again) == 60
    assert len({path for _, path in server.asked}) == len(server.asked) - 3, "three tries of one"
    before = server.count()
    ask(server, tmp_path / "cut")
    assert server.count() == before
    ask(server, tmp_path / "cut", mag_r_max=17.5)
    assert server.count() > before, "another query has pages of its own"


@pytest.mark.parametrize("fault", [500, 502, 503, 429, 504, "retry-after", "reset", "truncated"])
def test_a_fault_that_passes_is_overcome(server, tmp_path, fault):
    server.faults["SqlSearch"] = [None, fault]
    assert ask(server, tmp_path)["id"].tolist() == IDS[:60]
    assert server.count() == (5 if fault == 504 else 4), "asked again, or in two halves"


def test_silence_halves_the_page(server, tmp_path):
    server.faults["SqlSearch"] = ["timeout"]
    server.silence_s = 1.3
    assert ask(server, tmp_path, page_z=0.14, timeout_s=1)["id"].tolist() == IDS[:60]
    assert server.count() >= 3


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("html", "expected a table, got a page: Skyserver Error"),
        ((503, PAGE, "text/html"), "HTTP 503"),
        (told(500, "Invalid object name 'zooSpec'."), "error: Invalid object name 'zooSpec'"),
        (told(400, "error: limit is top 50"), "error: limit is top 50"),
        ((200, b"#Table1\nra,dec\n1,2\n", "text/plain"), "other columns than were asked for"),
        ("empty", "got a page: empty"),
        (500, "HTTP 500"),
        (told(500, "Execution Timeout Expired."), "no whole answer for z from .* out of time"),
    ],
)
def test_a_fault_that_stays_is_told(server, tmp_path, fault, expected):
    server.faults["SqlSearch"] = [fault] * 100
    with pytest.raises((ValueError, ConnectionError), match=expected):
        ask(server, tmp_path)
    assert server.count() < 20 and not (tmp_path / "sample.fits").exists()


def test_a_sample_without_galaxies_is_an_error(server, tmp_path):
    with pytest.raises(ValueError, match="got no galaxy: is the region within the survey"):
        ask(server, tmp_path, region=(10, 20, -5, 5))
