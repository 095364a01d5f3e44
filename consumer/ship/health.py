"""Whether a destination works, as far as one pass has seen. Used by the threads of the pass.

Invariants: one object that fails or that the credentials do not permit is a failure of this object only. Several different ones in a row are
a failure of the destination. If they are denied, only the present part of the pass ends, because the rest may be permitted.
"""

from consumer.objects.errors import AccessDenied, BucketMissing, ObjectError

FAILURES_MAX = 3  # in a row
DENIED_MAX = 8  # in a row: objects of another owner may be side by side


class Health:
    """The judgement of one pass."""

    def __init__(self) -> None:
        self._failures = self._denied = 0  # in a row
        self._fault: ObjectError | None = None
        self._earlier: ObjectError | None = None  # why an earlier part of the pass ended

    @property
    def is_down(self) -> bool:
        """Whether to begin no further file in this part of the pass."""
        return self._fault is not None

    @property
    def fault(self) -> ObjectError | None:
        """Why the destination does not work; None if it does."""
        return self._fault or self._earlier

    def begin_part(self) -> None:
        """Another part of the pass begins. It is tried if the one before was denied."""
        if isinstance(self._fault, AccessDenied):
            self._earlier, self._fault = self._fault, None
        self._failures = self._denied = 0

    def fail(self, error: ObjectError) -> None:
        """Note a failure of the destination itself, for example of its listing."""
        self._fault = self._fault or error

    def note(self, outcome: object) -> None:
        """Note the outcome for one file: an exception, or anything else for an answer of the destination."""
        if not isinstance(outcome, ObjectError):
            self._failures = self._denied = 0
            return
        if isinstance(outcome, AccessDenied):
            self._denied += 1
        else:
            self._failures += 1
        if isinstance(outcome, BucketMissing) or self._failures >= FAILURES_MAX or self._denied >= DENIED_MAX:
            self.fail(outcome)

    def works(self) -> None:
        """Note that a file is at the destination: what was denied before was not the whole destination."""
        self._earlier = None
