import os
from pathlib import Path

import pytest

from consumer.archive.naming import parse_sealed
from consumer.archive.reading.tombstones import LEVELS_MAX
from consumer.ship.local_files import Kind, find_files, is_shippable_name, sides_of
from tests.support.archive_logs import archive_log, some
from tests.support.shipping import seal


def names(directory: Path, kind: Kind) -> list[str]:
    return [file.name for file in find_files(directory).files if file.kind is kind]


def test_sealed_archives_only(tmp_path: Path) -> None:
    paths = seal(tmp_path, 2)
    archive_log(tmp_path).append(some(100, 2))
    for suffix in (".compacting", ".uncompacted", ".torn", ".new"):
        paths[0].with_name(paths[0].name + suffix).write_bytes(b"unfinished")
    assert [file.name for file in find_files(tmp_path).files] == [f"20251121/{path.name}" for path in paths]
    assert len(find_files(tmp_path).archives) == 3


def test_archives_of_several_instances_are_in_order(tmp_path: Path) -> None:
    for instance in ("b", "a"):
        seal(tmp_path, 2, instance=instance)
    ids = [str(parse_sealed(Path(name))) for name in names(tmp_path, Kind.ARCHIVE)]
    assert ids == ["a-00000003", "a-00000004", "b-00000001", "b-00000002"] or ids == sorted(ids)


def test_side_files_of_all_levels_become_one_object_beside_the_archive(tmp_path: Path) -> None:
    paths = seal(tmp_path, 3)
    first, second, _ = (f"{parse_sealed(path)}.deleted" for path in paths)
    above, beside, other = tmp_path / first, paths[0].parent / first, tmp_path / second
    for path in (above, beside, other):
        path.write_text("{}\n")
    paths[2].parent.joinpath(f"{parse_sealed(paths[2])}.acknowledged").write_text("{}\n")
    (tmp_path / "x.deleted").write_text("of no archive\n")
    sides = {file.name: file.paths for file in find_files(tmp_path).files if file.kind is Kind.SIDE}
    assert sides == {
        f"20251121/{first}": (beside, above),
        f"20251121/{second}": (other,),
        f"20251121/{parse_sealed(paths[2])}.acknowledged": (
            paths[2].parent / f"{parse_sealed(paths[2])}.acknowledged",
        ),
    }


def test_deletions_above_the_named_directory_belong_to_its_archives(tmp_path: Path) -> None:
    """`ship DIR/20251121` left them out, so that readers of the destination saw deleted events."""
    paths = seal(tmp_path / "archive", 1)
    day, name = paths[0].parent, str(parse_sealed(paths[0]))
    above = tmp_path / f"{name}.deleted"
    above.write_text("{}\n")
    (tmp_path / f"{name}.acknowledged").write_text("{}\n")
    (side,) = (file for file in find_files(day).files if file.kind is Kind.SIDE)
    assert (side.name, side.paths) == (f"{name}.deleted", (above,))


def test_deletions_above_are_found_as_far_up_as_readers_look(tmp_path: Path) -> None:
    inside = tmp_path / "a/b/c/d/e/f"
    inside.mkdir(parents=True)
    (path,) = seal(inside, 1)
    too_far = path.parents[LEVELS_MAX] / f"{parse_sealed(path)}.deleted"
    too_far.write_text("{}\n")
    assert names(inside, Kind.SIDE) == []
    (path.parents[LEVELS_MAX - 1] / too_far.name).write_text("{}\n")
    assert len(names(inside, Kind.SIDE)) == 1


def test_a_directory_above_that_cannot_be_listed_is_asked_for_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = seal(tmp_path / "archive", 1)
    (tmp_path / f"{parse_sealed(path)}.deleted").write_text("{}\n")
    real = os.listdir

    def listdir(place: Path) -> list[str]:
        if place == tmp_path:
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    monkeypatch.setattr(os, "listdir", listdir)
    assert len(names(tmp_path / "archive", Kind.SIDE)) == 1


def test_the_side_files_of_one_archive(tmp_path: Path) -> None:
    paths = seal(tmp_path, 2)
    for path in paths:
        path.with_name(f"{parse_sealed(path)}.deleted").write_text("{}\n")
    assert [side.name for side in sides_of(tmp_path, paths[1])] == [f"20251121/{parse_sealed(paths[1])}.deleted"]


def test_digests_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    seal(tmp_path, 1)
    for number in (10, 9, 100_000_000):
        place = tmp_path / "digests" / "one" / f"{number:08d}.digest"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("{}\n")
        place.with_suffix(".lock").write_text("")
    assert names(tmp_path, Kind.DIGEST) == [
        f"digests/one/{number}.digest" for number in ("00000009", "00000010", "100000000")
    ]


def test_the_stamps_change_with_each_file(tmp_path: Path) -> None:
    (path,) = seal(tmp_path, 1)
    above, beside = (place / f"{parse_sealed(path)}.deleted" for place in (tmp_path, path.parent))
    above.write_text("{}\n")
    beside.write_text("{}\n")
    (side,) = (file for file in find_files(tmp_path).files if file.kind is Kind.SIDE)
    before = side.stamps()
    above.write_text("{}\n{}\n")
    assert side.stamps() != before


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = seal(tmp_path, 1)
    path.rename(path.with_name("moved"))
    (tmp_path / "broken-00000001.kvp.zst.open").symlink_to("nowhere")
    monkeypatch.setattr("consumer.ship.local_files.find_archives", lambda _: [tmp_path / "unreadable"])
    assert find_files(tmp_path).unread == [tmp_path / "unreadable"]


def test_a_name_that_is_not_utf_8_is_no_name_of_an_object() -> None:
    assert is_shippable_name("20251121/é.kvp.zst")
    assert not is_shippable_name("\udcff.kvp.zst")


def test_acknowledgements_of_lost_archives_and_of_digests_are_shipped(tmp_path: Path) -> None:
    """`verify` of the destination alone must not report a known loss for ever (wal-g#1590)."""
    path = seal(tmp_path, 1)[0]
    own = f"{parse_sealed(path)}.acknowledged"
    (tmp_path / "digests").mkdir()
    for place in (own, "one-00000009.acknowledged", "digests/one.digests.acknowledged"):
        (tmp_path / place).write_text("{}\n")
    assert names(tmp_path, Kind.SIDE) == [
        f"20251121/{own}",
        "one-00000009.acknowledged",
        "digests/one.digests.acknowledged",
    ]
