from functools import partial

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from galclr_utils import GalaxySet, oddities, strangeness
from galclr_utils.baselines import Pixels
from galclr_utils.normalize import Normalize


@pytest.fixture(scope="module")
def rows(galaxies):
    return galaxies.indices("test")[:16]


@pytest.fixture(scope="module")
def planted(galaxies, rows):
    return oddities.plant(galaxies, rows, seed=1)


def test_oddities_repeat_with_the_seed_whoever_else_is_there(galaxies, rows, planted):
    again = oddities.plant(galaxies, rows, seed=1)
    other = oddities.plant(galaxies, rows, seed=2)
    fewer = oddities.plant(galaxies, rows[3:], seed=1)
    for kind in oddities.KINDS:
        assert planted[kind].shape == (16, 3, 32, 32) and planted[kind].dtype == np.float32
        assert np.array_equal(planted[kind], again[kind])
        if kind != "swapped bands":  # nothing is random in it
            assert not np.array_equal(planted[kind], other[kind])
        if kind not in ("merger", "saturated star"):  # which look at the other galaxies
            assert np.array_equal(planted[kind][3:], fewer[kind])


def test_every_oddity_changes_every_galaxy_and_leaves_the_set_alone(galaxies, rows, planted):
    before = galaxies.images[rows].astype("f4")
    for kind, stamps in planted.items():
        changed = np.abs(stamps - before).max(axis=(1, 2, 3))
        assert np.isfinite(stamps).all() and (changed > 0.1).all(), kind
    assert np.array_equal(galaxies.images[rows].astype("f4"), before)


def test_each_kind_is_what_it_says(galaxies, rows, planted):
    before = galaxies.images[rows].astype("f4")
    rms = np.reshape(galaxies.card["sky_rms"], (3, 1, 1))
    assert np.array_equal(planted["swapped bands"], before[:, ::-1])
    assert ((planted["missing band"] == 0).all(axis=(2, 3)).sum(axis=1) == 1).all()
    dead = (planted["dead column"] == 0).all(axis=(1, 2)).sum(axis=1)
    assert set(dead) <= {1, 2}
    hit = (np.abs(planted["cosmic ray"] - before) > 0).any(axis=(2, 3))
    assert (hit.sum(axis=1) == 1).all(), "one exposure, one band"
    ratio = planted["wrong gain"].sum(axis=(2, 3)) / before.sum(axis=(2, 3))
    assert set(np.round(ratio, 2).ravel()) == {0.5, 1.0, 2.0}
    trail = ((planted["satellite trail"] - before) / rms).reshape(16, -1)
    assert 5 < np.median(trail.max(axis=1)) <= 6.01
    light = planted["merger"].sum(axis=(1, 2, 3)) / before.sum(axis=(1, 2, 3))
    assert 1.2 < np.median(light) < 2.5, "the partner is about as bright"


def test_a_shifted_galaxy_is_off_centre(planted):
    y, x = np.mgrid[:32, :32] - 15.5

    def away(stamps):
        light = stamps.sum(axis=1).clip(0) ** 2
        total = light.sum(axis=(1, 2))
        return np.hypot((light * y).sum(axis=(1, 2)), (light * x).sum(axis=(1, 2))) / total

    assert np.median(away(planted["off centre"])) > 5 > 2 > np.median(away(planted["ring"]))


def test_strength_scales_what_is_added(galaxies, rows, planted):
    before = galaxies.images[rows].astype("f4")
    half = oddities.plant(galaxies, rows, seed=1, strength=0.5)
    for kind in ("ring", "satellite trail", "cosmic ray", "merger"):
        np.testing.assert_allclose(half[kind] - before, (planted[kind] - before) / 2, atol=1e-3)
    with pytest.raises(ValueError, match="strength: got 0"):
        oddities.plant(galaxies, rows, strength=0)


def test_pictures_stay_pictures(galaxies, rows):
    card = galaxies.card | {"units": "display", "sky_rms": [0.02] * 3}
    shown = GalaxySet(np.clip(galaxies.images / 5, 0, 1).astype("f2"), galaxies.catalog, card)
    for kind, stamps in oddities.plant(shown, rows).items():
        assert stamps.min() >= 0 and stamps.max() <= 1, kind


@pytest.mark.parametrize("score", strangeness.RANKINGS.values(), ids=strangeness.RANKINGS)
def test_rankings_find_what_is_far_from_a_cloud(score):
    random = np.random.default_rng(0)
    reference, usual = random.normal(size=(400, 6)), random.normal(size=(200, 6))
    far = random.normal(size=(20, 6)) + 6
    strange, odd = strangeness.ranking(partial(score, reference), usual, {"far": far})
    assert strange.shape == (200,) and odd["far"].shape == (20,)
    assert strangeness.found(strange, odd["far"])["auc"][0] > 0.99
    same = strangeness.ranking(
        partial(score, reference), usual, {"usual": random.normal(size=(200, 6))}
    )
    low, high = np.quantile(strangeness.found(same[0], same[1]["usual"])["auc"][1:], [0.001, 0.999])
    assert low < 0.5 < high


def test_mahalanobis_does_not_care_for_units_and_directions():
    random = np.random.default_rng(0)
    x = random.normal(size=(5000, 3))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    one = strangeness.mahalanobis(x, x[:50])
    np.testing.assert_allclose(one, strangeness.mahalanobis(x * [1, 5, 100], x[:50] * [1, 5, 100]))
    np.testing.assert_allclose(one, strangeness.mahalanobis(x @ turn, x[:50] @ turn), rtol=0.02)
    np.testing.assert_allclose(one, (x[:50] ** 2).sum(axis=1), rtol=0.15, atol=0.1)


def test_plain_roughness_finds_an_empty_band_and_not_a_shift(galaxies, rows, planted):
    """Where a plain statistic is enough, and where it is blind."""
    train = galaxies.images[galaxies.indices("train")]
    score = partial(strangeness.roughness, train)
    strange, odd = strangeness.ranking(
        score, galaxies.images[galaxies.indices("test")[16:]], planted
    )
    auc = {kind: strangeness.found(strange, x, n_resamples=0)["auc"][0] for kind, x in odd.items()}
    assert auc["missing band"] > 0.95 and auc["off centre"] < 0.7


def test_light_that_components_miss_betrays_what_is_sharp(galaxies, planted):
    """What the chapter says of it: a dead column, a star."""
    normalize = Normalize.fit(galaxies.images, "asinh", galaxies.card["sky_rms"])
    pixels = Pixels(galaxies, normalize)
    usual = galaxies.images[galaxies.indices("test")[16:]]
    strange, odd = strangeness.ranking(pixels.error, usual, planted)
    auc = {kind: strangeness.found(strange, x, n_resamples=0)["auc"][0] for kind, x in odd.items()}
    assert auc["dead column"] > 0.85 and auc["saturated star"] > 0.95


def test_found_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    clean, odd = random.normal(size=300), random.normal(1, 1, size=30)
    got = {name: c[0] for name, c in strangeness.found(clean, odd, k=50).items()}
    truth, value = np.repeat([0, 1], [300, 30]), np.concatenate([clean, odd])
    assert got["auc"] == pytest.approx(roc_auc_score(truth, value))
    assert got["average_precision"] == pytest.approx(average_precision_score(truth, value))
    top = truth[np.argsort(-value)[:50]]
    assert got["precision_at_k"] == pytest.approx(top.mean())
    assert got["recall_at_k"] == pytest.approx(top.sum() / 30)
    assert tuple(got) == strangeness.SCORES


def test_resamples_keep_the_rate_and_hold_the_truth():
    random = np.random.default_rng(0)
    inside = []
    for _ in range(60):
        clean, odd = random.normal(size=200), random.normal(1, 1, size=40)
        low, high = np.quantile(
            strangeness.found(clean, odd, n_resamples=200)["auc"][1:], [0.025, 0.975]
        )
        inside.append(low < 0.7602 < high)  # Phi(1 / sqrt 2)
    assert np.mean(inside) > 0.85
    constant = strangeness.found(np.zeros(400), np.zeros(100))
    assert abs(constant["auc"][0] - 0.5) < 0.1, "equal strangeness is chance"
    with pytest.raises(ValueError, match="got 0 clean galaxies"):
        strangeness.found([], [1.0])


def test_kinds_take_turns_and_percentiles_are_those_of_all():
    kinds = {"a": np.zeros((5, 2)), "b": np.ones((5, 2)), "c": np.full((5, 2), 2)}
    assert strangeness.in_turn(kinds)[:, 0].tolist() == [0, 1, 2, 0, 1]
    values = np.random.default_rng(0).normal(size=1001)
    assert strangeness.percentile(values, np.arange(1001)) == pytest.approx(50)
    assert strangeness.percentile(values, np.argsort(values)[-1:]) == pytest.approx(100)
    assert strangeness.percentile(np.append(values, np.nan), np.argsort(values)[:1]) == 0
