from pathlib import Path

from consumer.archive.listing import find_archives
from consumer.follow.streams import Streams
from consumer.follow.tail import Tail
from tests.support.archive_logs import archive_log, some


def test_two_archives_of_one_name_in_one_directory_are_two_streams(tmp_path: Path) -> None:
    """A copy of another directory, put inside of this one, has the same instance and the same sequences."""
    one, other = archive_log(tmp_path / "one"), archive_log(tmp_path / "other")
    one.append(some(0, 2))
    other.append([event._replace(arrived_us=event.arrived_us + 5) for event in some(10, 2)])
    for each in (one, other):
        each.roll("test")
    (copy,) = find_archives([tmp_path / "other"])
    (tmp_path / "one" / "kept").mkdir()
    copy.rename(tmp_path / "one" / "kept" / copy.name)
    streams = Streams([tmp_path / "one"])
    streams.look()
    assert sorted(len(stream.waiting) for stream in streams.known.values()) == [1, 1]


def test_a_copy_of_an_archive_is_no_other_archive(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    one.roll("test")
    (path,) = find_archives([tmp_path])
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / path.name).write_bytes(path.read_bytes())
    tail = Tail([tmp_path])
    assert [found.event.id for found in tail.newest(10)] == ["id-0", "id-1"]
    tail.close()


def test_archives_read_before_their_instance_returned_are_not_read_again(tmp_path: Path) -> None:
    """Archives from a backup lie in a directory without a trace of their instance; then the service starts there."""
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 2))
    one.roll("test")
    for trace in (tmp_path / "archive").glob("one.*"):
        trace.unlink()
    tail = Tail([tmp_path])
    assert len(tail.newest(10)) == 2
    again = archive_log(tmp_path / "archive")
    again.append(some(2, 1))
    again.roll("test")
    tail.follower.streams.look(everywhere=True)
    assert [found.event.id for found in tail.read()] == ["id-2"]
    tail.close()


def test_a_root_that_is_away_for_a_moment_is_not_read_from_its_beginning(tmp_path: Path) -> None:
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 2))
    tail = Tail([tmp_path / "archive"])
    tail.newest(0)
    (tmp_path / "archive").rename(tmp_path / "away")
    tail.follower.streams.look(everywhere=True)
    assert list(tail.read()) == []
    (tmp_path / "away").rename(tmp_path / "archive")
    one.append(some(2, 1))
    tail.follower.streams.look(everywhere=True)
    assert [found.event.id for found in tail.read()] == ["id-2"]
    tail.close()


def test_an_archive_that_is_named_itself_is_followed(tmp_path: Path) -> None:
    one = archive_log(tmp_path)
    one.append(some(0, 2))
    assert one.writer is not None
    tail = Tail([one.writer.path])
    assert len(tail.newest(10)) == 2
    one.append(some(2, 1))
    one.roll("test")
    one.append(some(3, 1))
    assert [found.event.id for found in tail.read()] == ["id-2"]
    tail.close()
