"""Choose the hardware and the precision, through Lightning Fabric."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
from collections.abc import Callable

import torch
from threadpoolctl import threadpool_limits

from galclr_utils.checks import choice

PRECISIONS = ("auto", "32-true", "bf16-mixed")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # what glibc's mallopt calls them


def best_device() -> torch.device:
    """Return the device of this process, made ready to compute fast: its GPU, or the CPU.

    The one that `make_fabric` takes; but Fabric takes seconds to load, and only training needs it.

    >>> best_device() == make_fabric().device
    True
    """
    torch.backends.cudnn.benchmark = True  # all batches have one shape: the fastest kernel is kept
    if not torch.cuda.is_available():
        keep_memory()
        return torch.device("cpu")
    several = started_processes() != (1, 1)
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]) if several else 0)


def make_fabric(precision: str = "auto"):
    """Return a Lightning Fabric on the best device of this process, in the asked precision.

    One process has one device. Where ``torchrun`` has started several, they work together
    (distributed data parallel), and this process takes its share.

    Args:
        precision: ``"32-true"``, ``"bf16-mixed"``, or ``"auto"``: bfloat16 where the hardware
            multiplies in it (a recent GPU, or a CPU with AVX512-BF16 or AMX), else 32-bit floats.
    Raises:
        ValueError: another precision, or more processes on this computer than GPUs.

    >>> make_fabric("32-true").world_size
    1
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

    choice("precision", precision, PRECISIONS)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets at every start
    if precision == "auto":
        precision = "bf16-mixed" if has_bfloat16() else "32-true"
    best_device()
    here, nodes = started_processes()
    gpus = torch.cuda.device_count()
    if 0 < gpus < here:
        raise ValueError(
            f"torchrun: got {here} processes on a computer with {gpus} GPU(s), expected one for "
            'each at most. Start fewer, or set CUDA_VISIBLE_DEVICES="" to train on its CPUs'
        )
    ours = {"accelerator": "cuda" if gpus else "cpu", "precision": precision}
    if (here, nodes) == (1, 1):  # be it in a SLURM job of many tasks: this one works alone
        return Fabric(devices=1, plugins=LightningEnvironment(), **ours)
    fabric = Fabric(strategy="ddp", devices=here, num_nodes=nodes, **ours)
    fabric.launch()
    return fabric


def has_bfloat16() -> bool:
    """Tell whether this machine multiplies in bfloat16 faster than in 32-bit floats."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def started_processes() -> tuple[int, int]:
    """Return how many processes ``torchrun`` has started on this node, and on how many nodes."""
    if "LOCAL_WORLD_SIZE" not in os.environ:
        return 1, 1
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def from_first(find: Callable):
    """Return what the first process finds in a common folder, in all processes alike.

    Each on its own may find something else: folders of a network show old files for a while.

    >>> from_first(lambda: 7)
    7
    """
    if started_processes() == (1, 1):
        return find()
    fabric = make_fabric("32-true")
    return fabric.broadcast(find() if fabric.is_global_zero else None)


def keep_memory(keep: bool = True) -> None:
    """Keep freed memory for the next batch, instead of giving it back and faulting it in again.

    For glibc on Linux, where training on a CPU is measurably faster with it; elsewhere nothing
    happens. ``keep=False`` sets what glibc itself comes to in a process that frees large blocks.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_MAX, 0 if keep else 65_536)
    mallopt(M_MMAP_THRESHOLD, 32 * 2**20)
    mallopt(M_TRIM_THRESHOLD, 2_000_000_000 if keep else 64 * 2**20)


@contextlib.contextmanager
def one_thread():
    """Compute on one thread inside the block.

    Small matrices are done before a second thread has woken up, and where another process has its
    core, each step waits for it: probes of a second then take a minute.

    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
