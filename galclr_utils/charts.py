"""Draw a training: each returns a Plate whose caption and alt text come from its data.

B galaxies in a batch, K projections in MoCo's memory bank, G galaxies shown, S strangers: the
candidates that are not the partner.
"""

from __future__ import annotations

import math

import numpy as np
from astropy.table import Table

from galclr_utils.plates import COLORS, Plate, canvas, source_tag
from galclr_utils.pretrain import COLLAPSED

PANELS = {  # columns of history.csv, as they are drawn
    "loss": "NT-Xent loss",
    "knn_accuracy": "kNN accuracy",
    "feature_spread": "feature spread",
    "alignment": "alignment of z",
    "uniformity": "uniformity of z",
    "learning_rate": "learning rate",
}
COLD_TO_WARM = ("#009E73", "0.25", "#CC79A7")  # not the colours of the galaxy types


def loss_anchors(batch_size: int, temperature: float, bank: int = 0) -> dict[str, float]:
    """Return two losses of NT-Xent that can be computed without a network.

    Args:
        batch_size: B; in SimCLR a view has 2B - 1 candidates, of which 2B - 2 are strangers.
        temperature: of NT-Xent.
        bank: K; in MoCo the strangers are these. 0: SimCLR.
    Returns:
        ``guessing``, all candidates alike; and ``right angles``, where the two views of a galaxy
        coincide and every stranger is at a right angle. The second is no bound: strangers can be
        farther away than that.

    >>> {name: round(loss, 3) for name, loss in loss_anchors(2, temperature=0.5).items()}
    {'guessing': 1.099, 'right angles': 0.24}
    """
    strangers = bank or 2 * batch_size - 2
    right_angles = math.log1p(strangers * math.exp(-1 / temperature))
    return {"guessing": math.log(strangers + 1), "right angles": right_angles}


def history(
    rows: Table,
    card: dict,
    batch_size: int,
    temperature: float,
    commoner: float = math.nan,
    bank: int = 0,
    space: str = "h",
) -> Plate:
    """Draw a pretraining as it went, one panel for each number that was watched.

    Args:
        rows: ``history.csv``. What was not measured is NaN, and is said to be so.
        batch_size, temperature, bank: for the lines that anchor the loss (see `loss_anchors`).
        space: whose spread and votes these are.
        commoner: share of the commoner type among the galaxies that are judged by kNN.
    """
    anchors = {name: {} for name in PANELS}
    anchors["loss"] = loss_anchors(batch_size, temperature, bank)
    anchors["feature_spread"] = {"collapse": COLLAPSED}
    anchors["uniformity"] = {"one point": 0.0}
    if math.isfinite(commoner):
        anchors["knn_accuracy"] = {"commoner type": commoner}
    panels = PANELS | {"feature_spread": f"feature spread of {space}"}
    with canvas(2, 3, width=8.5, height=4.6, sharex=True) as (figure, axes):
        for axis, (name, title) in zip(axes.flat, panels.items(), strict=True):
            _curve(axis, rows["epoch"], rows[name], anchors[name])
            axis.set_title(title)
        for axis in axes[1]:
            axis.set_xlabel("epoch")
        axes[1, 0].set_ylim(bottom=0)
        axes[1, 2].ticklabel_format(axis="y", scilimits=(0, 0))
    told = {name: _first_to_last(rows[name]) for name in PANELS}
    return Plate(
        figure,
        "fig-history",
        f"The pretraining, epoch by epoch. The loss goes from {told['loss']}; guessing costs "
        f"{anchors['loss']['guessing']:.2f}, partners that coincide with all strangers at right "
        f"angles {anchors['loss']['right angles']:.2f}. {_validation(rows)} {source_tag(card)}",
        "Six curves against epoch. "
        + "; ".join(f"{title}: {told[name]}" for name, title in panels.items())
        + ".",
    )


def _curve(axis, epoch, values, anchors: dict[str, float]) -> None:
    """Draw one column of the history with its named lines, or say that there is nothing to draw."""
    values = np.asarray(values, float)
    if not np.isfinite(values).any():
        axis.text(0.5, 0.5, "not measured", ha="center", transform=axis.transAxes, color="0.4")
        axis.set(yticks=[])
        return
    axis.plot(epoch, values, "o-", color=COLORS["late"], ms=4)
    for name, level in anchors.items():
        axis.axhline(level, color="0.5", lw=1, ls="--")
        place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
        axis.annotate(name, (1, level), fontsize=8, color="0.35", **place)
    axis.margins(y=0.12)


def _first_to_last(values) -> str:
    """Return ``"3.74 to 2.40"``, or that there is nothing to tell."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return f"{known[0]:.3g} to {known[-1]:.3g}" if len(known) else "not measured"


def _validation(rows: Table) -> str:
    """Return what a caption may say of the validation galaxies, which need not exist."""
    votes, spread = rows["knn_accuracy"][-1], rows["feature_spread"][-1]
    if not np.isfinite(spread):
        return "There are no validation galaxies, so only the loss and its rate are known."
    told = f"On validation galaxies the kNN accuracy ends at {votes:.3f}"
    if not np.isfinite(votes):
        told = "Without labels of both types there is no kNN accuracy"
    if spread < COLLAPSED:
        return f"{told}. The representation has collapsed: its spread ends at {spread:.3f}."
    return f"{told}, and the spread at {spread:.2f}, where {COLLAPSED:g} is a collapse."


def half_life(momentum: float) -> float:
    """Return after how many steps a slow copy has replaced half of itself; infinite: never.

    Of a copy that keeps the share m of itself in a step, m^s is older than s steps (He et al. 2020,
    eq. 2).

    >>> round(half_life(0.99)), half_life(0), half_life(1)
    (69, 0.0, inf)
    """
    if momentum in (0, 1):
        return math.inf if momentum else 0.0
    return math.log(0.5) / math.log(momentum)


def memory(momentum: float, bank: int, batch_size: int, rows: Table, card: dict) -> Plate:
    """Draw how old MoCo's two memories are, and how far the copy lags behind the network.

    The copy remembers earlier networks (`half_life`), the bank earlier projections, of which it
    forgets the B oldest in a step.

    Args:
        momentum: share of itself that the copy keeps in a step.
        bank: K.
        batch_size: B.
        rows: ``history.csv``; without a known ``key_cosine`` there is no copy to measure, and
            one panel.
    """
    steps, half = bank / batch_size, half_life(momentum)
    ago = np.linspace(0, 3 * max([s for s in (steps, half, 1) if math.isfinite(s)]), 400)
    cosine = np.asarray(rows["key_cosine"] if "key_cosine" in rows.colnames else [], float)
    known = np.isfinite(cosine)
    shape = (1, 2) if known.any() else (1, 1)
    with canvas(*shape, width=3.75 * shape[1], height=3.2, squeeze=False) as (figure, axes):
        ages = axes[0, 0]
        ages.plot(ago, float(momentum) ** ago, "-", color="#0072B2", label="copy")
        left = np.clip(1 - ago / steps, 0, 1)
        ages.plot(ago, left, "--", color="#D55E00", label="memory bank")
        ages.set(xlabel="steps ago", ylabel="share that is older")
        ages.set(ylim=(0, 1.03), xlim=(0, ago[-1]))
        ages.legend()
        if known.any():
            lag = axes[0, 1]
            lag.plot(rows["epoch"][known], cosine[known], "o-", color="#0072B2", ms=4)
            lag.set(xlabel="epoch", ylabel="cosine of z: network, copy")
    told = f"Half of the bank is older than {steps / 2:.3g} steps, half of the copy older than "
    told += f"{half:.3g}." if math.isfinite(half) else "any number: it never changes."
    told += " " + _lag(rows["epoch"][known], cosine[known]) if known.any() else ""
    return Plate(
        figure,
        "fig-memory",
        f"What MoCo remembers with a momentum of {momentum:g}, a bank of {bank} and batches of "
        f"{batch_size}. {told} {source_tag(card)}",
        f"Two curves that fall with the steps ago. {told}",
    )


def _lag(epoch, cosine) -> str:
    """Say how far the copy was from the network."""
    low = int(np.argmin(cosine))
    return (
        "Right: the mean cosine of what the network and its copy make of the same validation "
        f"views, lowest at epoch {epoch[low]:.3g} ({cosine[low]:.3f}), {cosine[-1]:.3f} at the end."
    )


def push(cosines: np.ndarray, temperatures: tuple, card: dict) -> Plate:
    """Draw how NT-Xent shares its push among the strangers of one view.

    A stranger is pushed in proportion to its Boltzmann factor exp(cosine / temperature).

    Args:
        cosines: (S,) similarities of the strangers to the view.
        temperatures: three of them, from cold to warm.
    """
    cosines = np.sort(np.asarray(cosines, np.float64))[::-1]
    n, said = len(cosines), []
    nearest = min(5, n)
    with canvas(1, 2, width=7.5, height=3.2) as (figure, (each, together)):
        styles = zip(temperatures, COLD_TO_WARM, ("s-", "o-", "^-"), strict=True)
        for temperature, color, marker in styles:
            weight = np.exp((cosines - cosines[0]) / temperature)
            weight /= weight.sum()
            style = {"color": color, "ms": 3, "lw": 1, "label": f"{temperature:g}"}
            each.semilogy(cosines, weight, marker, **style)
            together.plot(np.arange(1, n + 1), weight.cumsum(), marker, **style)
            said.append(f"{weight[:nearest].sum():.0%} at {temperature:g}")
        each.axhline(1 / n, color="0.5", lw=1, ls="--")
        each.set(xlabel="cosine of the stranger", ylabel="its share of the push", ylim=(1e-6, 2))
        together.set(xscale="log", ylim=(0, 1.03))
        together.set(xlabel="strangers, nearest first", ylabel="their share together")
        together.legend(title="temperature", fontsize=8)
    return Plate(
        figure,
        "fig-push",
        f"How the push is shared among the {n} strangers of one view. Left: the share of each, on "
        "a logarithmic axis a straight line, the steeper the colder; dashed, equal shares. "
        f"Right: the shares of the nearest, added up. The nearest {nearest} take "
        f"{', '.join(said)}. {source_tag(card)}",
        f"Curves for three temperatures, the steeper the colder. Of the push, the nearest "
        f"{nearest} of {n} strangers take {', '.join(said)}.",
    )


def similarities(
    before: np.ndarray, after: np.ndarray, card: dict, split: str = "validation"
) -> Plate:
    """Draw who is similar to whom: view 1 of galaxies against view 2, before and after training.

    Args:
        before, after: (G, G) cosines; row k is view 1 of galaxy k, column k is its view 2.
        split: where the galaxies come from, for the caption.
    """
    n, said = len(before), []
    own = np.eye(n, dtype=bool)
    with canvas(1, 2, width=7.5, height=3.7) as (figure, axes):
        titles = ("before training", "after training")
        for axis, cosines, title in zip(axes, (before, after), titles, strict=True):
            cosines = np.asarray(cosines, np.float64)
            shown = axis.imshow(cosines, vmin=-1, vmax=1, cmap="RdBu_r")
            answers = cosines.argmax(axis=1)
            axis.plot(answers, np.arange(n), "o", ms=4.5, mfc="white", mec="black")
            axis.set(title=title, xlabel="view 2 of galaxy", ylabel="view 1 of galaxy")
            axis.set(xticks=range(0, n, 5), yticks=range(0, n, 5))
            right = int((answers == np.arange(n)).sum())
            said.append(
                f"{title} {right} of {n} answers are right; the mean cosine is "
                f"{cosines[own].mean():.2f} for partners, {cosines[~own].mean():.2f} for strangers"
            )
        figure.colorbar(shown, ax=axes, shrink=0.8, label="cosine similarity of z")
    return Plate(
        figure,
        "fig-similarities",
        f"A quiz for {n} {split} galaxies: view 1 (rows) against view 2 (columns). Partners are on "
        f"the diagonal, and a white dot marks the most similar candidate of each row. "
        f"{'. '.join(map(_sentence, said))}. {source_tag(card)}",
        f"Two square matrices of cosines. {'. '.join(map(_sentence, said))}.",
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
