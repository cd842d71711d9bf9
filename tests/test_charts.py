"""Charts of a training: what their captions claim must be what the data say."""

import numpy as np
import pytest
from astropy.table import Table

from galclr_utils import charts

CARD = {"simulated": True}
ROW = {"epoch": 1.0, "step": 4, "loss": 3.0, "learning_rate": 0.001, "knn_accuracy": 0.8}
ROW |= {"alignment": 0.2, "uniformity": -3.0, "feature_spread": 0.4, "seconds": 9.0}
BEFORE = ROW | {"epoch": 0.0, "step": 0, "loss": np.nan, "knn_accuracy": 0.6}
BLIND = dict.fromkeys(("knn_accuracy", "alignment", "uniformity", "feature_spread"), np.nan)


def history(*rows, **options):
    return charts.history(Table(list(rows)), CARD, batch_size=8, temperature=0.5, **options)


def test_a_history_is_told_from_the_first_look_to_the_last():
    plate = history(BEFORE, ROW, ROW | {"loss": 2.0}, commoner=0.55)
    assert "loss goes from 3 to 2" in plate.caption, "the untrained network has no loss"
    assert f"guessing costs {np.log(15):.2f}" in plate.caption
    assert "0.800" in plate.caption and "kNN accuracy: 0.6 to 0.8" in plate.alt
    assert "collapsed" not in plate.caption and plate.png()


def test_a_collapse_is_called_so():
    plate = history(BEFORE, ROW | {"feature_spread": 0.004})
    assert "has collapsed: its spread ends at 0.004" in plate.caption


def test_what_was_not_measured_is_neither_a_collapse_nor_nan():
    unlabelled = history(BEFORE | {"knn_accuracy": np.nan}, ROW | {"knn_accuracy": np.nan})
    assert "no kNN accuracy" in unlabelled.caption and "0.40" in unlabelled.caption
    no_validation = history(BEFORE | BLIND, ROW | BLIND)
    assert "no validation galaxies" in no_validation.caption
    for plate in (unlabelled, no_validation):
        assert "nan" not in plate.caption + plate.alt and "collapsed" not in plate.caption
        assert "kNN accuracy: not measured" in plate.alt and plate.png()


def test_the_anchors_of_the_loss_are_those_of_lightly():
    import torch
    from lightly.loss import NTXentLoss

    corners, point = torch.eye(8), torch.ones(8, 4)
    anchors = charts.loss_anchors(batch_size=8, temperature=0.5)
    assert NTXentLoss(0.5)(point, point).item() == pytest.approx(anchors["guessing"], abs=1e-4)
    at_right_angles = NTXentLoss(0.5)(corners, corners).item()
    assert at_right_angles == pytest.approx(anchors["right angles"], abs=1e-4)


def test_the_colder_the_more_the_nearest_strangers_are_pushed():
    cosines = np.linspace(-0.5, 0.9, 50)
    plate = charts.push(cosines, (0.05, 0.2, 1e9), CARD)
    weight = np.exp(np.sort(cosines)[::-1] / 0.2)
    assert f"{weight[:5].sum() / weight.sum():.0%} at 0.2" in plate.caption
    assert "10% at 1e+09" in plate.alt, "5 of 50: equal shares"
    assert charts.push(cosines[:2], (1e-4, 0.2, 1.0), CARD).png(), "two strangers, very cold"


def test_a_quiz_counts_its_right_answers_and_names_its_galaxies():
    swapped = np.eye(4)[[1, 0, 2, 3]]
    plate = charts.similarities(swapped, np.eye(4), CARD, split="training")
    assert "4 training galaxies" in plate.caption and "validation" not in plate.caption
    assert "Before training 2 of 4 answers are right" in plate.caption
    assert "After training 4 of 4 answers are right" in plate.alt


def test_the_loss_of_moco_is_anchored_by_its_bank():
    plate = history(BEFORE, ROW, bank=2000, space="pooled features")
    assert f"guessing costs {np.log(2001):.2f}" in plate.caption
    assert "feature spread of pooled features: 0.4" in plate.alt


def test_the_half_life_of_a_copy_is_that_of_the_copy_itself():
    weight, steps = 0.0, round(charts.half_life(0.97))
    for _ in range(steps):
        weight = 0.97 * weight + 0.03 * 1.0
    assert weight == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("momentum", [0, 0.9, 1])
def test_the_memories_of_moco_are_told_with_and_without_a_copy(momentum):
    rows = Table([BEFORE | {"key_cosine": 1.0}, ROW | {"key_cosine": 0.7}])
    plate = charts.memory(momentum, bank=1000, batch_size=100, rows=rows, card=CARD)
    assert "bank is older than 5 steps" in plate.caption and "SIMULATED" in plate.caption
    assert "lowest at epoch 1 (0.700), 0.700 at the end" in plate.caption and plate.png()
    assert ("never changes" in plate.alt) == (momentum == 1)
    nobody = charts.memory(momentum, 1000, 100, Table([BEFORE, ROW]), CARD)
    assert "cosine" not in nobody.caption and nobody.png()
