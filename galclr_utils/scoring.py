"""Run methods: the same label draws and the same test galaxies for all of them."""

# N galaxies, T test galaxies

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.table import Table

from galclr_utils import metrics
from galclr_utils.checks import number, numbers
from galclr_utils.dataset import GalaxySet
from galclr_utils.journal import Journal, digest
from galclr_utils.label_draws import draw_labels
from galclr_utils.probes import Method
from galclr_utils.provenance import progress
from galclr_utils.score_table import Scores
from galclr_utils.workers import side_by_side


def score_methods(
    methods: Mapping[str, Method],
    galaxies: GalaxySet,
    n_labels=(100, 1000, 0),
    n_draws: int | Mapping[str, int] = 5,
    seeds=(0,),
    journal: Path | None = None,
    inputs: Mapping[str, str | Mapping[int, str]] | None = None,
    draws_all: int | Mapping[str, int] = 0,
    workers: int = 1,
) -> Scores:
    """Train every method on the same label draws and judge it on the same test galaxies.

    Args:
        methods: name -> method; see `probes.probe`, and the baselines. Those that take longest
            come last: they are begun first, so that no core waits for them at the end.
        galaxies: the data set; from its labelled ``train`` galaxies is drawn, its labelled ``test``
            galaxies are judged. Those of ``val`` are not used: no label comes free.
        n_labels: budgets; 0 means all. In the table, all is given as the number it is.
        n_draws: label draws for each budget and seed; or method -> draws, where some are slow. With
            all labels the draws differ only in what is random in the method.
        seeds: pretraining seeds; each has its own draws.
        journal: a folder where each run is kept as soon as it is done, and found again: a sweep of
            hours can be stopped, and several processes can share it (see `journal.Journal`).
        inputs: needed with a journal: method -> a text that names all that its result depends on
            beside data and labels (settings, features, code), or seed -> such a text. Another text,
            another run.
        draws_all: with all labels, at most so many draws, or method -> so many; 0 for as many as
            with fewer.
        workers: processes that share the runs; 0 for one a core (see `workers.side_by_side`).
    Returns:
        A `Scores` with len(methods) * len(n_labels) * len(seeds) * n_draws runs.
    Raises:
        ValueError: one class only, too few labels, no labelled test galaxy; a method without draws
            or, with a journal, without inputs.

    >>> def coin(train, y_train, test, seed, draw):
    ...     return np.random.default_rng([seed, draw]).random(len(test))
    >>> catalog = Table({"id": np.arange(60).astype(str), "label": np.arange(60) % 3 // 2})
    >>> catalog["split"] = ["train"] * 40 + ["test"] * 20
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> galaxies = GalaxySet(np.zeros((60, 3, 4, 4), np.float32), catalog, card)
    >>> score_methods({"coin": coin}, galaxies, n_labels=[10, 0], n_draws=2)
    Scores(4 runs on 20 test galaxies: coin)
    """
    budgets = numbers("n_labels", n_labels, 0, np.inf, integer=True)
    draws = _for_each("n_draws", n_draws, methods)
    draws = {m: number("n_draws", n, 1, 10_000, integer=True) for m, n in draws.items()}
    train, test = galaxies.labelled("train"), galaxies.labelled("test")
    if not len(test):
        raise ValueError("test split: got no labelled galaxies, expected some to judge methods on")
    label, y_train = galaxies.labels[test], galaxies.labels[train]
    if len(kinds := np.unique(label)) < 2:
        only = ("early", "late")[kinds[0]]
        raise ValueError(
            f"test split: got {only} types only in {len(label)} labels, expected early and late"
        )
    budgets = dict.fromkeys(n or len(train) for n in budgets)
    for n in budgets:
        draw_labels(y_train, n)  # what cannot be drawn is refused before hours are spent
    every = itertools.product(budgets, map(int, seeds), range(max(draws.values())), methods)
    runs = [run for run in every if run[2] < draws[run[3]]]
    most = _for_each("draws_all", draws_all, methods)
    most = {m: number("draws_all", n, 0, 10_000, integer=True) or np.inf for m, n in most.items()}
    runs = [run for run in runs if run[0] < len(train) or run[2] < most[run[3]]]
    place = {name: k for k, name in enumerate(methods)}
    dearest_first = sorted(runs, key=lambda run: (place[run[3]], run[0]), reverse=True)
    book = journal and Journal.of(journal, galaxies, test)
    inputs = _for_each("inputs", inputs or {}, methods) if book else {}
    done: dict[tuple, tuple] = {}
    for wait in (False, True) if book else (True,):  # what another process does comes last
        todo = [run for run in dearest_first if run not in done]
        tasks = []
        for n, seed, draw, name in todo:
            rows = train[drawn := draw_labels(y_train, n, draw, seed)]
            tasks.append((methods[name], (rows, y_train[drawn], test, seed, draw)))
            if book:
                told = inputs[name][seed] if isinstance(inputs[name], Mapping) else inputs[name]
                of_run = {"method": name, "seed": seed, "draw": draw, "inputs": told}
                key = book.key(labels=digest(rows, y_train[drawn]), **of_run)
                tasks[-1] += book, key, wait
        found = side_by_side(_run, tasks, workers)
        for run, result in zip(todo, progress(found, "scoring", len(todo)), strict=True):
            if result:
                done[run] = result
    rows = []
    for n, seed, draw, name in runs:
        p_late, seconds = done[n, seed, draw, name]
        found = {score: round(v, 6) for score, v in metrics.scores(label, p_late).items()}
        run = {"method": name, "n_labels": n, "seed": seed, "draw": draw, "split": "test"}
        rows.append(run | found | {"seconds": seconds})
    p_late = np.stack([done[run][0] for run in runs])
    return Scores(Table(rows), p_late, label, np.asarray(galaxies.catalog["id"][test], str))


def _run(method: Method, arguments: tuple, book: Journal | None = None, key="", wait=True):
    """Return the method's p_late (T,) float32, and the seconds it took; or None, see `Journal`."""
    if book:
        return book.once(key, lambda: method(*arguments), wait)
    began = time.perf_counter()
    p_late = np.asarray(method(*arguments), np.float32)
    return p_late, round(time.perf_counter() - began, 3)


def _for_each(name: str, values, methods) -> dict:
    """Return ``values`` as method -> value: one value serves all, a mapping must know each."""
    if not isinstance(values, Mapping):
        return dict.fromkeys(methods, values)
    if missing := [method for method in methods if method not in values]:
        raise ValueError(
            f"{name}: got nothing for {', '.join(missing)}, expected a value for each method"
        )
    return {method: values[method] for method in methods}
