"""Hand stamps to the device that learns, batch by batch, without making it wait.

Where stamps fit into the memory of a GPU they are put there once. Where they do not, a few threads
read the next batches from the memory map into pinned memory while the GPU is at work; the copy from
there queues with its other work, and nobody waits for it. On a CPU a batch is read from the memory
map when it is needed: that costs a thousandth of a step.

Axes: N galaxies, B galaxies in a batch, C bands, H, W pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

SHARE = 0.5  # of a GPU's free memory that stamps may fill
AHEAD = 4  # batches that are read ahead


class Stamps:
    """Hold the stamps that a network learns from.

    Args:
        images: float16 or float32 (N, C, H, W), perhaps a memory map.
        rows: which of them to hand out, int64.
        device: where they are needed.
    Attributes:
        where: ``"device"`` if they all lie there, else ``"memory map"``.

    >>> stamps = Stamps(np.zeros((10, 3, 8, 8), np.float16), np.arange(4, 10), torch.device("cpu"))
    >>> [batch.shape for batch in stamps.batches(np.array([[0, 5], [1, 2]]))]
    [torch.Size([2, 3, 8, 8]), torch.Size([2, 3, 8, 8])]
    """

    def __init__(self, images: np.ndarray, rows: np.ndarray, device: torch.device):
        self.images, self.rows, self.device = images, rows, device
        self.where = "device" if self._fits() else "memory map"
        self.resident = self._upload() if self.where == "device" else None

    def _fits(self) -> bool:
        if self.device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(self.device)
        free += torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return len(self.rows) * self.images[:1].nbytes < SHARE * free

    def _upload(self, chunk: int = 16_384) -> Tensor:
        """Copy the rows to the device in pieces, so that no second copy fills the host."""
        dtype = torch.from_numpy(np.empty(0, self.images.dtype)).dtype
        shape = (len(self.rows), *self.images.shape[1:])
        there = torch.empty(shape, dtype=dtype, device=self.device)
        for start in range(0, len(self.rows), chunk):
            piece = self.rows[start : start + chunk]
            there[start : start + len(piece)].copy_(torch.from_numpy(self.images[piece]))
        return there

    def batches(self, order: np.ndarray) -> Iterator[Tensor]:
        """Yield a batch (B, C, H, W) on the device for each row of ``order``.

        Args:
            order: int64 (steps, B), positions within ``rows``.
        """
        if self.resident is not None:
            for positions in torch.from_numpy(order).to(self.device):
                yield self.resident[positions]
        elif self.device.type == "cpu":
            for positions in order:
                yield self._read(positions)
        else:
            yield from self._read_ahead(order)

    def _read(self, positions: np.ndarray) -> Tensor:
        return torch.from_numpy(self.images[self.rows[positions]])

    def _read_ahead(self, order: np.ndarray) -> Iterator[Tensor]:
        """Read the next batches in threads, in order, and copy each without waiting for it."""
        with ThreadPoolExecutor(AHEAD) as readers:
            coming: deque = deque()
            for positions in order:
                coming.append(readers.submit(self._pinned, positions))
                if len(coming) > AHEAD:
                    yield coming.popleft().result().to(self.device, non_blocking=True)
            while coming:
                yield coming.popleft().result().to(self.device, non_blocking=True)

    def _pinned(self, positions: np.ndarray) -> Tensor:
        batch = self._read(positions)
        return batch.pin_memory() if torch.cuda.is_available() else batch
