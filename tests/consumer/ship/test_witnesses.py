from pathlib import Path

from consumer.ship.witnesses import LATER_MAX, Witnesses
from tests.support.shipping import seal, sealed, sha256


def look(directory: Path, archives: list[Path] | None = None) -> Witnesses:
    witnesses = Witnesses(directory)
    witnesses.look(sealed(directory) if archives is None else archives)
    return witnesses


def test_the_head_of_the_next_archive_and_the_ledger_are_the_witnesses(tmp_path: Path) -> None:
    paths = seal(tmp_path, 3)
    assert [look(tmp_path).sha256s(path) for path in paths] == [{sha256(path)} for path in paths]


def test_without_a_ledger_the_newest_archive_has_no_witness(tmp_path: Path) -> None:
    paths = seal(tmp_path, 3)
    (tmp_path / "one.ledger").unlink()
    assert [bool(look(tmp_path).sha256s(path)) for path in paths] == [True, True, False]


def test_the_next_archive_may_be_several_sequences_later(tmp_path: Path) -> None:
    paths = seal(tmp_path, 2)
    assert look(tmp_path, [paths[0]]).sha256s(paths[0]) == frozenset()
    assert look(tmp_path, [paths[0], paths[1]]).sha256s(paths[0])
    assert LATER_MAX > 1


def test_archives_of_another_instance_are_no_witnesses(tmp_path: Path) -> None:
    seal(tmp_path, 2, instance="a")
    (path,) = (path for path in seal(tmp_path, 1, instance="b") if "-b-" in path.name)
    (tmp_path / "b.ledger").unlink()
    assert look(tmp_path).sha256s(path) == frozenset()


def test_an_archive_that_cannot_be_read_is_no_witness(tmp_path: Path) -> None:
    paths = seal(tmp_path, 2)
    paths[1].chmod(0o600)
    paths[1].write_bytes(b"")
    assert look(tmp_path).sha256s(paths[0]) == frozenset()
    witnesses = look(tmp_path)
    paths[1].unlink()
    assert witnesses.sha256s(paths[0]) == frozenset()


def test_a_head_is_read_once(tmp_path: Path) -> None:
    paths = seal(tmp_path, 2)
    witnesses = look(tmp_path)
    known = witnesses.sha256s(paths[0])
    paths[1].chmod(0o600)
    paths[1].write_bytes(b"")
    assert witnesses.sha256s(paths[0]) == known
