"""A progress bar for long work. It is shown on terminals only: pipes and log files do not get it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(name: str, total: int, lines: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the block runs. Yields a function that is called with the number of bytes done.

    `lines`: the block prints lines. If these go to the terminal too, no bar is shown.
    """
    if not sys.stderr.isatty() or (lines and sys.stdout.isatty()):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)  # without colors if NO_COLOR is set
    # Standard output stays where the caller sent it: by default, rich would print it on standard error, above the bar.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(name, total=total)
        yield lambda amount: bar.advance(task, amount)
