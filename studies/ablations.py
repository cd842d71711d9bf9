"""Change one thing at a time, pretrain, and judge the space: what helps, and what does not.

    python studies/ablations.py --run runs/labels --name simulated
    python studies/ablations.py --run runs/labels --name simulated --list
    python studies/ablations.py --run runs/labels --name simulated --only temperature zoom --seeds 3

Nobody's test galaxies are touched. Of the labelled training and validation galaxies some are set
aside, the same for all variants: they are judged, and no network has seen them. Of the others up to
``--galaxies`` are learned from without labels, and up to 2000 lend labels to the probes: neighbours
by cosine with 1000 labels, and logistic regression with 100 and with 1000, in three draws each.
What is judged is h, and beside it the pooled features before it and the projection z behind it.

A row is kept as soon as it is known, in ``ablations/`` of the run. Called again, the command goes
on where it stopped. Each time a row is done the study in ``book/studies/`` is written anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path

import derived
import numpy as np
from astropy.table import Table
from judging import Plan, columns, control, judge, roles, spaces, train
from variants import NEUTRAL, Variant, variants

from galclr_utils.dataset import GalaxySet, data_key
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.normalize import Normalize
from galclr_utils.parameters import defaults, read_profile
from galclr_utils.provenance import project_root, run_path, run_record, whole_file
from galclr_utils.recipe import Settings
from galclr_utils.studies import write_study

SAID = {*Settings.__dataclass_fields__, *NEUTRAL, "probability", "normalize", "binning", "crop_px"}
SAID |= {"image_size_px", "orientations"}
PROFILES = {"simulated": "small"}  # the base of a study; by default the profile of its name


def configuration(variant: Variant, base: dict, plan: Plan, galaxies: GalaxySet, seed: int):
    """Return all that a variant is trained with: settings and views, checked, and the galaxies.

    Lengths in pixels follow the size of a pixel, so that a shift stays the same angle.

    Returns:
        settings of the pretraining, the views, and how many galaxies are learned from.
    """
    n_train = round(plan.n_train * variant.n_factor)
    epochs = max(1, round(plan.epochs * variant.epochs_factor))
    names = [name for name in Settings.__dataclass_fields__ if name in base]
    own = {name: base[name] for name in names} | variant.settings
    settings = Settings(**(own | {"epochs": epochs, "seed": seed, "max_minutes": 0}))
    strengths = {name: base[name] for name in NEUTRAL}
    strengths |= {"p": base["probability"]} | variant.strengths
    if variant.stamps.startswith("cut"):
        before = base["binning"]
        finer = before / int(variant.stamps.split()[2])
        strengths |= {name: strengths[name] * finer for name in ("recentre_px", "seeing_px")}
    kind = {"base minmax": "minmax", "normalised": "identity"}.get(variant.stamps)
    views = GalaxyViews.for_set(galaxies, kind or base["normalize"], **strengths)
    if variant.softening != 1:
        scale = views.normalize.settings
        views.normalize = Normalize(
            **(scale | {"softening": scale["softening"] * variant.softening})
        )
    if variant.no_rotation:
        views.steps["orientation"].p = 0.0
    return settings, views, n_train


def key_of(variant: Variant, settings, views, n_train: int, plan: Plan, data: str) -> str:
    """Return a hash of what a row depends on: equal keys are the same training and judging."""
    own = [settings.__dict__, views.settings, n_train, variant.stamps, variant.no_rotation]
    own += [variant.orientations, variant.control, plan.__dict__, data]
    text = json.dumps(own, sort_keys=True, default=str)
    return f"key-{hashlib.sha256(text.encode()).hexdigest()[:16]}"  # a CSV must not read a number


class Bench:
    """Hold the data set of a run in its forms, and make rows: one variant, one seed, one row."""

    def __init__(self, run: Path, base: dict, plan: Plan):
        self.run, self.plan, self.galaxies = run, plan, GalaxySet.load(run / "dataset")
        card = self.galaxies.card
        self.base = base | {"binning": card.get("crop_px", 1) // card.get("image_size_px", 1) or 1}
        self.data = data_key(self.galaxies)
        self.kind, self.stamps = "", None
        self.trained = {}  # the last network, for what only judges it differently
        self.parts = roles(derived.make("base", run), plan)

    def set_of(self, kind: str) -> GalaxySet:
        """Return the stamps of a kind; the last are kept in memory."""
        if kind != self.kind:
            made = derived.make(kind, self.run)
            self.kind = kind
            self.stamps = GalaxySet(np.asarray(made.images), made.catalog, made.card)
        return self.stamps

    def prepared(self, variant: Variant, seed: int):
        """Return the stamps, settings, views and key of a row."""
        galaxies = self.set_of(variant.stamps)
        made = configuration(variant, self.base, self.plan, galaxies, seed)
        return galaxies, made, key_of(variant, *made, self.plan, self.data)

    def measure(self, variant: Variant, seed: int) -> dict:
        """Pretrain and judge one variant; return the numbers of its row."""
        galaxies, (settings, views, n_train), _ = self.prepared(variant, seed)
        parts, began = self.parts, time.perf_counter()
        own = np.concatenate([parts.pool, parts.asked])
        learn = parts.learn[:n_train]
        if variant.control:
            found, seconds = control(variant.control, galaxies, parts, views, settings), 0.0
        else:
            key = (settings, str(views.settings), variant.stamps, variant.no_rotation, n_train)
            if key not in self.trained:
                network = train(galaxies, learn, views, settings)
                self.trained = {key: (network, time.perf_counter() - began)}
            network, seconds = self.trained[key]
            found = spaces(network, galaxies.images[own], variant.orientations)
        row = dict.fromkeys(columns(self.plan), math.nan)
        for space, x in found.items():
            scores = judge(x, len(parts.pool), galaxies.labels[own], self.plan)
            row |= {f"{name}{space}": value for name, value in scores.items()}
        row |= {"n_train": 0 if variant.control else len(learn), "seconds": round(seconds, 1)}
        return row | {"epochs": 0 if variant.control else settings.epochs}


class Journal:
    """Keep finished rows in one CSV; read it again when the command is called again."""

    def __init__(self, file: Path):
        self.file, self.rows = file, {}
        for row in Table.read(file, format="ascii.csv") if file.exists() else ():
            self._put({name: _plain(row[name]) for name in row.colnames})

    def _put(self, row: dict) -> None:
        row = row | {"variant": str(row["variant"])}
        self.rows[row["group"], row["variant"], row["seed"]] = row

    @property
    def table(self) -> Table:
        """Return all rows, in the order in which they were first made."""
        return Table(rows=list(self.rows.values()))

    def has(self, variant: Variant, seed: int, key: str) -> bool:
        """Tell whether this row is there, made from the same."""
        return self.rows.get((variant.group, variant.name, seed), {}).get("key") == key

    def same(self, key: str) -> dict | None:
        """Return the numbers of a row with this key, whatever its name: it is the same training."""
        return next((row for row in self.rows.values() if row["key"] == key), None)

    def add(self, row: dict) -> None:
        """Keep a row; one of the same name and seed, made from something else, goes."""
        self._put(row)
        with whole_file(self.file) as part:
            self.table.write(part, format="ascii.csv", overwrite=True)


def _plain(value):
    return math.nan if np.ma.is_masked(value) else value.item() if hasattr(value, "item") else value


def publish(journal: Journal, folder: Path, bench: Bench, name: str) -> None:
    """Write the study as it stands: the table of rows, and how they came about.

    Where the galaxies lie, and how long a row took beside what else the machine did, is left out.
    """
    card, parts = bench.galaxies.card, bench.parts
    said = {name: value for name, value in bench.base.items() if name in SAID}
    record = {"name": name, "simulated": bool(card.get("simulated")), "source": card["source"]}
    record |= {"plan": bench.plan.__dict__, "base": said, "n_asked": len(parts.asked)}
    record |= {"n_pool": len(parts.pool), "n_learn": len(parts.learn)}
    record["score"] = "balanced accuracy"
    record["judged_on"] = "labelled galaxies outside the test split"
    table = journal.table
    table.remove_columns(["key", "seconds"])
    write_study(folder, {"rows": table}, record | {"provenance": run_record(0)})


def todo(bench: Bench, only: list[str], seeds: int) -> list[tuple[Variant, int]]:
    """Return what is asked for, in order: all variants with one seed before any with two."""
    listed = variants(bench.base, bench.galaxies.card)
    if unknown := set(only) - {v.group for v in listed}:
        known = ", ".join(dict.fromkeys(v.group for v in listed))
        raise ValueError(f"--only: got {', '.join(sorted(unknown))}, expected some of {known}")
    chosen = [v for v in listed if not only or v.group in only]
    chosen = [v for v in chosen if v.n_factor * bench.plan.n_train <= len(bench.parts.learn)]
    pairs = [(v, s) for v in chosen for s in range(seeds)]
    if any(v.group == "base" for v in chosen):
        pairs += [(chosen[0], s) for s in range(seeds, bench.plan.base_seeds)]

    def rank(pair):
        variant, seed = pair
        if seed == 0 and variant.group in ("base", "orientations", "control"):
            return 0
        return 1 if variant.group == "base" else 2 + seed  # without repeats nothing can be read

    return sorted(pairs, key=rank)


def base_values(name: str, profile: str) -> dict:
    """Return the parameters of the base: the chapter's, with those of the profile."""
    root = project_root()
    _, changed = read_profile(root, profile or PROFILES.get(name, name))
    return defaults("03_pretrain") | changed


def main(arguments: list[str] | None = None, plan: Plan | None = None) -> int:
    """Make the rows that are missing, until the minutes are over.

    Args:
        arguments: of the command line. plan: what is done where they do not say otherwise.
    """
    plan = plan or Plan()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", required=True, help="folder of a run, with dataset/")
    parser.add_argument("--name", default="simulated", help="of the study: simulated, pictures")
    parser.add_argument("--profile", default="", help="of the base (default: that of the name)")
    parser.add_argument("--galaxies", type=int, default=plan.n_train, help="learned from")
    parser.add_argument("--epochs", type=int, default=plan.epochs, help="of the base")
    parser.add_argument("--judged", type=int, default=plan.n_asked, help="galaxies set aside")
    parser.add_argument("--seeds", type=int, default=1, help="pretraining seeds of each variant")
    parser.add_argument("--only", nargs="+", default=[], metavar="GROUP", help="some groups")
    parser.add_argument("--minutes", type=float, default=0, help="stop after; 0 for never")
    parser.add_argument("--out", help="folder of the study (default book/studies/ablations-NAME)")
    parser.add_argument("--list", action="store_true", help="say what would be done")
    options = parser.parse_args(arguments)

    began, run = time.perf_counter(), run_path(options.run)
    asked = {"n_train": options.galaxies, "epochs": options.epochs, "n_asked": options.judged}
    plan = replace(plan, **asked)
    bench = Bench(run, base_values(options.name, options.profile), plan)
    pairs = todo(bench, options.only, options.seeds)
    if options.list:
        for variant, seed in pairs:
            print(f"{variant.group:14} {variant.name:18} seed {seed}  {variant.changed}")
        return 0
    journal = Journal(run / "ablations" / f"{options.name}.csv")
    folder = Path(options.out or project_root() / "book" / "studies" / f"ablations-{options.name}")
    for k, (variant, seed) in enumerate(pairs, 1):
        if options.minutes and time.perf_counter() - began > 60 * options.minutes:
            print("the minutes are over; call again to go on", flush=True)
            break
        try:
            _, _, key = bench.prepared(variant, seed)
        except ValueError as error:
            print(
                f"{k}/{len(pairs)}  {variant.group} {variant.name}: left out, {error}", flush=True
            )
            continue
        if journal.has(variant, seed, key):
            continue
        numbers = journal.same(key) or bench.measure(variant, seed)
        named = {"group": variant.group, "variant": variant.name, "changed": variant.changed}
        row = numbers | named | {"seed": seed, "key": key}
        first = ["group", "variant", "changed", "seed", "n_train", "epochs", "seconds"]
        journal.add({name: row[name] for name in (*first, *columns(plan), "key")})
        publish(journal, folder, bench, options.name)
        said = ", ".join(
            f"{row[name]:.3f}" for name in ("knn", *(f"logistic_{n}" for n in plan.labels))
        )
        clock = time.strftime("%H:%M:%S")
        line = f"{variant.group} {variant.name}, seed {seed}: {said} in {row['seconds']:.0f} s"
        print(f"{clock}  {k}/{len(pairs)}  {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
