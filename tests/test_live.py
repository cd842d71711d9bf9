"""Ask the real services one small question each: `make live-check`, where there is a network.

Some forty rows, three frames and three cut-outs, 11 MB in all. Not part of `make test`. What fails
here tells which of our beliefs about the services is wrong.
"""

import socket
from urllib.parse import urlsplit

import numpy as np
import pytest

from galclr_utils import query, sdss
from galclr_utils.cutting import Recipe, cut_all
from galclr_utils.fetch import polite_session
from galclr_utils.stamping import cut
from galclr_utils.unitcheck import fluxes

pytestmark = pytest.mark.live
PATIENCE = {"timeout_s": 60.0, "session": polite_session(retries=2)}
REGION = (184.9, 185.9, 0.5, 1.5)  # one square degree, of which every release has spectra


def reach(url):
    """Fail with a word of what is wrong, after ten seconds at most, where nobody answers."""
    host = urlsplit(url).hostname
    fault = None
    try:
        socket.create_connection((host, 443), timeout=10).close()
    except OSError as error:
        fault = error
    if fault:
        pytest.fail(f"{host} cannot be reached: {fault}. Is there a network?", pytrace=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("live")


@pytest.fixture(scope="module")
def galaxies(folder):
    """One page of SQL: the galaxies of a square degree."""
    reach(query.SKYSERVER)
    patience = PATIENCE | {"session": None, "timeout_s": 120.0}
    return query.sample(folder, z_min=0.01, z_max=0.15, region=REGION, page_z=0.14, **patience)


@pytest.fixture(scope="module")
def galaxy(galaxies):
    """The brightest of them."""
    return galaxies[np.argsort(galaxies["mag_r"])[:1]]


@pytest.fixture(scope="module")
def frames(galaxy, folder):
    reach(sdss.FRAMES)
    failures = sdss.download(galaxy, "frames", folder / "frames", **PATIENCE)
    assert not len(failures), failures["reason"].tolist()
    return [folder / "frames" / job.filename for job in sdss.frame_jobs(galaxy)]


@pytest.fixture(scope="module")
def cutouts(galaxy, folder):
    reach(sdss.CUTOUTS)
    failures = sdss.download(galaxy, "cutouts", folder / "cutouts", **PATIENCE)
    assert not len(failures), failures["reason"].tolist()
    [piece] = cut_all(Recipe(folder, "cutouts"), galaxy)
    assert piece.kept.all(), piece.flags["stamp_reason"][0]
    return np.load(piece.path)


def test_skyserver_answers_the_query_with_our_columns(galaxies):
    print(f"\n{len(galaxies)} galaxies, {np.isfinite(galaxies['p_el']).sum()} with votes of zoo 1")
    assert 10 < len(galaxies) < 200
    assert np.isfinite(galaxies["mag_r"]).all() and (galaxies["mag_r"] < 17.78).all()
    assert np.isfinite(galaxies["p_el_debiased"]).any()
    assert np.isfinite(galaxies["t01_smooth_or_features_a01_smooth_debiased"]).any()


def test_a_frame_holds_its_galaxy_in_nanomaggies(galaxy, frames):
    stamps, flags = cut(galaxy, frames)
    assert flags["status"][0] != "failed", flags["reason"][0]
    flux = fluxes(stamps, 0.396)["flux"][0, 1]
    expected = 10 ** (0.4 * (22.5 - galaxy["mag_r"][0]))
    print(f'\nflux in 6": {flux:.1f}, Petrosian flux of the catalogue: {expected:.1f} nanomaggies')
    assert 0.3 < flux / expected < 1.3


def test_a_cut_out_is_the_galaxy_and_its_unit_is_told(galaxy, frames, cutouts):
    stamps, _ = cut(galaxy, frames)
    one, other = fluxes(cutouts, 0.396), fluxes(stamps, 0.396)
    ratio = (one["flux"] / other["flux"])[0]
    print(f"\ncut-out / frame in g, r, i: {ratio.round(4)}")
    print(f"sky of the cut-out: {one['sky'][0].round(4)}, of the frame: {other['sky'][0].round(4)}")
    same = np.corrcoef(cutouts[0, 1].ravel(), stamps[0, 1].ravel())[0, 1]
    assert same > 0.9, f"they look different: correlation {same:.2f}; turned or mirrored?"
    assert (ratio > 0).all() and np.ptp(ratio) < 0.1 * ratio.mean(), "bands scaled differently"
