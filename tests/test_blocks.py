"""A set written block by block: the same bytes by whoever made it, however often interrupted."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from noisy import CUT, noise, write

from galclr_utils import arrays, assemble, blocks, duplicates, simulate
from galclr_utils.assemble import assemble as make_set
from galclr_utils.blocks import Blocks, building, is_whole, write_blocks
from galclr_utils.dataset import GalaxySet
from galclr_utils.provenance import whole_folder
from galclr_utils.sources import prepare

WRITTEN = "dataset.building-*/[0-9]*.npz"
KILLS = int(os.environ.get("GALCLR_KILLS", "3"))  # more of them by hand


def finish(folder, source, made_from=None, **how):
    """Make a set as `prepare` does; return its hash, or what it raises."""
    folder.mkdir(parents=True, exist_ok=True)
    with building(folder / "dataset", made_from or {}) as place:
        with whole_folder(folder / "dataset") as part:
            make_set(part, [source], {}, 16, 8, "", 0, 0.1, 0.2, building=place, **how)
    return digest(folder / "dataset")


def digest(folder):
    names = ("images.npy", "catalog.fits")
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


# ---------------------------------------------------------------------------------- one result


def test_one_process_two_threads_and_an_executor_make_the_same_bytes(tmp_path):
    alone = finish(tmp_path / "1", noise(), workers=1)
    assert finish(tmp_path / "2", noise(), workers=2) == alone
    with ThreadPoolExecutor(3) as pool:
        assert finish(tmp_path / "3", noise(), pool=pool) == alone
    galaxies = GalaxySet.load(tmp_path / "2" / "dataset")
    expected = np.concatenate([images for images, _ in noise().blocks()])
    expected = expected.reshape(-1, 3, 8, 2, 8, 2).sum((3, 5)).astype(np.float16)
    np.testing.assert_array_equal(galaxies.images, expected)
    assert galaxies.catalog["id"].tolist() == [f"g{k:06d}" for k in range(1000)]
    assert [path.name for path in (tmp_path / "2").iterdir()] == ["dataset"]


def test_a_dask_cluster_makes_the_same_bytes(tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs pip install distributed")
    alone = finish(tmp_path / "1", noise(), workers=1)
    local = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(processes=False, **local) as client:
        assert finish(tmp_path / "2", noise(), pool=client) == alone
        with pytest.raises(ValueError, match="galaxy 3 is broken"):
            finish(tmp_path / "3", noise(fails="value"), pool=client)
        assert finish(tmp_path / "3", noise(), pool=client) == alone


def test_a_simulated_block_is_cut_from_the_same_survey():
    survey = simulate.survey(simulate.LARGE + 9, seed=3, workers=1)
    images, rows = survey.block(1)
    same, names = simulate.block(3, simulate.LARGE // 64)
    np.testing.assert_array_equal(images, same[:9])
    assert rows["id"].tolist() == names["id"][:9].tolist()
    again = survey.recipe[0](*survey.recipe[1:])
    np.testing.assert_array_equal(again.block(1)[0], images)


def test_stamps_of_blocks_are_read_as_from_one_array(tmp_path):
    read = Blocks(write_blocks(noise(250), tmp_path, CUT, workers=1))
    whole = read[:]
    assert read.shape == (250, 3, 8, 8) and len(read) == 250 and whole.dtype == np.float16
    rows = np.array([249, 3, 100, 3, 99])
    np.testing.assert_array_equal(read[rows], whole[rows])
    assert not np.array_equal(whole[3], whole[103])


# --------------------------------------------------------------------------------- interrupted

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import noisy
if __name__ == "__main__":
    noisy.write({folder!r}, noisy.noise(3000, 100, 0.05, {journal!r}), workers=2)
"""


def children(pid):
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux to look")
def test_killed_at_any_moment_and_started_again_it_is_the_same_set(tmp_path):
    """SIGKILL cannot be caught: nothing is tidied up, by anybody."""
    write(tmp_path / "alone", noise(3000))
    folder, journal = tmp_path / "killed", tmp_path / "journal"
    script = tmp_path / "script.py"
    where = {"tests": str(Path(__file__).parent), "folder": str(folder), "journal": str(journal)}
    script.write_text(SCRIPT.format(**where))
    random, killed = np.random.default_rng(), 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL)
        had, begun = len(list(folder.glob(WRITTEN))), time.monotonic()
        while len(list(folder.glob(WRITTEN))) == had and process.poll() is None:
            assert time.monotonic() - begun < 120  # for the first block, on a busy machine
            time.sleep(0.01)
        time.sleep(random.uniform(0, 1.5 / KILLS))  # all blocks together take 0.75 s
        workers = children(process.pid)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        end = time.monotonic() + 20
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            assert time.monotonic() < end, "workers outlive the process that started them"
            time.sleep(0.02)
        assert all(is_whole(file) for file in folder.glob(WRITTEN))
        if (folder / "dataset").exists():
            break
    assert killed == KILLS or (killed and (folder / "dataset").exists())
    subprocess.run([sys.executable, script], check=True)
    assert digest(folder / "dataset") == digest(tmp_path / "alone" / "dataset")
    assert [path.name for path in folder.iterdir()] == ["dataset"], "nothing else is left"
    made = np.bincount(np.loadtxt(journal, int), minlength=30)
    assert (made >= 1).all() and made.sum() <= 30 + 10 * killed, "what was whole is made once"


def test_blocks_of_other_inputs_are_not_taken(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with building(tmp_path / "dataset", {"seed": 1}) as place:
            write_blocks(noise(), place, CUT, workers=1)
            raise KeyboardInterrupt
    (kept,) = tmp_path.iterdir()
    with building(tmp_path / "dataset", {"seed": 1}) as place:
        assert place == kept and len(list(place.iterdir())) == 10
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt), building(tmp_path / "dataset", {"seed": 1}) as place:
        write_blocks(noise(), place, CUT, workers=1)
        raise KeyboardInterrupt
    with building(tmp_path / "dataset", {"seed": 2}) as other:
        assert other != place and not place.exists() and not list(other.iterdir())


def test_prepare_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((50, 3, 16, 16), np.float32))
    monkeypatch.setattr(arrays, "block_length", lambda stamp: 10)
    asked = {"source": "arrays", "source_path": tmp_path / "a.npy", "image_size_px": 8}
    expected = prepare(tmp_path / "alone", **asked)
    made, save = [], blocks._write

    def interrupted(file, *block):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(file.name)
        save(file, *block)

    monkeypatch.setattr(blocks, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "run", **asked)
    assert len(list((tmp_path / "run").glob("dataset.building-*/*.npz"))) == 3
    monkeypatch.setattr(blocks, "_write", lambda file, *b: made.append(file.name) or save(file, *b))
    np.testing.assert_array_equal(prepare(tmp_path / "run", **asked).images, expected.images)
    assert made == [f"0-{k:06d}.npz" for k in range(5)]
    assert digest(tmp_path / "run/dataset") == digest(tmp_path / "alone/dataset")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["dataset"]


def test_a_compressed_archive_is_taken_up_again_too(tmp_path, monkeypatch):
    images = np.random.default_rng(0).random((50, 3, 16, 16), np.float32)
    np.savez_compressed(tmp_path / "a.npz", images=images)
    monkeypatch.setattr(arrays, "block_length", lambda stamp: 20)
    source = arrays.arrays(tmp_path / "a.npz")
    files = write_blocks(source, tmp_path, CUT, workers=2)
    before, when = files[1].read_bytes(), files[0].stat().st_mtime_ns
    files[1].unlink()
    assert write_blocks(source, tmp_path, CUT) == files and files[1].read_bytes() == before
    assert files[0].stat().st_mtime_ns == when
    np.save(tmp_path / "a.npy", images)
    same = write_blocks(arrays.arrays(tmp_path / "a.npy"), tmp_path, CUT, prefix="npy-")
    assert [np.load(f)["images"].tobytes() for f in same] == [
        np.load(f)["images"].tobytes() for f in files
    ]


def test_a_damaged_block_is_made_anew(tmp_path):
    files = write_blocks(noise(), tmp_path, CUT, workers=1)
    whole = files[4].read_bytes()
    for broken in (whole[:-100], whole[:2000] + b"?" + whole[2001:], b""):
        files[4].write_bytes(broken)
        assert not is_whole(files[4])
        with pytest.raises(OSError, match=r"000004.npz: a block .* start again"):
            Blocks(files)[:]
        write_blocks(noise(), tmp_path, CUT, workers=1)
        assert files[4].read_bytes() == whole


def test_who_comes_second_waits(tmp_path):
    order, entered = [], threading.Event()

    def second():
        entered.wait()
        with building(tmp_path / "dataset", {"seed": 2}):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with building(tmp_path / "dataset", {"seed": 1}) as place:
        entered.set()
        time.sleep(0.3)
        assert place.exists(), "it removed what the first is at"
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


# ------------------------------------------------------------------------------ what may happen


def test_a_full_disk_leaves_whole_blocks_and_the_old_set(tmp_path, monkeypatch):
    expected = finish(tmp_path, noise(), {"seed": 0}, workers=1)
    save = np.savez

    def full(part, **arrays):
        if "000003" in str(part):
            part.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(part, **arrays)

    monkeypatch.setattr(blocks.np, "savez", full)
    with pytest.raises(OSError, match=r"disk is full.*it goes on from here"):
        finish(tmp_path, noise(), {"seed": 1}, workers=1)
    assert digest(tmp_path / "dataset") == expected
    (place,) = tmp_path.glob("dataset.building-*")
    assert sorted(file.name for file in place.iterdir()) == [f"0-00000{k}.npz" for k in range(3)]
    monkeypatch.undo()
    assert finish(tmp_path, noise(), {"seed": 1}, workers=1) == expected


def test_too_small_a_disk_is_said_before_anything_is_made(tmp_path, monkeypatch):
    free = type("Usage", (), {"free": 2 * 2 * 1000 * 3 * 8 * 8 - 1})
    monkeypatch.setattr("galclr_utils.downloads.shutil.disk_usage", lambda folder: free)
    journal = tmp_path / "journal"
    with pytest.raises(OSError, match=r"needs about .* GB"):
        finish(tmp_path, noise(journal=str(journal)), workers=1)
    assert not journal.exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_broken_source_leaves_nothing(tmp_path, workers):
    with pytest.raises(ValueError, match="galaxy 3 is broken"):
        finish(tmp_path, noise(fails="value"), workers=workers)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_worker_is_told_and_what_is_written_stays(tmp_path):
    with pytest.raises(OSError, match=r"one of 2 processes was killed.*fewer workers"):
        finish(tmp_path, noise(seconds=0.05, fails="killed"), workers=2)
    (place,) = tmp_path.iterdir()
    files = list(place.glob("0-*.npz"))
    assert 1 <= len(files) <= 9 and all(map(is_whole, files))


# --------------------------------------------------------------------------------------- memory


def peak_of(call):
    """Return the most memory that Python and numpy held at a time during a call, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_holds_blocks_and_not_the_set(tmp_path, monkeypatch):
    """147 MB of raw pixels and 18 MB of stamps, in blocks of 1.2 MB raw.

    The noise of the sky is taken from 4000 stamps: a third of these, however many there are.
    """
    nothing = {"near-identical pixels": np.empty(0, int)}
    monkeypatch.setattr(assemble, "duplicates", lambda *images, **how: nothing)
    monkeypatch.setattr(assemble, "sky_rms", lambda *images: [1.0] * 3)
    monkeypatch.setattr(assemble, "AT_ONCE", 100)
    asked = ([noise(12_000, 100, side=32)], {}, 32, 16, "", 0, 0.1, 0.2)
    peak = peak_of(lambda: make_set(tmp_path, *asked, workers=1))
    assert peak < 13e6 < 18e6 < (tmp_path / "images.npy").stat().st_size


def test_the_search_for_copies_holds_its_numbers_once():
    """They are the largest thing in memory: 128 a galaxy."""
    z = np.random.default_rng(0).normal(size=(15_000, 128)).astype(np.float32)
    assert peak_of(lambda: duplicates._neighbours(z, 0.9)) < 0.7 * z.nbytes


def test_a_script_that_makes_a_set_starts_workers_without_torch():
    """Each imports the script again, and what it imports: torch would be the most of its memory."""
    ask = "import sys, galclr_utils.sources; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask]).returncode == 0
