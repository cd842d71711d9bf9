"""The work that must be done, and the shortest time it can take."""

import math

import numpy as np
import pytest
import torch
from astropy.table import Table
from torch.utils.flop_counter import FlopCounterMode

from galclr_utils import floors
from galclr_utils.encoders import Encoder
from galclr_utils.timings import Benchmark

SPEED = [  # group, name, threads, batch, median
    ("machine", "GEMM fp32", 2, 2048, 200.0),
    ("machine", "GEMM bf16", 2, 2048, 800.0),
    ("machine", "copy", 2, 2048, 80.0),
    ("step", "cnn4 bf16 channels_last", 2, 100, 2000.0),
]


@pytest.fixture
def speed():
    names = ("group", "name", "threads", "batch", "median")
    return Benchmark("speed", Table(rows=SPEED, names=names), {})


def test_the_balance_is_operations_per_byte_and_unknown_without_a_copy(speed):
    assert floors.balance(speed) == 10
    assert math.isnan(floors.balance(Benchmark("speed", speed.table[:2], {})))


def test_the_floor_is_operations_over_rate_and_bytes_over_bandwidth(speed):
    table = floors.floors(speed, flop={"cnn4": 1e8}, values={"cnn4": 1e5})
    row = table[table["numbers"] == "bf16"][0]
    assert row["arithmetic"] == pytest.approx(2e8 / 800e9 * 1e6)  # two views
    assert row["memory"] == pytest.approx(2e5 * 5 * 2 / 80e9 * 1e6)
    assert row["measured"] == pytest.approx(500) and row["reached"] == pytest.approx(0.5)
    fp32 = table[table["numbers"] == "fp32"][0]
    assert fp32["arithmetic"] == pytest.approx(1000) and math.isnan(fp32["measured"])
    assert fp32["memory"] == pytest.approx(2 * row["memory"])


def test_amdahl_is_what_a_sum_of_parts_says():
    assert floors.amdahl(0.75, 3) == pytest.approx(4 / (1 + 3 / 3))
    assert floors.amdahl(0.0, 100) == 1 and floors.amdahl(1, math.inf) == math.inf
    for share, factor in ((1.2, 2), (0.5, 0)):
        with pytest.raises(ValueError, match="expected a number"):
            floors.amdahl(share, factor)


@pytest.mark.parametrize("name", ["cnn4", "resnet18"])
def test_layers_count_what_torch_counts_and_leave_the_network_as_it_was(name):
    model = Encoder(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    table = floors.layers(model, (3, 32, 32))
    assert model.training and not any(m._forward_hooks for m in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    products = np.isin(table["layer"], ("Conv2d", "Linear"))
    with FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, 32, 32))
    assert table["flop"][products].sum() == counter.get_total_flops()
    assert (table["flop"][~products] == table["values_out"][~products]).all()
