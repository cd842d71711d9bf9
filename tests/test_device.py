import ctypes
from types import SimpleNamespace

import pytest

from galclr_utils import device
from galclr_utils.device import has_bfloat16, keep_memory, make_fabric, started_processes


def test_precision_auto_is_what_the_hardware_has_and_typos_are_told():
    expected = "bf16-mixed" if has_bfloat16() else "32-true"
    assert make_fabric("auto")._precision.precision == expected
    with pytest.raises(ValueError, match="expected one of auto, 32-true, bf16-mixed"):
        make_fabric("bf16")


def test_the_processes_that_torchrun_started_are_counted(monkeypatch):
    assert started_processes() == (1, 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert started_processes() == (4, 2)


def test_kept_memory_is_given_back_when_asked(monkeypatch):
    options = {}
    glibc = SimpleNamespace(mallopt=options.__setitem__)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: glibc)
    keep_memory()
    kept = dict(options)
    keep_memory(False)
    assert kept[device.M_MMAP_MAX] == 0 and options[device.M_MMAP_MAX] > 0
    assert options[device.M_TRIM_THRESHOLD] < kept[device.M_TRIM_THRESHOLD]


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    keep_memory()
