import json
import os

import numpy as np
import pytest

from galclr_utils import provenance


def test_a_relative_run_starts_at_the_root_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "project_root", lambda: tmp_path)
    monkeypatch.chdir("/")
    assert provenance.run_path("runs/a") == tmp_path / "runs" / "a"
    with pytest.raises(ValueError, match="run_dir"):
        provenance.run_path("  ")


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), provenance.whole_file(path) as part:
        part.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_while_writing_leaves_the_old_folder(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a").write_text("old")
    with pytest.raises(RuntimeError), provenance.whole_folder(folder) as part:
        (part / "a").write_text("new")
        raise RuntimeError
    assert (folder / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_finished_folder_replaces_the_old_one(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_text("")
    with provenance.whole_folder(tmp_path / "set") as part:
        (part / "new").write_text("")
    assert [p.name for p in (tmp_path / "set").iterdir()] == ["new"]
    assert len(list(tmp_path.iterdir())) == 1


def test_metrics_carry_numbers_and_provenance(tmp_path):
    path = provenance.write_metrics(tmp_path, "04_umap", {"x": np.float32(0.5)}, seed=3)
    record = json.loads(path.read_text())
    assert record["metrics"] == {"x": 0.5}
    assert record["provenance"]["seed"] == 3
    assert "torch" in record["provenance"]["versions"]


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(ValueError, match=r"card\.json"):
        provenance.read_json(tmp_path / "card.json")


def test_a_folder_is_as_open_as_any_other(tmp_path):
    (tmp_path / "usual").mkdir()
    with provenance.whole_folder(tmp_path / "set"):
        pass
    assert (tmp_path / "set").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_the_old_folder_comes_back_if_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    folder, replace = tmp_path / "set", os.replace
    folder.mkdir()
    (folder / "a").write_text("old")
    steps = iter((replace, None, replace))

    def replace_or_fail(source, target):
        if (step := next(steps)) is None:
            raise PermissionError
        step(source, target)

    monkeypatch.setattr(provenance.os, "replace", replace_or_fail)
    with pytest.raises(PermissionError), provenance.whole_folder(folder) as part:
        (part / "a").write_text("new")
    assert (folder / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]
