"""Neighbours agree where they should, and strangers by chance."""

import numpy as np
import pytest

from galclr_utils import atlas, neighbours


@pytest.fixture(scope="module")
def cloud():
    return np.random.default_rng(0).normal(size=(300, 12)).astype("f4")


def test_agreement_is_chance_for_strangers_and_one_for_clouds(cloud):
    labels = (np.arange(300) % 10 == 0).astype(int)  # one in ten is late
    share = neighbours.agreement(cloud, labels, k=10)
    low, high = np.quantile(share[-1, 1:], [0.005, 0.995])
    assert low < 0.5 < high, "the balance of the classes does not matter"
    apart = cloud + 20 * labels[:, None] * np.eye(12)[0]
    assert neighbours.agreement(apart, labels, k=5)[-1, 0] > 0.9
    expected = atlas.neighbour_agreement(apart, labels, k=5)
    assert neighbours.agreement(apart, labels, k=5)[-1, 0] == pytest.approx(expected)
    unknown = np.where(np.arange(300) < 100, -1, labels)
    np.testing.assert_allclose(
        neighbours.agreement(apart, unknown, 5), neighbours.agreement(apart[100:], labels[100:], 5)
    )


def test_neighbours_differ_as_strangers_do_in_what_the_space_does_not_hold(cloud):
    stranger = np.random.default_rng(1).normal(size=300)
    curve = neighbours.difference(cloud, stranger)
    low, high = np.quantile(curve[1:], [0.005, 0.995])
    assert low < 1 < high
    assert neighbours.difference(cloud[:, :1], cloud[:, 0], metric="euclidean")[0] < 0.1
    gaps = np.abs(stranger[:, None] - stranger)
    np.testing.assert_allclose(neighbours.from_strangers(stranger), gaps.sum(axis=1) / 299)
    rows = atlas.nearest(cloud, 10)
    near = np.abs(stranger[rows] - stranger[:, None]).mean()
    assert curve[0] == pytest.approx(near / (gaps.sum() / (300 * 299)))
    assert np.isnan(neighbours.difference(cloud, np.ones(300))).all()
    gappy = np.where(np.arange(300) < 50, np.nan, stranger)
    assert (
        neighbours.difference(cloud, gappy)[0] == neighbours.difference(cloud[50:], gappy[50:])[0]
    )


def test_the_interval_of_a_mean_is_as_wide_as_it_should_be():
    values = np.random.default_rng(0).normal(size=400)
    curve = neighbours.mean_curve(values, n_resamples=2000)
    assert curve[0] == pytest.approx(values.mean())
    assert curve[1:].std() == pytest.approx(values.std() / 20, rel=0.1)
    assert (neighbours.mean_curve(values) - neighbours.mean_curve(values) == 0).all(), "paired"
