from dataclasses import replace
from pathlib import Path

import pytest

from consumer.health import FILE_BYTES, STALE_S, UNACKED_S_MAX, Health, Instant, health_path, judge

STATE = {"state": "consuming", "archived": 5, "held": 0, "unacked_age_s": 0.0}


async def written(directory: Path, **changes: object) -> tuple[Path, Instant]:
    await Health(directory, "one").write(STATE | changes)
    return health_path(directory, "one"), Instant.now()


def later(now: Instant, by_s: float) -> Instant:
    return replace(now, wall=now.wall + by_s, boot=now.boot + by_s)


async def test_a_consuming_service_is_healthy(tmp_path: Path) -> None:
    path, now = await written(tmp_path)
    assert judge(path, now) == (True, "consuming, 5 archived, 0 held")


@pytest.mark.parametrize("state", ["paused", "connecting"])
async def test_a_service_without_progress_is_not_healthy(tmp_path: Path, state: str) -> None:
    path, now = await written(tmp_path, state=state)
    assert judge(path, now)[0] is False


async def test_an_old_health_file_is_not_healthy(tmp_path: Path) -> None:
    path, now = await written(tmp_path)
    assert judge(path, later(now, STALE_S + 1)) == (
        False,
        "the health file is 16 s old: the service does not run, or its disk does not answer (consuming, 5 archived, 0 held)",
    )


async def test_the_file_keeps_its_size_and_its_inode(tmp_path: Path) -> None:
    """Therefore it can be written on a full disk."""
    path, _ = await written(tmp_path)
    inode = path.stat().st_ino
    path, _ = await written(tmp_path, archived=10**12, state="paused")
    assert (path.stat().st_size, path.stat().st_ino) == (FILE_BYTES, inode)


@pytest.mark.parametrize("raw", [b"", b"junk", b"[]", b'{"at": 5}', b'{"at": "now"}', b'{"at": {"wall": 1}}'])
def test_an_invalid_health_file_is_not_healthy(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "one.health").write_bytes(raw)
    well, why = judge(tmp_path / "one.health", Instant.now())
    assert (well, "cannot be read" in why) == (False, True)


def test_a_directory_without_a_health_file_is_not_healthy(tmp_path: Path) -> None:
    assert judge(tmp_path / "one.health", Instant.now())[1].endswith("give the --dir and --instance of `run`")


async def test_an_error_while_the_file_is_written_is_not_raised(tmp_path: Path) -> None:
    await Health(tmp_path / "none", "one").write(STATE)
    assert list(tmp_path.iterdir()) == []


async def test_the_health_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"of another program")
    (tmp_path / "one.health").symlink_to(foreign)
    await Health(tmp_path, "one").write(STATE)
    assert foreign.read_bytes() == b"of another program"
    assert judge(tmp_path / "one.health", Instant.now())[0] is False


@pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0])
async def test_a_step_of_the_wall_clock_does_not_change_the_age(tmp_path: Path, step_s: float) -> None:
    path, now = await written(tmp_path)
    assert judge(path, replace(now, wall=now.wall + step_s))[0]


async def test_on_another_machine_the_wall_clock_decides_and_a_future_time_is_not_healthy(tmp_path: Path) -> None:
    path, now = await written(tmp_path)
    elsewhere = replace(now, boot_id="another", boot=0.0)
    assert judge(path, elsewhere)[0]
    assert "100 s old" in judge(path, later(elsewhere, 100))[1]
    assert judge(path, later(elsewhere, -100)) == (
        False, "the health file is 100 s in the future: the clocks of two machines differ (consuming, 5 archived, 0 held)",
    )  # fmt: skip


async def test_a_delivery_that_is_held_too_long_is_not_healthy(tmp_path: Path) -> None:
    path, now = await written(tmp_path, held=1, unacked_age_s=UNACKED_S_MAX + 1)
    assert judge(path, now) == (
        False, "a delivery has been held for 61 s and is not archived (consuming, 5 archived, 1 held, the oldest for 61.0 s)",
    )  # fmt: skip


async def test_an_unknown_instance_is_answered_with_the_known_instances(tmp_path: Path) -> None:
    await written(tmp_path)
    well, why = judge(health_path(tmp_path, "two"), Instant.now())
    assert not well
    assert why.endswith(
        f"no service of this instance has run in {tmp_path}; these instances have: one; choose one with --instance"
    )


async def test_the_answer_has_the_reason_of_a_pause(tmp_path: Path) -> None:
    path, now = await written(tmp_path, state="paused", reason="5 bytes free; free space")
    assert judge(path, now) == (False, "paused, 5 archived, 0 held: 5 bytes free; free space")


async def test_a_long_reason_fits_into_the_file(tmp_path: Path) -> None:
    path, now = await written(tmp_path, state="paused", reason='"\udcff\n' * 500)
    assert (path.stat().st_size, judge(path, now)[1][:7]) == (FILE_BYTES, "paused,")
