import json

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from galclr_utils import GalaxySet, charts, figures, maps, plates, scoreboard


@pytest.fixture
def plate():
    with plates.canvas() as (figure, axis):
        axis.plot([0, 1], [0, 1])
    return plates.Plate(figure, "fig-line", "A line.", "A rising line.")


def test_a_plate_brings_its_texts_to_the_page(plate):
    data, metadata = plate._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["galclr"] == {"name": "fig-line", "caption": "A line.", "alt": "A rising line."}


def test_a_saved_plate_is_opaque_and_has_its_texts_beside_it(plate, tmp_path):
    plate.save(tmp_path)
    with Image.open(tmp_path / "figures" / "fig-line.png") as image:
        corner = image.convert("RGBA").getpixel((0, 0))
    assert corner == (255, 255, 255, 255), "white, so that it is legible on a dark page"
    texts = json.loads((tmp_path / "figures" / "fig-line.json").read_text())
    assert texts["alt"] == "A rising line."


def test_pictures_show_i_r_g_as_red_green_blue():
    stamp = np.zeros((1, 3, 4, 4), "f4")
    stamp[:, 2] = 1.0  # i only
    picture = plates.to_rgb(stamp, {"units": "display"})
    assert picture[0, 0, 0].tolist() == [1, 0, 0]
    flux = plates.to_rgb(50 * stamp, {"units": "nanomaggy", "sky_rms": [0.1, 0.1, 0.1]})
    assert flux[0, 0, 0, 0] > 0.5 and flux[0, 0, 0, 2] < 0.05


def test_old_stars_look_yellow_and_young_ones_blue_and_no_sky_is_black():
    card = {"units": "nanomaggy", "sky_rms": [0.1, 0.1, 0.1]}
    colours = np.array([[0.9, 0.4], [0.35, 0.2], [0.0, 0.0]])  # g - r, r - i: early, late
    flux = 10 ** (0.4 * np.stack([-colours[:, 0], 0 * colours[:, 0], colours[:, 1]], axis=1))
    flux[2] = -0.1  # noise below the sky
    early, late, sky = plates.to_rgb(flux[:, :, None, None], card)[:, 0, 0]
    assert early[0] > early[1] > early[2]
    assert late[2] > late[0]
    assert sky.tolist() == [0, 0, 0]


def test_a_table_is_shown_whole_without_types_and_the_same_each_time():
    table = Table({"method": ["a < b"] * 100, "a column of many words": np.arange(100)})
    shown = plates.show(table)
    page = shown._repr_html_()
    assert page.count("<tr>") == 101 and "a &lt; b" in page
    assert "int64" not in page and "Table length" not in page
    assert page == plates.show(table.copy())._repr_html_(), "no id that changes"
    assert len(repr(shown).splitlines()) == 102


def pair(rival, mean, low, high):
    found = {"a": "A", "b": rival, "n_labels": 10, "n_seeds": 1}
    return found | {"mean": mean, "low": low, "high": high}


def test_simulated_galaxies_are_called_so_in_every_caption(galaxies):
    labels, rows = galaxies.labels, galaxies.indices("test")
    positions = np.random.default_rng(0).normal(size=(len(rows), 2))
    made = [
        figures.gallery(galaxies),
        figures.catalogue(galaxies),
        figures.label_scatter(galaxies, {0.0: 0.0, 1.1: 0.06}, 1.1),
        figures.views(galaxies, {"one": galaxies.images[:2]}, (galaxies.images[:2],) * 2),
        maps.umap(positions, labels[rows], "facts.", galaxies.card),
        maps.umap_pictures(galaxies, rows, positions, n=4),
        maps.umap_properties(positions, {"z": labels[rows].astype(float)}, galaxies.card),
        charts.similarities(np.eye(4), np.eye(4), galaxies.card),
        scoreboard.differences([pair("B", 0.1, 0.05, 0.2)], galaxies.card),
    ]
    for plate in made:
        assert plate.caption.endswith("SIMULATED galaxies."), plate.name
        assert len(plate.alt) > 30 and plate.png()
    assert len({plate.name for plate in made}) == len(made)


def test_texts_come_from_the_data(galaxies):
    pairs = [pair("B", 0.1, 0.05, 0.2), pair("C", -0.1, -0.2, -0.05), pair("D", 0.0, -0.1, 0.1)]
    plate = scoreboard.differences(pairs, galaxies.card)
    assert "1 are in favour of A, 1 against it, and 1 are undecided" in plate.caption
    assert "+0.100 (+0.050 to +0.200)" in plate.alt


def with_labels(galaxies, labels):
    catalog = galaxies.catalog.copy()
    catalog["label"] = np.int8(labels)
    return GalaxySet(galaxies.images, catalog, galaxies.card)


def test_a_set_without_labels_has_a_gallery_too(galaxies):
    plate = figures.gallery(with_labels(galaxies, -1))
    assert "unlabelled" in plate.alt and "early" not in plate.alt


def test_what_is_not_there_is_not_told(galaxies):
    """One type only, or a column that is not known for one of them: no median of nothing."""
    plate = figures.catalogue(with_labels(galaxies, 1))
    assert "late types" in plate.alt and "early types," not in plate.alt + ","
    partly = with_labels(galaxies, galaxies.labels)
    partly.catalog["g_r"][galaxies.labels == 0] = np.nan
    plate = figures.catalogue(partly)
    assert "nan" not in plate.alt and "median g_r" in plate.alt


def test_few_galaxies_have_no_curve_of_label_scatter(galaxies):
    rows = slice(0, 8)
    few = GalaxySet(galaxies.images[rows], galaxies.catalog[rows], galaxies.card)
    assert "too few galaxies" in figures.label_scatter(few, {0.0: 0.0}, 1.1).alt


@pytest.mark.parametrize("n", [1, 6])
def test_views_and_their_quiz_are_drawn_for_any_number_of_galaxies(galaxies, n):
    stamps = np.full((n, 3, 8, 8), 0.25)
    pictures = {"as observed": stamps, "noise": stamps}
    plate = figures.views(galaxies, pictures, (stamps, stamps), sky=0.25)
    shown = [image.get_array() for axis in plate.figure.axes for image in axis.get_images()]
    assert len(shown) == 4 * n
    assert np.max(shown) == 0, "the sky is black"
    assert "drawn black" in plate.caption
