from pathlib import Path

import pytest

from consumer.ship.steps.step import StepKind, parse_steps


def test_every_kind_of_step_is_one_text() -> None:
    texts = ("ship", "link /srv/new", "run /bin/notify --x 'a b'", "suffix done", " move  /srv/with space ", "delete")
    steps = parse_steps(texts)
    assert [step.kind for step in steps] == [
        StepKind.SHIP,
        StepKind.LINK,
        StepKind.RUN,
        StepKind.SUFFIX,
        StepKind.MOVE,
        StepKind.DELETE,
    ]
    assert [step.argument for step in steps] == ["", "/srv/new", "", ".done", "/srv/with space", ""]
    assert steps[2].command == ("/bin/notify", "--x", "a b")
    assert [step.takes_away for step in steps] == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        (["copy /x"], "expected one of ship, move, link, suffix, run, delete"),
        ([""], "expected one of ship"),
        (["move"], "expected move DIRECTORY"),
        (["move relative"], "expected the absolute path"),
        (["link ../x"], "expected the absolute path"),
        (["ship now"], "ship has no argument"),
        (["run"], "expected run PROGRAM"),
        (["run 'x"], "no closing quotation"),
        (["suffix a/b"], "expected a suffix of letters"),
        (["suffix .open"], "Deedbox uses this suffix"),
        (["suffix damaged"], "Deedbox uses this suffix"),
        (["delete", "ship"], "'ship' after 'delete'"),
        (["ship", "ship"], "listed twice"),
        (["move /x", "ship"], "'ship' after a step that takes the archive away"),
    ],
)
def test_a_step_that_cannot_run_is_refused_with_the_reason(texts: list[str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_steps(texts)


def test_the_default_suffix_of_shoebox_gives_one_dot() -> None:
    """ChangeExtension of shoebox made `f.dat..done` of its own default."""
    assert parse_steps(["suffix .done"])[0].argument == ".done"
    assert Path("f.dat" + parse_steps(["suffix done"])[0].argument).name == "f.dat.done"
