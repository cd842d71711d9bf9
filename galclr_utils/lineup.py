"""Line up the methods of a long comparison, each with its draws and all that its runs rest on.

A journal (see `journal`) gives back a run only to whoever names everything that decides its result:
features, recipe, code. To forget one is to be shown the numbers of another method. So it is said
here, once, for probes and for networks.
"""

# N galaxies, D representation

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from galclr_utils import (
    encoders,
    galaxy_views,
    label_draws,
    metrics,
    probes,
    scoring,
    selftrain,
    supervised,
    transforms,
)
from galclr_utils.curves import TAUGHT
from galclr_utils.dataset import GalaxySet
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.journal import code_key, digest
from galclr_utils.probes import Method, probe
from galclr_utils.score_table import Scores


@dataclass
class Lineup:
    """Hold methods by name; for each, its label draws and what a journal knows its runs by.

    Attributes:
        seeds: pretraining seeds; every method runs for each.
        methods: name -> method. draws: name -> label draws. inputs: name -> seed -> text.

    >>> x = {0: np.zeros((4, 2), np.float32)}
    >>> lineup = Lineup([0])
    >>> lineup.probe("zeros", x, "kNN", draws=5)
    >>> list(lineup.methods), lineup.draws
    (['zeros + kNN'], {'zeros + kNN': 5})
    """

    seeds: Sequence[int]
    methods: dict[str, Method] = field(default_factory=dict)
    draws: dict[str, int] = field(default_factory=dict)
    inputs: dict[str, dict[int, str]] = field(default_factory=dict)

    def add(self, name: str, method: Method, draws: int, inputs: Mapping[int, str]) -> None:
        """Add a method.

        Args:
            name: in tables and figures.
            method: see `probes.Method`.
            draws: label draws of each budget and seed.
            inputs: seed -> a text that names all its result depends on beside data and labels.
        """
        self.methods[name], self.draws[name] = method, draws
        self.inputs[name] = {s: inputs[s] for s in self.seeds}

    def probe(self, space: str, features: Mapping[int, np.ndarray], kind: str, draws: int) -> None:
        """Add a probe on frozen features, under the name ``SPACE + KIND``.

        Args:
            space: what the features are called.
            features: seed -> (N, D), for all galaxies of the set.
            kind: as tables call it: fully connected, logistic, kNN or SVM.
            draws: label draws.
        """
        code = code_key(probes, label_draws, metrics)
        inputs = {s: f"{digest(features[s])} {code}" for s in self.seeds}
        self.add(f"{space} + {kind}", probe(features, kind_of(kind)), draws, inputs)

    def networks(
        self,
        galaxies: GalaxySet,
        views: GalaxyViews,
        pretrained: str,
        encoders_of: Mapping[int, Encoder],
        level: Mapping[int, np.ndarray],
        draws: int,
        **recipe,
    ) -> None:
        """Add the three networks that labels train: from scratch, fine-tuned and self-trained.

        The student of the self-trained one learns from the pretrained encoder what a logistic probe
        on h says, in one pass over all training galaxies and in half of the others' steps at least.

        Args:
            galaxies, views: what they learn from, and how it is shown.
            pretrained: name of the pretraining.
            encoders_of: seed -> pretrained encoder.
            level: seed -> (N, D), h as the probes get it.
            draws: label draws.
            recipe: ``epochs``, ``min_steps`` and ``precision`` of `supervised.Network`.
        """
        first = encoders_of[min(self.seeds)]
        shape = {"encoder": first.name, "representation_dim": first.representation_dim}
        code = code_key(supervised, transforms, galaxy_views, encoders, label_draws)
        made = f"{code} {recipe} {views.settings}"
        scratch = supervised.SupervisedCNN(galaxies, views, **shape, **recipe)
        self.add(TAUGHT, scratch, draws, dict.fromkeys(self.seeds, f"{made} {shape}"))
        tuned = supervised.FineTuned(galaxies, views, encoders=encoders_of, **recipe)
        of = {s: digest(level[s]) for s in self.seeds}
        self.add(f"{pretrained} fine-tuned", tuned, draws, {s: f"{made} {of[s]}" for s in of})
        student = replace(tuned, min_steps=max(1, tuned.min_steps // 2))
        taught = selftrain.SelfTrained(probe(level, "logistic"), student, epochs=1)
        made += f" {code_key(selftrain, probes, label_draws)}"
        self.add(f"{pretrained} self-trained", taught, draws, {s: f"{made} {of[s]}" for s in of})

    def score(self, galaxies: GalaxySet, budgets: Sequence[int], journal: Path | None) -> Scores:
        """Run all methods at all budgets, on all cores; see `scoring.score_methods`."""
        kept = {"journal": journal, "inputs": self.inputs, "workers": 0}
        return scoring.score_methods(
            self.methods, galaxies, budgets, self.draws, self.seeds, **kept
        )


def kind_of(kind: str) -> str:
    """Return what `probes.fit_probe` calls a probe of the tables.

    >>> kind_of("kNN"), kind_of("fully connected")
    ('knn', 'fully connected')
    """
    return kind.replace("NN", "nn").replace("SVM", "svm")
