"""Write what the pages include from a run, so that no number in the prose is typed by hand.

A page says ``{include} _generated/NAME.md``. What a run lacks is not written, and the page that
includes it then fails the build.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import card_page
from astropy.table import Table
from chapters import Chapter, Run
from freshness import read_state
from nbformat import NotebookNode
from stored import tell
from words import BADGE, VERDICTS, listed, minutes, rival, signed, table, unbroken, verdict

from galclr_utils import comparison, reports, score_table, timings
from galclr_utils.provenance import read_json


def write_all(run: Run, chapters: list[Chapter], profile: str, folder: Path) -> None:
    """Write every include that the run has the numbers for."""
    folder.mkdir(parents=True, exist_ok=True)
    figures(run, folder)
    texts = {
        "parameters": parameters(chapters),
        "times": times(run, chapters),
        "time_line": time_line(run, chapters),
        "provenance": provenance(run, profile),
        "data_card": data_card(run, folder),
        "results": results(run),
        "headline": headline(run),
        "gpu": gpu(run),
        "bigset": bigset(run),
        "slurm": listing(run.root / "notebooks" / "profiles" / "pretrain.slurm"),
    }
    texts |= {f"time_{c.name}": chapter_time(run, c) for c in chapters}
    texts |= stored_studies(run)
    for name, text in texts.items():
        if text:
            (folder / f"{name}.md").write_text(text + "\n")


def figures(run: Run, folder: Path) -> None:
    """Copy each figure, and write its directive with the caption and alt text made from its data.

    The directive has no label: the label belongs to the figure in its chapter.
    """
    for path in sorted((run.folder / "figures").glob("*.png")):
        texts = read_json(path.with_suffix(".json"))
        shutil.copy(path, folder / path.name)
        fence = (
            f"```{{figure}} _generated/{path.name}\n:alt: {texts['alt']}\n\n{texts['caption']}\n"
        )
        (folder / f"{path.stem}.md").write_text(fence + "```\n")


def number_figures(notebook: NotebookNode) -> NotebookNode:
    """Make every figure output a numbered figure with caption, label and alt text.

    ``plates.Plate`` leaves the three texts in the output's metadata; myst-nb reads them in the
    cell's metadata only, and applies them to each output of the cell that is displayed.

    Raises:
        ValueError: a cell shows something else beside its figure.
    """
    for cell in notebook.cells:
        shown = [o for o in cell.get("outputs", []) if o.output_type != "stream"]
        texts = [o.metadata["galclr"] for o in shown if "galclr" in o.get("metadata", {})]
        if texts and len(shown) > 1:
            names = ", ".join(t["name"] for t in texts)
            raise ValueError(
                f"{names}: its cell displays {len(shown)} things, expected the figure alone: "
                "a caption can belong to one output only"
            )
        for text in texts:
            figure = {"name": text["name"], "caption": text["caption"]}
            cell.metadata["mystnb"] = {"figure": figure, "image": {"alt": text["alt"]}}
    return notebook


def parameters(chapters: list[Chapter]) -> str:
    """Return one table of the parameters of each notebook."""
    parts = []
    for chapter in chapters:
        rows = [
            [f"`{name}`", p["inferred_type_name"], f"`{p['default']}`", p["help"]]
            for name, p in chapter.parameters.items()
        ]
        parts.append(
            f"**`{chapter.name}`**\n\n" + table(["name", "type", "default", "meaning"], rows)
        )
    return "\n\n".join(parts)


def times(run: Run, chapters: list[Chapter]) -> str:
    """Return the wall time of each chapter, as executed for this book, and where that was."""
    done = read_state(run)["chapters"]
    seconds = {c.name: done[c.name]["seconds"] for c in chapters if c.name in done}
    if not seconds:
        return ""
    titles = {c.name: title(c) for c in chapters}
    rows = [
        [f"{titles[name]} (`{name}`)", minutes(s), device(run, name)] for name, s in seconds.items()
    ]
    rows.append(["together", minutes(sum(seconds.values())), ""])
    return table(["chapter", "wall time", "on"], rows)


def title(chapter: Chapter) -> str:
    """Return the heading of a chapter: the first that its text has."""
    lines = chapter.notebook.cells[0].source.splitlines()
    return next((line[2:] for line in lines if line.startswith("# ")), chapter.name)


def time_line(run: Run, chapters: list[Chapter]) -> str:
    """Return one line: how long this copy took to compute, and the longest chapter of it."""
    done = read_state(run)["chapters"]
    seconds = {c.name: done[c.name]["seconds"] for c in chapters if c.name in done}
    if not seconds:
        return ""
    longest = max(seconds, key=seconds.get)
    (slowest,) = [title(c) for c in chapters if c.name == longest]
    return (
        f"This copy was computed in {minutes(sum(seconds.values()))} on {device(run, longest)}, "
        f"{minutes(seconds[longest])} of them in *{slowest}*: {{ref}}`all times <sec-times>`."
    )


def chapter_time(run: Run, chapter: Chapter) -> str:
    """Return the line on time in a chapter's box: how long it took in this build, and on what."""
    done = read_state(run)["chapters"].get(chapter.name)
    if done is None:
        return ""
    place = device(run, chapter.name)
    return f"**Time**, in this build: {minutes(done['seconds'])}" + (
        f" ({place})." if place else "."
    )


def record(run: Run, chapter: str) -> dict:
    """Return what a chapter left in ``metrics/``, or nothing."""
    path = run.folder / "metrics" / f"{chapter}.json"
    return read_json(path) if path.exists() else {}


def device(run: Run, chapter: str) -> str:
    """Say what a chapter ran on: the GPU's name, or the CPU and its threads."""
    facts = record(run, chapter).get("provenance", {})
    if facts.get("device") == "CPU":
        return f"CPU, {facts['threads']} threads"
    return facts.get("device", "")


def provenance(run: Run, profile: str) -> str:
    """Return how this book came about: profile, parameters, seed, versions, and each run."""
    done = read_state(run)["chapters"]
    records = {name: record(run, name).get("provenance", {}) for name in done}
    last = next((r for r in reversed(records.values()) if r), None)
    if last is None:
        return ""
    changed = ", ".join(f"`{k}: {v}`" for k, v in run.values.items() if k != "run_dir")
    facts = [
        ["profile", f"`{profile}`"],
        ["parameters changed from the notebooks' defaults", changed or "none"],
        ["galaxies", source(run)],
        ["seed", last["seed"]],
        ["device", device(run, [n for n, r in records.items() if r][-1])],
        ["Python", f"{last['python']}, {last['platform']}"],
        ["versions", ", ".join(f"{name} {v}" for name, v in last["versions"].items())],
    ]
    rows = [
        [
            f"`{name}`",
            done[name]["time"][:16].replace("T", " "),
            minutes(done[name]["seconds"]),
            records[name].get("commit", ""),
        ]
        for name in sorted(done)
    ]
    return (
        table(["", "this build"], facts)
        + "\n\n"
        + table(["chapter", "executed (UTC)", "wall time", "commit (+: changed since)"], rows)
    )


def card(run: Run) -> dict:
    path = run.folder / "dataset" / "card.json"
    return read_json(path) if path.exists() else {}


def source(run: Run) -> str:
    """Say which galaxies a run is about; simulated ones carry the badge."""
    facts = card(run)
    return BADGE if facts.get("simulated") else str(facts.get("source", ""))


def data_card(run: Run, folder: Path) -> str:
    """Return the data card of a run; its figures are drawn into the folder."""
    path = run.folder / "dataset" / "catalog.fits"
    return card_page.write(Table.read(path), card(run), folder) if path.exists() else ""


def results(run: Run) -> str:
    """Return the table of all methods, balanced accuracy first, and the paired comparisons."""
    if not (run.folder / "probes").exists():
        return ""
    scores, pairs = score_table.load_scores(run.folder), comparisons(run)
    found = comparison.summary(scores)
    parts = [
        f"{judges(run, scores)}; in brackets 95% intervals, a star marks a single run. "
        f"{pretrainings(pairs)}".strip()
    ]
    for score in ("balanced_accuracy", "accuracy"):
        grid = comparison.grid(found, score)
        title = score.replace("_", " ").capitalize()
        parts += [f"**{title}**, the line at one half", table(grid.colnames, grid.iterrows())]
    if pairs:
        rows = [[p["n_labels"], f"{verdict(p)} {p['b']}", signed(p), p["n_runs"]] for p in pairs]
        header = ["labels", pairs[0]["a"], "difference", "paired draws"]
        parts += ["**Paired differences** of balanced accuracy, the same line", table(header, rows)]
    return "\n\n".join(parts)


def headline(run: Run) -> str:
    """Return the result in a few sentences: the book's own method against each of the others.

    Two budgets are told, the smallest: few labels are what the study is about.
    """
    if not (pairs := comparisons(run)):
        return ""
    scores, hero = score_table.load_scores(run.folder), pairs[0]["a"]
    grid = comparison.grid(comparison.summary(scores))
    own = grid[grid["method"] == hero][0]
    told = [f"On {judges(run, scores)}, **{hero}** reaches these balanced accuracies:"]
    for n in sorted({p["n_labels"] for p in pairs})[:2]:
        found = {what: [] for what in VERDICTS}
        for pair in pairs:
            if (pair["n_labels"], pair["a"]) == (n, hero):
                found[verdict(pair)].append(f"{rival(pair)} ({signed(pair)})")
        verdicts = "; it ".join(f"{what} {listed(b)}" for what, b in found.items() if b)
        told.append(f"- with {n} labels **{own[f'{n} labels'].rstrip('*')}**: it {verdicts}.")
    told.append(
        "In parentheses are paired differences on the same galaxies and labels, in brackets 95% "
        "intervals. A pair is compared on the label draws that both have, which are few where one "
        "is slow, so a difference need not be that of two points of the figure. "
        f"{pretrainings(pairs)}"
    )
    return unbroken("\n\n".join(told))


def gpu(run: Run) -> str:
    """Return what was measured on a GPU, and where and when; or that nothing was."""
    folder = run.root / run.values.get("results_dir", "benchmarks/results")
    if (measured := timings.load(folder, "gpu")) is None:
        return "The poster's configuration has not yet been run on a GPU."
    lines = reports.gpu_lines(measured)
    return table(["on a GPU", ""], [list(line) for line in lines]) + f"\n\n{measured.origin}"


def bigset(run: Run) -> str:
    """Return how large sets were built, and whether they are one; or how that is measured."""
    folder = run.root / run.values.get("results_dir", "benchmarks/results")
    if (measured := timings.load(folder, "bigset")) is None:
        return timings.absent("bigset")
    header, *rows = reports.bigset_lines(measured)
    rows = [[BADGE if cell == "SIMULATED" else cell for cell in row] for row in rows]
    facts = measured.facts
    same = "the same bytes" if facts["same_bytes"] else "**not the same bytes**"
    begins = "begins" if facts["begins_alike"] else "does **not** begin"
    told = f"Sets of the same galaxies, by whomever they were made, are {same}; the longer survey "
    told += f"{begins} with the shorter. Noise is made quickly, so that its rows tell of writing; "
    told += f"galaxies are {BADGE}, and most of their time is theirs. {measured.origin}"
    return f"{table(header, rows)}\n\n{told}"


def stored_studies(run: Run) -> dict[str, str]:
    """Return what is told of the stored studies: ``real_table``, ..., ``whole_sentence``."""
    folder, texts = run.values.get("studies_dir", "book/studies"), {}
    for name, parameter, default in (
        ("real", "real_study", "labels_real"),
        ("whole", "label_study", "labels"),
    ):
        told = tell(folder, run.values.get(parameter, default))
        texts |= {f"{name}_{part}": text for part, text in told.items()}
    return texts


def listing(path: Path, language: str = "bash") -> str:
    """Return a file as a block of code: pages are staged without what lies beside them."""
    return f"```{language}\n{path.read_text()}```" if path.exists() else ""


def judges(run: Run, scores: score_table.Scores) -> str:
    """Say on how many galaxies of which kind the methods were judged."""
    n, facts = len(scores.label), card(run)
    if facts.get("simulated"):
        return f"{n} {BADGE} test galaxies"
    return f"{n} test galaxies (source: {facts.get('source', 'not known')})"


def pretrainings(pairs: list[dict]) -> str:
    """Say how many pretrainings the intervals cover.

    >>> pretrainings([{"n_seeds": 3}])
    '3 networks were pretrained, of 3 seeds; the intervals cover how they differ.'
    """
    if not pairs:
        return ""
    if (n := pairs[0]["n_seeds"]) > 1:
        return f"{n} networks were pretrained, of {n} seeds; the intervals cover how they differ."
    return (
        "One network was pretrained, with one seed, so the intervals leave out what another "
        "pretraining would change."
    )


def comparisons(run: Run) -> list[dict]:
    """Return the paired comparisons that the chapter on probes made, the book's own method as a."""
    return record(run, "05_probes").get("metrics", {}).get("comparisons", [])
