"""Let SIMULATED volunteers vote on SIMULATED galaxies, as people voted in Galaxy Zoo 1."""

# n galaxies

from __future__ import annotations

import numpy as np
from scipy import special

from galclr_utils.skyserver import VOTES


def simulate_votes(galaxies: dict, rng) -> dict[str, np.ndarray]:
    """Let SIMULATED volunteers vote as in Galaxy Zoo 1, on galaxies of `population.sample`.

    A volunteer calls a galaxy late if a noisy T-type is above 0, the noisier the smaller the
    galaxy, as in `population.human_labels`; part of the error all volunteers share. Raw votes lean
    to early where the galaxy is small, and debiased ones do not. One vote in twenty-five says star,
    artefact or merger. (Our choices.)

    Args:
        galaxies: from `population.sample`. rng: source of randomness.
    Returns:
        The columns of `skyserver.VOTES`, float (n,); those of Galaxy Zoo 2 are NaN.
    """
    n, t_type = len(galaxies["z"]), galaxies["t_type"]
    scatter = 2.0 * np.hypot(0.7, 1.3 / galaxies["r50"])
    own = rng.normal(0, 1, n)  # what all volunteers see alike in this galaxy
    asked = rng.integers(20, 60, n)
    other = rng.binomial(asked, 0.04) / asked
    p_late = special.ndtr((t_type + own) / scatter)
    biased = special.ndtr((t_type + own - 1.2 / galaxies["r50"]) / scatter)
    late = rng.binomial(asked, biased) / asked
    turns = rng.dirichlet((1, 1, 2), n)  # the arms wind this way, that way, or cannot be seen
    votes = {name: np.full(n, np.nan) for names in VOTES.values() for name in names}
    votes |= {"nvote": asked.astype(float), "p_dk": other / 2, "p_mg": other / 2}
    votes |= {"p_el": (1 - other) * (1 - late), "p_cs": (1 - other) * late}
    for k, name in enumerate(("p_cw", "p_acw", "p_edge")):
        votes[name] = votes["p_cs"] * turns[:, k]
    debiased = np.clip(late + p_late - biased, 0, 1)
    votes |= {"p_el_debiased": (1 - other) * (1 - debiased)}
    votes |= {"p_cs_debiased": (1 - other) * debiased}
    votes["elliptical"] = (votes["p_el_debiased"] >= 0.8).astype(float)
    votes["spiral"] = (votes["p_cs_debiased"] >= 0.8).astype(float)
    votes["uncertain"] = 1 - votes["elliptical"] - votes["spiral"]
    return votes
