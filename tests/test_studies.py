"""A stored study comes back as it was, or not at all."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import studies


@pytest.fixture
def tables():
    runs = Table({"method": ["PCA, by ear", "b"], "n_labels": [10, 8000]})
    runs["score"] = [0.123456789, np.nan]
    runs["beats"] = [True, False]
    return {"runs": runs, "saving": Table({"bound": ["", "at least"], "high": [2.0, np.inf]})}


def test_tables_and_record_come_back(tables, tmp_path):
    folder = studies.write_study(
        tmp_path / "mine", tables, {"seed": 3, "card": {"simulated": True}}
    )
    assert sorted(p.name for p in folder.iterdir()) == ["record.json", "runs.csv", "saving.csv"]
    back, record = studies.read_study(folder)
    assert record == {"seed": 3, "card": {"simulated": True}} and list(back) == ["runs", "saving"]
    assert list(back["runs"]["method"]) == ["PCA, by ear", "b"]
    assert back["runs"]["score"][0] == 0.123457 and np.isnan(back["runs"]["score"][1])
    assert back["runs"]["beats"].tolist() == [True, False], "not the text 'False'"
    assert list(back["saving"]["bound"]) == ["", "at least"] and back["saving"]["high"][1] == np.inf
    assert tables["runs"]["score"][0] == 0.123456789, "the caller's table is left alone"


def test_a_failed_write_leaves_the_old_study(tables, tmp_path):
    studies.write_study(tmp_path / "mine", tables, {"seed": 1})
    with pytest.raises(AttributeError):
        studies.write_study(tmp_path / "mine", tables | {"wrong": None}, {"seed": 2})
    assert studies.read_study(tmp_path / "mine")[1] == {"seed": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_what_is_missing_or_broken_is_named(tables, tmp_path):
    assert studies.study_path(tmp_path, "mine") is None
    with pytest.raises(ValueError, match=r"record.json: expected a readable JSON file"):
        studies.read_study(tmp_path / "mine")
    studies.write_study(tmp_path / "mine", tables, {})
    assert studies.study_path(tmp_path, "mine") == tmp_path / "mine"
    (tmp_path / "mine" / "runs.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="expected tables of a study"):
        studies.read_study(tmp_path / "mine")
