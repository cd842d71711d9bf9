"""Lend each chapter a kernel that is ready: it starts while the chapter before it computes.

To start a kernel, to load the libraries into it and to end it take some seconds each, on one core.
They pass beside the work here, not between.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client import AsyncKernelManager
from jupyter_core.utils import run_sync

# Used by most chapters, and slow to load. Nothing of our own: that may be edited while another
# chapter runs, and is read when its own begins.
LIBRARIES = "astropy.table", "lightly.loss", "matplotlib.figure", "scipy.stats", "torch"


class Kernels:
    """The kernels of one build: one that computes, at most one that waits, and some that end.

    A context, at whose end none is left.

    Args:
        folder: where they run.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.waiting: AsyncKernelManager | None = None
        self.ending: list[AsyncKernelManager] = []

    @contextmanager
    def lend(self, ahead: bool = False) -> Iterator[AsyncKernelManager]:
        """Lend a kernel in which nothing has run; with ``ahead``, start the next one meanwhile."""
        if self.waiting and not run_sync(self.waiting.is_alive)():
            self.ending.append(self.waiting)
            self.waiting = None
        kernel = self.waiting or self._start()
        self.waiting = self._start() if ahead else None
        try:
            yield kernel
        finally:
            run_sync(kernel.request_shutdown)()  # and do not wait until it is done
            self.ending.append(kernel)

    def _start(self) -> AsyncKernelManager:
        options = {
            "log_level": "ERROR",  # no advice on transports
            # it leaves no name behind; what is missing is told where a chapter needs it
            "exec_lines": f"all(map(__import__, {LIBRARIES}));",
        }
        arguments = [f"--IPKernelApp.{name}={value}" for name, value in options.items()]
        arguments += ["--HistoryManager.hist_file=:memory:"]  # two kernels would share a file
        kernel = AsyncKernelManager(kernel_name="python3")
        run_sync(kernel.start_kernel)(cwd=str(self.folder), extra_arguments=arguments)
        return kernel

    def __enter__(self) -> Kernels:
        return self

    def __exit__(self, *_) -> None:
        if self.waiting:
            run_sync(self.waiting.shutdown_kernel)(now=True)
        for kernel in self.ending:
            run_sync(kernel.finish_shutdown)()
            run_sync(kernel.cleanup_resources)()
