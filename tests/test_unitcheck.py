"""The unit of cut-outs: told where it is constant, refused where it is not."""

import json
import re

import numpy as np
import pytest
from small_sky import SmallSky

from galclr_utils import acquire, sky
from galclr_utils.unitcheck import judge


def acquired(server, folder, *more):
    """Acquire all of a small sky; return the exit status."""
    return acquire.main(server.words(folder, *more))


def stamps(unit=lambda pixels: pixels, n=8, seed=0):
    """Galaxies of several fluxes and widths, and what a service makes of them."""
    random = np.random.default_rng(seed)
    y, x = np.indices((64, 64)) - 31.5
    truth = np.empty((n, 3, 64, 64))
    for k in range(n):
        sigma = random.uniform(2, 5)
        light = np.exp(-(x**2 + y**2) / 2 / sigma**2) / (2 * np.pi * sigma**2)
        truth[k] = (50 + 200 * k) * light * np.array([0.6, 1, 1.3])[:, None, None]
    noisy = [truth + random.normal(0, 0.02, truth.shape) for _ in range(2)]
    return unit(noisy[0]), noisy[1]


@pytest.mark.parametrize(("scale", "factor"), [(1, 1.0), (1.01, 1.0), (0.25, 4.0), (300, 1 / 300)])
def test_a_constant_ratio_is_found(scale, factor):
    found = judge(*stamps(lambda pixels: scale * pixels), 0.396)
    assert found["checked"] and found["factor"] == pytest.approx([factor] * 3, rel=2e-3)


@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (lambda p: np.arcsinh(p / 0.1), "no linear unit|differs from galaxy"),
        (lambda p: np.sqrt(np.abs(p)), "no linear unit|differs from galaxy"),
        (lambda p: p + 0.1, "the sky has another level"),
        (lambda p: p * np.random.default_rng(0).uniform(0.5, 2, (8, 1, 1, 1)), "from galaxy to"),
        (lambda p: -p, "not positive"),
        (lambda p: np.full_like(p, np.nan), "only 0 galaxies"),
    ],
)
def test_what_is_no_linear_unit_stays_unknown(unit, expected):
    found = judge(*stamps(unit), 0.396)
    assert not found["checked"]
    assert re.search(expected, found["reason"]), found


def test_cut_outs_in_nanomaggies_are_called_so(tmp_path, capsys):
    with SmallSky() as server:
        assert acquired(server, tmp_path) == 0
    told = json.loads((tmp_path / "sky.json").read_text())
    assert told["units_checked"] and told["units"]["factor"] == [1, 1, 1]
    assert told["units"]["galaxies"] >= 4 and abs(told["units"]["ratio"][1] - 1) < 0.01
    assert "They are nanomaggies." in capsys.readouterr().out


def test_cut_outs_in_another_unit_are_converted_by_the_measured_ratio(tmp_path, capsys):
    with SmallSky(unit=lambda pixels: pixels / 2.5) as server:
        assert acquired(server, tmp_path) == 0
        flux = server.galaxies["flux"]
    assert "once multiplied by 2." in capsys.readouterr().out
    images, _ = next(sky.sdss(tmp_path).blocks())
    np.testing.assert_allclose(images[:, 1].sum(axis=(1, 2)), flux, rtol=0.02)


def test_a_stretch_is_found_out_and_refused(tmp_path, capsys):
    with SmallSky(unit=lambda pixels: np.arcsinh(pixels / 0.1)) as server:
        assert acquired(server, tmp_path) == 1
    assert "stays unknown" in capsys.readouterr().out
    with pytest.raises(ValueError, match="the unit of these cut-outs is unknown: "):
        sky.sdss(tmp_path)
