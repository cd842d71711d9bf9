"""Hold and check the settings of a pretraining, and what follows from them alone."""

from __future__ import annotations

from dataclasses import dataclass

from galclr_utils.checks import choice, flag, number
from galclr_utils.device import PRECISIONS
from galclr_utils.encoders import ENCODERS

NAMES = {"simclr": "SimCLR", "moco": "MoCo"}  # as tables, captions and figures call a method
METHODS = tuple(NAMES)
REPRESENTATIONS = ("trained", "principal")


@dataclass(frozen=True)
class Settings:
    """Hold the checked settings of one pretraining.

    >>> Settings(temperature="0.2").temperature
    0.2
    >>> Settings(epochs=0)
    Traceback (most recent call last):
    ...
    ValueError: epochs: got 0, expected a whole number in [1, 100000]
    """

    method: str = "simclr"
    encoder: str = "cnn4"
    representation_dim: int = 64
    representation: str = "principal"
    hidden_dim: int = 256  # widths of the head: inside,
    projection_dim: int = 64  # and of z
    epochs: int = 25
    batch_size: int = 256
    learning_rate: float = 0.001
    weight_decay: float = 0.0001
    warmup_epochs: int = 2
    temperature: float = 0.2
    memory_bank_size: int = 4096  # MoCo only, as is the next
    momentum: float = 0.99
    precision: str = "auto"
    max_minutes: float = 0.0
    seed: int = 0
    devices: int = 1
    num_nodes: int = 1
    cuda_graphs: bool = False

    def __post_init__(self):
        checked = {
            "method": choice("method", self.method, METHODS),
            "encoder": choice("encoder", self.encoder, ENCODERS),
            "representation": choice("representation", self.representation, REPRESENTATIONS),
            "precision": choice("precision", self.precision, PRECISIONS),
            "cuda_graphs": flag("cuda_graphs", self.cuda_graphs),
        }
        whole = {
            "representation_dim": (2, 4096),
            "hidden_dim": (2, 65_536),
            "projection_dim": (2, 65_536),
            "epochs": (1, 100_000),
            "batch_size": (2, 65_536),
            "warmup_epochs": (0, 1000),
            "memory_bank_size": (2, 2**24),
            "seed": (0, 2**31 - 1),
            "devices": (1, 1024),
            "num_nodes": (1, 1024),
        }
        real = {"weight_decay": (0, 1), "momentum": (0, 1), "max_minutes": (0, 100_000)}
        positive = {"learning_rate": (0, 10), "temperature": (0, 5)}
        for name, ends in whole.items():
            checked[name] = number(name, getattr(self, name), *ends, integer=True)
        for name, ends in (real | positive).items():
            checked[name] = number(name, getattr(self, name), *ends, low_open=name in positive)
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def bank_size(settings: Settings, n_galaxies: int) -> int:
    """Return how many projections are remembered: none in SimCLR.

    At most half of the galaxies: the more are remembered, the more often a galaxy meets its own
    earlier projection as a stranger; with all of them, always.

    >>> bank_size(Settings(method="moco"), 1000), bank_size(Settings(), 1000)
    (500, 0)
    """
    if settings.method != "moco":
        return 0
    return max(1, min(settings.memory_bank_size, n_galaxies // 2))


def n_strangers(settings: Settings, n_galaxies: int) -> int:
    """Return among how many strangers a view has to find its partner.

    In SimCLR both views of all other galaxies in the batch, 2B - 2; in MoCo what is remembered,
    whatever the batch.

    >>> n_strangers(Settings(batch_size=256), 8000)
    510
    >>> n_strangers(Settings(method="moco", batch_size=16, memory_bank_size=2048), 8000)
    2048
    """
    in_batch = 2 * min(settings.batch_size, n_galaxies) - 2
    return bank_size(settings, n_galaxies) or in_batch
