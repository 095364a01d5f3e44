"""Call a function for many items in threads: for requests to an object storage, which take time and no processor.

Invariants: results come in the order of the items. At most `ahead` calls run or have a result that waits. An error is raised at the
reader when its result is next. If the reader stops early, calls that have not begun are cancelled.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

REQUESTS_MAX = 16  # at the same time
T = TypeVar("T")
R = TypeVar("R")


def in_threads(
    work: Callable[[T], R], items: Iterable[T], ahead: int = REQUESTS_MAX, begin: int | None = None
) -> Generator[R, None, None]:
    """The result of `work` for each item, in order. `begin`: how many are ahead at first; doubled with each result, for a reader that may stop early."""
    from concurrent.futures import ThreadPoolExecutor  # its import takes longer than a search in a few local archives

    waiting: deque[Future[R]] = deque()
    most = begin or ahead
    with ThreadPoolExecutor(min(ahead, REQUESTS_MAX), "deedbox-requests") as executor:
        try:
            for item in items:
                waiting.append(executor.submit(work, item))
                if len(waiting) >= most:
                    most = min(2 * most, ahead)
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
