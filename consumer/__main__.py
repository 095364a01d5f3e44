"""`deedbox` and `python -m consumer`.

Until the modules of the command line are imported, an interrupt ends the process at once, as it ends a program in C: Python's own
handler would show a traceback of the import.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and stays so
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """Entry point of the command."""
    from consumer.cli.app import main as command

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command()


if __name__ == "__main__":
    main()
