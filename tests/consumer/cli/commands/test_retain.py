"""`deedbox retain`, as a process."""

from pathlib import Path

import pytest

from tests.support.command_line import deedbox
from tests.support.retention import World
from tests.support.steps import checkpoint


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_dry_run_prints_what_would_go_and_what_stays_and_why(world: World) -> None:
    first, second, third = world.seal(3)
    checkpoint(world.root, "billing", "one-00000002:0")
    second.with_name(second.name + ".hold").touch()
    done = deedbox("retain", world.root, "--age", "30d", "--dry-run")
    sizes = [path.stat().st_size for path in (first, second, third)]
    assert done.stdout.splitlines() == [
        f"would go: {first}: {sizes[0]} bytes: older than 30 days",
        f"stays: {second}: {sizes[1]} bytes: {second}.hold holds it",
        f"stays: {third}: {sizes[2]} bytes: is the newest sealed archive of its instance",
        f"here: 1 archive with {sizes[0]} bytes would be removed, 2 archives with {sum(sizes[1:])} bytes kept",
    ]
    assert (done.returncode, world.left()) == (0, [1, 2, 3])


def test_archives_go_and_verify_does_not_report_a_loss_wal_g_1869(world: World) -> None:
    """Retention looked like loss."""
    first, second, _ = world.seal(3)
    url = world.destination("a")
    world.upload()
    done = deedbox("retain", world.root, "--to", url, "--count", "1")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["removed", "removed", "here"]
    assert (done.returncode, world.left(), world.left_at(url)) == (0, [3], [1, 2, 3])
    assert not first.exists()
    assert not second.exists()
    verified = deedbox("verify", world.root)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_what_is_not_shipped_stays_and_the_exit_status_says_so(world: World) -> None:
    first, *_ = world.seal(2)
    url = world.destination("a")
    done = deedbox("retain", world.root, "--to", url, "--bytes", "1kB")
    assert done.stdout.splitlines()[0] == f"stays: {first}: {first.stat().st_size} bytes: is not at {url} yet"
    assert (done.returncode, world.left()) == (1, [1, 2])


def test_without_a_limit_nothing_goes(world: World) -> None:
    world.seal(3)
    done = deedbox("retain", world.root)
    assert (done.returncode, done.stdout, world.left()) == (0, "no limit is set, nothing is removed\n", [1, 2, 3])


def test_limits_come_from_the_settings_too_and_an_option_wins(world: World, tmp_path: Path) -> None:
    world.seal(4)
    url = world.destination("a")
    world.upload()
    (tmp_path / "deedbox.toml").write_text(
        f'[ship]\ndestinations = ["{url}"]\n[retain]\ncount = 3\n[retain.destinations."{url}"]\ncount = 2\n'
    )
    config = ("--config", tmp_path / "deedbox.toml")
    assert deedbox("retain", world.root, *config).returncode == 0
    assert world.left() == [2, 3, 4]
    assert deedbox("retain", world.root, *config, "--count", "1").returncode == 0
    assert world.left() == [4]
    assert deedbox("retain", world.root, *config).returncode == 0
    assert world.left_at(url) == [3, 4]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["DIR", "DIR2", "--age", "1d"], "2 directories of archives named, 1 expected"),
        (["s3://bucket/prefix", "--age", "1d"], "0 directories of archives named, 1 expected"),
        (["DIR", "--age", "yesterday"], "retain.age_s: expected a number of seconds"),
        (["DIR", "--age", "1d", "--to", "nowhere"], "nowhere"),
        (["DIR/missing", "--age", "1d"], "is not a directory"),
    ],
)
def test_a_wrong_call_removes_nothing_and_names_the_fault(
    world: World, tmp_path: Path, arguments: list[str], fault: str
) -> None:
    world.seal(2)
    (tmp_path / "archive2").mkdir()
    done = deedbox("retain", *(one.replace("DIR", str(world.root)) for one in arguments))
    assert done.returncode != 0
    assert fault in done.stderr
    assert world.left() == [1, 2]


def test_a_limit_of_a_destination_that_is_none_is_an_error(world: World, tmp_path: Path) -> None:
    world.seal(2)
    url = world.destination("a")
    (tmp_path / "deedbox.toml").write_text(f'[retain.destinations."{url}"]\nage = "1d"\n')
    done = deedbox("retain", world.root, "--to", url, "--config", tmp_path / "deedbox.toml")
    assert done.returncode == 2
    assert f"retain.destinations: {url}" in done.stderr


def test_a_checkpoint_that_cannot_be_read_is_an_error(world: World) -> None:
    world.seal(3)
    checkpoint(world.root, "f", "one-00000009:0").write_bytes(b"{")
    done = deedbox("retain", world.root, "--count", "1")
    assert (done.returncode, world.left()) == (1, [1, 2, 3])
    assert "f.checkpoint" in done.stderr


def test_objects_go_by_the_remote_limits_from_seaweedfs(world: World, bucket, seaweedfs, monkeypatch) -> None:
    for name, value in seaweedfs.environ().items():
        monkeypatch.setenv(name, value)
    url = bucket / "prefix"
    world.urls.append(url)
    world.seal(4)
    world.upload()
    assert deedbox("retain", world.root, url, "--count", "2").returncode == 0
    assert (world.left(), world.left_at(url)) == ([3, 4], [1, 2, 3, 4])
    done = deedbox("retain", world.root, url, "--count", "2", "--remote-count", "3")
    assert (done.returncode, world.left_at(url)) == (0, [2, 3, 4])
    assert f"removed: {url}/" in done.stdout


def test_an_age_needs_a_unit_because_30_would_be_seconds(world: World) -> None:
    world.seal(3)
    for option in ("--age", "--remote-age"):
        done = deedbox("retain", world.root, option, "30")
        assert (done.returncode, world.left()) == (2, [1, 2, 3])
        assert f"{option} 30 has no unit; write it with one, such as 30d for days" in done.stderr


def test_it_warns_if_no_destination_is_named(world: World) -> None:
    world.seal(3)
    done = deedbox("retain", world.root, "--count", "1", "--dry-run")
    assert (done.returncode, "no destination is named" in done.stderr) == (0, True)
    done = deedbox("retain", world.root, "--to", world.destination("a"), "--count", "1", "--dry-run")
    assert done.stderr == ""
