"""A call in an executor that can be made again: a future that asks another future, which is replaced when its worker was lost.

Invariant: only the reader of the results makes a call again, in its own thread, when it asks for the result.
"""

from concurrent.futures import Future
from typing import TypeVar

R = TypeVar("R")


class Call(Future[R]):
    """Asks the future `inner`. A subclass says in `result` when the call is made again."""

    inner: Future[R]

    def result(self, timeout: float | None = None) -> R:
        """The result of the call. `timeout` in seconds; None: no limit."""
        return self.inner.result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The error of the call; None if there is none."""
        return self.inner.exception(timeout)

    def cancel(self) -> bool:
        """Cancel the call if it has not begun. Returns whether it is cancelled."""
        return self.inner.cancel()

    def cancelled(self) -> bool:
        """Whether the call is cancelled."""
        return self.inner.cancelled()

    def done(self) -> bool:
        """Whether the call has ended."""
        return self.inner.done()
