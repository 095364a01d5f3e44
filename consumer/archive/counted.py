"""Counts and last lines of reports. Pure."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 archive`, `2 archives`. `plural`: the plural of a noun that is not regular."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def outcome(count: int, failed: bool, done: str) -> str:
    """The last line of a command that changes archives: whether it had something to do, and whether it could do it."""
    if failed:
        return f"not everything could be {done}"
    return "done" if count else "nothing to do"
