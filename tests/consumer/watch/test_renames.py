from pathlib import Path

import pytest

from consumer.watch.renames import (
    Rename,
    RenameHistory,
    inserted_part,
    is_compressed,
    is_numbered,
    is_rotated,
    same_pattern,
)

LOG = Path("/d/app.log")


def named(*names: str) -> list[Path]:
    return [LOG.with_name(name) for name in names]


def test_a_chain_of_renames_is_followed() -> None:
    history = RenameHistory(LOG)
    one, two, three = named("app.log.1", "app.log.2", "app.log.3")
    history.note([Rename(LOG, one), Rename(one, two), Rename(LOG, one), Rename(two, three), Rename(one, two)])
    assert history.former == [three, two]


def test_removed_and_replaced_files_are_forgotten() -> None:
    history = RenameHistory(LOG)
    one, two, other = named("app.log.1", "app.log.2", "app-error.log")
    history.note([Rename(LOG, one), Rename(one, None)])
    assert history.former == []
    history.note([Rename(LOG, one), Rename(other, one)])
    assert history.former == []
    history.note([Rename(LOG, two), Rename(None, two)])
    assert history.former == []
    history.note([Rename(other, two), Rename(LOG, None)])
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
def test_the_part_that_a_rotation_inserts(name: str, rotated: str, part: tuple[str, str] | None) -> None:
    assert inserted_part(name, rotated) == part


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
    assert same_pattern("app.log", "app.log.2", names) == ["app.log.1", "app.log.12"]
    assert same_pattern("app1.log", "app1.log.1", ["app2.log.1", "app2.log.2", "app1.log.2"]) == ["app1.log.2"]
    assert same_pattern("app.log", "app.log.old", ["app.log.older", "app.log.1"]) == []
    dates = ["app.log.2026-11-21_10", "app.log.2026-11-21_11", "app.log.20261121"]
    assert same_pattern("app.log", dates[0], dates) == [dates[1]]
    assert same_pattern("app.log", "other", dates) == []


def test_compressed_files_are_known_by_their_names() -> None:
    assert all(is_compressed(f"app.log.1{suffix}") for suffix in (".gz", ".xz", ".zst", ".bz2"))
    assert not is_compressed("app.log.1")


def test_a_name_is_opened_again_if_a_rotation_gave_it_to_another_file_meanwhile() -> None:
    history = RenameHistory(LOG)
    one, two = named("app.log.1", "app.log.2")
    history.note([Rename(LOG, one)])
    history.opened(one)  # but the file had become app.log.2 already
    history.note([Rename(one, two), Rename(LOG, one)])
    assert history.former == [two, one]
    history.opened(two)
    history.opened(one)
    history.note([Rename(LOG, None)])
    assert history.former == []


@pytest.mark.parametrize(
    "rotated",
    [
        "app.log.1", "app.log.0", "app.log.12", "app.log.001", "app.log.old", "app.log-20261121", "app.log.2026-11-21.1",
        "app.log.2026-11-28_12", "app.log.2026-11-28_12-30-00", "app.log-2026112107", "app.log-1764331200", "app.log.2026-48",
        "app.log.20261128T120000", "app-20261121.log", "app-2026-11-21.log", "app.2026-11-21.log", "app.2026-11.log",
        "app-2026-11-28.log.1", "app-11-28-2026-1.log", "app__2026-11-28_00-00-00.log", "app_2026-11-28T12:00:00Z.log",
    ],
)  # fmt: skip
def test_only_a_rotation_can_have_given_these_names(rotated: str) -> None:
    """Those of logrotate, newsyslog, savelog, log4j, logback, Python, cronolog, winston, pm2."""
    assert is_rotated("app.log", rotated)
    assert not is_numbered("app.log", rotated)


@pytest.mark.parametrize(
    "other",
    [
        "app.log", "app-2.log", "app.1.log", "app.log.audit", "app.log.lock", "app.log.1.bak", "app.log.bak", "app.log~", "app2.log",
        "app-error.log", "app.log-1.log", "app.log.1.gz", "app.log.123456", "app-123456.log", "app.log-error", "app-20261121.log.gz",
        "xapp.log.1", "app-20261121.logs", "app-202611.log",
    ],
)  # fmt: skip
def test_these_names_may_be_of_another_program(other: str) -> None:
    assert not is_rotated("app.log", other)


def test_a_number_before_the_suffix_may_be_of_a_rotation() -> None:
    numbered = ["app.1.log", "app-2.log", "app_12.log"]
    assert [
        name for name in [*numbered, "app-123456.log", "app.log.1", "app-x.log"] if is_numbered("app.log", name)
    ] == numbered
