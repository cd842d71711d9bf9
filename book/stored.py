"""Tell what a stored study of label efficiency found: the table of a page, and a sentence of it."""

from __future__ import annotations

from pathlib import Path

from astropy.table import Table
from words import BADGE, listed, signed, table, verdict

from galclr_utils import comparison, saving
from galclr_utils.curves import TAUGHT
from galclr_utils.studies import read_study, study_path

NONE = "No such study is stored."
TOLD = (100, 1000)  # budgets of the page, and the largest
CHEAP = ("random weights + logistic", "PCA-64 + SVM", "morphology + SVM", "catalogue + SVM")


def tell(folder: str | Path, name: str) -> dict[str, str]:
    """Return ``table`` and ``sentence`` of a stored study; that there is none, if there is none.

    Args:
        folder: where studies lie; a relative one starts at the project's root.
        name: of the study, with the tables that 06_labels writes.
    """
    if (path := study_path(folder, name)) is None:
        return {"table": NONE, "sentence": NONE}
    tables, about = read_study(path)
    return {"table": scored(tables, about), "sentence": sentence(tables, about)}


def scored(tables: dict[str, Table], about: dict) -> str:
    """Return what it rests on, the main methods at three budgets, and the label savings."""
    found, hero = tables["summary"], about["hero"]
    own = hero.split()[0]
    budgets = {min(found["n_labels"], key=lambda n, b=b: abs(n - b)) for b in TOLD}
    budgets |= {max(found["n_labels"])}
    names = dict.fromkeys(found["method"])
    learned = [m for m in names if m.split()[0] == own]
    other = [m for m in names if m.split()[0] in ("SimCLR", "MoCo") and m not in learned]
    order = [TAUGHT, *sorted(learned, key=lambda m: m != hero), *other, *CHEAP]
    rows = found[[r["method"] in order and r["n_labels"] in budgets for r in found]]
    grid = comparison.grid(rows)
    lines = {line[0]: line for line in grid.iterrows()}
    text = [f"{origin(tables, about)} Balanced accuracy at even odds, with 95% intervals."]
    text.append(table(grid.colnames, [list(lines[m]) for m in order if m in lines]))
    if "headline" in tables:
        share = f"{tables['headline']['share'][0]:.0%}"
        saved = [[row["method"], saving.told(row)] for row in tables["headline"]]
        text.append(
            table(["method", f"label saving at {share} of the best of the {TAUGHT}"], saved)
        )
    return "\n\n".join(text)


def origin(tables: dict[str, Table], about: dict) -> str:
    """Say on which galaxies, with how many pretrainings and in how many runs."""
    badge = f"{BADGE} " if about["card"].get("simulated") else ""
    n, seeds = len(tables["runs"]), len(about["seeds"])
    when = about["provenance"]["time"][:10]
    return f"{about['n_test']:,} {badge}test galaxies, {seeds} pretrainings, {n:,} runs ({when})."


def sentence(tables: dict[str, Table], about: dict) -> str:
    """Compare the study's main method with the network that labels teach, in a sentence or two."""
    hero, told = about["hero"], []
    for row in tables.get("differences", ()):
        if (row["a"], row["b"]) == (hero, TAUGHT) and row["n_labels"] in TOLD:
            words = f"{verdict(row)} the {TAUGHT} ({signed(row)})"
            told.append(f"with {row['n_labels']} labels it {words}")
    if not told:
        return NONE
    text = f"**{hero}**, judged by balanced accuracy: {listed(told)}."
    for row in tables.get("headline", ()):
        if row["method"] == hero:
            text += f" Its label saving, at {row['share']:.0%} of what the {TAUGHT} reaches at "
            text += f"best, is **{saving.told(row)}**."
    return f"{text} {origin(tables, about)}"
