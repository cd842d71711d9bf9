"""Measure cases side by side: round after round, each case once a round, all in one process.

A shared machine changes its speed from minute to minute, so a time alone says little. A ratio of
two cases of the same round does; its spread over the rounds says how much. Where a case that keeps
its threads busy got clearly fewer cores than it has threads, the round is thrown away.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

FEW_CORES = 0.8  # a round with less CPU time than this share of wall time x threads is rejected
COLUMNS = ("group", "name", "unit", "threads", "batch", "median", "low", "high", "rounds")
COLUMNS += ("cpu_per_wall", "rejected")
SECONDS = {"s": 1, "ms": 1000, "ms per step": 1000}  # units of time; all others are rates

Key = tuple[str, str, int, int]  # group, name, threads, batch


@dataclass
class Case:
    """Say what is measured, and how.

    Attributes:
        group, name: what it is called.
        unit: a rate such as ``"views/s"``, or a time: ``"s"``, ``"ms"``, ``"ms per step"``.
        threads: of torch in this process.
        batch: how many at a time.
        run: does a piece of the work and returns how much it was, in the unit.
        seconds: the piece is repeated at least this long (and at least once).
        warm: pieces done before the clock starts.
        by_cpu: divide by CPU seconds, not by wall seconds: for work on one thread.
        busy: whether it should keep its threads busy, so that rejection makes sense.
        before, after: called outside the clock.
        cpu_elsewhere: CPU seconds used so far by other processes that do part of the work.
    """

    group: str
    name: str
    unit: str
    threads: int
    batch: int
    run: Callable[[], float]
    seconds: float = 1.0
    warm: int = 1
    by_cpu: bool = False
    busy: bool = True
    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None
    cpu_elsewhere: Callable[[], float] = float

    @property
    def key(self) -> Key:
        return self.group, self.name, self.threads, self.batch


@dataclass
class Sample:
    """Hold what one round of one case gave: the value, and the cores that it got."""

    value: float
    cpu_per_wall: float


def measure(case: Case) -> Sample:
    """Do the work of a case for its seconds, and return its rate or its time."""
    torch.set_num_threads(case.threads)
    if case.before:
        case.before()
    for _ in range(case.warm):
        case.run()
    amount, began = 0.0, (time.perf_counter(), time.process_time() + case.cpu_elsewhere())
    while amount == 0 or time.perf_counter() - began[0] < case.seconds:
        amount += case.run()
    wall = time.perf_counter() - began[0]
    cpu = time.process_time() + case.cpu_elsewhere() - began[1]
    if case.after:
        case.after()
    seconds = cpu if case.by_cpu else wall
    value = SECONDS[case.unit] * seconds / amount if case.unit in SECONDS else amount / seconds
    return Sample(value, cpu / wall)


Round = dict[Key, Sample]


def cores_share(one: Round, cases: list[Case]) -> float:
    """Return how much of its threads the worst busy case of a round got; 1 if none is busy."""
    busy = [one[case.key].cpu_per_wall / case.threads for case in cases if case.busy]
    return min(busy, default=1.0)


def run_rounds(cases: list[Case], wanted: int, spare: int, say: Callable) -> tuple[list, int]:
    """Measure all cases round by round until enough rounds are good.

    Args:
        cases: in the order in which they are measured.
        wanted: good rounds.
        spare: rounds that may be bad before it is given up.
        say: takes a line of progress for each round.
    Returns:
        The rounds that are kept (see `choose`) and how many were thrown away.
    """
    rounds: list[Round] = []
    good = 0
    while good < wanted and len(rounds) < wanted + spare:
        began = time.perf_counter()
        rounds.append({case.key: measure(case) for case in cases})
        share = cores_share(rounds[-1], cases)
        good += share >= FEW_CORES
        groups = ", ".join(dict.fromkeys(case.group for case in cases))
        took = f"{time.perf_counter() - began:.0f} s, {100 * share:.0f}% of the cores"
        say(f"{groups}: round {len(rounds)}, {good} of {wanted} good ({took})")
    return choose(rounds, cases, wanted)


def choose(rounds: list[Round], cases: list[Case], wanted: int) -> tuple[list[Round], int]:
    """Keep the good rounds; if they are too few, the best of the others too, in order of time."""
    shares = [cores_share(one, cases) for one in rounds]
    best = sorted(range(len(rounds)), key=lambda k: (shares[k] < FEW_CORES, -shares[k]))
    good = sum(share >= FEW_CORES for share in shares)
    kept = sorted(best[: max(good, min(wanted, len(rounds)))])
    return [rounds[k] for k in kept], len(rounds) - len(kept)


def summarise(cases: list[Case], rounds: list[Round], rejected: int) -> list[dict]:
    """Return a row of the CSV for each case: median, smallest and largest round."""
    rows = []
    for case in cases:
        samples = [one[case.key] for one in rounds]
        values = [sample.value for sample in samples]
        spread = (statistics.median(values), min(values), max(values), len(values))
        cores = statistics.median(sample.cpu_per_wall for sample in samples)
        row = (case.group, case.name, case.unit, case.threads, case.batch, *spread)
        rows.append(dict(zip(COLUMNS, (*row, cores, rejected), strict=True)))
    return rows


@dataclass
class Ratio:
    """Say how a number is made of the values of one round.

    Attributes:
        name: what it is called.
        of: values by key -> number.
        note: what it compares.
        target: what it should reach, and ``sense``: at least or at most that.
    """

    name: str
    of: Callable[[dict[Key, float]], float]
    note: str
    target: float | None = None
    sense: str = "at least"


def ratios(wanted: list[Ratio], rounds: list[Round]) -> list[dict]:
    """Return median, smallest and largest of each ratio, computed round by round.

    A ratio of which a case was not measured is left out.
    """
    found = []
    for ratio in wanted:
        try:
            values = [ratio.of({key: s.value for key, s in one.items()}) for one in rounds]
        except KeyError:
            continue
        entry = {"name": ratio.name, "value": statistics.median(values)}
        entry |= {"low": min(values), "high": max(values), "rounds": len(values)}
        if ratio.target is not None:
            entry |= {"target": ratio.target, "sense": ratio.sense}
        found.append(entry | {"note": ratio.note})
    return found
