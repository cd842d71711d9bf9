"""Chapters on sets without labels, or with one class: what runs, and what is said by the rest."""

import numpy as np
import pytest
from astropy.table import Table
from conftest import SMOKE, execute_here


@pytest.fixture
def pictures(galaxies, tmp_path):
    """Execute chapters on 120 stamps that lie as 8-bit pictures in a file; the run is ``run/``."""
    shown = np.clip(galaxies.images[:120].astype("f4") / 5, 0, 1)
    np.savez(tmp_path / "stamps.npz", images=np.uint8(255 * shown), objid=np.arange(120))
    read = {"source": "arrays", "source_path": str(tmp_path / "stamps.npz"), "n_galaxies": 0}
    values = SMOKE | read | {"run_dir": str(tmp_path / "run")}

    def run(*chapters, **more):
        for chapter in chapters:
            execute_here(chapter, **values | more)

    return run


def test_without_labels_some_chapters_run_and_the_others_say_what_they_lack(pictures, tmp_path):
    pictures("01_data", "03_pretrain", "04_umap", "08_search")
    assert (tmp_path / "run" / "embedding" / "umap.csv").exists()
    assert (tmp_path / "run" / "metrics" / "08_search.json").exists()
    for chapter in ("05_probes", "07_audit"):
        with pytest.raises(ValueError, match="got 0 in train and 0 in test"):
            pictures(chapter)


def test_with_one_class_only_a_classifier_is_refused_and_nothing_before(pictures, tmp_path):
    catalog = Table({"objid": np.arange(120), "label": ["late"] * 120, "g_r": np.full(120, 0.5)})
    catalog.write(tmp_path / "catalog.csv")
    late = {"catalog_path": str(tmp_path / "catalog.csv")}
    pictures("01_data", "03_pretrain", **late)
    with pytest.raises(ValueError, match="late types only"):
        pictures("05_probes", **late)
