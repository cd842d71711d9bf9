"""Write the data card of a run as a page: what the galaxies are, and how uneven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table
from words import BADGE, listed, short, table

from galclr_utils import cardplots, datacard
from galclr_utils.credits import credit
from galclr_utils.dataset import plain_table
from galclr_utils.plates import Plate
from galclr_utils.studies import public_card


def write(catalog: Table, card: dict, folder: Path) -> str:
    """Return the Markdown of a data card; its figures are written into the folder.

    Args:
        catalog, card: of the run's data set.
        folder: ``_generated``, where the pages' other includes lie.
    """
    catalog = plain_table(catalog)
    parts = [
        "## The galaxies of this build",
        opening(len(catalog), card),
        "### Source and cuts",
        described(card),
        cut_table(card),
        "### Labels, by split",
        balance_table(catalog),
        "### On the sky",
        shown(cardplots.footprint(catalog, card), folder)
        or "This catalogue has no positions, so there is no map.",
        "### Brightness, distance and type",
        shown(cardplots.distributions(catalog, card), folder)
        or "This catalogue has neither magnitudes nor redshifts nor T-types.",
        known_table(catalog),
        "### Quality",
        quality(catalog, card),
        "### Known biases",
        "\n".join(f"- {told}" for told in biases(catalog, card)),
        "### Terms, and words to copy",
        credits_told(card),
        "### The rest of the card",
        whole(card),
    ]
    return "\n\n".join(part for part in parts if part)


def opening(n: int, card: dict) -> str:
    """Say in a sentence what these n galaxies are; simulated ones carry the badge."""
    units = {"nanomaggy": "linear nanomaggies", "display": "display units"}.get(card["units"])
    if card.get("simulated"):
        facts = (card.get("facts") or [{}])[0]
        like = f" ({facts['survey']})" if "survey" in facts else ""
        return f"{BADGE} {n} galaxies, none of which exists{like}. Their pixels are in {units}."
    return f"{n} galaxies. Source: {card.get('source', 'not known')}. Their pixels are in {units}."


def described(card: dict) -> str:
    """Return a table of what the pixels are and how the set was divided."""
    scale = card.get("arcsec_per_pixel")
    rows = {
        "bands": ", ".join(card.get("bands", [])),
        "pixel": f"{scale:.4g}″" if scale else "unknown: the source does not say",
        "stamp": _stamp(card),
        "sky noise in each band": ", ".join(short(float(x)) for x in card.get("sky_rms", [])),
        "splits": card.get("splits", ""),
        "seed": card.get("seed", ""),
        "SHA-256 of the stamps": f"`{card['sha256'][:16]}…`" if "sha256" in card else "",
    }
    return table(["", "this build"], [[name, text] for name, text in rows.items() if text != ""])


def _stamp(card: dict) -> str:
    sizes = [card.get(name) for name in ("raw_stamp_px", "crop_px", "image_size_px")]
    if None in sizes:
        return ""
    raw, crop, size = sizes
    cut = f", cut to {crop}" if crop != raw else ""
    return f"{raw} pixels{cut}, binned to {size} ({card.get('binning', '')})"


def cut_table(card: dict) -> str:
    """Return what was dropped on the way, or nothing where the card does not tell."""
    if "cuts" not in card:
        return ""
    rows = [[row["step"], row["dropped"] or "", row["left"]] for row in datacard.cuts(card)]
    return table(["galaxies", "dropped", "left"], rows)


def balance_table(catalog: Table) -> str:
    """Return the types by split."""
    counts, names = datacard.balance(catalog), ("split", "galaxies", "early", "late", "unknown")
    rows = [
        [*(row[name] for name in names), percent(row["late_share"], "no label")] for row in counts
    ]
    return table([*names, "late, of those with a label"], rows)


def known_table(catalog: Table) -> str:
    """Return for how many galaxies each quantity is known, and which are not known at all."""
    counts = datacard.known(catalog)
    some, none = counts[counts["galaxies"] > 0], counts[counts["galaxies"] == 0]
    rows = [[row["what"], row["galaxies"], percent(row["share"])] for row in some]
    parts = [table(["known", "for galaxies", "share"], rows)] if rows else []
    if len(none):
        parts.append(f"Not known of any galaxy: {listed(none['what'].tolist())}.")
    return "\n\n".join(parts)


def quality(catalog: Table, card: dict) -> str:
    """Return what is said of the stamps one by one, or that nothing is."""
    parts, said = [], datacard.stamp_status(catalog)
    if len(said):
        parts.append(table(["stamps", "galaxies"], [list(row) for row in said.iterrows()]))
    if len(numbers := datacard.stamp_numbers(catalog)):
        rows = [[what, n, *map(short, map(float, ends))] for what, n, *ends in numbers.iterrows()]
        parts.append(table(numbers.colnames, rows))
    for facts in card.get("facts", []):
        if facts.get("left_out"):
            n, where = sum(facts["left_out"].values()), facts.get("left_out_are_listed_in", "")
            told = f" They are listed, with reasons, in `{where}` of the downloads." * bool(where)
            parts.append(f"{n} galaxies of the sample gave no stamp.{told}")
    if not parts:
        parts.append("This source keeps no flags of its stamps. Broken input was refused.")
    return "\n\n".join(parts)


def biases(catalog: Table, card: dict) -> list[str]:
    """Return what is uneven: measured here, and what is known of such a source."""
    told = datacard.biases(catalog, card)
    kind, facts = credit(card).kind, (card.get("facts") or [{}])[0]
    if kind == "simulated":
        told.append(
            "What was put in is found again: see {ref}`what is and is not simulated "
            "<sec-simulated-survey>`."
        )
    if kind == "sdss":
        told.append(
            "The sample is limited in apparent brightness: its distant galaxies are luminous ones."
        )
    labels = facts.get("labels")
    layout = str(labels.get("layout", "")) if isinstance(labels, dict) else ""
    if layout.startswith("gz") or kind == "galaxy10":
        told.append(
            "People see fewer arms in small, faint and distant galaxies. Debiased votes correct "
            "for that on average, not galaxy by galaxy {cite:p}`hart2016galaxy`."
        )
    if isinstance(labels, dict) and "threshold" in labels.get("rule", {}):
        told.append(
            f"Only galaxies with a share of at least {labels['rule']['threshold']:g} have a label: "
            "the clear cases. Scores on them say little of the others."
        )
    return told


def credits_told(card: dict) -> str:
    """Return the terms and the words to copy, and whose words are still to be fetched."""
    due = credit(card)
    parts = [due.terms]
    if due.words:
        parts += ["To copy; the words are ours:", f"```text\n{due.words}\n```"]
    else:
        parts.append("For words of thanks, too: ask its authors.")
    if due.asked:
        pages = "; ".join(f"[{who}]({where})" for who, where in due.asked)
        parts.append(
            "These ask for acknowledgements of their own, some of them long, with funders and "
            f"institutions. They are not repeated here: copy them from {pages}."
        )
    if due.cite:
        parts.append(f"To cite: {{cite:t}}`{','.join(due.cite)}`.")
    return "\n\n".join(parts)


def whole(card: dict) -> str:
    """Return all entries of the card that hold no path of a computer, folded."""
    rows = [[f"`{name}`", value] for name, value in flat(public_card(card))]
    body = table(["entry", "value"], rows)
    return (
        f":::{{admonition}} `dataset/card.json`, without local paths\n:class: dropdown\n{body}\n:::"
    )


def flat(content: dict, prefix: str = "") -> list[tuple[str, str]]:
    """Return the entries of nested dictionaries as dotted names and short texts.

    >>> flat({"counts": {"train": 8000}, "bands": ["g", "r", "i"], "sky": 0.123456})
    [('counts.train', '8000'), ('bands', 'g, r, i'), ('sky', '0.1235')]
    """
    found = []
    for name, value in content.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            found.append((prefix + name, ", ".join(short(v) for v in value)))
        else:
            found.append((prefix + name, short(value)))
    return found


def percent(share: float, nothing: str = "") -> str:
    """Write a share in per cent.

    >>> percent(0.604), percent(float("nan"), "no label")
    ('60%', 'no label')
    """
    return f"{share:.0%}" if np.isfinite(share) else nothing


def shown(plate: Plate | None, folder: Path) -> str:
    """Write a figure beside the pages; return its directive, "" without a figure."""
    if plate is None:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{plate.name}.png").write_bytes(plate.png())
    return (
        f"```{{figure}} _generated/{plate.name}.png\n:name: {plate.name}\n:alt: {plate.alt}\n\n"
        f"{plate.caption}\n```"
    )
