"""Errors for users, and the exit status of each.

Invariant: an error names the failure and the action that resolves it.
"""

from enum import IntEnum, StrEnum


class Exit(IntEnum):
    """Exit statuses of `deedbox`: one for each kind of failure that needs its own action."""

    OK = 0
    DAMAGED = 1  # it ran, and found damage, or something that could not be read or written
    SETTINGS = 2  # the command line or a setting
    NOT_FOUND = 3  # get, delete, undelete: everything was read, and no event has this id or position
    ACCESS = 10  # the broker refuses the user or the password, or a permission is missing
    VHOST = 11  # the broker has no such virtual host
    QUEUE = 12  # the queue exists with other arguments
    EXCHANGE = 13  # the exchange exists with another type or other arguments
    MISSING = 14  # the queue or the exchange does not exist, and broker.declare does not include it
    DIRECTORY = 15  # the archive directory cannot be written
    INSTANCE = 16  # another process has, or may have, this instance of the directory, or this state file of `watch`
    STALLED = 17  # messages wait in the queue and none is delivered, also on a new connection
    DEADLINE = 18  # the drain after SIGTERM took too long; deliveries that were not committed were returned
    NO_BROKER = 19  # `demo` found no broker and cannot install one
    CLUSTER = 20  # the Dask cluster of `--cluster` cannot be reached or used, or it lost all workers
    NOT_EMPTY = 21  # a signal ended `run --until-empty` before the queue was empty
    INTERNAL = 70  # a defect of Deedbox
    WRITER = 71  # a defect of Deedbox while a batch was written; deliveries that were not committed were returned


class DeedboxError(Exception):
    """A failure that a person can resolve. `what`: the failure. `do`: the action that resolves it. Its text is one line."""

    def __init__(self, what: str, do: str = "") -> None:
        super().__init__(f"{what}; {do}" if do else what)
        self.what = what
        self.do = do

    def __reduce__(self) -> tuple[object, ...]:
        """How another process gets the error: `__init__` is not called there, because the arguments of subclasses differ."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class Fatal(DeedboxError):
    """The process must end, with the status `exit`."""

    def __init__(self, exit: Exit, what: str, do: str = "") -> None:
        super().__init__(what, do)
        self.exit = exit


class Retry(DeedboxError):
    """The broker is not there or not ready. The same request may succeed later."""


class StorageReason(StrEnum):
    """Why an append was not written. The values are those of the log."""

    DISK_LOW = "disk_low"
    DISK_FULL = "disk_full"
    FILE_LIMIT = "file_limit"
    ARCHIVE_CHANGED = "archive_changed"
    DISK_ERROR = "disk_error"
    DEFECT = "defect"


class StorageFault(DeedboxError):
    """An append to an archive failed. Nothing of it counts as written.

    `size`: how many bytes were to be written; 0 if another step failed.
    """

    def __init__(self, reason: StorageReason, what: str, do: str = "", size: int = 0) -> None:
        super().__init__(what, do)
        self.reason = reason
        self.size = size
