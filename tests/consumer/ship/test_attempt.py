from pathlib import Path

from consumer.ship.attempt import Due, outcome_of
from consumer.ship.local_files import Kind, LocalFile, Stamp
from consumer.ship.upload import Refused

FILE = LocalFile(Kind.ARCHIVE, (Path("x"),), "x")


def test_an_exception_is_the_outcome_of_its_file() -> None:
    error = LookupError("a defect")

    def fail(_: LocalFile) -> None:
        raise error

    assert outcome_of(fail, FILE) is error
    assert outcome_of(lambda _: None, FILE) is None


def test_a_name_that_no_object_can_have_is_refused() -> None:
    assert isinstance(outcome_of(lambda _: None, LocalFile(Kind.ARCHIVE, (Path("x"),), "\udcff")), Refused)


def test_the_size_is_that_of_all_files() -> None:
    assert Due(FILE, (Stamp(1, 1, 5), Stamp(2, 1, 7))).size == 12
