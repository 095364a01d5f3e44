from pathlib import Path

from consumer.archive.position import Position
from consumer.follow.checkpoint import Confirmed, StreamName
from consumer.replay.lag import Lag
from tests.support.archive_logs import archive_log, some


def at(text: str, directory: str = ".") -> dict[StreamName, Confirmed]:
    position = Position.parse(text)
    return {StreamName(directory, position.instance): Confirmed(position, "")}


def test_it_counts_what_follows_in_all_archives_and_instances(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 10))
    one.roll("stop")
    one.append(some(10, 5))
    two = archive_log(tmp_path, instance="two")
    two.append(some(0, 7))
    lag = Lag(tmp_path)
    assert lag.behind({}) == 22
    assert lag.behind(at("one-00000001:3")) == 6 + 5 + 7
    assert lag.behind(at("one-00000002:1") | at("two-00000001:6")) == 3
    one.append(some(15, 2))
    one.roll("stop")
    assert lag.behind(at("one-00000002:1") | at("two-00000001:6")) == 5
    assert lag.behind(at("one-00000003:0") | at("two-00000001:6")) == 0


def test_instances_of_one_name_in_two_directories_are_two(tmp_path: Path) -> None:
    for name in ("a", "b"):
        archive_log(tmp_path / name).append(some(0, 10))
    assert Lag(tmp_path).behind(at("one-00000001:9", "a") | at("one-00000001:4", "b")) == 5
