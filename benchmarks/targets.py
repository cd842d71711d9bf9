"""Say which ratios `speed.py` reports, of which rows they are, and what they should reach."""

from __future__ import annotations

from cases import GEMM
from rounds import Ratio
from trainings import TINY, flop_per_view

from galclr_utils.device import has_bfloat16


def wanted_ratios(threads: int, sizes: dict) -> tuple[list[Ratio], list[Ratio]]:
    """Return the ratios that the book quotes, and others."""
    few, batch = min(256, sizes["n"]), sizes["batch"]

    def e2e(name: str):
        return "end to end", name, threads, batch

    def per_core(name: str):
        return "augmentation", name, 1, few

    def over(one, other):
        return lambda v: v[one] / v[other]

    def share_of_gemm(encoder: str, dtype: str):
        flop = 2e-9 * flop_per_view(encoder)  # GFLOP for the two views of a galaxy
        one = "step", f"{encoder} {dtype} channels_last", threads, sizes.get(encoder, batch)
        gemm = "machine", f"GEMM {dtype}", threads, GEMM
        return lambda v: flop * v[one] / v[gemm]

    def views_and_data(v) -> float:
        views = v["augmentation", "ours, as in a step", threads, 2 * batch]
        stamps = v["data", "ours, as in a step", threads, batch]
        precision = "bf16" if has_bfloat16() else "fp32"
        return (2 / views + 1 / stamps) * v[
            "step", f"cnn4 {precision} channels_last", threads, batch
        ]

    def overhead(v) -> float:
        tiny = 1, TINY["batch"]
        return v["loop", "loop", *tiny] - v["loop", "plain step", *tiny]

    both = f"{batch} galaxies a batch, {threads} threads"
    core = "views per CPU second of one thread"
    share = "FLOP of convolutions and matrix products a second, over those of a square GEMM"
    quoted = [
        Ratio("end to end, bf16 / stock", over(e2e("ours bf16"), e2e("stock")), both, 4),
        Ratio("end to end, fp32 / stock", over(e2e("ours fp32"), e2e("stock")), both, 2.5),
        Ratio("end to end / tuned stock", over(e2e("ours bf16"), e2e("tuned stock")), both, 2.3),
        Ratio("augmentation per core / stock", over(per_core("ours"), per_core("stock")), core, 8),
        Ratio(
            "augmentation per core / kornia", over(per_core("ours"), per_core("kornia")), core, 4
        ),
        Ratio(
            "augmentation and data / cnn4 step",
            views_and_data,
            "time of reading stamps and making views, over the time of a step on views that are "
            f"there: {both}",
            0.12,
            "at most",
        ),
        Ratio(
            "loop overhead, ms a step",
            overhead,
            "CPU time in the loop of a tiny training, less that of the same step with no loop",
            0.1,
            "at most",
        ),
        Ratio("resnet18 step / GEMM bf16", share_of_gemm("resnet18", "bf16"), share, 0.75),
        Ratio("cnn4 step / GEMM bf16", share_of_gemm("cnn4", "bf16"), share),
    ]
    no_hue = over(per_core("ours"), per_core("kornia, no hue"))
    names = ("kornia", "LightlyTrain", "torchvision v2")
    extra = [
        Ratio(
            f"augmentation per core, {name} / stock", over(per_core(name), per_core("stock")), core
        )
        for name in names
    ]
    extra.append(Ratio("augmentation per core / kornia, no hue", no_hue, core))
    tuned = over(e2e("tuned stock"), e2e("stock"))
    extra += [
        Ratio("end to end, tuned stock / stock", tuned, both),
        Ratio("resnet18 step / GEMM fp32", share_of_gemm("resnet18", "fp32"), share),
        Ratio("cnn4 step / GEMM fp32", share_of_gemm("cnn4", "fp32"), share),
        Ratio(
            "data access / copy",
            lambda v: (
                2e-9
                * 2
                * 3
                * 32
                * 32
                * v["data", "ours, as in a step", threads, batch]
                / v["machine", "copy", 1, GEMM]
            ),
            "bytes of stamps read and written a second, over those of a copy on one thread",
        ),
    ]
    return quoted, extra
