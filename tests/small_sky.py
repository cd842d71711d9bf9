"""A small SIMULATED sky behind stand-ins of all services: query, frames and cut-outs, one truth."""

import bz2
import sys
from urllib.parse import urlsplit

import numpy as np
from astropy.table import Table
from sky_server import SkyServer, fits_bytes, make_sky
from synthetic_frames import frame_bytes, star_image, tan_wcs

from galclr_utils import acquire, sdss
from galclr_utils.resampling import galaxy_grid

FIELDS, EACH = 4, 4  # fields, galaxies in each
N = FIELDS * EACH
NOISE = 0.02  # nanomaggies per pixel
PLACES = ((90, 90), (90, 160), (150, 90), (120, 250))  # rows, columns on the frame


def acquire_slowly(words):
    """Acquire in a process that will be killed."""
    sys.exit(acquire.main(words))


def objid(k):
    return str(1237650000000000000 + 17 * k)


class SmallSky(SkyServer):
    """Sixteen galaxies in four fields; the first is early, the second late, and so on.

    Attributes:
        unit: what the cut-out service makes of nanomaggies.
        galaxies: id, ra, dec, flux (3), fwhm.
    """

    def __init__(self, unit=lambda pixels: pixels):
        super().__init__()
        self.unit, self.cut_memory = unit, {}
        self.sky = make_sky(N)
        rows, random = [], np.random.default_rng(7)
        for k in range(N):
            wcs = self.wcs("r", k // EACH)
            y, x = PLACES[k % EACH]
            ra, dec = (float(v) for v in wcs.all_pix2world(x, y, 0))
            flux = 10 ** (0.4 * (22.5 - (14.0 + 3 * k / N)))
            rows.append((objid(k), ra, dec, flux, 6 + k % 4, 30 + k // EACH))
            values = {"ra": ra, "dec": dec, "field": 30 + k // EACH, "run": 4510, "camcol": 4}
            values["petroMag_r"] = 14.1 + 3 * k / N
            assign = ", ".join(f"{name} = {value!r}" for name, value in values.items())
            self.sky.execute(f"UPDATE PhotoPrimary SET {assign} WHERE objID = {objid(k)}")
            if k % 2:
                late = "p_el_debiased = 0.05, p_cs_debiased = 0.9"
                self.sky.execute(f"UPDATE zooSpec SET {late} WHERE objid = {objid(k)}")
        names = ("id", "ra", "dec", "flux", "fwhm", "field")
        self.galaxies = Table(rows=rows, names=names)
        frames = Table({"run": [4510] * FIELDS, "camcol": [4] * FIELDS})
        frames["field"] = range(30, 30 + FIELDS)
        for job in sdss.frame_jobs(frames, base_url=self.url + "/frames"):
            _, band, _, _, field = job.key.split(".")[0].split("-")
            wcs = self.wcs(band, int(field) - 30)
            image = self.light(wcs, band, (240, 320))
            image += random.normal(0, NOISE, image.shape)
            body = frame_bytes(image, wcs, field=int(field), band=band)
            self.files[urlsplit(job.url).path] = bz2.compress(body, 1)

    def wcs(self, band, k):
        return tan_wcs(band, (200.4, 36.8 + 0.2 * k))

    def light(self, wcs, band, shape):
        """The galaxies on an image: Gaussians of different widths, redder than white."""
        image, colour = np.zeros(shape), {"g": 0.6, "r": 1.0, "i": 1.3}[band]
        for row in self.galaxies:
            x, y = (float(v) for v in wcs.all_world2pix(row["ra"], row["dec"], 0))
            if -40 < x < shape[1] + 40 and -40 < y < shape[0] + 40:
                star = [(row["ra"], row["dec"], colour * row["flux"])]
                image += star_image(wcs, star, row["fwhm"], shape)
        return image

    def cut(self, words):
        """A cut-out: the same light on the grid that is asked for, in the service's unit."""
        key = tuple(words[name] for name in ("ra", "dec", "hips", "width"))
        if key not in self.cut_memory:
            size = int(words["width"])
            scale = float(words["fov"]) / size * 3600
            grid = galaxy_grid(float(words["ra"]), float(words["dec"]), size, scale)
            image = self.light(grid, words["hips"][-1], (size, size))
            image += np.random.default_rng(len(self.cut_memory)).normal(0, NOISE, image.shape)
            header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"}
            header |= {"CRVAL1": float(words["ra"]), "CRVAL2": float(words["dec"])}
            header |= {"CRPIX1": (size + 1) / 2, "CRPIX2": (size + 1) / 2}
            header |= {"CDELT1": -scale / 3600, "CDELT2": scale / 3600}
            self.cut_memory[key] = fits_bytes(self.unit(image), **header)
        return self.cut_memory[key]

    def words(self, folder, *more):
        """The command line that acquires all of it, fast."""
        quick = [
            "--rate",
            "2000",
            "--backoff",
            "0.01",
            "--timeout",
            "20",
            "--yes",
            "--page-z",
            "0.07",
        ]
        urls = ["--skyserver", self.url, "--frames-url", f"{self.url}/frames"]
        urls += ["--cutouts-url", f"{self.url}/hips2fits"]
        return ["--folder", str(folder), "--yes", *quick, *urls, *map(str, more)]
