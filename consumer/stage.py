"""A stage: one part of the service that runs until it is drained. Ingest is a stage, and so is each follower.

Invariants: if one stage ends, all stages are drained; they are drained in their order, within one deadline.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

CANCEL_S = 1.0  # time that a cancelled task has to end, also after the deadline


class Stage(Protocol):
    """A part of the service that runs until the end. `name` is for people: it is unique among the stages of a service."""

    @property
    def name(self) -> str:
        """The name of the stage."""

    async def run(self) -> None:
        """Work until `drain` is called. An error that is raised here ends the service."""

    async def drain(self, deadline: float) -> int | None:
        """Accept no new work, finish the current work, and let `run` return. It is also called if `run` has ended.

        `deadline` is a time of the event loop. The result is None if everything was finished by then. Otherwise the stage gives
        back the rest, and the result is the number of these events.
        """

    def stats(self) -> dict[str, object]:
        """The state and the figures of the stage, for the log and the health file."""


class Background:
    """A stage that never has to finish anything: draining cancels it."""

    def __init__(self, name: str, work: Awaitable[None]) -> None:
        self.name = name
        self._task = asyncio.ensure_future(work)

    async def run(self) -> None:
        """Wait for the work; raise its error."""
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()

    async def drain(self, deadline: float) -> int | None:
        """Cancel the work."""
        self._task.cancel()
        await asyncio.wait([self._task], timeout=max(deadline - asyncio.get_running_loop().time(), CANCEL_S))
        return None if self._task.done() else 0

    def stats(self) -> dict[str, object]:
        """Nothing."""
        return {}


class RunningStages:
    """The stages of a service and the tasks that run them, in the order in which they are drained."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._failed: dict[str, BaseException] = {}  # stages whose drain failed
        self._tasks = [(stage, asyncio.create_task(stage.run(), name=stage.name)) for stage in stages]

    async def first_end(self, *others: asyncio.Future[str]) -> None:
        """Wait until a stage has ended, with or without an error, or one of the other futures is done."""
        awaited: list[asyncio.Future[Any]] = [task for _, task in self._tasks]
        await asyncio.wait([*awaited, *others], return_when=asyncio.FIRST_COMPLETED)

    async def drain(self, deadline: float) -> int | None:
        """Drain each stage, also after one that fails. None if all finished in time; otherwise the number of events that were returned to the broker."""
        late: list[int] = []
        for stage, _ in self._tasks:
            try:
                given_back = await stage.drain(deadline)
            except Exception as error:  # noqa: BLE001 -- it is one of `failures`
                self._failed[stage.name] = error
                given_back = 0
            late += [] if given_back is None else [given_back]
        return sum(late) if late else None

    def running(self) -> list[str]:
        """The names of the stages that have not ended."""
        return [stage.name for stage, task in self._tasks if not task.done()]

    def failures(self) -> dict[str, BaseException]:
        """The errors of the stages that have ended with one, by name."""
        ended = [(stage.name, task) for stage, task in self._tasks if task.done() and not task.cancelled()]
        return self._failed | {name: error for name, task in ended if (error := task.exception()) is not None}
