"""Put numbers and results into words and tables, in Markdown."""

from __future__ import annotations

import re

BADGE = '<span class="simulated">SIMULATED</span>'
VERDICTS = ("beats", "is not distinguished from", "is beaten by")


def table(header: list[str], rows: list[list]) -> str:
    """Return a Markdown table; bars inside cells are escaped.

    >>> print(table(["a", "b"], [[1, "x|y"]]))
    | a | b |
    |---|---|
    | 1 | x\\|y |
    """
    lines = [header, ["---"] * len(header), *rows]
    cells = [[escaped(cell) for cell in line] for line in lines]
    text = ["| " + " | ".join(line) + " |" for line in cells]
    return "\n".join([text[0], text[1].replace(" ", ""), *text[2:]])


def escaped(cell) -> str:
    """Return the text of a table's cell."""
    return unbroken(str(cell).replace("|", "\\|").replace("\n", " "))


def unbroken(text: str) -> str:
    """Keep an interval from being broken over two lines."""
    return re.sub(r"\[\S+, \S+\]", lambda m: m[0].replace(", ", ",\u00a0"), text)


def short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def minutes(seconds: float) -> str:
    """Say a duration as a person would.

    >>> minutes(42.4), minutes(192)
    ('42 s', '3.2 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def listed(items: list[str]) -> str:
    """Join items as a sentence does.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


def rival(pair: dict) -> str:
    """Name the second method of a comparison as a sentence does.

    >>> rival({"a": "SimCLR + kNN", "b": "PCA-64 + kNN"}), rival({"a": "h", "b": "supervised CNN"})
    ('the same probe on PCA-64', 'the supervised CNN')
    """
    space, _, probe = pair["b"].partition(" + ")
    if not probe:
        return f"the {space}"
    return f"the same probe on {space}" if pair["a"].endswith(f" + {probe}") else pair["b"]


def signed(pair: dict) -> str:
    """Write a difference with its sign and interval.

    >>> signed({"mean": 0.0912, "low": -0.05, "high": 0.13})
    '+0.091 [−0.050, +0.130]'
    """
    text = f"{pair['mean']:+.3f} [{pair['low']:+.3f}, {pair['high']:+.3f}]"
    return text.replace("-", "−")


def verdict(pair: dict) -> str:
    """Say what a difference allows to say: nothing, if its interval holds 0.

    >>> verdict({"low": 0.01, "high": 0.1}), verdict({"low": -0.01, "high": 0.1})
    ('beats', 'is not distinguished from')
    """
    beats, undecided, beaten = VERDICTS
    if pair["low"] > 0:
        return beats
    return beaten if pair["high"] < 0 else undecided
