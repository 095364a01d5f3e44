"""The checks themselves, as far as a run of retention does not show them."""

from pathlib import Path

from consumer.archive.digests.history import retired
from consumer.ship.retention.check import Check
from consumer.ship.retention.limits import Limits
from consumer.ship.retention.local import Directory
from consumer.ship.retention.places import look_at
from tests.support.retention import World


def check_of(world: World) -> Check:
    return Check(Directory.look(world.root), look_at(world.urls), retired(world.root))


def test_the_finding_names_the_sha256_and_the_other_places(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.seal(2)
    a, b = world.destination("a"), world.destination("b")
    world.upload()
    check = check_of(world)
    first, newest = check.directory.candidates()
    finding = check.local(first)
    assert (finding.stays, finding.kept, len(finding.sha256)) == ((), (str(a), str(b)), 64)
    assert check.local(newest).sha256 == ""
    world.run(Limits(count=1))
    check = check_of(world)
    there = check.remote(check.places[0], check.places[0].candidates()[0])
    assert (there.stays, there.kept, there.sha256) == ((), (str(b),), finding.sha256)
