"""Catalogues come whole from VizieR or not at all, whatever the service does.

The server speaks as VizieR does: its requests (keys a line, as astroquery posts them), its VOTable
and its INFO lines are imitated; the rows are made up, in the columns that are known.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from galclr_utils import vizier
from galclr_utils.labels import read_labels
from galclr_utils.vizier import CATALOGUES, fetch_catalogue

EARLY, LATE, UNKNOWN = 0, 1, -1
LONG = 587722952767439450
HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
 <DESCRIPTION>
   VizieR Astronomical Server vizier.cds.unistra.fr
   In this version, NULL integer columns are written as an empty string
 </DESCRIPTION>
<INFO ID="VERSION" name="votable-version" value="1.99+ (14-Oct-2013)"/>
<INFO name="queryParameters" value="{n}">
{body}
</INFO>
<RESOURCE ID="yCat" name="{source}">
  <COOSYS ID="J2000" system="eq_FK5" equinox="J2000"/>
"""


def column(values, unit="", null=None):
    return values, unit, null


TABLES = {
    "J/ApJS/186/427/table2": {
        "recno": column([1, 2, 3]),
        "SDSS": column(["J155341.74-003422.9", "J112408.63-010927.9", "J114750.01-000713.0"]),
        "_RA": column([238.42392, 171.03597, 176.95839], "deg"),
        "_DE": column([-0.57303, -1.15777, -0.12028], "deg"),
        "TType": column([-5, 5, 99]),
        "z(s)": column([0.07, 0.05, None]),
    },
    "J/ApJS/186/427/refs": {"Ref": column([1, 2]), "Text": column(["a & b", "c < d"])},
    "J/MNRAS/410/166/galaxies": {
        "objID": column([str(LONG + k) for k in range(4)]),
        "RAJ2000": column(["00 00 00.41", "12 30 00.0", "10 0 0", "1 1 1"], '"h:m:s"'),
        "DEJ2000": column(["-10 22 25.7", "+00 30 00", "+1 0 0", "2 2 2"], '"d:m:s"'),
        "N": column([59, 18, 30, 7]),
        "pcS": column([0.1, 0.2, 0.3, 0.4]),
        "fE": column([1, 0, 0, None]),
        "fS": column([0, 1, 0, None]),
        "fU": column([0, 0, 1, None]),
    },
    "J/A+A/525/A157/catalog": {
        "objID": column([LONG, LONG + 1, LONG + 2]),
        "RAJ2000": column([1.0, 2.0, 3.0], "deg"),
        "DEJ2000": column([1.0, 2.0, 3.0], "deg"),
        "pE/S0": column([0.9, 0.3, None]),
        "pE": column([0.6, 0.1, None]),
        "pS0": column([0.3, 0.2, None]),
    },
    "J/MNRAS/476/3661/table1": {
        "objID": column([LONG, LONG + 1, LONG + 2]),
        "Pdisk": column([0.1, 0.9, 0.5]),
        "PbarN10": column([0.1, 0.9, 0.5]),
        "TType": column([-2.5, 4.25, 0.0]),
        "PS0": column([0.5, 0.0, 0.5]),
    },
    "J/A+A/532/A74/efigi": {"PGC": column([1, 2]), "Name": column(["a", "b"])},
}
COMPUTED = {"_RAJ2000": 15.0, "_DEJ2000": -2.5}


def write_votable(body, tables, rows):
    """Return the answer of VizieR to a request."""
    asked = dict(line.partition("=")[::2] for line in body.splitlines())
    source = asked["-source"]
    text = HEAD.format(n=len(asked), body=escape(body), source=source)
    for name, columns in tables.items():
        if not f"{name}/".startswith(f"{source}/"):
            continue
        wanted = dict(columns)
        if "-out.all" not in asked:
            wanted = {key: columns[key] for key in asked["-out"].split(",") if key in columns}
        n = len(next(iter(columns.values()))[0])
        for key in asked.get("-out.add", "").split(","):
            wanted[key] = column([COMPUTED[key] + k for k in range(n)], "deg")
        limit = n if asked["-out.max"] == "unlimited" else int(asked["-out.max"])
        limit = min(limit, rows)
        text += f'<TABLE ID="{name.replace("/", "_")}" name="{name}">\n'
        for key, (values, unit, _) in wanted.items():
            kind = {int: "int", float: "double", str: "char"}[type(values[0])]
            kind = "long" if kind == "int" and values[0] > 2**31 else kind
            size = ' arraysize="19*"' if kind == "char" else ""
            unit = f' unit="{escape(unit, {chr(34): "&quot;"})}"' if unit else ""
            text += f'<FIELD name="{key}" ucd="meta" datatype="{kind}"{size}{unit}>'
            text += '<VALUES null="-2147483648"/>' if kind == "int" else ""
            text += "</FIELD>\n"
        text += "<DATA><TABLEDATA>\n"
        for k in range(min(limit, n)):
            cells = ("" if v[k] is None else escape(str(v[k])) for v, *_ in wanted.values())
            text += "<TR>" + "".join(f"<TD>{cell}</TD>" for cell in cells) + "</TR>\n"
        text += "</TABLEDATA></DATA>\n"
        if limit < n:
            text += f'<INFO name="Warning" value="truncated result (maxtup={limit})"/>\n'
            text += '<INFO name="QUERY_STATUS" value="OVERFLOW">truncated result</INFO>\n'
        text += "</TABLE>\n"
    return (text + "</RESOURCE>\n</VOTABLE>\n").encode()


class VizieR:
    """Answer on a port of this machine.

    Attributes:
        tables: name -> columns. rows: that it sends at most. asked: bodies of the requests.
        fault: called with the number of the request and the answer; returns (status, body).
    """

    def __init__(self):
        self.tables, self.rows, self.asked = dict(TABLES), 10**9, []
        self.fault = lambda k, body: (200, body)
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                service.asked.append((self.path, body))
                answer = write_votable(body, service.tables, service.rows)
                status, answer = service.fault(len(service.asked), answer)
                self.send_response(status)
                length = len(answer)
                if status == 299:  # the line breaks
                    answer = answer[: length // 2]
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(answer)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    with VizieR() as running:
        yield running


def fetch(layout, folder, server, **options):
    return fetch_catalogue(layout, folder, server=server.url, **{"least_share": 0, **options})


@pytest.mark.parametrize(
    ("layout", "label", "ttype"),
    [
        ("gz1_flags", [EARLY, LATE, UNKNOWN, UNKNOWN], None),
        ("na10", [EARLY, LATE, UNKNOWN], [-5, 5, np.nan]),
        ("hc11", [EARLY, LATE, UNKNOWN], None),
        ("ds18", [EARLY, LATE, EARLY], [-2.5, 4.25, 0]),
    ],
)
def test_what_comes_is_opened_by_read_labels(server, tmp_path, layout, label, ttype):
    path = fetch(layout, tmp_path / "new", server)
    assert path == tmp_path / "new" / f"{layout}.fits"
    labels = read_labels(path)  # told by its columns
    assert labels.meta["layout"] == layout
    assert labels["label"].tolist() == label
    np.testing.assert_array_equal(labels["ttype"], np.float32(ttype or [np.nan] * len(label)))
    if layout != "hc11":  # which has decimal positions of its own
        np.testing.assert_allclose(labels["ra"], 15.0 + np.arange(len(label)))
        np.testing.assert_allclose(labels["dec"], -2.5 + np.arange(len(label)))
    if layout != "na10":
        assert labels["id"].tolist() == [str(LONG + k) for k in range(len(label))]


def test_the_columns_are_called_as_vizier_calls_them(server, tmp_path):
    table = Table.read(fetch("na10", tmp_path, server))
    assert table.colnames == [*TABLES["J/ApJS/186/427/table2"], "_RAJ2000", "_DEJ2000"]
    assert table["_RA"].unit == "deg" and table["TType"].tolist() == [-5, 5, 99]
    assert np.isnan(np.ma.filled(table["z(s)"], np.nan)[2])
    assert read_labels(tmp_path / "na10.fits")["id"][0] == "J155341.74-003422.9"


def test_the_file_says_where_it_is_from(server, tmp_path):
    header = fits.getheader(fetch("na10", tmp_path, server), 1)
    assert header["CATALOG"] == "J/ApJS/186/427" and header["VTABLE"] == "J/ApJS/186/427/table2"
    assert header["LAYOUT"] == "na10" and header["SERVER"] == server.url
    assert header["ROWS"] == 3 and header["DATE"][:2] == "20"


def test_it_asks_for_one_row_of_each_table_then_for_all_of_one(server, tmp_path):
    fetch("gz1_flags", tmp_path, server)
    (path, first), (_, second) = server.asked
    assert path == "/viz-bin/votable"
    first, second = first.splitlines(), second.splitlines()
    assert "-source=J/MNRAS/410/166" in first and "-out.max=1" in first
    assert "-source=J/MNRAS/410/166/galaxies" in second and "-out.max=unlimited" in second
    for asked in (first, second):
        assert "-out=objID,N,fE,fS,fU" in asked and "-out.add=_RAJ2000,_DEJ2000" in asked
    fetch("na10", tmp_path, server)
    assert "-out.all" in server.asked[2][1].splitlines()


def test_a_file_that_is_there_is_kept_and_nothing_is_asked(server, tmp_path):
    path = fetch("na10", tmp_path, server)
    before, n = path.read_bytes(), len(server.asked)
    assert fetch("na10", tmp_path, server).read_bytes() == before
    assert len(server.asked) == n
    assert [p.name for p in tmp_path.iterdir()] == ["na10.fits"]


def test_answers_are_not_cached(server, tmp_path):
    fetch("na10", tmp_path / "a", server)
    fetch("na10", tmp_path / "b", server)
    assert len(server.asked) == 4


def html(k, body):
    return 200, b"<!DOCTYPE html><html><body><h1>VizieR is being maintained</h1></body></html>"


def test_too_few_rows_are_refused(server, tmp_path):
    with pytest.raises(ValueError, match="table2 came with 3 rows, expected about 14034"):
        fetch("na10", tmp_path, server, least_share=0.9)
    server.rows = 2  # a limit of the server's own
    with pytest.raises(ValueError, match="expected all rows, got Warning: truncated result"):
        fetch("na10", tmp_path, server)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", [1, 2])
@pytest.mark.parametrize(
    ("fault", "error", "expected"),
    [
        (html, ValueError, "expected a VOTable, got: VizieR is being maintained"),
        (lambda k, body: (200, b""), ValueError, "expected a VOTable, got: nothing"),
        (lambda k, body: (503, b"busy"), ConnectionError, "got HTTP 503 Service Unavailable"),
        (lambda k, body: (200, body[:-400]), ValueError, "got a broken VOTable"),
        (lambda k, body: (299, body), ConnectionError, "no answer for J/ApJS/186/427"),
        (
            lambda k, body: (
                200,
                body.replace(b"<RESOURCE", b'<INFO name="Error" value="no such"/><RESOURCE'),
            ),
            ValueError,
            "got Error: no such",
        ),
    ],
)
def test_a_bad_answer_leaves_nothing(server, tmp_path, broken, fault, error, expected):
    server.fault = lambda k, body: fault(k, body) if k == broken else (200, body)
    with pytest.raises(error, match=expected):
        fetch("na10", tmp_path, server)
    assert list(tmp_path.iterdir()) == []
    assert fetch("na10", tmp_path, server).exists()  # and then it goes


def test_an_empty_answer_is_named(server, tmp_path):
    server.rows = 0
    with pytest.raises(ValueError, match=r"expected one table .* layout 'na10': no table has rows"):
        fetch("na10", tmp_path, server)


def test_other_columns_than_expected_stop_it_before_the_long_request(server, tmp_path):
    expected = r"layout 'efigi': J/A\+A/532/A74/efigi: got columns PGC, Name.* needs .*pgcname"
    with pytest.raises(ValueError, match=expected):
        fetch("efigi", tmp_path, server)
    assert len(server.asked) == 1
    server.tables["J/ApJS/186/427/table9"] = TABLES["J/ApJS/186/427/table2"]
    with pytest.raises(ValueError, match="table2 and J/ApJS/186/427/table9 fit"):
        fetch("na10", tmp_path, server)


def test_a_server_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConnectionError, match=r"no answer for J/ApJS.* Is there a network"):
        fetch_catalogue("na10", tmp_path, server="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layout": "gz2"}, "layout: got 'gz2', expected one of gz1_flags, na10"),
        ({"layout": "na01"}, "did you mean 'na10'"),
        ({"least_share": 2}, r"least_share: got 2, expected a number in \[0, 1\]"),
        ({"timeout_s": 0}, r"timeout_s: got 0, expected a number in \(0"),
    ],
)
def test_wrong_parameters_are_refused(tmp_path, options, expected):
    with pytest.raises(ValueError, match=expected):
        fetch_catalogue(**{"layout": "na10", "folder": tmp_path, **options})


def test_every_catalogue_has_a_layout():
    assert set(CATALOGUES) <= set(vizier.LAYOUTS)


def test_whole_numbers_with_gaps_keep_their_digits(server, tmp_path):
    table = {**TABLES["J/ApJS/186/427/table2"], "objID": column([LONG, None, LONG + 2])}
    server.tables["J/ApJS/186/427/table2"] = table
    objid = Table.read(fetch("na10", tmp_path, server))["objID"]
    assert [str(i).strip() for i in MaskedColumn(objid).filled("")] == [
        str(LONG),
        "",
        str(LONG + 2),
    ]
