from pathlib import Path

import pytest

from codec.fingerprint import fingerprint
from consumer.archive.position import Position
from consumer.archive.reading.reader import ArchiveFile
from consumer.errors import Exit, Fatal
from consumer.follow.checkpoint import Confirmed
from consumer.follow.confirmed_event import check_confirmed
from tests.support.archive_logs import archive_log, event, some


def check(directory: Path, number: int, print: str) -> None:
    (path,) = directory.glob("*.open")
    with ArchiveFile(path) as archive:
        check_confirmed(archive, Confirmed(Position("one", 1, number), print))


def test_an_event_that_is_there_is_accepted_and_another_one_or_none_is_an_error(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    one.append(some(2, 2))
    for number in range(4):
        check(tmp_path, number, fingerprint(event(number)))
    with pytest.raises(Fatal, match=r"one-00000001:3: .*another event has this position") as raised:
        check(tmp_path, 3, fingerprint(event(2)))
    assert raised.value.exit is Exit.DAMAGED
    with pytest.raises(Fatal, match=r"one-00000001:4: .*the event is not in it"):
        check(tmp_path, 4, fingerprint(event(4)))
