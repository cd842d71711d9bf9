"""Share work among processes: tasks of a module in order, or runs of any method side by side.

A network of our size gains little from a second thread and may lose by it: after each of its many
small steps the threads wait for each other. Runs that do not depend on each other gain a whole core
each from a second process.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

from threadpoolctl import threadpool_limits

AHEAD = 1024  # tasks that wait at a cluster; each returns nothing, so memory is not at stake
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Return how many cores this process may use: a batch system lends it some of a machine's."""
    if hasattr(os, "sched_getaffinity"):  # not all systems can say
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(call: Callable, tasks: Iterable[tuple], workers: int, pool=None) -> Iterator:
    """Yield ``call(*task)`` of each task, in order; a few a process are under way.

    So memory does not grow with the number of tasks. Processes are spawned, not forked: a fork
    would copy the locks of this one's threads.

    Args:
        call: a function of a module. tasks: its arguments.
        workers: processes of this machine; 1 for this one alone.
        pool: instead of them a Dask client, or any executor.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(in_order(pow, [(2, 3), (3, 2)], 1, pool))
    [8, 9]
    """
    if pool is None and workers == 1:
        yield from itertools.starmap(call, tasks)
        return
    if hasattr(pool, "get_executor"):  # a Dask client. Not pure: a block is made again if it went
        pool = pool.get_executor(pure=False)
    elif not (pool is None or hasattr(pool, "submit")):
        raise TypeError(
            f"pool: got {pool!r}, expected a client of Dask (pip install distributed), such as "
            "distributed.Client(address), or an executor of concurrent.futures"
        )
    ahead, ours = AHEAD, contextlib.nullcontext(pool)
    if pool is None:
        ahead, spawn = 4 * workers, multiprocessing.get_context("spawn")
        ours = ProcessPoolExecutor(workers, spawn, initializer=_begin_worker)
    with ours as pool:
        under_way: deque = deque()
        try:
            for task in tasks:
                under_way.append(pool.submit(call, *task))
                if len(under_way) > ahead:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenExecutor as error:
            raise OSError(
                errno.ECHILD,
                f"one of {workers} processes was killed, perhaps for want of memory: start again, "
                "with fewer workers, and it goes on from here",
            ) from error
        finally:
            for future in under_way:
                future.cancel()


def side_by_side(call: Callable, tasks: Iterable[tuple], workers: int = 0) -> Iterator:
    """Yield ``call(*task)`` of each task, in order, computed by processes that share the cores.

    Anything will do as ``call`` and in a task, functions of a notebook too; large arrays are not
    copied. The processes stay for the next call, for they take seconds to start.

    Args:
        call: what is computed. tasks: its arguments.
        workers: processes, and no more than there are tasks; 0 for one a core that this process
            may compute on, or for this one alone where it has a GPU, which two would only share.

    >>> list(side_by_side(pow, [(2, 3), (3, 2)], workers=1))
    [8, 9]
    """
    tasks = list(tasks)
    workers = min(workers or default_workers(), len(tasks))
    if workers < 2:
        yield from itertools.starmap(call, tasks)
        return
    from joblib import Parallel, delayed, parallel_config

    # one whose memory has grown is renewed by loky; nothing is lost, and nobody need be told
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
    threads = max(1, cores() // workers)
    with parallel_config("loky", inner_max_num_threads=threads, n_jobs=workers):
        yield from Parallel(return_as="generator")(delayed(call)(*task) for task in tasks)


def default_workers() -> int:
    """Return how many processes may train at a time: one a thread that torch has, one with a GPU.

    >>> default_workers() >= 1
    True
    """
    import torch

    return 1 if torch.cuda.is_available() else torch.get_num_threads()


def _begin_worker() -> None:
    """Let a process use one core, and stop when the one that started it does."""
    os.environ |= dict.fromkeys(THREADS, "1")  # for libraries that are loaded later
    threadpool_limits(1)  # for good: limits of several threads would undo each other
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # else it would wait for work for ever
