"""Figures of measured times: what their texts claim must be what the data say."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import gauges
from galclr_utils.timings import Benchmark

FACTS = {"cpu": "Processor X", "provenance": {"time": "2026-03-01T10:00", "threads": 1}}


def ratio(name, value, **more):
    return {"name": name, "value": value, "low": 0.9 * value, "high": 1.1 * value, **more}


def test_ratios_are_counted_against_their_aims_and_milliseconds_are_left_out():
    found = [
        ratio("end to end, bf16 / stock", 3.9, target=4),
        ratio("augmentation per core / stock", 9.0, target=8),
        ratio("augmentation and data / cnn4 step", 0.2, target=0.12, sense="at most"),
        ratio("cnn4 step / GEMM bf16", 0.5),
        ratio("loop overhead, ms a step", 0.01, target=0.1),
    ]
    more = {"ratios": found, "others": [ratio(f"{found[1]['name']}, no hue", 7.0), ratio("x", 2)]}
    plate = gauges.ratios(Benchmark("speed", Table(), FACTS | more))
    assert "Of the 3 aims drawn here 1 are reached" in plate.caption
    assert "Processor X, 1 thread, on 2026-03-01" in plate.caption
    assert "3.90 (3.51 to 4.29)" in plate.alt and "overhead" not in plate.alt
    above, below = plate.figure.axes
    assert len(above.patches) == 3 and len(below.patches) == 2
    assert above.get_yticklabels()[2].get_text().endswith(", no hue") and "7.00 (" in plate.alt
    assert below.get_yticklabels()[0].get_text().endswith("(at most)")
    assert plate.png()


def test_ratios_of_one_kind_need_one_panel():
    only = [ratio("end to end, bf16 / stock", 0.8, target=4)]
    plate = gauges.ratios(Benchmark("speed", Table(), FACTS | {"ratios": only}))
    assert (
        len(plate.figure.axes) == 1
        and "Of the 1 aims drawn here 0" in plate.caption
        and plate.png()
    )


def test_an_anatomy_tells_sums_and_shares():
    parts = {"data": 0.0, "augmentation": 100.0, "loss": 10.0, "network": 290.0}
    bars = {"stock": parts, "ours": parts | {"augmentation": 20.0}}
    plate = gauges.anatomy(bars, {"ours": 350.0}, "Measured somewhere.")
    assert "stock: 400 ms a step (data 0%, augmentation 25%" in plate.caption
    assert "network 91%, measured together 350 ms" in plate.alt
    assert plate.caption.count("together") == 1 and plate.caption.endswith("Measured somewhere.")
    assert plate.png()


@pytest.fixture
def growth():
    rows = [(s, n, c * n, 0.5, 1.0) for s, c in (("embed", 1e-3), ("new", 1e-2)) for n in (10, 100)]
    table = Table(rows=rows, names=("stage", "n", "seconds", "peak_gb", "cpu_per_wall"))
    fits = {"embed": {"time": [0.97, 0.9, 1.0], "memory": [0.0, 0.0, 0.0]}}
    return Benchmark("growth", table, FACTS | {"exponents": fits})


def test_growth_takes_the_fitted_exponent_and_else_its_own(growth):
    plate = gauges.growth(growth)
    assert "embed 0.100 s and 0.500 GB at 100 galaxies, time as N to the 0.97" in plate.alt
    assert "new 1.00 s and 0.500 GB at 100 galaxies, time as N to the 1.00" in plate.alt
    growth.table["peak_gb"][growth.table["stage"] == "new"] = np.nan
    assert "new 1.00 s at 100 galaxies" in gauges.growth(growth).alt and plate.png()


def test_growth_tells_own_memory_and_what_is_undecided(growth):
    growth.table["own_gb"] = 0.2
    growth.table["stage"] = ["embed", "embed", "simulate", "simulate"]
    growth.facts["undecided"] = ["embed"]
    growth.facts["exponents"]["simulate"] = {"time": [0.1, -3.0, 3.2]}
    plate = gauges.growth(growth)
    assert "0.200 GB (0.500 GB with mapped files) at 100 galaxies" in plate.alt
    assert "time as N to the 0.97 (undecided);" in plate.alt
    assert "simulate 1.00 s at 100 galaxies, time as no power of N" in plate.alt
    assert "The memory of simulate is that of prepare" in plate.caption
    assert "up to 0.500 GB (embed, 10 galaxies)" in plate.caption and plate.png()
    left, right = plate.figure.axes
    assert len(right.lines) == 1 and left.lines[0].get_label().endswith("(?)")


def test_precision_counts_the_intervals_without_zero_and_pairs_the_seeds():
    rows = [
        (p, s, 100, k, 0.8 + 0.01 * s + 0.002 * p.startswith("bf16"))
        for p in ("32-true", "bf16-mixed")
        for s in (0, 1, 2)
        for k in ("logistic", "kNN")
    ]
    names = ("precision", "seed", "n_labels", "probe", "balanced_accuracy")
    pair = {"n_labels": 100, "mean": 0.002, "low": 0.001, "high": 0.003}
    pairs = [pair | {"probe": "logistic"}, pair | {"probe": "kNN", "low": -0.001}]
    measured = Benchmark("precision", Table(rows=rows, names=names), FACTS | {"paired": pairs})
    plate = gauges.precision(measured)
    assert "from 3 seeds" in plate.caption and "1 of 2 exclude zero" in plate.caption
    assert "logistic, 100 labels +0.0020 (+0.0010 to +0.0030)" in plate.alt
    joined = [line.get_xdata() for line in plate.figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert len(joined) == 6 and all(b - a == pytest.approx(0.002) for a, b in joined)
    assert plate.png()
