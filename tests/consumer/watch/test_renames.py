from pathlib import Path

import pytest

from consumer.watch.renames import Change, History, inserted, is_compressed, rotations, successors

LOG = Path("/d/app.log")


def named(*names: str) -> list[Path]:
    return [LOG.with_name(name) for name in names]


def test_a_chain_of_renames_is_followed() -> None:
    history = History(LOG)
    one, two, three = named("app.log.1", "app.log.2", "app.log.3")
    history.note([Change(LOG, one), Change(one, two), Change(LOG, one), Change(two, three), Change(one, two)])
    assert history.former == [three, two]


def test_what_was_removed_or_replaced_is_forgotten() -> None:
    history = History(LOG)
    one, two, other = named("app.log.1", "app.log.2", "app-error.log")
    history.note([Change(LOG, one), Change(one, None)])
    assert history.former == []
    history.note([Change(LOG, one), Change(other, one)])
    assert history.former == []
    history.note([Change(LOG, two), Change(None, two)])
    assert history.former == []
    history.note([Change(other, two), Change(LOG, None)])
    assert history.former == []


@pytest.mark.parametrize(
    ("name", "rotated", "part"),
    [
        ("app.log", "app.log.1", (".1", "")),
        ("app.log", "app.log-20261121", ("-20261121", "")),
        ("app.log", "app-20261121.log", ("-20261121", ".log")),
        ("app.log", "app.1.log", (".1", ".log")),
        ("log", "log.1", (".1", "")),
        ("app1.log", "app1.log.1", (".1", "")),
        ("app.log", "app.log.old", (".old", "")),
        ("app.log", "app.log~", ("~", "")),
        ("app.log", "app-error.log", None),
        ("app.log", "app2.log", None),
        ("app.log", "apple.log", None),
        ("app.log", "app.log", None),
        ("app.log", "app.log2", None),
        ("app.log", "other.log.1", None),
        ("log", "log2", None),
    ],
)
def test_what_a_rotation_inserts(name: str, rotated: str, part: tuple[str, str] | None) -> None:
    assert inserted(name, rotated) == part


def test_successors_differ_in_numbers_only() -> None:
    names = [
        "app.log",
        "app.log.1",
        "app.log.2",
        "app.log.12",
        "app.log.1.gz",
        "app-error.log.1",
        "app.log.x",
        "app.log-1",
    ]
    assert successors("app.log", "app.log.2", names) == ["app.log.1", "app.log.12"]
    assert successors("app1.log", "app1.log.1", ["app2.log.1", "app2.log.2", "app1.log.2"]) == ["app1.log.2"]
    assert successors("app.log", "app.log.old", ["app.log.older", "app.log.1"]) == []
    dates = ["app.log.2026-11-21_10", "app.log.2026-11-21_11", "app.log.20261121"]
    assert successors("app.log", dates[0], dates) == [dates[1]]
    assert successors("app.log", "other", dates) == []


def test_compressed_files_are_known_by_their_names() -> None:
    assert all(is_compressed(f"app.log.1{suffix}") for suffix in (".gz", ".xz", ".zst", ".bz2"))
    assert not is_compressed("app.log.1")


def test_a_name_is_opened_again_if_a_rotation_gave_it_to_another_file_meanwhile() -> None:
    history = History(LOG)
    one, two = named("app.log.1", "app.log.2")
    history.note([Change(LOG, one)])
    history.opened(one)  # but the file had become app.log.2 already
    history.note([Change(one, two), Change(LOG, one)])
    assert history.former == [two, one]
    history.opened(two)
    history.opened(one)
    history.note([Change(LOG, None)])
    assert history.former == []


def test_only_a_rotation_can_have_given_these_names() -> None:
    given = [
        "app.log.1",
        "app.log.12",
        "app.log-20261121",
        "app.log.2026-11-21.1",
        "app-20261121.log",
        "app.log-2026112107",
    ]
    others = [
        "app.log",
        "app-2.log",
        "app.log.audit",
        "app.log.1.bak",
        "app2.log",
        "app-error.log",
        "app.log-1.log",
        "app.log.1.gz",
    ]
    assert rotations("app.log", given + others) == given
