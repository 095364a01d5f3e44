"""The process of the stage `[replay]`. It is a process and not a thread, because decoding and publishing thousands of events would hold
the interpreter's lock while deliveries wait.

Protocol: the first line of standard input is an `Order` in JSON. Standard output has the lines of its log, which the service logs again, and a
`mirror_progress` every second. The end of standard input means the end: it comes from a drain, and also from a service that was killed.
"""

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from consumer import log
from consumer.replay import log_events
from consumer.replay.mirror import Mirror, fields_of
from consumer.replay.settings import ReplaySection

NICE = 10  # ingest comes first
DRAIN_S = 5.0  # time for the batch that is being published
PROGRESS_S = 1.0


class Order(msgspec.Struct, frozen=True):
    """What to mirror. `name`: of the connection at the other broker."""

    directory: str
    name: str
    settings: ReplaySection


def main() -> int:
    """Mirror until standard input ends."""
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, signal.SIG_IGN)  # a signal to the whole group is for the service, which ends this process
    os.nice(NICE)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    log.start(console=False)
    asyncio.run(_serve(order))
    log.flush()
    return 0


async def _serve(order: Order) -> None:
    mirror = Mirror(Path(order.directory), order.settings, order.name)
    running = asyncio.create_task(mirror.run())
    loop = asyncio.get_running_loop()

    def end() -> None:
        mirror.stop()
        loop.call_later(DRAIN_S, running.cancel)

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(end)

    threading.Thread(target=wait_for_the_end, name="stdin", daemon=True).start()
    while not running.done():
        log.emit(log_events.MIRROR_PROGRESS, **fields_of(mirror.progress))
        await asyncio.wait([running], timeout=PROGRESS_S)
    log.emit(log_events.MIRROR_PROGRESS, **fields_of(mirror.progress))
    if not running.cancelled():
        running.result()


if __name__ == "__main__":
    sys.exit(main())
