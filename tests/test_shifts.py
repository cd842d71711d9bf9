"""Versions leave the galaxies to learn from alone, and each gets its own answers."""

import numpy as np
import pytest

from galclr_utils import scoring, shifts


def test_versions_keep_galaxies_to_learn_from_as_they_are(galaxies):
    learn, judged = galaxies.indices("train")[:20], galaxies.indices("test")[:10]
    same = galaxies.images[judged]
    made = shifts.versions(galaxies, learn, judged, {"a": same, "b": same * 2})
    assert np.array_equal(made.images[:20], galaxies.images[learn])
    assert np.array_equal(made.images[30:], same * 2)
    assert np.array_equal(made.labels[made.indices("test")], np.tile(galaxies.labels[judged], 2))
    with pytest.raises(ValueError, match="b: got"):
        shifts.versions(galaxies, learn, judged, {"b": same[:3]})


def test_each_version_gets_its_own_answers(galaxies):
    learn, judged = galaxies.indices("train")[:40], galaxies.indices("test")
    pictures = {"a": galaxies.images[judged], "b": 0 * galaxies.images[judged]}
    made = shifts.versions(galaxies, learn, judged, pictures)

    def oracle_of_bright(train, y, test, seed, draw):
        lit = made.images[test].any(axis=(1, 2, 3))
        return np.where(lit, made.labels[test], 1 - made.labels[test])

    scores = scoring.score_methods({"m": oracle_of_bright}, made, [20], n_draws=2)
    parts = shifts.by_version(scores, ["a", "b"])
    assert parts["b"].id.tolist() == galaxies.catalog["id"][judged].tolist()
    table = shifts.score_versions(parts, ["m"])
    assert table["mean"].tolist() == [1, 0] and table["change"].tolist() == [0, -1]
