"""Show the same test galaxies in several versions to one and the same classifier.

What a classifier uses shows when it is taken away. Versions of the same test galaxies are put into
one data set, behind galaxies to learn from that nobody touched; every method then judges all
versions with one training, and any two versions can be compared galaxy for galaxy.
"""

# T test galaxies, C bands, H, W pixels, R runs

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from astropy.table import Table

from galclr_utils import intervals
from galclr_utils.dataset import GalaxySet
from galclr_utils.score_table import Scores


def versions(galaxies: GalaxySet, learn, judged, pictures: Mapping[str, np.ndarray]) -> GalaxySet:
    """Return a set of galaxies to learn from, as they are, and several versions of others.

    Args:
        galaxies: the data set.
        learn: rows to learn from. judged: T rows to be judged.
        pictures: name -> (T, C, H, W), what the judged look like in each version.
    Returns:
        The set: ``learn`` as its ``train``, then the versions one after the other as its ``test``,
        with ids such as ``sim-0-0000007@grey``.

    >>> catalog = Table({"id": ["a", "b"], "split": ["train", "test"], "label": [1, 0]})
    >>> card = {"units": "display", "bands": ["g", "r", "i"], "source": "squares"}
    >>> two = GalaxySet(np.ones((2, 3, 4, 4), np.float32), catalog, card)
    >>> both = versions(two, [0], [1], {"as it is": two.images[[1]], "dark": 0 * two.images[[1]]})
    >>> both.catalog["id"].tolist()
    ['a', 'b@as it is', 'b@dark']
    """
    learn, judged = np.asarray(learn), np.asarray(judged)
    for name, images in pictures.items():
        if np.shape(images) != (len(judged), *galaxies.images.shape[1:]):
            expected = (len(judged), *galaxies.images.shape[1:])
            raise ValueError(f"{name}: got {np.shape(images)}, expected {expected}")
    dtype = galaxies.images.dtype
    images = [galaxies.images[learn], *(np.asarray(p, dtype) for p in pictures.values())]
    ids = np.asarray(galaxies.catalog["id"], str)
    labels, n = galaxies.labels, len(pictures)
    catalog = Table()
    catalog["id"] = [*ids[learn], *(f"{i}@{name}" for name in pictures for i in ids[judged])]
    catalog["split"] = ["train"] * len(learn) + ["test"] * (n * len(judged))
    catalog["label"] = np.concatenate([labels[learn], np.tile(labels[judged], n)])
    return GalaxySet(np.concatenate(images), catalog, dict(galaxies.card))


def by_version(scores: Scores, names) -> dict[str, Scores]:
    """Return the scores of each version, all on the same T galaxies in the same order.

    Args:
        scores: from ``scoring.score_methods`` on a set from `versions`.
        names: of the versions, in their order.
    """
    names = list(names)
    if len(scores.label) % len(names):
        raise ValueError(f"got {len(scores.label)} galaxies, expected {len(names)} times as many")
    size = len(scores.label) // len(names)
    parts = [slice(k * size, (k + 1) * size) for k in range(len(names))]
    ids = np.array([name.rsplit("@", 1)[0] for name in scores.id[:size]])
    return {
        name: Scores(scores.table, scores.p_late[:, part], scores.label[:size], ids)
        for name, part in zip(names, parts, strict=True)
    }


def score_versions(parts: Mapping[str, Scores], methods, score: str = "balanced_accuracy") -> Table:
    """Return the score of every method in every version, and what it lost, galaxy for galaxy.

    Args:
        parts: from `by_version`; the first is what the others are compared with.
        methods: names. score: accuracy, balanced_accuracy, precision or recall.
    Returns:
        Rows group (the version), method, n_seeds, n_runs; mean, low, high of the score; change,
        change_low, change_high against the first version (paired: the same runs and galaxies).
    """
    first, rows = next(iter(parts.values())), []
    for name, own in parts.items():
        for method in methods:
            runs = own.runs(method, 0)
            layout = [np.asarray(own.table[column])[runs] for column in ("seed", "draw")]
            curve, before = (
                intervals.bootstrap(s.label, s.p_late[runs], *layout)[score] for s in (own, first)
            )
            value, change = intervals.central_95(curve), intervals.central_95(curve - before)
            ends = {"change": change["mean"], "change_low": change["low"]}
            ends |= {"change_high": change["high"]}
            ends |= {"n_seeds": len(set(layout[0])), "n_runs": len(runs)}
            rows.append({"group": name, "method": method} | value | ends)
    return Table(rows)
