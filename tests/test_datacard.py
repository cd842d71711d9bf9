"""The data card of the book is made from the catalogue and the card, and says what they lack."""

import doctest
import re

import card_page
import chapters
import numpy as np
import pages
import pytest
from astropy.table import Table

from galclr_utils import cardplots, datacard
from galclr_utils.credits import GALAXY10, LABELS, credit
from galclr_utils.dataset import write_catalog_and_card
from galclr_utils.layouts import LAYOUTS
from galclr_utils.plates import Plate
from galclr_utils.provenance import project_root

N = 600
CARD = {"source": "stamps.npz (arrays)", "units": "display", "bands": ["g", "r", "i"]}
CARD |= {"facts": [{"path": "/home/somebody/stamps.npz", "catalog_path": "/home/somebody/c.csv"}]}
SKY = {
    "survey": "SDSS DR17",
    "way": "frames",
    "path": "/home/somebody/sky",
    "sample": N + 30,
    "left_out": {"off the frame": 20, "a file is not there": 5},
    "left_out_are_listed_in": "failures.csv",
    "labels": {"layout": "gz1", "rule": {"threshold": 0.8, "votes": "debiased"}},
}


@pytest.fixture
def rendered():
    """Ask for figures to be rendered, which takes most of the time."""


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """Render no figure, unless a test asks for it."""
    if "rendered" not in request.fixturenames:
        monkeypatch.setattr(Plate, "png", lambda plate: b"not rendered")


def bare(labels=None):
    """Return a catalogue of ids, splits and labels alone."""
    split = np.array(["train", "train", "val", "test"])[np.arange(N) % 4]
    labels = np.full(N, -1) if labels is None else labels
    return Table({"id": np.arange(N).astype(str), "split": split, "label": labels})


def full(**changed):
    """Return a catalogue with all that a card shows; early types are more distant."""
    random = np.random.default_rng(0)
    catalog = bare(np.arange(N) % 3 - 1)
    early = np.asarray(catalog["label"]) == 0
    catalog["ra"], catalog["dec"] = random.uniform(120, 240, N), random.uniform(0, 60, N)
    catalog["z"] = random.uniform(0.02, 0.1, N) + 0.04 * early
    catalog["mag_r"] = random.uniform(15, 17.7, N)
    catalog["stamp_status"] = np.where(np.arange(N) < 10, "flagged", "ok")
    share = np.where(np.arange(N) < 10, 0.01 * np.arange(N), 0)
    catalog["blank_fraction"], catalog["masked_fraction"] = share, np.nan
    said = [f"g: {x:.1%} of the stamp without data" if k < 10 else "" for k, x in enumerate(share)]
    catalog["stamp_reason"] = said
    for name, values in changed.items():
        catalog[name] = values
    return catalog


def sky_card(**changed):
    cuts = {"read": N + 5, "read_unlabelled": 0, "duplicates": {"same position": 5}}
    card = {**CARD, "source": "SDSS DR17, frames", "units": "nanomaggy", "cuts": cuts}
    return {**card, "counts": {"galaxies": N}, "facts": [{**SKY, **changed}]}


def section(page, title):
    return page.split(f"### {title}\n")[1].split("\n### ")[0]


@pytest.mark.parametrize("module", [card_page])
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


def test_a_catalogue_that_knows_nothing_says_so(tmp_path):
    page = card_page.write(bare(), CARD, tmp_path)
    assert f"{N} galaxies. Source: stamps.npz (arrays)." in page
    assert "no positions, so there is no map" in section(page, "On the sky")
    told = section(page, "Brightness, distance and type")
    assert "neither magnitudes nor redshifts nor T-types" in told
    assert "Not known of any galaxy: position, redshift, r magnitude" in told
    assert "keeps no flags" in section(page, "Quality")
    assert "No galaxy has a label" in section(page, "Known biases")
    assert "no positions" in section(page, "Known biases")
    assert "ask its authors" in section(page, "Terms, and words to copy")
    assert section(page, "Labels, by split").count("no label") == 4
    assert "simulated" not in page and not list(tmp_path.iterdir())


def test_no_page_tells_a_path_of_the_computer(tmp_path):
    for catalog, card in ((bare(), CARD), (full(), sky_card())):
        assert "somebody" not in card_page.write(catalog, card, tmp_path)


def test_simulated_stays_marked(tmp_path):
    facts = {"simulated": True, "seed": 3, "population_version": 1}
    card = {**CARD, "simulated": True, "source": "SIMULATED", "seed": 3, "facts": [facts]}
    page = card_page.write(full(), card, tmp_path)
    assert f'<span class="simulated">SIMULATED</span> {N} galaxies, none of which exists' in page
    copied = re.search(r"```text\n(.*)\n```", page)[1]
    assert copied.startswith("The galaxies are SIMULATED") and "seed 3" in copied
    assert "Sloan" not in page and page.count("SIMULATED galaxies.") == 2  # the two captions
    sky = {**card, "facts": [{**SKY, "survey": "SIMULATED sky in the format of SDSS DR17"}]}
    page = card_page.write(full(), sky, tmp_path)
    assert "SIMULATED sky in the format of SDSS DR17" in page and "To cite" not in page


def test_the_figures_lie_beside_the_page_with_their_texts(tmp_path, rendered):
    page = card_page.write(full(), sky_card(), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fig-card-light.png", "fig-card-sky.png"]
    for name in ("fig-card-sky", "fig-card-light"):
        assert f"```{{figure}} _generated/{name}.png\n:name: {name}\n:alt: " in page
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "300 train, 150 val, 150 test" in page


def test_what_was_dropped_adds_up(tmp_path):
    table = datacard.cuts(sky_card())
    assert table["left"][0] == N + 30 and table["left"][-1] == N
    assert table["dropped"].sum() == 30
    assert (np.diff(table["left"]) == -table["dropped"][1:]).all()
    text = section(card_page.write(full(), sky_card(), tmp_path), "Source and cuts")
    assert (
        "| no stamp: off the frame | 20 | 610 |" in text and "| same position | 5 | 600 |" in text
    )


def test_unlabelled_galaxies_join_and_surplus_ones_leave():
    cuts = {"read": 150, "read_unlabelled": 50, "duplicates": {"same id": 3}}
    card = {"counts": {"galaxies": 127}, "cuts": {**cuts, "beyond_n_galaxies": 20}, "facts": []}
    table = datacard.cuts(card)
    assert table["left"].tolist() == [100, 150, 147, 127, 127]
    assert table["step"][3] == "more training galaxies than were asked for"


def test_labels_are_counted_by_split():
    table = datacard.balance(full())
    assert table["split"].tolist() == ["train", "val", "test", "together"]
    assert table["galaxies"].tolist() == [300, 150, 150, N]
    assert (table["early"] + table["late"] + table["unknown"] == table["galaxies"]).all()
    np.testing.assert_allclose(
        table["late_share"], table["late"] / (table["early"] + table["late"])
    )


def test_flags_of_stamps_are_counted_by_kind(tmp_path):
    said = datacard.stamp_status(full())
    assert [tuple(row) for row in said] == [
        ("ok", N - 10),
        ("flagged, g: of the stamp without data", 10),
    ]
    (row,) = datacard.stamp_numbers(full())  # nothing was masked: no mask was read
    assert row["what"] == datacard.FLAGS["blank_fraction"] and row["highest"] == 0.09
    page = card_page.write(full(), sky_card(), tmp_path)
    assert "25 galaxies of the sample gave no stamp" in section(page, "Quality")
    assert "`failures.csv`" in section(page, "Quality")
    older = full()
    older.rename_columns(["stamp_status", "stamp_reason"], ["status", "reason"])
    assert len(datacard.stamp_status(older)) == 2


def test_biases_that_are_there_are_told_and_others_are_not():
    told = " ".join(datacard.biases(full(), CARD))
    assert "Of 400 labelled galaxies 50% are late types" in told
    assert "Early types are, compared with late types, more distant" in told
    assert "fainter" not in told and "33% of the galaxies have no label" in told
    faint = full(mag_r=np.where(np.asarray(full()["label"]) < 0, 17.5, 16.0))
    told = " ".join(datacard.biases(faint, CARD))
    assert "Galaxies without a label are, compared with those that have one, nearer" in told
    assert "fainter (median r 17.50 against 16.00)" in told
    same = bare(np.arange(N) % 2)
    same["z"] = 0.05
    assert "compared" not in " ".join(datacard.biases(same, CARD))
    assert datacard.biases(same, {**CARD, "notes": ["A note."]})[0] == "A note."


def test_the_labels_of_votes_are_said_to_be_the_clear_cases(tmp_path):
    told = section(card_page.write(full(), sky_card(), tmp_path), "Known biases")
    assert "share of at least 0.8" in told and "{cite:p}`hart2016galaxy`" in told
    told = section(card_page.write(full(), sky_card(labels="none"), tmp_path), "Known biases")
    assert "at least" not in told and "hart2016galaxy" not in told


# --- the map


def test_a_survey_is_drawn_on_the_whole_sky_and_a_field_as_a_piece():
    plate = cardplots.footprint(full(), CARD)
    assert plate.figure.axes[0].name == "mollweide" and "equal-area" in plate.caption
    assert f"{N} of {N} have a position" in plate.caption
    random = np.random.default_rng(0)
    field = full(ra=(random.uniform(-0.4, 0.4, N)) % 360, dec=random.uniform(29.8, 30.2, N))
    plate = cardplots.footprint(field, CARD)
    assert plate.figure.axes[0].name == "rectilinear" and "a piece of sky" in plate.caption
    assert re.search(r"within 0\.\d° of RA (0\.0|360\.0)°, Dec \+30\.0°", plate.caption)


def test_areas_are_equal_and_east_is_left():
    ra, dec = np.array([10.0, 11.0, 10.0, 11.0]), np.array([60.0, 60.0, 61.0, 61.0])
    four = bare()[:4]
    four["split"], four["ra"], four["dec"] = "train", ra, dec
    points = cardplots.footprint(four, CARD).figure.axes[0].collections[0].get_offsets()
    x, y = np.asarray(points)[np.argsort(np.asarray(points)[:, 0])].T
    assert np.ptp(y) == pytest.approx(1) and np.ptp(x) == pytest.approx(0.5, abs=0.01)
    east = bare()[:2]
    east["split"], east["ra"], east["dec"] = ["train", "test"], [10.5, 10.0], 0.0
    first, second = cardplots.footprint(east, CARD).figure.axes[0].collections
    assert first.get_offsets()[0][0] < second.get_offsets()[0][0]


def test_galaxies_without_a_position_are_left_out_and_counted():
    some = full(ra=np.where(np.arange(N) < 100, 150.0, np.nan))
    assert f"100 of {N} have a position" in cardplots.footprint(some, CARD).caption
    assert cardplots.footprint(full(dec=np.nan), CARD) is None


def test_many_galaxies_are_thinned_and_it_is_said(monkeypatch):
    monkeypatch.setattr(cardplots, "MOST", 50)
    plate = cardplots.footprint(full(), CARD)
    drawn = sum(len(c.get_offsets()) for c in plate.figure.axes[0].collections)
    assert drawn == 50 and "Of them 50 are drawn, at random." in plate.caption
    assert "train (300)" in plate.figure.legends[0].get_texts()[0].get_text()


def test_histograms_show_each_class_that_is_there():
    plate = cardplots.distributions(full(), CARD)
    assert [axis.get_xlabel() for axis in plate.figure.axes] == ["r [mag]", "redshift"]
    kinds = [text.get_text() for text in plate.figure.legends[0].get_texts()]
    assert kinds == ["early", "late", "unknown"]
    z = np.asarray(full()["z"])[np.asarray(full()["label"]) == 0]
    assert f"median redshift {np.median(z):.3g} for early" in plate.alt
    assert cardplots.distributions(bare(), CARD) is None
    constant = bare()
    constant["z"] = 0.05  # a histogram needs a width
    assert cardplots.distributions(constant, CARD) is not None


# --- whom to thank


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_its_credit(layout):
    due = credit(sky_card(labels={"layout": layout}))
    assert due.kind == "sdss" and LABELS[layout][0] in due.words
    assert "data release 17 (Abdurro'uf et al. 2022)" in due.words
    assert ("volunteers" in due.words) == layout.startswith("gz")
    assert due.asked[0] == ("SDSS", "https://www.sdss4.org/collaboration/citing-sdss/")


def test_all_that_is_cited_is_in_the_bibliography():
    text = (project_root() / "book" / "references.bib").read_text()
    cited = [keys for _, keys in LABELS.values()] + [edition[2] for edition in GALAXY10.values()]
    cited += ["york2000sloan", "hart2016galaxy"]
    for key in ",".join(cited).split(","):
        assert f"{{{key}," in text, key


def test_other_releases_cut_outs_and_collections_are_credited():
    due = credit(sky_card(survey="SDSS DR16", way="cutouts", labels="none"))
    assert "data release 16." in due.words and "hips2fits" in due.words
    assert "Abdurro" not in due.words and due.cite == ("york2000sloan",)
    assert "does not name" in credit(sky_card(survey="SDSS")).words
    for edition in GALAXY10:
        due = credit({**CARD, "facts": [{"path": "x", "collection": edition}]})
        assert due.kind == "galaxy10" and edition in due.words
    assert credit({**CARD, "facts": [{}, {}]}) == credit({}) and credit({}).words == ""


def test_the_words_are_said_not_to_be_the_surveys_own(tmp_path):
    told = section(card_page.write(full(), sky_card(), tmp_path), "Terms, and words to copy")
    assert "the words are ours" in told
    assert "not repeated here: copy them from [SDSS](https://www.sdss4.org/" in told


def test_the_driver_writes_it_from_the_run(tmp_path):
    run = chapters.Run(project_root(), tmp_path / "run", {})
    assert pages.data_card(run, tmp_path) == "", "nothing without a data set"
    folder = tmp_path / "run" / "dataset"
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.zeros(1))
    sizes = {"raw_stamp_px": 64, "crop_px": 48, "image_size_px": 24, "binning": "2x2, sum"}
    write_catalog_and_card(folder, full(), {**sky_card(), **sizes})
    page = pages.data_card(run, tmp_path / "generated")
    assert f"{N} galaxies. Source: SDSS DR17, frames." in page
    assert "64 pixels, cut to 48, binned to 24 (2x2, sum)" in page
    assert "| train | 300 | 100 | 100 | 100 | 50% |" in page
    assert (tmp_path / "generated" / "fig-card-light.png").exists()
