"""Calls on a Dask cluster, as a `concurrent.futures.Executor`. The only module that imports distributed, of the extra `cluster`.

Role: `connected` checks that every worker has the same version of Deedbox; each call checks it again, because workers come and go. Dask makes
the calls of a lost worker again. Invariants: a call that names local files runs only where they can be read, and a file that is gone
everywhere is looked for by the caller, as without a cluster. Every failure of the cluster is a Fatal that names the worker or the scheduler.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from socket import gethostname
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar, cast

from consumer.archive import naming
from consumer.archive.location import Location
from consumer.errors import Exit, Fatal
from consumer.objects.stores import store_of
from consumer.objects.url import ObjectUrl
from consumer.query.calls import Call

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 5.0  # to reach the scheduler, and again to see a worker
WORKERS_LOST_S = 60.0  # without any worker; a nanny starts a killed worker again within seconds
_POLL_S = 1.0
_ADDRESS = re.compile(r"(tcp|tls)://[^/\s]+:[0-9]+")
_MOUNT = "mount the directory at the same path on every worker, for its user"
_KEYS = "give every worker the same AWS_* variables as this process"
_SAME = "install the same version of Deedbox on all workers and here"
P = ParamSpec("P")
R = TypeVar("R")


class Unreadable(NamedTuple):
    """The answer of a worker that cannot read a file or the bucket of an object. `reason`: of the storage; empty for a file."""

    host: str
    location: Location
    reason: str = ""


class OtherVersion(NamedTuple):
    """The answer of a worker that has another version of Deedbox."""

    host: str
    version: str


@contextmanager
def connected(address: str) -> Iterator["ClusterExecutor"]:
    """An executor of the workers of a scheduler, such as `tcp://10.0.0.5:8786`. Raises Fatal."""
    if not _ADDRESS.fullmatch(address):
        raise Fatal(
            Exit.SETTINGS,
            f"--cluster {address!r} is not the address of a scheduler",
            "write tcp://HOST:PORT, or tls://HOST:PORT",
        )
    client = _client(address)
    try:
        yield ClusterExecutor(client, address, _check_workers(client, address))
    finally:
        with suppress(OSError, CancelledError):
            client.close(timeout=CONNECT_S)


def _client(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError as error:
        raise Fatal(Exit.SETTINGS, "--cluster needs Dask", "pip install 'deedbox[cluster]'") from error
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they report is an error of a call too
    try:
        return Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise _fatal(
            f"no scheduler answers at {address}: {error}", "start it with `dask scheduler`, or correct the address"
        ) from error


def _check_workers(client: "Client", address: str) -> int:
    """The number of calls that the workers make at the same time. Raises Fatal if there is no worker, or one has another version."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
        found = client.run(version, "deedbox", on_error="return")
        threads = int(sum(client.nthreads().values()))
    except OSError as error:  # also a TimeoutError
        raise _fatal(f"{address}: the scheduler has no workers", f"start some with `dask worker {address}`") from error
    for worker, theirs in sorted(found.items()):
        if isinstance(theirs, ImportError):
            raise _fatal(f"worker {worker} does not have Deedbox", _SAME)
        if not isinstance(theirs, str):
            raise _fatal(f"worker {worker} does not answer: {theirs!r}", "start it again")
        _check_version(worker, theirs)
    return threads


def _check_version(worker: str, theirs: str) -> None:
    if theirs != version("deedbox"):
        raise _fatal(f"worker {worker} has Deedbox {theirs}, and this is {version('deedbox')}", _SAME)


def shared(paths: Sequence[Location]) -> list[Location]:
    """The paths as a worker can use them, which has another working directory."""
    return [path.absolute() if isinstance(path, Path) else path for path in paths]


class ClusterExecutor(Executor):
    """Makes calls on the workers of a cluster. `threads`: how many at the same time; `ahead`, `remote`: see `executors`.

    A call that names an open archive is made here: whether a process is writing it is known only on its machine.
    """

    remote = True

    def __init__(self, client: "Client", address: str, threads: int) -> None:
        self.ahead = 2 * threads + 8
        self._client, self._address = client, address
        self._calls: Executor = client.get_executor(pure=False)  # equal calls of two scans are two calls
        self._empty_since: float | None = None

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Call a function on one of the workers."""
        call = partial(fn, *args, **kwargs)
        named = tuple(dict.fromkeys(_locations_in(args)))
        if any(naming.parse_open(location) for location in named if isinstance(location, Path)):
            return _CallHere(call)
        return _ClusterCall(self, call, self._calls.submit(_answer, version("deedbox"), named, call))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the calls. The workers stay."""
        self._calls.shutdown(wait and not cancel_futures)

    def check(self) -> None:
        """Raises Fatal if the cluster has been without workers for WORKERS_LOST_S."""
        with suppress(OSError):  # a scheduler that is lost cancels all calls
            if self._client.scheduler_info(n_workers=1)["workers"]:
                self._empty_since = None
                return
            self._empty_since = self._empty_since or monotonic()
            if monotonic() - self._empty_since > WORKERS_LOST_S:
                raise _fatal(f"{self._address}: all workers are lost", "see their logs, and start them again")

    def check_failure(self, error: Exception) -> None:
        """Raises Fatal if the error of a call is a failure of the cluster, and not of the call itself."""
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            what = f"worker {error.last_worker.address} and others were killed while they made the same call"
            raise _fatal(what, "see their logs; perhaps they have too little memory") from error
        if isinstance(error, CancelledError):
            raise _fatal(
                f"the scheduler at {self._address} was lost", "see its log, and run the command again"
            ) from error
        if isinstance(error, ImportError) or (isinstance(error, RuntimeError) and "deserializ" in str(error)):
            raise _fatal(f"a worker of {self._address} cannot make the call: {error!r}", _SAME) from error


class _CallHere(Future[R]):
    """A call that its reader makes, when it asks for the result."""

    def __init__(self, call: Callable[[], R]) -> None:
        super().__init__()
        self._call = call

    def result(self, timeout: float | None = None) -> R:
        """The result. It takes as long as it takes, whatever the timeout."""
        del timeout
        return self._call()


class _ClusterCall(Call[R]):
    """A call on a worker. `call`: the same call, to be made here."""

    def __init__(self, owner: ClusterExecutor, call: Callable[[], R], inner: Future[object]) -> None:
        super().__init__()
        self._owner, self._call = owner, call
        self.inner = cast("Future[R]", inner)  # or an answer without a result

    def result(self, timeout: float | None = None) -> R:
        """The result. Raises the error of the call, or Fatal for a failure of the cluster."""
        until = None if timeout is None else monotonic() + timeout
        while True:
            try:
                return self._here(self.inner.result(_POLL_S if until is None else min(_POLL_S, until - monotonic())))
            except TimeoutError:
                if self.inner.done() or (until is not None and monotonic() >= until):
                    raise
                self._owner.check()
            except Exception as error:
                self._owner.check_failure(error)
                raise

    def _here(self, answer: object) -> R:
        """The result in an answer. Files that are gone everywhere are looked for here."""
        if isinstance(answer, OtherVersion):
            _check_version(answer.host, answer.version)
        if isinstance(answer, Unreadable):
            if isinstance(answer.location, Path) and not os.access(answer.location, os.R_OK):
                return self._call()
            reason, do = (
                (", which exists here", _MOUNT) if isinstance(answer.location, Path) else (f": {answer.reason}", _KEYS)
            )
            raise _fatal(f"worker {answer.host} cannot read {answer.location}{reason}", do)
        return cast("R", answer)


def _answer(wanted: str, named: Sequence[Location], call: Callable[[], R]) -> R | Unreadable | OtherVersion:
    """Make a call on a worker: its result, or the reason why it was not made. `named`: the locations in its arguments."""
    if version("deedbox") != wanted:
        return OtherVersion(_this_worker(), version("deedbox"))
    for location in named:
        if isinstance(location, Path) and not os.access(location, os.R_OK):
            return Unreadable(_this_worker(), location)
    for url in {location.bucket: location for location in named if isinstance(location, ObjectUrl)}.values():
        try:
            _check_bucket(url.scheme, url.bucket)
        except OSError as error:
            return Unreadable(_this_worker(), url, error.strerror or str(error))
    return call()


@cache
def _check_bucket(scheme: str, bucket: str) -> None:
    """Raises OSError if this process cannot read a bucket. Asked once for each bucket that it can read."""
    url = ObjectUrl(scheme, bucket)
    store_of(url).head(url / "deedbox")


def _this_worker() -> str:
    from distributed import get_worker

    return f"{get_worker().address} on {gethostname()}"


def _locations_in(arguments: Iterable[object]) -> Iterator[Location]:
    """The paths and URLs of a call: arguments, their attributes `location`, and members of tuples and lists."""
    for argument in arguments:
        named = getattr(argument, "location", argument)
        if isinstance(named, Path | ObjectUrl):
            yield named
        elif isinstance(argument, tuple | list):
            yield from _locations_in(argument)


def _fatal(what: str, do: str) -> Fatal:
    return Fatal(Exit.CLUSTER, what, do)
