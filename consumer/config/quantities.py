"""Sizes and durations as text: `128MiB`, `64KiB`, `1h`, `5ms`. Pure.

Invariant: parsing a formatted number returns the same number.
"""

import re
from fractions import Fraction

from consumer.section import Unit

_FACTORS = {
    Unit.BYTES: {
        "B": Fraction(1), "kB": Fraction(10**3), "MB": Fraction(10**6), "GB": Fraction(10**9), "TB": Fraction(10**12),
        "KiB": Fraction(2**10), "MiB": Fraction(2**20), "GiB": Fraction(2**30), "TiB": Fraction(2**40),
    },
    Unit.SECONDS: {
        "us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600),
        "d": Fraction(86_400),
    },
}  # fmt: skip
_SHOWN = {Unit.BYTES: ("TiB", "GiB", "MiB", "KiB"), Unit.SECONDS: ("d", "h", "m", "s", "ms", "us")}
_EXAMPLES = {Unit.BYTES: "134217728 or 128MiB", Unit.SECONDS: "3600, 90s, 5ms or 1h"}
_TEXT = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?([A-Za-z]+)", re.ASCII)


def parse_quantity(text: str, unit: Unit) -> int | float:
    """The number of bytes or seconds that a text such as `128MiB` or `5ms` means; an int if it is whole.

    Raises ValueError for any other text, and for a part of a byte.
    """
    match = _TEXT.fullmatch(text.strip())
    factor = _FACTORS[unit].get(match[2]) if match else None
    if match is None or factor is None:
        units = ", ".join(_FACTORS[unit])
        raise ValueError(f"expected a number of {unit.value}, such as {_EXAMPLES[unit]} (units: {units})")
    number = Fraction(match[1]) * factor
    if number.denominator == 1:
        return int(number)
    if unit is Unit.BYTES:
        raise ValueError("expected a whole number of bytes")
    return float(number)


def format_quantity(number: float, unit: Unit) -> str | None:
    """The text of a number of bytes or seconds in the largest unit in which it is whole; None if there is no short one."""
    exact = Fraction(repr(number)) if number < float("inf") else Fraction(0)
    for name in _SHOWN[unit]:
        count = exact / _FACTORS[unit][name]
        if count.denominator == 1 and 1 <= count < 10**6:
            return f"{count}{name}"
    return None
