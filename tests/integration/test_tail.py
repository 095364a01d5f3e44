"""`tail -f` while a busy service rolls, is killed with -9 and starts under a new name: no event is missing, doubled or out of order."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import orjson

from codec.amqp import encode_header
from consumer.archive.checking.verify import verify
from consumer.archive.position import Position
from consumer.query.search import Search
from tests.support import archives
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

MESSAGES = 50_000
PER_S = 10_000


def publish(url: str, queue: str) -> None:
    publisher = WirePublisher(url)
    header = encode_header({"delivery_mode": 2})
    began = time.monotonic()
    for serial in range(MESSAGES):
        publisher.publish(b"", queue.encode(), header, b"%d" % serial)
        if serial % 100 == 0:
            publisher.wait_for_confirms(behind=5000)
            time.sleep(max(0.0, began + serial / PER_S - time.monotonic()))
    publisher.wait_for_confirms()
    publisher.close()


def service(directory: Path, url: str, queue: str, instance: str) -> Deedbox:
    settings = ("broker.queue_type=classic", "roll.events=4000")
    flags = [part for setting in settings for part in ("--set", setting)]
    log = directory.parent / f"{instance}.log"
    return Deedbox(directory, "--url", url, "--queue", queue, "--instance", instance, *flags, log=log)


def test_a_busy_archive_is_followed_through_rolls_a_kill_and_a_new_instance(
    url: str, name: str, tmp_path: Path
) -> None:
    directory, out = tmp_path / "archive", tmp_path / "out"
    first = service(directory, url, name, "first").start()
    first.wait_for("consuming")
    with out.open("wb") as file:
        command = [sys.executable, "-m", "consumer", "tail", "-f", "-n", str(MESSAGES), str(directory)]
        following = subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE, env=os.environ)
    publishing = threading.Thread(target=publish, args=(url, name), daemon=True)
    publishing.start()
    first.wait_for("archive_sealed", 1)
    first.kill()
    first.start()
    second = service(directory, url, name, "second").start()
    second.wait_for("archive_sealed", 1)
    publishing.join()
    first.wait_until(lambda: archives.count(directory) >= MESSAGES, "everything is archived")
    assert (first.stop(), second.stop()) == (0, 0)
    expected: dict[str, list[Position]] = defaultdict(list)
    for found in Search([directory]):
        place(expected, found.position)
    count = sum(map(len, expected.values()))
    deadline = time.monotonic() + 30
    while out.read_bytes().count(b"\n") < count and time.monotonic() < deadline:
        time.sleep(0.05)
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate()
    assert following.returncode == 130
    hidden = rb"deedbox: [\d,]+ events? hidden, which (is|are) marked as (a duplicate|duplicates); .*\n"
    assert re.fullmatch(hidden, errors) or not errors, "no archive was damaged"
    printed: dict[str, list[Position]] = defaultdict(list)
    for line in out.read_bytes().splitlines():
        place(printed, orjson.loads(line)["position"])
    assert printed.keys() == expected.keys() == {"first", "second"}
    assert all(printed[instance] == sorted(expected[instance]) for instance in printed)
    assert len({position.archive for positions in printed.values() for position in positions}) > 2
    assert all(not verdict.faults for verdict in verify([directory]))


def place(places: dict[str, list[Position]], text: str) -> None:
    position = Position.parse(text)
    places[position.instance].append(position)
