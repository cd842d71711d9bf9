"""What is measured and drawn of a piece of sky, and what the chapter on it claims."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, labels, mocksky, skyplots, skystudy
from galclr_utils.dataset import bin_pixels
from galclr_utils.frames import BANDS
from galclr_utils.normalize import Normalize
from galclr_utils.stamping import cut_field

CARD = {"units": "nanomaggy", "bands": ["g", "r", "i"], "source": "SIMULATED", "simulated": True}
CARD |= {"sky_rms": [0.03, 0.05, 0.08], "arcsec_per_pixel": 0.396}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """A small SIMULATED sky: the folder, its sample, and the frames of its whole field."""
    folder = tmp_path_factory.mktemp("sky") / "downloads"
    mocksky.make(folder, n_fields=1, n_per_field=24, shape=(300, 400))
    sample = Table.read(folder / "sample.fits")
    return folder, sample, skystudy.open_field(folder, sample)


def test_a_broken_or_absent_band_is_left_out_of_a_field(sky):
    folder, sample, frames = sky
    assert set(frames) == set(BANDS)
    lacking = {int(field): set(skystudy.open_field(folder, sample[sample["field"] == field]))
               for field in np.unique(sample["field"])}  # fmt: skip
    assert sorted(map(len, lacking.values())) == [2, 2, 3]
    assert {"g", "r"} in lacking.values() and {"g", "i"} in lacking.values()


def test_the_costs_are_what_the_chapter_says_of_them():
    table = skystudy.costs([1000, 377_419])
    few, all_ = table[0], table[1]
    assert all_["files, cut-outs"] == 3 * 377_419 > all_["files, frames"]
    assert all_["gigabytes, frames"] > 1000 > 100 > all_["gigabytes, cut-outs"]
    # cut-outs wait for the rate, frames for the line
    assert all_["hours, cut-outs"] == pytest.approx(all_["files, cut-outs"] / 2 / 3600)
    assert all_["hours, frames"] == pytest.approx(all_["gigabytes, frames"] * 1e9 / 2e6 / 3600)
    assert max(few["hours, cut-outs"], few["hours, frames"]) < 6, "an afternoon"
    assert min(all_["hours, cut-outs"], all_["hours, frames"]) > 100
    assert few["fields"] <= 1000 and all_["fields"] < 377_419 / 1.7
    assert 1 < skystudy.PER_FIELD < 2, "one or two galaxies a field"
    with pytest.raises(ValueError, match="counts"):
        skystudy.costs([0])


def test_the_same_pixels_are_not_the_same_place(sky):
    _, sample, frames = sky
    row = sample[:16][np.argmin(sample["mag_r"][:16])]
    box = skystudy.same_pixels(frames, row["ra"], row["dec"])
    assert box.shape == (3, 64, 64)
    wide = skystudy.centroids(box[None], radius=12)[0]
    assert np.hypot(*(wide[0] - wide[1])) > 3
    stamps, _ = cut_field(frames, sample[:1])
    assert stamps.shape == (1, 3, 64, 64)


def test_a_centre_is_found_in_noise_and_beside_a_star():
    y, x = np.mgrid[:64, :64] - 31.5
    random = np.random.default_rng(0)
    places = random.uniform(-1.5, 1.5, (50, 2))
    stamps = [50 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 9) for a, b in places]
    stamps = np.array(stamps)[:, None] + random.normal(0, 1, (50, 1, 64, 64))
    stamps += 200 * np.exp(-((x - 20) ** 2 + (y - 5) ** 2) / 9)
    assert np.abs(skystudy.centroids(stamps)[:, 0] - places).max() < 0.25


def test_rules_count_as_labels_do(sky):
    sample = sky[1]
    table = skystudy.label_rules(sample, threshold=[0.6, 0.9], votes=["raw", "debiased"])
    assert table["votes"].tolist() == ["raw", "debiased"] * 2
    given = np.asarray(labels.apply_rule(sample, "gz1", threshold=0.9, votes="raw")["label"])
    assert table["early"][2] == (given == 0).sum() and table["late"][2] == (given == 1).sum()
    assert (table["early"] + table["late"] + table["unknown"] == len(sample)).all()
    assert table["kept"][2] < table["kept"][0]


def test_flux_is_left_alone_and_for_pictures_it_is_matched(galaxies):
    assert skystudy.as_seen(galaxies, galaxies, Normalize("identity")) is galaxies
    shown = np.clip(0.2 + galaxies.images.astype("f4") / 10, 0, 1).astype(np.float16)
    pictures = GalaxySet(shown, galaxies.catalog, galaxies.card | {"units": "display"})
    seen = skystudy.as_seen(pictures, galaxies, Normalize("identity"))
    assert seen.card["units"] == "display" and seen.images.dtype == np.float16
    assert 0 <= seen.images.min() and seen.images.max() <= 1
    assert np.median(seen.images) == pytest.approx(np.median(pictures.images), abs=0.06)


def test_facts_leave_out_what_the_catalogue_does_not_know(galaxies):
    facts = skystudy.stamp_facts(galaxies, np.arange(60))
    assert list(facts) == ["psf_fwhm", "sky_noise", "mag_r", "r50", "g_r", "n_neighbours"]
    bare = GalaxySet(galaxies.images, galaxies.catalog["id", "split", "label"], galaxies.card)
    assert list(skystudy.stamp_facts(bare, np.arange(60))) == ["sky_noise", "n_neighbours"]


# --- figures ------------------------------------------------------------------------------------


def test_a_field_is_drawn_with_as_many_marks_as_galaxies(sky):
    _, sample, frames = sky
    kinds = {"early": sample[:3], "late": sample[3:8], "unknown": sample[:0], "lost": sample[20:21]}
    plate = skyplots.field(frames["r"], kinds, CARD)
    assert "3 early, 5 late, 1 no stamp" in plate.caption and "no label" not in plate.caption
    assert plate.caption.endswith("SIMULATED galaxies.") and "9 galaxies marked" in plate.alt
    marks = plate.figure.axes[0].collections
    assert [len(drawn.get_offsets()) for drawn in marks] == [3, 5, 1]
    assert plate.png()[:4] == b"\x89PNG"


def test_the_bands_figure_tells_how_far_they_are_apart(sky):
    _, sample, frames = sky
    stamps, _ = cut_field(frames, sample[:1])
    off = np.array([(7.3, -8.64), (0, 0), (-5.45, 3.21)])
    plate = skyplots.bands(stamps[0], stamps[0], off, off / 100, CARD)
    assert "up to 11.3 pixels" in plate.caption and "0.11 pixel" in plate.caption
    assert len(plate.figure.axes) == 8 and plate.png()


def test_a_sheet_draws_what_there_is_even_without_a_band(sky):
    _, sample, frames = sky
    stamps, _ = cut_field({b: frames[b] for b in "gr"}, sample[:3])
    assert np.isnan(stamps[:, 2]).all()
    small = bin_pixels(stamps, 2, "sum")
    kinds = {"lost": (small, ["without i"] * 3), "none": (small[:0], [])}
    plate = skyplots.sheet(kinds, CARD, "fig-sky-lost", "What there is")
    assert plate.caption.startswith("What there is; i, r and g as red")
    assert plate.name == "fig-sky-lost" and "lost: 3" in plate.alt and "none" not in plate.alt
    assert len(plate.figure.axes) == 3


def test_the_shift_is_drawn_to_equal_areas_and_told_in_medians():
    random = np.random.default_rng(0)
    facts = {"psf_fwhm": (random.normal(1.4, 0.1, 300), random.normal(1.7, 0.1, 50))}
    facts["n_neighbours"] = (random.poisson(1, 300), random.poisson(2, 50))
    plate = skyplots.shift(facts, dict.fromkeys(skyplots.ENDS, "SIMULATED galaxies."))
    assert "seeing FWHM [arcsec]: 1.39 and 1.70" in plate.caption
    assert "neighbours on the stamp" in plate.alt and "this run: SIMULATED" in plate.caption


def test_scores_without_and_with_labels_stand_apart():
    methods = {"SimCLR, carried over": "none", "colour + logistic": "100 labels"}
    score = {"mean": 0.8, "low": 0.7, "high": 0.9}
    rows = [{"group": group, "method": method} | score for method, group in methods.items()]
    plate = skyplots.transfer(Table(rows), 100, CARD)
    assert "with 100 of its labels" in plate.caption
    assert plate.alt.count("0.800") == 2
    places = plate.figure.axes[0].get_yticks()
    assert places[1] - places[0] == 2


def test_every_plate_has_its_own_name():
    text = Path(skyplots.__file__).read_text()
    names = [part.split('"')[0] for part in text.split('"fig-')[1:]]
    assert len(names) == len(set(names)) == 4, "and of a sheet the caller says it"
