"""The verdicts on what goes wrong, and the exit status of each.

Invariant: whoever raises one of these knows what the person in front of the screen should do, and says it.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of `deedbox`, one for each thing that an operator mends in a different way."""

    OK = 0
    DAMAGED = 1  # it ran, and what it looked at is not whole or not well, or could not be read or written
    SETTINGS = 2  # the command line or a setting
    NOT_FOUND = 3  # get, delete, undelete: everything was read, and no event has this id or position
    ACCESS = 10  # the broker refuses user or password, or permissions lack
    VHOST = 11  # the broker has no such virtual host
    QUEUE = 12  # the queue exists with other arguments
    EXCHANGE = 13  # the exchange exists with another type or other arguments
    MISSING = 14  # queue or exchange does not exist, and broker.declare does not include it
    DIRECTORY = 15  # the archive directory cannot be written
    INSTANCE = 16  # another process has this instance in this directory, or may have it; or this state of `watch`
    STALLED = 17  # connected, messages waiting, nothing delivered, and a new connection did not help
    DEADLINE = 18  # the drain after SIGTERM did not end in time; what was left has been given back
    NO_BROKER = 19  # `demo` found no broker and cannot install one
    INTERNAL = 70  # a defect of Deedbox
    WRITER = 71  # a defect of Deedbox while a batch was written; what was held has been returned


class DeedboxError(Exception):
    """Something a person can mend: `what` happened and what to `do`, in one line."""

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(f"{what}; {do}" if do else what)
        self.what = what
        self.do = do


class Fatal(DeedboxError):
    """The service must end: `exit` says with what status."""

    def __init__(self, exit: Exit, what: str, do: str = "") -> None:
        super().__init__(what, do)
        self.exit = exit


class Retry(DeedboxError):
    """The other side is not there or not ready; the same again later may do."""


class StorageFault(DeedboxError):
    """The disk did not take an append; nothing of it counts as written.

    `reason` is one word for the log, `size` the bytes that the disk did not take; 0 if it was not a write that failed.
    """

    def __init__(self, reason: str, what: str, do: str = "", size: int = 0) -> None:
        super().__init__(what, do)
        self.reason = reason
        self.size = size
