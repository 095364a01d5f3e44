"""Numbers of things, as reports show them. Pure."""


def counted(count: int, thing: str) -> str:
    """`1 archive`, `2 archives`: a noun with a regular plural."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
