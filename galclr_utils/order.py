"""Hold an order of galaxies: what is asked of SDSS, kept beside the data so that it can go on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils import query, sdss, sky
from galclr_utils.catalogs import as_ids, read_catalog
from galclr_utils.dataset import plain_table
from galclr_utils.downloads import JOURNAL, open_journal
from galclr_utils.provenance import write_json
from galclr_utils.stamping import ARCSEC_PER_PIXEL, SIZE_PX

DEFAULTS = {  # what is asked for; kept in sky.json, so that a second call need not say it again
    "galaxies": 2000,
    "region": None,
    "list": "",
    "where": "",
    "z_min": 0.01,
    "z_max": 0.15,
    "mag_r_max": 17.77,
    "page_z": 0.005,
    "release": 17,
    "way": "cutouts",
    "size_px": SIZE_PX,
    "skyserver": query.SKYSERVER,
    "frames_url": sdss.FRAMES,
    "cutouts_url": sdss.CUTOUTS,
}


def complete(given: dict, before: dict) -> dict:
    """Return an order: what is given now, else what was asked for before, else the default.

    >>> complete({"galaxies": 5}, {"galaxies": 9, "way": "frames"})["way"]
    'frames'
    >>> complete({"list": "mine.csv"}, {})["galaxies"]
    0
    """
    asked = DEFAULTS | before | {name: given[name] for name in given if name in DEFAULTS}
    if "list" in given:
        asked["galaxies"] = given.get("galaxies", 0)  # all of a list, unless fewer are asked for
    elif set(given) & {"region", "where", "z_min", "z_max", "mag_r_max"}:
        asked["list"] = ""  # a query is asked for, not the list of an earlier call
    return asked


def read_list(path: Path) -> Table:
    """Read a list of objects: ra and dec in degrees, perhaps id, run, camcol, field, label.

    Objects without an id are called after their position.
    """
    objects = read_catalog(path)
    sdss.need(objects, ("ra", "dec"))
    if "id" not in objects.colnames:
        places = zip(objects["ra"], objects["dec"], strict=True)
        objects["id"] = [f"{ra:.5f}{dec:+.5f}" for ra, dec in places]
    objects["id"] = as_ids(objects["id"], f"{path}: column 'id'")
    if (objects["label"] == -1).all():  # the file had none
        objects.remove_column("label")
    objects = plain_table(objects)
    for name in objects.colnames:
        if objects[name].dtype == np.int8:  # FITS has no signed byte
            objects[name] = objects[name].astype(np.int16)
    objects.meta = {"SURVEY": "SDSS", "FOUND": len(objects)}
    return objects


def write_facts(folder: Path, told: dict, asked: dict) -> dict:
    """Write ``sky.json`` for what is asked now; a check of units is kept where it still holds."""
    way, release = asked["way"], asked["release"]
    facts = {"way": way, "release": f"SDSS DR{release}", "size_px": asked["size_px"]}
    facts["arcsec_per_pixel"] = ARCSEC_PER_PIXEL
    facts |= {
        k: v for k, v in sdss.image_facts(way, base_url=service_url(asked)).items() if k != "units"
    }
    if all(told.get(name) == facts.get(name) for name in ("service", "hips", "size_px")):
        facts |= {name: told[name] for name in ("units_checked", "units", "date") if name in told}
    facts.setdefault("date", datetime.now(UTC).date().isoformat())
    write_json(folder / sky.FACTS, {**facts, "asked": asked})
    return facts


def count_missing(sample: Table, folder: Path, way: str, pictures: dict) -> int:
    """Return how many pictures of a sample have never been asked for, or are gone."""
    jobs = (sdss.frame_jobs if way == "frames" else sdss.cutout_jobs)(sample, **pictures)
    if not (folder / JOURNAL).exists():
        return len(jobs)
    with open_journal(folder) as journal:
        return sum(journal.wants(job) for job in jobs)


def picture_options(asked: dict) -> dict:
    """Return the options of `sdss.download` that name what is asked for."""
    options = {"base_url": service_url(asked)}
    return options if asked["way"] == "frames" else options | {"size_px": asked["size_px"]}


def service_url(asked: dict) -> str:
    """Return the address of the service that has the pictures."""
    return asked["frames_url" if asked["way"] == "frames" else "cutouts_url"]
