"""Read a stored ablation study and say which of its differences mean something.

One thing was changed at a time. What a difference means is said by what was pretrained from several
seeds: differences no larger than what a seed makes mean nothing.
"""

# R rows of a study (one pretraining each), V variants (one change each)

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from scipy import stats

from galclr_utils.checks import choice
from galclr_utils.studies import read_study, study_path

SCORES = {
    "knn": "kNN, 1000 labels",
    "logistic_100": "logistic, 100 labels",
    "logistic_1000": "logistic, 1000 labels",
}
SPACES = {"": "h", "_pooled": "pooled", "_z": "z"}
VERDICTS = ("helped", "hurt", "mixed", "not told apart")
BASE, CONTROL = "base", "control"


@dataclass
class Study:
    """Hold a stored study: its rows, how they came about, and the differences from its base."""

    rows: Table
    record: dict
    table: Table


def load(studies_dir: str, name: str) -> Study | None:
    """Open a stored ablation study, or return None if there is none of this name.

    Args:
        studies_dir: folder of the studies; a relative one starts at the project's root.
        name: such as ``"ablations-simulated"``.

    >>> load("book/studies", "no such study") is None
    True
    """
    if not (folder := study_path(studies_dir, name)):
        return None
    tables, record = read_study(folder)
    return Study(tables["rows"], record, differences(tables["rows"]))


def differences(rows: Table) -> Table:
    """Return how much each variant differs from the base, and what chance alone would make of it.

    Pretrainings that differ in their seed alone scatter by s. The mean of n of them differs from
    that of the base's k by chance; 95% of such differences lie within t s (1/n + 1/k)^(1/2), where
    t is Student's for the degrees of freedom of s. They come from all variants with more than one
    seed, taken to scatter alike; often that is the base alone. This is for one variant: of many,
    one in twenty lies outside by chance.

    Args:
        rows: of a stored study, a row a pretraining; ``base`` with at least one. What is compared
            are the scores of h.
    Returns:
        A row a variant, without the base and the controls: group, variant, changed, n_seeds, and
        for each score its difference, ``SCORE_chance`` (NaN with one seed of the base) and
        ``SCORE_says``: better, worse or not told apart. ``meta["base_seeds"]`` is k.
    Raises:
        ValueError: no row of the base.

    >>> rows = Table({"group": ["base"] * 3 + ["zoom"], "variant": ["base"] * 3 + ["2"]})
    >>> rows["changed"], rows["seed"] = "", [0, 1, 2, 0]
    >>> for name in SCORES:
    ...     rows[name] = [0.80, 0.81, 0.82, 0.70]
    >>> found = differences(rows)
    >>> print(found["variant"][0], round(found["knn"][0], 2), found["knn_says"][0])
    2 -0.11 worse
    """
    groups = np.asarray(rows["group"], str)
    base = rows[groups == BASE]
    if not len(base):
        raise ValueError("rows: got none of the base, expected at least one to differ from")
    names = np.asarray(rows["variant"]).astype(str)
    spread = {score: seed_scatter(rows, score) for score in SCORES}
    pairs = dict.fromkeys(zip(groups.tolist(), names.tolist(), strict=True))
    found = []
    for group, variant in pairs:
        if group in (BASE, CONTROL):
            continue
        own = rows[(groups == group) & (names == variant)]
        line = {"group": group, "variant": variant, "changed": str(own["changed"][0])}
        line["n_seeds"] = len(own)
        for score in SCORES:
            values, of_base = (np.asarray(r[score], float) for r in (own, base))
            line[score] = values.mean() - of_base.mean()
            line[f"{score}_chance"] = chance(*spread[score], len(own), len(base))
            line[f"{score}_says"] = says(line[score], line[f"{score}_chance"])
        found.append(line)
    names = [f"{score}{end}" for score in SCORES for end in ("", "_chance", "_says")]
    names = ["group", "variant", "changed", "n_seeds", *names]
    return Table(rows=found or None, names=names, meta={"base_seeds": len(base)})


def seed_scatter(rows: Table, column: str) -> tuple[float, int]:
    """Return the standard deviation over pretraining seeds, and its degrees of freedom.

    Args:
        rows: of a stored study. column: which score.

    >>> rows = Table({"group": ["base"] * 3, "variant": ["base"] * 3, "knn": [0.80, 0.81, 0.82]})
    >>> s, dof = seed_scatter(rows, "knn")
    >>> round(s, 3), dof
    (0.01, 2)
    """
    found: dict[tuple, list] = {}
    for row in rows:
        if row["group"] != CONTROL:
            found.setdefault((row["group"], str(row["variant"])), []).append(float(row[column]))
    repeated = [np.array(values) for values in found.values() if len(values) > 1]
    dof = sum(len(values) - 1 for values in repeated)
    squares = sum(((values - values.mean()) ** 2).sum() for values in repeated)
    return (float(np.sqrt(squares / dof)), dof) if dof else (float("nan"), 0)


def chance(scatter: float, dof: int, n: int, k: int) -> float:
    """Return how far means of n and of k pretrainings differ by chance, 95% of the time.

    Args:
        scatter, dof: from `seed_scatter`.
    Returns:
        half the width of the band; NaN where nothing was repeated.

    >>> round(chance(0.01, 2, n=1, k=3), 4), chance(float("nan"), 0, 1, 1)
    (0.0497, nan)
    """
    if not dof:
        return float("nan")
    return float(stats.t.ppf(0.975, dof) * scatter * np.sqrt(1 / n + 1 / k))


def says(difference: float, band: float) -> str:
    """Say what a difference allows to say, given what chance makes of it.

    >>> says(0.03, 0.01), says(0.03, 0.05), says(0.03, float("nan"))
    ('better', 'not told apart', 'not told apart')
    """
    if not abs(difference) > band:
        return "not told apart"
    return "better" if difference > 0 else "worse"


def verdict(line) -> str:
    """Say of a variant whether it helped: two of three scores must say so, none the reverse.

    One score alone lies outside its band by chance in one case of twenty, so that one of three
    often does.

    >>> line = dict.fromkeys((f"{score}_says" for score in SCORES), "better")
    >>> verdict(line), verdict(line | {"knn_says": "worse"}), verdict(dict.fromkeys(line, ""))
    ('helped', 'mixed', 'not told apart')
    """
    words = [line[f"{score}_says"] for score in SCORES]
    better, worse = words.count("better"), words.count("worse")
    if better and worse:
        return "mixed"
    if better > 1:
        return "helped"
    return "hurt" if worse > 1 else "not told apart"


def listed(study: Study, word: str) -> Table:
    """Return the variants of one verdict, best first, as a table to be shown.

    Args:
        word: helped, hurt, mixed or "not told apart".
    Returns:
        what was varied, the value, what that means, and the differences in points.
    """
    choice("word", word, VERDICTS)
    lines = [line for line in study.table if verdict(line) == word]
    lines.sort(key=lambda line: -np.mean([line[score] for score in SCORES]))
    rows = [
        (line["group"], str(line["variant"]), line["changed"], *(100 * line[s] for s in SCORES))
        for line in lines
    ]
    result = Table(rows=rows or None, names=("varied", "value", "what it means", *SCORES.values()))
    for title in SCORES.values():
        result[title].format = "+.1f"
    return result


def base_scores(study: Study) -> Table:
    """Return what the base scores in each space: the mean of its seeds and their scatter."""
    base = study.rows[np.asarray(study.rows["group"], str) == BASE]
    lines = []
    for end, space in SPACES.items():
        cells = []
        for score in SCORES:
            values = np.asarray(base[score + end], float)
            scatter = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3f}{scatter}")
        lines.append((space, *cells))
    return Table(rows=lines, names=("space", *SCORES.values()))
