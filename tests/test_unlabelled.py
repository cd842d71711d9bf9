"""Chapters on sets without labels, or with one class: what runs, and what is said by the rest."""

import numpy as np
import pytest
import yaml
from astropy.table import Table
from conftest import ROOT


@pytest.fixture
def pictures(galaxies, tmp_path):
    """Stamps as 8-bit pictures in a file, and a profile of seconds that reads them."""
    shown = np.clip(galaxies.images[:120].astype("f4") / 5, 0, 1)
    ids = np.arange(120)
    np.savez(tmp_path / "stamps.npz", images=np.uint8(255 * shown), objid=ids)
    quick = yaml.safe_load((ROOT / "notebooks" / "profiles" / "smoke.yml").read_text())
    mine = {"source": "arrays", "source_path": str(tmp_path / "stamps.npz"), "n_galaxies": 0}

    def run(*chapters, **more):
        import build

        (tmp_path / "mine.yml").write_text(yaml.safe_dump(quick | mine | more))
        where = ["--profile", str(tmp_path / "mine.yml"), "--run-dir", str(tmp_path / "run")]
        return build.main([*where, "--output", str(tmp_path), "--only", *chapters])

    return run


NO_LABELS = ["01_data", "03_pretrain", "04_umap", "08_search"]


def test_without_labels_some_chapters_run_and_the_others_say_what_they_lack(
    pictures, tmp_path, capsys
):
    assert pictures(*NO_LABELS) == 0
    assert (tmp_path / "run" / "embedding" / "umap.csv").exists()
    for chapter in ("05_probes", "07_audit"):
        assert pictures(chapter) == 1
        assert "got 0 in train and 0 in test" in capsys.readouterr().err


def test_with_one_class_only_a_classifier_is_refused_and_nothing_before(pictures, tmp_path, capsys):
    catalog = Table({"objid": np.arange(120), "label": ["late"] * 120, "g_r": np.full(120, 0.5)})
    catalog.write(tmp_path / "catalog.csv")
    assert pictures("01_data", "03_pretrain", catalog_path=str(tmp_path / "catalog.csv")) == 0
    assert pictures("05_probes", catalog_path=str(tmp_path / "catalog.csv")) == 1
    assert "late types only" in capsys.readouterr().err
