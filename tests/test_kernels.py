"""Each chapter gets a kernel of its own, where nothing has run, and none is left over."""

import os
import time

import kernels
import nbclient
import nbformat
import pytest

DEADLINE = 60  # seconds


def ask(kernel, code: str) -> tuple[int, str]:
    """Run code in a kernel; return the number of the cell, and what it prints."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, km=kernel, timeout=DEADLINE).execute(cleanup_kc=False)
    cell = notebook.cells[0]
    return cell.execution_count, "".join(o.get("text", "") for o in cell.outputs).strip()


@pytest.fixture(autouse=True)
def few_libraries(monkeypatch):
    monkeypatch.setattr(kernels, "LIBRARIES", ("colorsys", "no_such_library"))


def gone(pid: int) -> bool:
    """Tell whether a process ends before the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_each_kernel_is_new_and_has_the_libraries_and_none_is_left(tmp_path):
    with kernels.Kernels(tmp_path) as mine:
        with mine.lend(ahead=True) as first:
            one = ask(first, "import os; here = os.getcwd(); print(os.getpid(), here)")[1].split()
            ready = mine.waiting
        with mine.lend(ahead=True) as second:
            assert second is ready, "it was made ready while the first one was lent"
            asked = "import os, sys; print(os.getpid(), 'here' in dir(), 'colorsys' in sys.modules)"
            cell, told = ask(second, asked)
        unused = mine.waiting.provisioner.pid
    two = told.split()
    assert one[1] == str(tmp_path) and two[1:] == ["False", "True"] and one[0] != two[0]
    assert cell == 1, "loading the libraries is no cell of the chapter"
    assert all(gone(int(pid)) for pid in (one[0], two[0], unused))


def test_one_that_died_waiting_is_replaced(tmp_path):
    with kernels.Kernels(tmp_path) as mine:
        with mine.lend(ahead=True):
            os.kill(mine.waiting.provisioner.pid, 9)
            mine.waiting.provisioner.process.wait(DEADLINE)
        with mine.lend() as second:
            assert ask(second, "print(6 * 7)") == (1, "42") and mine.waiting is None


def test_none_is_left_when_a_chapter_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), kernels.Kernels(tmp_path) as mine:
        with mine.lend(ahead=True) as kernel:
            pids = kernel.provisioner.pid, mine.waiting.provisioner.pid
            raise ZeroDivisionError
    assert all(gone(pid) for pid in pids)
