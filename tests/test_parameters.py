import ast

import papermill
import pytest
from conftest import ROOT

from galclr_utils.parameters import check_names, defaults, read_profile

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_defaults_are_those_that_papermill_reads(name):
    read = papermill.inspect_notebook(str(ROOT / "notebooks" / f"{name}.ipynb"))
    assert defaults(name) == {k: ast.literal_eval(p["default"]) for k, p in read.items()}


def test_a_profile_is_a_name_or_a_file(tmp_path):
    file = tmp_path / "mine.yml"
    file.write_text("epochs: 3\n")
    assert read_profile(ROOT, str(file)) == ("mine", {"epochs": 3})
    assert read_profile(ROOT, "small") == ("small", {})
    with pytest.raises(ValueError, match="did you mean 'poster'"):
        read_profile(ROOT, "postr")
    file.write_text("training: {epochs: 3}\n")
    with pytest.raises(ValueError, match="one flat mapping"):
        read_profile(ROOT, str(file))


def test_unknown_names_are_refused():
    check_names({"epochs": 3}, ["epochs", "seed"])
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        check_names({"epocs": 3}, ["epochs", "seed"])
