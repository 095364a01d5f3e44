"""How far long work has come, on a terminal and nowhere else: a pipe or a log file gets not one byte of it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str, total: int, lines: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while the block runs; yields what is called with the amount that was done.

    `lines`: the block prints lines, which are progress enough where they go to the terminal too.
    """
    if not sys.stderr.isatty() or (lines and sys.stdout.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # What is printed goes where it was told to go: the library would send it through the bar, to standard error.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(what, total=total)
        yield lambda amount: bar.advance(task, amount)
