"""Stand in for the services of SDSS and of the CDS: their formats, and every fault we fear.

SkyServer runs the very SQL that it is sent, on tables of the published names in SQLite.
"""

import bz2
import io
import json
import re
import socket
import sqlite3
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from astropy.io import fits

from galclr_utils.fetch import fetch_all, polite_session

TIMED_OUT = "Execution Timeout Expired.  The timeout period elapsed prior to completion"
PAGE = b"<html><head><title>Skyserver Error</title></head><body><h2>An error occured</h2></body>"
TYPES = {"fits": "application/fits", "bz2": "application/x-bzip2", "csv": "text/plain"}


def fits_bytes(pixels, **header):
    """A FITS image as a service sends it."""
    file = io.BytesIO()
    hdu = fits.PrimaryHDU(np.asarray(pixels, np.float32))
    hdu.header.update(header)
    hdu.writeto(file)
    return file.getvalue()


def is_fits(path):
    fits.getdata(path)


def download_slowly(jobs, folder):
    """Download in a process that will be killed."""
    fetch_all(jobs, folder, check=is_fits, rate_hz=20, session=polite_session(1, 0.01))


def frame_bytes(seed=0, shape=(8, 12)):
    """A frame of the science archive, in small."""
    return bz2.compress(fits_bytes(np.random.default_rng(seed).normal(size=shape)))


class SkyServer:
    """Answer HTTP requests on a port of this machine.

    Attributes:
        files: path -> body.
        faults: part of a path -> list of faults, one for each request that matches, in turn: an
            HTTP status, ``"timeout"``, ``"truncated"``, ``"html"``, ``"disguised"`` (HTML called
            FITS), ``"type"`` (a JSON note), ``"empty"``, ``"reset"``, ``"retry-after"``.
        asked: (time, path) of every request.
        sky: SQLite database. row_limit: of a query; further rows are silently left out.
        slow_rows: a query that finds more of them times out.
        pause_s: between the two halves of a file.
    """

    def __init__(self):
        self.files, self.faults, self.asked = {}, {}, []
        self.row_limit, self.slow_rows, self.pause_s, self.silence_s = 500000, 10**9, 0.0, 0.6
        self.sky, self.lock = None, threading.Lock()
        handler = type("Handler", (_Handler,), {"service": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that hangs up is expected here
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def count(self, part=""):
        return sum(part in path for _, path in self.asked)

    def fault(self, path):
        with self.lock:
            self.asked.append((time.monotonic(), path))
            for part, faults in self.faults.items():
                if part in path and faults:
                    return faults.pop(0)
        return None

    def answer(self, path, words):
        """Return (status, body, type)."""
        if path.endswith("/SkyServerWS/SearchTools/SqlSearch"):
            return self.run(words["cmd"])
        if path.endswith("/hips2fits"):
            return 200, self.cut(words), TYPES["fits"]
        if path in self.files:
            ending = path.rsplit(".", 1)[-1]
            return 200, self.files[path], TYPES.get(ending, "application/octet-stream")
        return 404, b"not found", "text/plain"

    def run(self, sql):
        """Run a query as SkyServer does, errors included."""
        try:
            with self.lock:
                cursor = self.sky.execute(sql)
                rows, names = cursor.fetchall(), [column[0] for column in cursor.description]
        except sqlite3.Error as error:
            return told(500, str(error))
        if len(rows) > self.slow_rows:
            return told(500, TIMED_OUT)
        lines = [",".join("" if v is None else str(v) for v in row) for row in rows]
        body = "\n".join(["#Table1", ",".join(names), *lines[: self.row_limit], ""])
        return 200, body.encode(), TYPES["csv"]

    def cut(self, words):
        width, height = int(words["width"]), int(words["height"])
        seed = int(1e4 * float(words["ra"])) % 2**31 + ord(words["hips"][-1])
        pixels = np.random.default_rng(seed).normal(size=(height, width))
        step = float(words["fov"]) / width
        header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -step, "CDELT2": step}
        header |= {"CRVAL1": float(words["ra"]), "CRVAL2": float(words["dec"])}
        return fits_bytes(pixels, **header)


def told(status, message):
    """An error of SkyServer's web service."""
    note = {"ErrorCode": status, "ErrorType": "InternalServerError", "ErrorMessage": message}
    return status, json.dumps(note).encode(), "application/json"


class _Handler(BaseHTTPRequestHandler):
    service = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        fault = self.service.fault(self.path)
        parts = urlsplit(self.path)
        words = {name: values[0] for name, values in parse_qs(parts.query).items()}
        status, body, kind = self.service.answer(parts.path, words)
        if fault == "timeout":
            time.sleep(self.service.silence_s)
            self.close_connection = True
            return
        if fault == "reset":  # closing with a linger of 0 sends RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        if fault == "html":
            status, body, kind = 200, PAGE, "text/html; charset=utf-8"
        elif fault == "disguised":
            status, body = 200, PAGE
        elif fault == "type":
            status, body, kind = 200, b'{"title": "Busy"}', "application/json"
        elif fault == "empty":
            status, body = 200, b""
        elif fault == "retry-after":
            status, body, kind = 503, b"later", "text/plain"
        elif isinstance(fault, int):
            status, body, kind = fault, b"in trouble", "text/plain"
        elif isinstance(fault, tuple):
            status, body, kind = fault
        self.send_response(status)
        if fault == "retry-after":
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2
        self.wfile.write(body[:half])
        if fault == "truncated":
            self.close_connection = True
            return
        time.sleep(self.service.pause_s)
        self.wfile.write(body[half:])


# --- the sky of SkyServer, in the names of its published schema

TABLES = {
    "SpecObj": "specObjID TEXT, bestObjID INTEGER, class TEXT, zWarning INTEGER, z REAL",
    "PhotoPrimary": "objID INTEGER, fieldID INTEGER, type INTEGER, clean INTEGER, ra REAL, "
    "dec REAL, run INTEGER, rerun INTEGER, camcol INTEGER, field INTEGER, petroMag_g REAL, "
    "petroMag_r REAL, petroMag_i REAL, extinction_g REAL, extinction_r REAL, extinction_i REAL, "
    "petroR50_r REAL, petroR90_r REAL, fracDeV_r REAL, deVAB_r REAL, expAB_r REAL",
    "Field": "fieldID INTEGER, psfWidth_r REAL",
    "zooSpec": "objid INTEGER, specobjid INTEGER, dr7objid INTEGER, ra REAL, dec REAL, "
    "nvote INTEGER, p_el REAL, p_cw REAL, p_acw REAL, p_edge REAL, p_dk REAL, p_mg REAL, "
    "p_cs REAL, p_el_debiased REAL, p_cs_debiased REAL, spiral INTEGER, elliptical INTEGER, "
    "uncertain INTEGER",
}
ANSWERS = (
    "t01_smooth_or_features_a01_smooth t01_smooth_or_features_a02_features_or_disk "
    "t01_smooth_or_features_a03_star_or_artifact t02_edgeon_a04_yes t04_spiral_a08_spiral"
).split()
TABLES["zoo2MainSpecz"] = (
    "specobjid INTEGER, dr8objid INTEGER, dr7objid INTEGER, ra REAL, dec REAL, "
    "total_classifications INTEGER, total_votes INTEGER, "
    + ", ".join(
        f"{answer}_{kind} REAL"
        for answer in ANSWERS
        for kind in ("count", "fraction", "weighted_fraction", "debiased", "flag")
    )
)


def make_sky(n, seed=0):
    """Return a database of n galaxies of the sample; its rows can be changed with `set_value`."""
    random = np.random.default_rng(seed)
    sky = sqlite3.connect(":memory:", check_same_thread=False)
    for name, columns in TABLES.items():
        sky.execute(f"CREATE TABLE {name} ({columns})")
    sky.executemany("INSERT INTO Field VALUES (?, ?)", [(k, 1.2 + 0.1 * k) for k in range(5)])
    for k in range(n):
        objid, field = 1237650000000000000 + 17 * k, k % 5
        ra, dec = random.uniform(180, 190), random.uniform(0, 5)
        z = round(0.011 + 0.138 * random.beta(2, 2), 7)
        spectrum = (str(299489952322840576 + 2**40 * k), objid, "GALAXY", 0, z)
        light = (18.2, 17.5, 17.1, 0.1653, 0.1143, 0.085, 3.0, 8.0 + k % 3, k % 2, 0.7, 0.4)
        photo = (objid, field, 3, 1, ra, dec, 4510, 301, 4, 30 + field, *light)
        insert(sky, "SpecObj", spectrum)
        insert(sky, "PhotoPrimary", photo)
        if k % 3:
            votes = (40, 0.9, 0, 0, 0.05, 0.02, 0.03, 0.05, 0.85, 0.1, 0, 1, 0)
            insert(sky, "zooSpec", (objid, 0, 587722952767439450 + k, ra, dec, *votes))
        if k % 2:
            insert(sky, "zoo2MainSpecz", (0, objid, 7, ra, dec, 43, 150, *[0.25] * 25))
    return sky


def insert(sky, table, row):
    sky.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def set_value(sky, k, **values):
    """Change columns of galaxy k, in whichever table has them."""
    objid = 1237650000000000000 + 17 * k
    for name, value in values.items():
        for table, key in (("SpecObj", "bestObjID"), ("PhotoPrimary", "objID")):
            if re.search(rf"\b{name} ", TABLES[table]):
                sky.execute(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", (value, objid))
