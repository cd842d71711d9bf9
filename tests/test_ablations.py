"""The study of ablations: one change at a time, never a test galaxy, and rows that are kept."""

import dataclasses
import doctest
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.parameters import defaults
from galclr_utils.studies import read_study

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "studies"))  # scripts, not a package

import ablations  # noqa: E402
import derived  # noqa: E402
import judging  # noqa: E402
import variants  # noqa: E402

PLAN = judging.Plan(n_train=64, epochs=1, n_asked=80, n_pool=80, labels=(20, 60), draws=2)
PLAN = dataclasses.replace(PLAN, base_seeds=2)
FLUX = {"units": "nanomaggy", "raw_stamp_px": 64, "crop_px": 64, "image_size_px": 32}


@pytest.fixture
def base():
    return defaults("03_pretrain") | {"batch_size": 32, "precision": "32-true", "binning": 2}


@pytest.mark.parametrize("module", [ablations, derived, judging, variants])
def test_the_examples_in_the_docstrings(module):
    assert not doctest.testmod(module).failed


def test_every_variant_changes_something_and_no_two_are_called_alike(galaxies, base):
    listed = variants.variants(base, FLUX)
    assert len({(v.group, v.name) for v in listed}) == len(listed) > 50
    keys, plan = {}, dataclasses.replace(PLAN, n_train=4000, epochs=8)
    for v in listed:
        if v.stamps not in ("base", "base minmax"):
            continue
        made = ablations.configuration(v, base, plan, galaxies, seed=0)
        keys.setdefault(ablations.key_of(v, *made, plan, "data"), []).append((v.group, v.name))
    alike = [names for names in keys.values() if len(names) > 1]
    for names in alike:  # leaving a transform out is its strength 0, and nothing else is twice
        assert {group for group, _ in names} & {"left out"} and len(names) == 2, names
    assert [("base", "base")] in keys.values(), "a variant equals the base"


def test_a_variant_changes_what_it_says_and_nothing_else(galaxies, base):
    listed = {(v.group, v.name): v for v in variants.variants(base, FLUX)}

    def made(group, name):
        return ablations.configuration(listed[group, name], base, PLAN, galaxies, seed=3)

    settings, views, n = made("base", "base")
    assert settings.seed == 3 and settings.epochs == PLAN.epochs and n == PLAN.n_train
    cold, same, _ = made("temperature", "0.1")
    assert dataclasses.replace(cold, temperature=settings.temperature) == settings
    assert same.settings == views.settings
    _, alone, _ = made("alone", "+ zoom")
    assert alone.zoom == views.zoom and alone.noise == alone.cutout == alone.seeing_px == 0
    assert made("left out", "orientation")[1].steps["orientation"].p == 0
    assert views.steps["orientation"].p == 1
    soft = made("stretch", "asinh x3")[1].normalize
    assert soft.softening == pytest.approx(3 * views.normalize.softening)
    assert (soft.low, soft.high) == (views.normalize.low, views.normalize.high)
    assert made("stretch", "minmax")[1].normalize.kind == "minmax"
    fine = made("stamps", "64/1")[1]
    assert fine.recentre_px == 2 * views.recentre_px and fine.noise == views.noise


def test_as_many_steps_from_fewer_galaxies(galaxies, base):
    plan = dataclasses.replace(PLAN, n_train=4000, epochs=8)
    for v in variants.variants(base, FLUX):
        if v.group == "galaxies":
            settings, _, n = ablations.configuration(v, base, plan, galaxies, 0)
            assert n * settings.epochs == pytest.approx(32_000, rel=1e-3)
            assert n // 250 * settings.epochs == pytest.approx(128, rel=0.02)


def test_display_units_have_no_flux_variants(base):
    card = {"units": "display", "raw_stamp_px": 64, "crop_px": 32, "image_size_px": 32}
    listed = {(v.group, v.name) for v in variants.variants(base, card)}
    assert ("order", "normalised first") not in listed and ("stamps", "32/1") not in listed
    assert {("stamps", "64/2"), ("stamps", "48/1"), ("stretch", "minmax")} <= listed


def test_nobody_judged_is_learned_from_or_lends_a_label_and_test_is_gone(galaxies):
    kept = derived.without_test(galaxies)
    test = set(galaxies.catalog["id"][galaxies.indices("test")])
    parts = judging.roles(kept, PLAN)
    names = {k: set(kept.catalog["id"][getattr(parts, k)]) for k in ("learn", "pool", "asked")}
    assert not names["asked"] & (names["learn"] | names["pool"])
    assert not test & set.union(*names.values()) and len(parts.asked) == PLAN.n_asked
    assert names["pool"] <= names["learn"]
    val = set(galaxies.catalog["id"][galaxies.labelled("val")])
    assert val <= names["asked"], "validation galaxies are judged first"


def test_too_few_labels_are_an_error(galaxies):
    plan = dataclasses.replace(PLAN, labels=(100, 1000))
    with pytest.raises(ValueError, match="expected 1000 or more"):
        judging.roles(derived.without_test(galaxies), plan)


def test_the_judges_know_a_good_space_from_noise():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400)
    noise = random.normal(size=(400, 8))
    good = judging.judge(noise + 3 * (2 * labels[:, None] - 1), 200, labels, PLAN)
    poor = judging.judge(noise, 200, labels, PLAN)
    for name in ("knn", "logistic_20", "logistic_60"):
        assert good[name] > 0.95 and abs(poor[name] - 0.5) < 0.12
    assert set(good) | {f"{n}_pooled" for n in good} <= set(judging.columns(PLAN))


def test_stamps_are_cut_from_the_same_galaxies(galaxies, run):
    """Without its source a set cannot be cut anew; what needs none is made, and kept."""
    with pytest.raises(ValueError, match="does not say what it was made from"):
        derived.make("cut 32 1", run)
    plain, masked = derived.make("base", run), derived.make("masked", run)
    assert len(plain) == len(masked) == len(galaxies) - len(galaxies.indices("test"))
    centre = (..., slice(15, 17), slice(15, 17))
    assert np.array_equal(plain.images[centre], masked.images[centre])
    before = (run / "ablations" / "stamps" / "masked" / "card.json").stat().st_mtime_ns
    derived.make("masked", run)
    assert (run / "ablations" / "stamps" / "masked" / "card.json").stat().st_mtime_ns == before
    early = derived.make("normalised", run)
    assert early.card["units"] == "display" and 0 <= early.images.min() < early.images.max() <= 1


def test_rows_are_kept_copied_and_published(galaxies, run, base, monkeypatch):
    monkeypatch.setattr(ablations, "base_values", lambda name, profile: base)
    chosen = {"base": ["base"], "orientations": ["1"], "control": ["random weights"]}
    chosen |= {"left out": ["zoom"], "zoom": ["1"]}
    few = [v for v in variants.variants(base, FLUX) if v.name in chosen.get(v.group, [])]
    monkeypatch.setattr(ablations, "variants", lambda base, card: few)
    trained = []
    monkeypatch.setattr(ablations, "train", lambda *a: trained.append(a) or judging.train(*a))
    command = ["--run", str(run), "--out", str(run / "study")]
    assert ablations.main([*command, "--only", "base", "orientations", "control"], PLAN) == 0
    assert len(trained) == 2, "two seeds of the base; orientations take the trained network"
    assert ablations.main(command, PLAN) == 0
    assert len(trained) == 3, "zoom of strength 1 is zoom left out: trained once"
    tables, record = read_study(run / "study")
    rows = tables["rows"]
    assert record["judged_on"].endswith("outside the test split") and "key" not in rows.colnames
    groups = np.asarray(rows["group"], str)
    assert list(rows["seed"][groups == "base"]) == [0, 1]
    out = rows[(groups == "left out") & (rows["variant"] == "zoom")]
    one = rows[(groups == "zoom") & (rows["variant"] == "1")]
    assert out["knn"][0] == one["knn"][0]
    weights = rows[(groups == "control") & (rows["variant"] == "random weights")][0]
    assert weights["epochs"] == 0 and np.isnan(weights["knn_z"]) and weights["knn"] > 0.4


def test_the_same_seed_gives_the_same_row(galaxies, run, base):
    bench = ablations.Bench(run, base, PLAN)
    variant = variants.Variant("base", "base", "nothing")
    first = bench.measure(variant, seed=1)
    bench.trained = {}
    again, other = bench.measure(variant, seed=1), bench.measure(variant, seed=2)
    names = judging.columns(PLAN)
    assert [first[n] for n in names] == [again[n] for n in names]
    assert [first[n] for n in names] != [other[n] for n in names]


def test_a_new_row_replaces_the_one_of_its_name(tmp_path):
    journal = ablations.Journal(tmp_path / "rows.csv")
    row = {"group": "zoom", "variant": "2", "seed": 0, "knn": 0.5, "key": "key-1"}
    journal.add(row)
    journal.add(row | {"knn": 0.6, "key": "key-2"})
    journal.add(row | {"seed": 1})
    back = ablations.Journal(tmp_path / "rows.csv")
    assert isinstance(back.table, Table) and list(back.table["knn"]) == [0.6, 0.5]
    v = variants.Variant("zoom", "2", "")
    assert back.has(v, 0, "key-2") and not back.has(v, 0, "key-1") and back.same("key-3") is None


def test_an_unknown_group_is_named(galaxies, run, base):
    with pytest.raises(ValueError, match="--only: got zom, expected some of base"):
        ablations.todo(ablations.Bench(run, base, PLAN), ["zom"], 1)


def test_views_of_the_base_are_those_of_the_chapter(galaxies, base):
    views = ablations.configuration(
        variants.Variant("base", "base", "nothing"), base, PLAN, galaxies, 0
    )[1]
    assert views.settings == GalaxyViews.for_set(galaxies).settings
