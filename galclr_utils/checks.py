"""Check the values that enter from outside: papermill, YAML profiles, the command line.

papermill passes ``-p resume false`` as the string ``"False"`` and YAML reads ``1e-3`` as a string,
so every parameter is checked, and turned into its type, once, where it enters the module.
"""

from __future__ import annotations

import difflib
import math
import operator


def number(
    name: str, value, low: float, high: float, integer: bool = False, low_open: bool = False
):
    """Return ``value`` as a number within its range, or say what was got and what is allowed.

    Args:
        name: the parameter's name, for the message.
        value: a number, or a string that spells one (``"1e-3"``).
        low, high: the range, ends included; ``low`` is excluded with ``low_open``.
        integer: whether a whole number is needed.
    Returns:
        int if ``integer``, else float.
    Raises:
        ValueError: not a number, not whole, not finite or out of range.

    >>> number("learning_rate", "1e-3", 0, 1)
    0.001
    >>> number("temperature", 0.0, 0, 5, low_open=True)
    Traceback (most recent call last):
    ...
    ValueError: temperature: got 0.0, expected a number in (0, 5]
    """
    kind = "a whole number" if integer else "a number"
    top = f"{high}]" if math.isfinite(high) else "∞)"
    expected = f"{name}: got {value!r}, expected {kind} in {'(' if low_open else '['}{low}, {top}"
    try:
        if isinstance(value, bool):
            raise ValueError
        result = _whole(value) if integer else float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(expected) from None
    too_low = result <= low if low_open else result < low
    if not (integer or math.isfinite(result)) or too_low or result > high:
        raise ValueError(expected)
    return result


def _whole(value) -> int:
    """Return a whole number to its last digit: a float keeps only the first 15."""
    try:
        return int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):  # 2.0 and "1e3" are whole too
        if not float(value).is_integer():
            raise ValueError from None
        return int(float(value))


def numbers(name: str, values, low: float, high: float, integer: bool = False) -> list:
    """Return a non-empty list of numbers, each within the range; one number is a list of one.

    >>> numbers("n_labels", [100, "1000", 0], 0, 1e6, integer=True)
    [100, 1000, 0]
    """
    if isinstance(values, str) and values.lstrip().startswith("["):
        raise ValueError(
            f"{name}: got the text {values!r}, expected a list "
            f"(papermill: -y '{name}: [100, 1000]')"
        )
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        values = [values]
    if not (values := list(values)):
        raise ValueError(f"{name}: got an empty list, expected at least one number")
    return [number(f"{name}[{k}]", v, low, high, integer) for k, v in enumerate(values)]


def flag(name: str, value) -> bool:
    """Return a boolean, reading the strings that papermill makes of one.

    >>> flag("resume", "false"), flag("resume", True)
    (False, True)
    """
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return text == "true"
    raise ValueError(
        f"{name}: got {value!r}, expected true or false (papermill: -y '{name}: true')"
    )


def did_you_mean(got: str, allowed) -> str:
    """Return ``"; did you mean 'x'?"``, or nothing if no name is near.

    >>> did_you_mean("temprature", ["temperature", "epochs"])
    "; did you mean 'temperature'?"
    """
    near = difflib.get_close_matches(str(got), [str(a) for a in allowed], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def choice(name: str, value, allowed) -> str:
    """Return one of the allowed words.

    >>> choice("encoder", "resnet", ["cnn4", "resnet18"])
    Traceback (most recent call last):
    ...
    ValueError: encoder: got 'resnet', expected one of cnn4, resnet18; did you mean 'resnet18'?
    """
    if value in allowed:
        return value
    words = ", ".join(map(str, allowed))
    raise ValueError(
        f"{name}: got {value!r}, expected one of {words}{did_you_mean(value, allowed)}"
    )
