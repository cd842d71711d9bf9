"""Count the work that a training must do, however it is done, and the shortest time it can take.

FLOP: floating-point operations, a multiplication and an addition being two.
"""

from __future__ import annotations

import math

import numpy as np
from astropy.table import Table

from galclr_utils.checks import number
from galclr_utils.timings import Benchmark, find

PASSES = 5  # over each value: written, read; read again on the way back; its derivative both


def layers(model, shape: tuple[int, int, int]) -> Table:
    """Count, layer by layer, what one image costs on its way through a network.

    Convolutions and linear layers are counted to the operation. Of the others one operation a
    value is counted, which is too few; it is the bytes that they wait for.

    Args:
        model: a torch module whose layers are each used once; it is left as it is.
        shape: (C, H, W) of the image.
    Returns:
        Columns layer, flop, values_in, values_out, weights.

    >>> from galclr_utils.encoders import build_trunk
    >>> table = layers(build_trunk("cnn4")[0], (3, 32, 32))
    >>> table["layer"][0], int(table["flop"][0]) == 2 * 3 * 9 * 32 * 32 * 32
    ('Conv2d', True)
    """
    import torch

    rows = []

    def note(module, inputs, output):
        weight = getattr(module, "weight", None)
        n_weights = 0 if weight is None else weight.numel()
        flop = output.numel()
        if weight is not None and weight.ndim > 1:  # every weight is used at every position
            flop = 2 * n_weights * output.numel() // output.shape[1]
        size = inputs[0].numel(), output.numel()
        rows.append((type(module).__name__, flop, *size, n_weights))

    hooks = [m.register_forward_hook(note) for m in model.modules() if not list(m.children())]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *shape))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    names = ("layer", "flop", "values_in", "values_out", "weights")
    return Table(rows=rows, names=names, dtype="Oiiii")


def values_written(model, shape: tuple[int, int, int]) -> int:
    """Return how many values the convolutions of a network write for one image.

    What follows a convolution (batch norm, ReLU, pooling) can be done while its values are at hand,
    so these are what must pass through memory, `PASSES` times each in a training step.

    >>> from galclr_utils.encoders import build_trunk
    >>> values_written(build_trunk("cnn4")[0], (3, 32, 32)) == (32 + 64 / 4 + 128 / 16 + 4) * 1024
    True
    """
    table = layers(model, shape)
    return int(table["values_out"][table["layer"] == "Conv2d"].sum())


def floors(speed: Benchmark, flop: dict[str, float], values: dict[str, float]) -> Table:
    """Return the shortest times that a training step can take, and those that it takes.

    With F operations at a rate R and D bytes through a bandwidth W, no step is faster than
    max(F/R, D/W) (Williams et al. 2009). R is that of a product of large matrices in the same
    numbers and W that of a copy, both measured in the same run on as many threads.

    Args:
        speed: the benchmark.
        flop: operations of a training step for one view, by encoder.
        values: values that the convolutions of an encoder write for one view.
    Returns:
        Columns encoder, numbers; arithmetic, memory, measured, in microseconds a galaxy, which is
        two views; reached, the first of these over the last. NaN where a row is missing.
    """
    copy, rows = find(speed, "machine", "copy"), []
    for encoder in flop:
        for numbers, size in {"fp32": 4, "bf16": 2}.items():
            gemm = find(speed, "machine", f"GEMM {numbers}")
            step = find(speed, "step", f"{encoder} {numbers} channels_last")
            rate, width, galaxies = (
                np.nan if row is None else float(row["median"]) for row in (gemm, copy, step)
            )
            arithmetic = 2 * flop[encoder] / (rate * 1e9)
            memory = 2 * values[encoder] * PASSES * size / (width * 1e9)
            times = [1e6 * t for t in (arithmetic, memory, 1 / galaxies)]
            rows.append((encoder, numbers, *times, arithmetic * galaxies))
    names = ("encoder", "numbers", "arithmetic", "memory", "measured", "reached")
    return Table(rows=rows, names=names, dtype="OOffff")


def balance(speed: Benchmark) -> float:
    """Return the balance of the machine: bf16 operations per byte copied; NaN if not measured."""
    gemm, copy = (find(speed, "machine", name) for name in ("GEMM bf16", "copy"))
    if gemm is None or copy is None:
        return math.nan
    return float(gemm["median"] / copy["median"])


def amdahl(share: float, factor: float) -> float:
    """Return how much faster the whole gets if a share of its time becomes faster by a factor.

    1 / (1 - share + share / factor): Amdahl (1967). Infinity is a factor, too.

    >>> amdahl(0.5, 2), amdahl(0.5, math.inf)
    (1.3333333333333333, 2.0)
    """
    share = number("share", share, 0, 1)
    if not factor > 0:
        raise ValueError(f"factor: got {factor}, expected a number above 0")
    rest = 1 - share + share / factor
    return math.inf if rest == 0 else 1 / rest
