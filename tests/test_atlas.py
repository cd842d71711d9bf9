import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import GalaxySet, atlas, maps


@pytest.fixture(scope="module")
def two_clouds():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    centres = np.zeros((2, 16))
    centres[0, 0] = centres[1, 1] = 5
    return centres[labels] + random.normal(0, 0.5, (120, 16)), labels


def test_the_map_keeps_clouds_apart_and_repeats(two_clouds):
    h, labels = two_clouds
    positions = atlas.umap_map(h, seed=1)
    assert positions.shape == (120, 2) and positions.dtype == np.float32
    assert atlas.neighbour_agreement(positions, labels, metric="euclidean") > 0.95
    np.testing.assert_array_equal(positions, atlas.umap_map(h, seed=1))
    assert atlas.trustworthiness(h, positions) > atlas.trustworthiness(h, positions[::-1])


def test_agreement_is_half_by_chance_whatever_the_balance():
    random = np.random.default_rng(0)
    labels = (random.random(2000) < 0.9).astype(int)
    assert abs(atlas.neighbour_agreement(random.normal(size=(2000, 8)), labels) - 0.5) < 0.03


def test_unknown_labels_are_left_out(two_clouds):
    h, labels = two_clouds
    mixed = np.vstack([h, -h[:20]])
    with_unknown = np.concatenate([labels, np.full(20, -1)])
    assert atlas.neighbour_agreement(mixed, with_unknown) == atlas.neighbour_agreement(h, labels)


def test_an_unknown_label_has_no_share(two_clouds):
    h, labels = two_clouds
    share = atlas.own_share(h, np.where(np.arange(120) < 5, -1, labels))
    assert np.isnan(share[:5]).all() and (share[5:] == 1).all()


def test_nobody_is_its_own_neighbour(two_clouds):
    h, _ = two_clouds
    neighbours = atlas.nearest(h, k=10)
    assert neighbours.shape == (120, 10)
    assert not (neighbours == np.arange(120)[:, None]).any()
    assert atlas.nearest(h[:4], k=10).shape == (4, 3), "no more than there are others"


def test_neighbours_tell_what_the_space_holds_and_no_more(two_clouds):
    h, labels = two_clouds
    assert atlas.neighbour_r2(h, labels) == 1
    stranger = np.random.default_rng(1).normal(size=120)
    assert -0.4 < atlas.neighbour_r2(h, stranger, k=10) < 0.05
    assert np.isnan(atlas.neighbour_r2(h, np.ones(120)))
    some = np.where(np.arange(120) % 3, labels, np.nan)
    assert atlas.neighbour_r2(h, some) == 1, "unknown values are left out"


def test_only_known_properties_that_differ_are_shown():
    catalog = Table({"id": [f"g{k}" for k in range(10)], "split": ["test"] * 10})
    catalog["label"], catalog["z"], catalog["ttype"] = -1, 0.1, np.nan
    catalog["mag_r"] = np.arange(10.0)
    card = {"units": "display", "bands": ["g", "r", "i"], "source": "arrays"}
    galaxies = GalaxySet(np.zeros((10, 3, 4, 4), "f4"), catalog, card)
    assert list(atlas.known_properties(galaxies, np.arange(10))) == ["r [mag]"]
    catalog.remove_column("mag_r")
    assert list(atlas.known_properties(galaxies, np.arange(10))) == ["mean pixel"]


@pytest.mark.parametrize("n", [1, 3, 4, 7])
def test_maps_of_any_number_of_properties_share_one_square(n):
    positions = np.random.default_rng(0).normal(size=(50, 2))
    known = {f"p{k}": positions[:, 0] for k in range(n)}
    axes = maps.umap_properties(positions, known, {"source": "arrays"}).figure.axes
    drawn = [axis for axis in axes if axis.get_title()]
    assert len(drawn) == n
    assert len({(axis.get_xlim(), axis.get_ylim(), axis.get_box_aspect()) for axis in drawn}) == 1


def test_a_map_without_labels_does_not_speak_of_them():
    positions = np.random.default_rng(0).normal(size=(50, 2))
    plate = maps.umap(positions, np.full(50, -1), "seed 0", {"source": "arrays"})
    assert "label" not in plate.caption and "type" not in plate.alt


def test_choosing_is_repeatable_and_never_doubles():
    rows = atlas.choose(np.arange(5000), 1980, seed=3)
    assert len(set(rows)) == 1980
    np.testing.assert_array_equal(rows, atlas.choose(np.arange(5000), 1980, seed=3))
    assert len(atlas.choose(np.arange(7), 1980)) == 7


def test_too_few_galaxies_for_a_map_is_told():
    with pytest.raises(ValueError, match="expected at least 4"):
        atlas.umap_map(np.ones((3, 8)))


def test_the_map_is_saved_as_a_table(tmp_path):
    path = atlas.save_map(tmp_path, ["a", "b"], np.zeros((2, 2)), [0, -1])
    assert Table.read(path).colnames == ["id", "x", "y", "label"]
