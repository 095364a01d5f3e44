"""The entry point of `deedbox`. Every error is one line on standard error and an exit status."""

import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from consumer.cli import convert, maintain, read, replay, retain, run, ship, sql, stats
from consumer.cli.command import OPTIONS, app
from consumer.cli.parameters import STDIN
from consumer.cli.printing import OutputLost, discard_output, open_streams, print_line, report_error
from consumer.errors import DeedboxError, Exit, Fatal
from consumer.visible import without_value

__all__ = ["COMMANDS", "app", "main", "with_stdin"]

COMMANDS = (run, replay, read, sql, stats, maintain, convert, ship, retain)  # the modules that define the commands


@app.command(name="--install-completion", group=OPTIONS, help_epilogue="")
def install_completion(
    *,
    shell: Annotated[
        Literal["bash", "zsh", "fish"] | None, Parameter(help="Shell. [default: the shell that runs the command]")
    ] = None,
    output: Annotated[
        Path | None, Parameter(help="File for the completion script. [default: the directory of the shell]")
    ] = None,
) -> int:
    """Install completion of commands, options and paths for your shell.

    For bash and zsh, a line of the startup file of the shell loads it.
    """
    from cyclopts.completion.detect import ShellDetectionError

    try:
        installed = app.install_completion(shell=shell, output=output)
    except ShellDetectionError as error:
        raise Fatal(Exit.SETTINGS, "the shell is not known", "use --shell bash, zsh or fish") from error
    print_line(f"{installed}: installed; start a new shell to use it")
    return Exit.OK


def main() -> None:
    """Run the command of the command line, and end the process with its exit status."""
    open_streams()
    for sign in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sign) is signal.SIG_DFL:  # else it is ignored, as under nohup, and stays so
            signal.signal(sign, _terminate)  # `run` and `watch` replace this handler
    status = _status(
        lambda: app(with_stdin(sys.argv[1:]), exit_on_error=False, print_error=False, result_action="return_value")
    )
    try:
        sys.stdout.flush()
    except OutputLost:
        discard_output()
    sys.exit(status)


def with_stdin(arguments: Sequence[str]) -> list[str]:
    """The arguments with `-` replaced by the path of standard input. The parser takes `-` for an unknown option.

    After an option, `-` stays, and the parser refuses it: the value of an option is not read from standard input.
    """
    pairs = zip(["", *arguments], arguments, strict=False)
    return [str(STDIN) if argument == "-" and not before.startswith("-") else argument for before, argument in pairs]


def _terminate(number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: a command removes its unfinished files."""
    sys.exit(128 + number)


def _status(command: Callable[[], object]) -> int:
    """Run a command. Its exit status, also if it fails."""
    try:
        status = command()
        sys.stdout.flush()
        return int(status) if isinstance(status, int) else Exit.OK
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OutputLost as error:
        discard_output()
        if error.closed_early:
            return Exit.OK
        report_error(error)
        return Exit.DAMAGED
    except Exception as error:  # noqa: BLE001 -- also a defect ends with a line and a status
        return _report(error)


def _usage_fault(error: cyclopts.CycloptsError) -> str:
    """The error in the command line, in one line. An argument without a meaning may be a password or a URL: it is not shown."""
    if isinstance(error, cyclopts.UnusedCliTokensError):
        return "An argument was not expected. It is not shown, because it may be a password. Is the name of an option missing?"
    if isinstance(error, cyclopts.MissingArgumentError) and error.argument is not None:
        return f"{error.argument.name}: a value is missing."
    text = " ".join(str(error).split()).partition(" Available commands:")[0]  # a part of the list
    for token in error.unused_tokens or ():
        text = text.replace(token, without_value(token))
    return text


def _report(error: Exception) -> Exit:
    """Report an error in one line. A defect of Deedbox has a traceback too, which the report of the defect needs."""
    match error:
        case cyclopts.CycloptsError():
            command = " ".join(["deedbox", *(error.command_chain or ())])
            report_error(f"{_usage_fault(error)} See `{command} --help`.")
            return Exit.SETTINGS
        case DeedboxError():
            report_error(error)
            return error.exit if isinstance(error, Fatal) else Exit.DAMAGED
        case BrokenExecutor():
            report_error(
                "a worker process was killed, perhaps because memory ran out; --workers 0 uses one process only"
            )
        case MemoryError():
            report_error("out of memory")
        case OSError():
            report_error(f"{error.filename or 'a file'}: {error.strerror or error}")
        case _:
            traceback.print_exception(error)
            report_error("this is a defect of Deedbox; please report it with the lines above")
            return Exit.INTERNAL
    return Exit.DAMAGED
