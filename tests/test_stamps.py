import numpy as np
import pytest
import torch

from galclr_utils.stamps import Stamps

ROWS = np.arange(3, 20)
ORDER = np.random.default_rng(0).permutation(17)[:15].reshape(5, 3)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def images(tmp_path):
    values = np.random.default_rng(1).random((20, 3, 4, 4)).astype(np.float16)
    np.save(tmp_path / "images.npy", values)
    return np.load(tmp_path / "images.npy", mmap_mode="r")


def expected(images):
    return [torch.from_numpy(images[ROWS[positions]]) for positions in ORDER]


def same(batches, others):
    batches = list(batches)
    assert len(batches) == len(others)
    return all(torch.equal(a.cpu(), b) for a, b in zip(batches, others, strict=True))


def test_batches_are_the_asked_rows_in_the_asked_order(images):
    stamps = Stamps(images, ROWS, torch.device("cpu"))
    assert stamps.where == "memory map"
    assert same(stamps.batches(ORDER), expected(images))
    assert not list(stamps.batches(ORDER[:0]))


def test_reading_ahead_gives_the_same_batches(images):
    stamps = Stamps(images, ROWS, torch.device("cpu"))
    assert same(stamps._read_ahead(ORDER), expected(images))


def test_a_reader_that_fails_is_heard(images, monkeypatch):
    stamps = Stamps(images, ROWS, torch.device("cpu"))
    with pytest.raises(IndexError):
        list(stamps._read_ahead(np.array([[0, 999]])))


def test_resident_stamps_are_the_same_rows(images, monkeypatch):
    """The path of a GPU, on a CPU: only the device is another."""
    monkeypatch.setattr(Stamps, "_fits", lambda self: True)
    stamps = Stamps(images, ROWS, torch.device("cpu"))
    assert stamps.where == "device" and stamps.resident.dtype == torch.float16
    assert len(stamps.resident) == len(ROWS), "and no others"
    assert same(stamps.batches(ORDER), expected(images))
    assert torch.equal(stamps._upload(chunk=4), stamps.resident)


@needs_gpu
@pytest.mark.parametrize("share", [0.5, 0.0])
def test_a_gpu_gets_the_same_batches_from_its_memory_and_from_the_map(images, monkeypatch, share):
    monkeypatch.setattr("galclr_utils.stamps.SHARE", share)
    stamps = Stamps(images, ROWS, torch.device("cuda"))
    assert stamps.where == ("device" if share else "memory map")
    assert same(stamps.batches(ORDER), expected(images))
