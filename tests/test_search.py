"""The search is exact, finds a galaxy that is shown again, and invents no neighbours."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, atlas, baselines, nights, search
from galclr_utils.encoders import Encoder
from galclr_utils.normalize import Normalize


@pytest.fixture(scope="module")
def cloud():
    return np.random.default_rng(0).normal(size=(300, 12)).astype("f4")


@pytest.fixture(scope="module")
def normalize(galaxies):
    return Normalize.fit(galaxies.images, "asinh", galaxies.card["sky_rms"])


@pytest.mark.parametrize("metric", search.METRICS)
def test_the_search_is_exact_whatever_the_block(cloud, monkeypatch, metric):
    rows, far = search.search(cloud, cloud, 7, np.arange(300), metric)
    np.testing.assert_array_equal(rows, atlas.nearest(cloud, 7, metric))
    monkeypatch.setattr(search, "AT_ONCE", 1000)  # 3 queries at a time
    again, far_again = search.search(cloud, cloud, 7, np.arange(300), metric)
    np.testing.assert_array_equal(rows, again)
    np.testing.assert_allclose(far, far_again, atol=1e-5)
    one, other = cloud[0], cloud[rows[0, 0]]
    cosine = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    expected = {"cosine": cosine, "euclidean": np.linalg.norm(one - other)}[metric]
    assert far[0, 0] == pytest.approx(expected, abs=1e-4)
    assert (np.diff(far, axis=1) >= 0).all()


def test_only_the_own_row_is_left_out(cloud):
    rows, far = search.search(cloud[:3], cloud, 2, own=np.array([0, -1, 2]))
    assert 0 not in rows[0] and rows[1, 0] == 1 and 2 not in rows[2]
    assert far[1, 0] == pytest.approx(0, abs=1e-6)


def test_more_neighbours_than_galaxies_are_not_invented(cloud):
    assert search.search(cloud[:4], cloud[:4], 10, own=np.arange(4))[0].shape == (4, 3)
    with pytest.raises(ValueError, match="at least one other than the query"):
        search.search(cloud[:1], cloud[:1], 1, own=[0])
    with pytest.raises(ValueError, match="describe both by the same encoder"):
        search.search(cloud[:, :5], cloud)


def test_a_picture_finds_its_galaxy_from_any_side(galaxies, normalize):
    encoder = Encoder("cnn4", 16, normalize).calibrate_batch_norm(galaxies.images[:64])
    h = encoder.embed(galaxies.images[:40])
    for stamp in (galaxies.images[17], np.rot90(galaxies.images[17], 3, axes=(1, 2))):
        rows, far = search.search_image(encoder, stamp, h, k=2)
        assert rows[0] == 17 and far[0] < 1e-5 < far[1]
    centre = h.mean(axis=0)
    assert search.search_image(encoder, galaxies.images[17], h - centre, centre=centre)[0][0] == 17
    with pytest.raises(ValueError, match=r"expected \(3, H, W\): one picture"):
        search.search_image(encoder, galaxies.images[:1], h)


def test_a_galaxy_is_found_by_its_id(galaxies):
    ids = galaxies.catalog["id"]
    assert search.row_of(galaxies, ids[9]) == 9
    with pytest.raises(ValueError, match=r"query_id: got 'sim-5-000000x'.*did you mean"):
        search.row_of(galaxies, "sim-5-000000x")


def test_examples_are_what_they_are_called(galaxies, cloud):
    rows = np.arange(20, 320)
    chosen = {k: rows[p] for k, p in search.examples(galaxies, rows, cloud).items()}
    flat, label = galaxies.catalog["axis_ratio"], galaxies.labels
    late = rows[label[rows] == 1]
    assert list(chosen) == ["edge-on disc", "face-on late", "early"]
    assert flat[chosen["edge-on disc"]] <= np.quantile(flat[late], 0.12)
    assert flat[chosen["face-on late"]] >= np.quantile(flat[late], 0.88)
    assert label[chosen["early"]] == 0


def test_examples_without_a_catalogue_lie_far_apart(galaxies, cloud):
    bare = Table({c: galaxies.catalog[c] for c in ("id", "split", "label")})
    unknown = GalaxySet(galaxies.images, bare, galaxies.card)
    groups = np.arange(300) // 100  # three directions from their common mean
    far = 5 * np.eye(3)[groups] + np.random.default_rng(0).normal(0, 0.3, (300, 3))
    places = search.examples(unknown, np.arange(300), far, n=3)
    assert list(places) == ["galaxy 1", "galaxy 2", "galaxy 3"]
    assert sorted(groups[list(places.values())]) == [0, 1, 2]


def test_components_forgive_noise_and_blur_and_not_a_turn(galaxies, normalize):
    """What the chapter says of principal components."""
    pixels = baselines.Pixels(galaxies, normalize)
    test = galaxies.images[galaxies.indices("test")]
    points, rows = pixels.embed(test), np.arange(len(test))
    copies = nights.copies(test, galaxies.card["sky_rms"])
    first = {
        k: np.mean(search.rank_of_own(pixels.embed(x), points, rows) == 1)
        for k, x in copies.items()
    }
    assert first["noisier"] > 0.9 and first["worse seeing"] > 0.9 > 0.7 > first["turned"]
    assert first["stored again"] == 1


def test_the_rank_of_a_copy_is_chance_for_strangers_and_last_in_a_collapse(cloud):
    strangers = np.random.default_rng(5).normal(size=cloud.shape)
    rank = search.rank_of_own(strangers, cloud, np.arange(300))
    assert abs(rank.mean() - 150.5) < 20 and rank.min() >= 1
    assert (search.rank_of_own(cloud, cloud, np.arange(300)) == 1).all()
    assert (search.rank_of_own(np.ones((5, 2)), np.ones((9, 2)), np.arange(5)) == 9).all()


def test_planted_copies_are_the_closest_pairs(cloud):
    points = np.concatenate([cloud, cloud[:15] + 0.01])
    pairs, far = search.closest_pairs(points, 15)
    assert {tuple(p) for p in pairs.tolist()} == {(k, 300 + k) for k in range(15)}
    limit = search.closest_pairs(cloud, 1)[1][0]
    assert far.max() < limit
    np.testing.assert_array_equal(
        np.unique(search.pairs_within(points, limit), axis=0), np.unique(pairs, axis=0)
    )
