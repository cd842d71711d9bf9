"""The driver on a tiny project of two chapters: what runs again, what does not, and what fails."""

import doctest
import os
import shutil

import build
import chapters
import freshness
import nbformat
import numpy as np
import pages
import pytest
from astropy.table import Table

from galclr_utils.comparison import compare
from galclr_utils.provenance import write_json, write_metrics
from galclr_utils.score_table import Scores, save_scores

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

"""
FIRST = """\
# %% [markdown]
# # First
# Look at {numref}`fig-dot`.

# %% tags=["parameters"]
run_dir: str = "runs/small"  # the run's folder
n_items: int = 3  # how many, [1, 9]
source_path: str = ""  # a file of the user's

# %%
from pathlib import Path
from galclr_utils import double
run = Path(run_dir)
(run / "data").mkdir(parents=True, exist_ok=True)
(run / "embedding").mkdir(exist_ok=True)
_ = (run / "embedding" / "umap.csv").write_text("a map, which no later chapter reads")
_ = (run / "data" / "items.txt").write_text(str(double(n_items)))
(run / "metrics").mkdir(exist_ok=True)
facts = '"seed": 0, "device": "CPU", "threads": 2, "commit": "abc", "python": "3", "platform": "P"'
_ = (run / "metrics" / "01_first.json").write_text(
    '{"metrics": {}, "provenance": {' + facts + ', "versions": {"torch": "2"}}}'
)

# %%
import base64
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
class Dot:
    def _repr_mimebundle_(self, include=None, exclude=None):
        texts = {"name": "fig-dot", "caption": "A *dot* of $x^2$.", "alt": "One dot, alone."}
        return {"image/png": base64.b64decode(PNG), "text/plain": "dot"}, {"galclr": texts}
Dot()
"""
SECOND = """\
# %% [markdown]
# # Second

# %% tags=["parameters"]
run_dir: str = "runs/small"  # the run's folder
rate: float = 0.5  # a rate, (0, 1]
resume: bool = True  # keep what was finished

# %%
from pathlib import Path
from galclr_utils.b import check
items = check((Path(run_dir) / "data" / "items.txt").read_text(), rate)
print("items:", items)
"""
FILES = {
    "notebooks/01_first.py": HEADER + FIRST,
    "notebooks/02_second.py": HEADER + SECOND,
    "notebooks/profiles/tiny.yml": "rate: 0.25\n",
    "galclr_utils/__init__.py": "from galclr_utils.a import double\n\n\n"
    "def __getattr__(name):\n    from galclr_utils.c import limit\n\n    return limit\n",
    "galclr_utils/a.py": "def double(x):\n    return 2 * x\n",
    "galclr_utils/b.py": "from galclr_utils.c import limit\n\n\ndef check(text, rate):\n"
    "    if rate > limit:\n        raise ValueError(f'rate: got {rate}')\n    return text\n",
    "galclr_utils/c.py": "limit = 1\n",
    "galclr_utils/d.py": "nobody = 'imports this'\n",
    "requirements.txt": "nothing==1\n",
    "book/intro.md": "# Intro\n\n```{include} _generated/parameters.md\n```\n\n"
    "```{include} _generated/times.md\n```\n\n```{include} _generated/provenance.md\n```\n",
    "_config.yml": "title: T\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
    "sphinx: {config: {numfig: true}}\n",
    "_toc.yml": "format: jb-book\nroot: book/intro\nchapters:\n"
    "- file: notebooks/01_first\n- file: notebooks/02_second\n",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project whose book was built once."""
    root = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert build.main([], root) == 0
    return root


@pytest.fixture
def project(built, tmp_path, monkeypatch):
    """A copy of that project to change; Jupyter Book is left out from here on."""
    root = shutil.copytree(built, tmp_path / "copy")
    monkeypatch.setattr(build, "build", lambda output: None)
    return root


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def why(root, capsys, *arguments):
    """Return what --explain says of each chapter."""
    capsys.readouterr()
    assert build.main(["--explain", *arguments], root) == 0
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("module", [build, chapters, freshness, pages])
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


# --- the book -----------------------------------------------------------------------------------


def test_a_figure_of_a_chapter_gets_number_caption_label_and_alt_text(built):
    page = (built / "_build/html/notebooks/01_first.html").read_text()
    assert 'alt="One dot, alone."' in page
    assert '<span class="caption-number">Fig. 1' in page
    assert "A <em>dot</em> of" in page
    assert 'href="#fig-dot"><span class="std std-numref">Fig. 1' in page


def test_pages_include_what_the_run_left(built):
    page = (built / "_build/html/index.html").read_text()
    assert "book/intro.html" in page
    page = (built / "_build/html/book/intro.html").read_text()
    assert "how many, [1,\u00a09]" in page
    assert "CPU, 2 threads" in page
    assert "torch 2" in page


def test_a_warning_fails_the_build_and_leaves_no_book(built, tmp_path, capsys):
    root = shutil.copytree(built, tmp_path / "copy")
    edit(root / "book/intro.md", "times.md", "absent.md")
    assert build.main([], root) == 1
    assert "absent.md" in capsys.readouterr().err


def test_a_figure_shares_its_cell_with_no_other_output():
    notebook = nbformat.v4.new_notebook()
    shown = nbformat.v4.new_output("display_data", metadata={"galclr": {"name": "fig-a"}})
    notebook.cells = [nbformat.v4.new_code_cell(outputs=[shown, shown])]
    with pytest.raises(ValueError, match=r"fig-a.*displays 2 things"):
        pages.number_figures(notebook)


def test_results_and_headline_say_what_the_scores_allow(tmp_path):
    label = np.tile([0, 1], 200).astype(np.int8)
    good, coin = np.where(label == 1, 0.9, 0.1), np.full(400, 0.9)
    rows = [("good + kNN", 100, 0, 0, "test"), ("coin", 100, 0, 0, "test")]
    rows.append(("worse + kNN", 100, 0, 0, "test"))
    table = Table(rows=rows, names=["method", "n_labels", "seed", "draw", "split"])
    p_late = np.stack([good, coin, 1 - good])
    scores = Scores(table, p_late, label, np.arange(400).astype(str))
    save_scores(tmp_path, scores)
    rivals = ("coin", "worse + kNN", "good + kNN")
    pairs = [compare(scores, "good + kNN", b, 100) for b in rivals]
    write_metrics(tmp_path, "05_probes", {"comparisons": pairs}, seed=0)
    write_json(tmp_path / "dataset" / "card.json", {"simulated": True})
    run, nbsp = chapters.Run(tmp_path, tmp_path, {}), "\u00a0"
    said = pages.results(run).replace(nbsp, " ")
    assert "| good + kNN | 1.000 [1.000, 1.000]* |" in said, "a single run has a star"
    assert "| 100 | beats worse + kNN | +1.000 [+1.000, +1.000] | 1 |" in said
    same = "is not distinguished from good + kNN | +0.000 [+0.000, +0.000] | 1 |"
    assert same in said
    said = pages.headline(run).replace(nbsp, " ")
    assert f"400 {pages.BADGE} test galaxies, **good + kNN** reaches" in said
    assert "- with 100 labels **1.000 [1.000, 1.000]**: it beats the coin (+0.500 [" in said
    assert "and the same probe on worse (+1.000 [+1.000, +1.000]); it is not dist" in said
    assert "One network was pretrained, with one seed" in said


def test_a_headline_says_that_its_method_lost_and_what_it_was_judged_on(tmp_path):
    label = np.tile([0, 1], 20).astype(np.int8)
    p_late = np.stack([1.0 - label, label + 0.0]).astype(np.float32)
    rows = [("ours", n, 0, 0, "test") for n in (10, 20, 30)]
    rows += [("theirs", n, 0, 0, "test") for n in (10, 20, 30)]
    table = Table(rows=rows, names=["method", "n_labels", "seed", "draw", "split"])
    scores = Scores(table, p_late.repeat(3, axis=0), label, np.arange(40).astype(str))
    save_scores(tmp_path, scores)
    pairs = [compare(scores, "ours", "theirs", n) for n in (10, 20, 30)]
    write_metrics(tmp_path, "05_probes", {"comparisons": pairs}, seed=0)
    write_json(tmp_path / "dataset" / "card.json", {"simulated": False, "source": "arrays"})
    said = pages.headline(chapters.Run(tmp_path, tmp_path, {}))
    assert said.count("it is beaten by the theirs (−1.000 [") == 2, "the two smallest budgets"
    assert "beats" not in said and "SIMULATED" not in said
    assert "40 test galaxies (source: arrays)" in said


# --- what runs again ----------------------------------------------------------------------------


def test_nothing_runs_when_nothing_changed(project, capsys):
    before = (project / "runs/small/executed/state.json").read_text()
    assert build.main([], project) == 0
    assert capsys.readouterr().out.count("is up to date") == 2
    assert (project / "runs/small/executed/state.json").read_text() == before


@pytest.mark.parametrize(
    ("path", "old", "new", "first", "second"),
    [
        ("notebooks/01_first.py", "double(n_items)", "double(n_items + 1)", "its code", None),
        (
            "notebooks/01_first.py",
            "n_items: int = 3",
            "n_items: int = 4",
            "parameter n_items",
            None,
        ),
        ("galclr_utils/a.py", "2 * x", "3 * x", "galclr_utils/a.py changed", None),
        ("galclr_utils/c.py", "1", "2", None, "galclr_utils/c.py changed"),
        ("galclr_utils/d.py", "this", "it", None, None),
        ("galclr_utils/a.py", "    return", "    # why\n    return", None, None),
        ("requirements.txt", "1", "2", "requirements.txt", "requirements.txt"),
        ("runs/small/data/items.txt", "6", "7", "data/items.txt, which it wrote", "data/items.txt"),
        ("runs/small/embedding/umap.csv", "map", "m", "umap.csv, which it wrote", None),
    ],
)
def test_a_chapter_runs_when_what_it_depends_on_changed(
    project, capsys, path, old, new, first, second
):
    edit(project / path, old, new)
    said = why(project, capsys)
    for name, reason in (("01_first", first), ("02_second", second)):
        assert said[name].startswith("runs" if reason else "is up to date")
        assert (reason or "") in said[name]


def test_a_chapter_runs_when_the_users_file_changed(project, capsys):
    mine = project / "mine.csv"
    mine.write_text("a")
    (project / "notebooks/profiles/tiny.yml").write_text(
        "source_path: mine.csv\nrun_dir: runs/small\n"
    )
    assert "parameter source_path" in why(project, capsys, "--profile", "tiny")["01_first"]
    assert build.main(["--profile", "tiny", "--only", "01_first"], project) == 0
    assert why(project, capsys, "--profile", "tiny")["01_first"] == "is up to date"
    mine.write_text("b")
    os.utime(mine, (1, 1))
    assert "mine.csv changed" in why(project, capsys, "--profile", "tiny")["01_first"]


def test_a_chapter_whose_result_is_the_same_does_not_wake_the_next(project, capsys):
    edit(project / "galclr_utils/a.py", "2 * x", "x + x")
    assert build.main([], project) == 0
    said = capsys.readouterr().out
    assert "01_first     runs: galclr_utils/a.py changed" in said
    assert "02_second    is up to date" in said


def test_new_prose_is_merged_without_a_run(project, capsys):
    edit(project / "notebooks/02_second.py", "# # Second", "# # Second, better said")
    edit(project / "notebooks/02_second.py", "print(", "print(  # shown\n    ")
    assert build.main([], project) == 0
    assert "runs" not in capsys.readouterr().out
    staged = nbformat.read(project / "_build/stage/notebooks/02_second.ipynb", as_version=4)
    assert "better said" in staged.cells[0].source
    assert "# shown" in staged.cells[-1].source
    assert staged.cells[-1].outputs[0].text == "items: 6\n"


def injected(path):
    """Return the values that papermill passed, line by line."""
    cells = nbformat.read(path, as_version=4).cells
    passed = [c for c in cells if "injected-parameters" in c.metadata.get("tags", [])]
    return [line for cell in passed for line in cell.source.splitlines()[1:]]


def test_only_runs_one_chapter_and_force_runs_it_unchanged_and_anew(project, capsys):
    executed = project / "runs/small/executed"
    assert injected(executed / "02_second.ipynb") == []
    edit(project / "galclr_utils/a.py", "2 * x", "3 * x")
    assert build.main(["--only", "02_second", "--force"], project) == 0
    said = capsys.readouterr().out
    assert "02_second    runs: forced" in said
    assert "01_first" not in said
    assert injected(executed / "02_second.ipynb") == ["resume = False"]
    assert injected(executed / "01_first.ipynb") == [], "it has no parameter resume"
    assert why(project, capsys)["02_second"] == "is up to date"


def test_a_lazy_export_is_followed_to_its_file(project):
    package = project / "galclr_utils"
    found = {p.name for p in freshness.reached(package, "from galclr_utils import limit")}
    assert found == {"__init__.py", "c.py"}


@pytest.mark.parametrize("chapter", chapters.read_chapters(build.ROOT), ids=lambda c: c.name)
def test_what_is_called_unread_is_read_by_no_later_chapter(chapter):
    """``embedding/umap.csv`` is in NOT_READ: a chapter after 04_umap that opens it must not be."""
    code = "\n".join(chapter.code)
    for path in freshness.reached(build.ROOT / "galclr_utils", code):
        if path.name != "atlas.py":  # it has the function that writes the map
            code += path.read_text()
    touches = any(word in code for word in ("umap.csv", "save_map("))
    assert not touches or chapter.name <= "04_umap"


def test_a_profile_has_a_run_of_its_own_and_shows_its_values(project, capsys):
    assert build.main(["--profile", "tiny", "--only", "01_first"], project) == 0
    assert "no book yet: 02_second did not run" in capsys.readouterr().out
    copy = project / "runs/tiny/executed/01_first.ipynb"
    done = nbformat.read(copy, as_version=4)
    assert injected(copy) == ['run_dir = "runs/tiny"']
    assert build.main(["--profile", "tiny", "--only", "01_first"], project) == 0  # and is merged
    again = nbformat.read(copy, as_version=4)
    assert [c.source for c in again.cells] == [c.source for c in done.cells]


# --- what is refused ----------------------------------------------------------------------------


def test_an_unknown_parameter_is_refused_before_any_kernel_starts(project, capsys, monkeypatch):
    monkeypatch.setattr(chapters.papermill, "execute_notebook", None)
    (project / "notebooks/profiles/tiny.yml").write_text("rates: 0.25\n")
    assert build.main(["--profile", "tiny"], project) == 1
    error = capsys.readouterr().err
    assert "'rates': no notebook has it; did you mean 'rate'?" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--profile", "tinny"], "did you mean 'tiny'?"),
        (["--profile", "nowhere/my.yml"], "expected a YAML file"),
        (["--only", "02_secnd"], "did you mean '02_second'?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(project, capsys, arguments, message):
    assert build.main(arguments, project) == 1
    assert message in capsys.readouterr().err


def test_a_nested_profile_is_refused(project, capsys):
    (project / "notebooks/profiles/tiny.yml").write_text("02_second: {rate: 1}\n")
    assert build.main(["--profile", "tiny"], project) == 1
    assert "one flat mapping" in capsys.readouterr().err


def test_a_failure_stops_names_the_place_and_keeps_the_copy(project, capsys):
    executed = project / "runs/small/executed"
    edit(project / "notebooks/01_first.py", "double(n_items)", "double(n_itmes)")
    edit(project / "galclr_utils/c.py", "1", "2")
    assert build.main([], project) == 1
    told = capsys.readouterr()
    assert "01_first, code cell 2" in told.err
    assert "NameError" in told.err
    assert "02_second" not in told.out
    assert (executed / "01_first.failed.ipynb").exists()
    assert "its code" in why(project, capsys)["01_first"]

    edit(project / "notebooks/01_first.py", "double(n_itmes)", "double(n_items)")
    assert why(project, capsys)["01_first"] == "is up to date"
