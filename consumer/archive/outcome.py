"""The last line of the commands that change archives. Pure."""


def outcome(count: int, failed: bool, done: str) -> str:
    """Whether the command found something to do, and whether it succeeded. `done`: the action as a participle."""
    if failed:
        return f"not everything could be {done}"
    return "done" if count else "nothing to do"
