"""The executors of scans: none, local processes, or a Dask cluster. The only module that decides which.

Invariants: a call is one function of a module with arguments that can be pickled, and it only reads, so that it may be made again. A call
whose worker was killed is made again, at most LOSSES_MAX times. This process is never forked after obstore was loaded, because the threads
of its runtime do not exist in a fork. The processes end when this process ends, however it ends.
"""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import ParamSpec, TypeVar

from consumer.errors import Exit, Fatal
from consumer.objects.settings import ObjectsSection
from consumer.objects.stores import configure, configured
from consumer.query.calls import Call

PAYS_BYTES = 32 << 20  # compressed; for less, starting processes costs more time than they save
WORKERS_MAX = 8
AHEAD = 8  # calls that are made ahead of their reader
LOSSES_MAX = 3  # killed workers of one scan; one more is probably the fault of what is read
P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def workers(amount_bytes: int, wanted: int | None = None, cluster: str | None = None) -> Iterator[Executor | None]:
    """An executor with `wanted` processes; None for 0, which means: work in this process. `cluster`: the address of a Dask scheduler instead.

    Without both: one process per core if there are several cores and at least PAYS_BYTES to read. Raises Fatal for a negative number, for
    both, and for a cluster that cannot be used.
    """
    if wanted is not None and (wanted < 0 or cluster is not None):
        do = "give 0 or more; 0 reads in this process alone" if wanted < 0 else "give either --workers or --cluster"
        raise Fatal(Exit.SETTINGS, f"--workers {wanted}" + (f" --cluster {cluster}" if cluster else ""), do)
    if cluster is not None:
        from consumer.query.cluster import connected

        with connected(cluster) as remote:
            yield remote
        return
    cores = len(os.sched_getaffinity(0))
    pays = min(cores, WORKERS_MAX) if cores > 1 and amount_bytes >= PAYS_BYTES else 0
    count = pays if wanted is None else min(wanted, 8 * cores)
    if count <= 0:
        yield None
        return
    with LocalProcesses(count) as executor:
        yield executor


def ahead_of(executor: Executor | None) -> int:
    """How many calls keep all workers of an executor busy."""
    return int(getattr(executor, "ahead", AHEAD))


def is_remote(executor: Executor | None) -> bool:
    """Whether the workers may be on other machines."""
    return bool(getattr(executor, "remote", False))


class LocalProcesses(Executor):
    """Processes of this machine. If one is killed, all are replaced, and the calls without a result are made again.

    `ahead`: see `ahead_of`.
    """

    def __init__(self, count: int) -> None:
        self.ahead = max(AHEAD, 2 * count)
        self._count, self._losses = count, 0
        self._pool = self._started("forkserver" if "obstore" in sys.modules else None)

    def _started(self, method: str | None) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._count, get_context(method), _begin, (configured(),))

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Call a function in one of the processes."""
        return _LocalCall(lambda: self._begin(fn, *args, **kwargs))

    def _begin(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Begin a call, in new processes if one of the present ones was killed. Raises BrokenExecutor after LOSSES_MAX losses."""
        try:
            return self._pool.submit(fn, *args, **kwargs)
        except BrokenExecutor:
            self._losses += 1
            if self._losses > LOSSES_MAX:
                raise
        self._pool.shutdown(wait=True)
        self._pool = self._started("forkserver")  # this process may have threads by now
        return self._pool.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


class _LocalCall(Call[R]):
    """A call in local processes. It is made again if its process was killed."""

    def __init__(self, begin: Callable[[], Future[R]]) -> None:
        super().__init__()
        self._begin = begin
        self.inner = begin()

    def result(self, timeout: float | None = None) -> R:
        """The result. Raises BrokenExecutor after LOSSES_MAX losses."""
        while True:
            try:
                return self.inner.result(timeout)
            except BrokenExecutor:
                self.inner = self._begin()


def _begin(objects: ObjectsSection) -> None:
    """Prepare a process. Ctrl-C interrupts all processes of a terminal, and only the main process reports it."""
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 -- stays open until the process ends
    configure(objects)
    Thread(target=_end_with_parent, name="deedbox-parent", daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the main process has ended: if it was killed, a process that waits for a call would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
