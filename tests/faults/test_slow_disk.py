"""A disk that is slower than the broker: held deliveries stay within their bound, also in the memory of the process."""

import os
from pathlib import Path

from tests.support import archives
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

MIB = 1 << 20
MESSAGES = 120
HELD_BYTES_MAX = 32 * MIB  # four batches of the default size
READ_AHEAD_BYTES = 2 * MIB  # one body that is on its way, and one read of the socket


def test_resident_memory_is_bounded_when_the_disk_is_slow_and_the_bodies_are_large(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    """120 MiB wait in the queue. Held: 32 MiB. The rest of the memory is the interpreter, and one batch being encoded."""
    arguments = ("--url", url, "--queue", name, "--exchange", name, "--set", "service.stats_s=0.1")
    directory = tmp_path / "archive"
    with Deedbox(directory, *arguments, altered="slow_sync") as deedbox:
        deedbox.wait_for("consuming")
        idle = deedbox.memory("VmRSS")
        for _ in range(MESSAGES):
            publisher.publish(name.encode(), b"a", b"\0\0", os.urandom(MIB))
            publisher.wait_for_confirms(behind=4)
        publisher.wait_for_confirms()
        deedbox.wait_until(lambda: archives.count(directory) == MESSAGES, "all archived")
        held = max(int(str(line["held_bytes"])) for line in deedbox.lines("stats"))
        peak = deedbox.memory("VmHWM") - idle
        print(f"held {held / MIB:.1f} MiB, resident {peak / MIB:.1f} MiB above {idle / MIB:.1f} MiB")
        assert MIB < held <= HELD_BYTES_MAX + READ_AHEAD_BYTES
        assert peak < 4 * HELD_BYTES_MAX
        assert deedbox.stop() == 0
