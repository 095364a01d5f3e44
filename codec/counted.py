"""Counts in errors and reports: a noun in the singular or in the plural. Pure."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 archive`, `2 archives`. `plural`: the plural of a noun that is not regular."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"
