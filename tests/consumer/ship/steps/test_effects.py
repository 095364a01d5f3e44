from pathlib import Path

import pytest

from consumer.archive.listing import id_of
from consumer.disk.durable import Disk
from consumer.errors import DeedboxError
from consumer.ship.steps.effects import DELETED, Waiting
from consumer.ship.steps.progress import Progress, load
from consumer.ship.steps.step import parse_steps
from tests.support.steps import Seen, sealed, worker


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def test_ship_waits_for_the_destinations_and_passes_their_error_on(root: Path) -> None:
    (path,) = sealed(root, 1)
    (step,) = parse_steps(["ship"])
    effects = worker(root, shipped=lambda _: False).effects
    with pytest.raises(Waiting, match="not every destination has it"):
        effects.perform(step, id_of(path), Progress(path=str(path)))

    def refused(_: Path, __: str) -> bool:
        raise DeedboxError("the destination refuses")

    effects.shipped = refused
    with pytest.raises(DeedboxError, match="refuses"):
        effects.perform(step, id_of(path), Progress(path=str(path)))
    effects.shipped = lambda *_: True
    assert effects.perform(step, id_of(path), Progress(path=str(path))).done == ("ship",)


def test_a_delete_that_was_interrupted_after_the_removal_ends_without_a_second_record(root: Path) -> None:
    path, _ = sealed(root, 2)
    archive, (step,), seen = id_of(path), parse_steps(["delete"]), Seen()
    effects = worker(root, seen=seen).effects
    effects.newest = {"one": 2}
    progress = effects.perform(step, archive, Progress(path=str(path)))
    assert (progress.path, path.exists(), len(seen.departures)) == (DELETED, False, 1)
    noted = load(root, archive)
    assert noted is not None
    assert noted.leaving == DELETED
    assert effects.perform(step, archive, noted).path == DELETED
    assert len(seen.departures) == 1


def test_an_archive_that_another_process_rewrites_stays(root: Path) -> None:
    path, _ = sealed(root, 2)
    effects = worker(root).effects
    effects.newest = {"one": 2}
    fd = Disk().create(path.with_name(path.name + ".compacting"))
    with pytest.raises(Waiting, match="rewrites"):
        effects.perform(parse_steps(["delete"])[0], id_of(path), Progress(path=str(path)))
    Disk().close(fd)


@pytest.mark.parametrize("step", ["delete", "move TOP/done"])
def test_deletions_stay_while_a_copy_is_in_the_directory(tmp_path: Path, root: Path, step: str) -> None:
    path, _ = sealed(root, 2)
    (root / "keep").mkdir()
    (root / "keep" / path.name).write_bytes(path.read_bytes())
    deleted = root / f"{id_of(path)}.deleted"
    deleted.write_bytes(b"a line\n")
    effects = worker(root).effects
    effects.newest = {"one": 2}
    (one,) = parse_steps([step.replace("TOP", str(tmp_path))])
    effects.perform(one, id_of(path), Progress(path=str(path)))
    assert (path.exists(), deleted.exists()) == (False, True)
