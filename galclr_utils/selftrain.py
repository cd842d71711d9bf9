"""Learn from a few labelled galaxies and from all the others, without their labels.

The third step of SimCLRv2 (Chen et al. 2020b): after pretraining and learning with few labels, the
classifier, now a teacher, says of every unlabelled galaxy how likely it is late, and a student
learns these answers. The student meets many more galaxies than have labels, each in random views,
and must give one answer to all views of it: so it can become better than its teacher.
"""

# N galaxies, n labels in a budget, U unlabelled training galaxies, T test galaxies

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from galclr_utils.checks import number
from galclr_utils.label_draws import fit_seed
from galclr_utils.probes import Method
from galclr_utils.supervised import Network


@dataclass
class SelfTrained:
    """Let a student learn what a teacher says of unlabelled galaxies: a method like any other.

    A budget of n labels stays a budget of n: the labels of the other training galaxies are never
    read, and validation and test galaxies are not learned from. The student learns the labels of
    the budget, and for all other training galaxies the teacher's probabilities, as they are: where
    the teacher is unsure, so is the target (Chen et al. 2020b, eqs. 2 and 3, at temperature 1).

    Args:
        teacher: any method that needs labels only: a probe, a fine-tuned network.
        student: the network that learns from it, such as `supervised.FineTuned`, with its recipe.
        epochs: passes over all training galaxies, labelled or not, in place of the student's own
            passes over the labels; but at least its ``min_steps`` batches.
        rounds: how many students there are, each the teacher of the next.
    Raises:
        ValueError: epochs or rounds below 1; a student that learns numbers, not types.

    >>> from astropy.table import Table
    >>> from galclr_utils.dataset import GalaxySet
    >>> from galclr_utils.probes import probe
    >>> from galclr_utils.supervised import SupervisedCNN
    >>> from galclr_utils.galaxy_views import GalaxyViews
    >>> catalog = Table({"id": np.arange(12).astype(str), "label": np.arange(12) % 2})
    >>> catalog["split"] = ["train"] * 8 + ["test"] * 4
    >>> card = {"units": "display", "bands": ["g", "r", "i"], "sky_rms": [0.02, 0.02, 0.02]}
    >>> galaxies = GalaxySet(np.zeros((12, 3, 16, 16), np.float32), catalog, card)
    >>> student = SupervisedCNN(galaxies, GalaxyViews.for_set(galaxies), min_steps=2)
    >>> teacher = probe(np.arange(12)[:, None], "logistic")
    >>> SelfTrained(teacher, student)([0, 1, 2, 3], [0, 1, 0, 1], test=[8, 9, 10]).shape
    (3,)
    """

    teacher: Method
    student: Network
    epochs: int = 4
    rounds: int = 1

    def __post_init__(self):
        self.epochs = number("epochs", self.epochs, 1, 100_000, integer=True)
        self.rounds = number("rounds", self.rounds, 1, 100, integer=True)
        if self.student.task != "classification":
            raise ValueError(
                f"student: got task={self.student.task!r}, expected 'classification': the teacher "
                "speaks of probabilities"
            )

    def __call__(self, train, y_train, test, seed: int = 0, draw: int = 0) -> np.ndarray:
        """Train on the labelled ``train`` and the rest of the split; return p_late of ``test``."""
        student = replace(self.student, epochs=self.epochs)
        others = np.setdiff1d(student.galaxies.indices("train"), train)
        rows = np.concatenate([train, others])
        soft = self.teacher(train, y_train, others, seed, draw) if len(others) else []
        for k in range(self.rounds):
            targets = np.concatenate([y_train, soft])
            begun = student.build(seed, draw)
            network = student.learn(begun, rows, targets, fit_seed(seed, draw) + k)
            if k + 1 < self.rounds:
                soft = student.predict(network, others)
        return student.predict(network, test)
