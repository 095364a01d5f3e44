from collections.abc import Callable
from pathlib import Path

import pytest

from consumer.demo import packages
from consumer.demo.packages import Package, install_missing
from consumer.errors import DeedboxError

Ran = list[str]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    """A machine with sudo and apt-get, on which each command is noted, and an installation makes the file `tool`."""
    commands: Ran = []

    def run(command: list[str], _by_hand: str) -> None:
        commands.append(" ".join(command))
        if "install" in command:
            (tmp_path / "tool").touch()

    monkeypatch.setattr(packages, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(packages, "_sudo", lambda: ["sudo", "-n"])
    monkeypatch.setattr(packages, "run", run)
    found: Callable = packages.shutil.which
    monkeypatch.setattr(packages.shutil, "which", lambda name, *how: name if name == "apt-get" else found(name, *how))
    return commands


def test_packages_that_are_there_are_not_installed(ran: Ran) -> None:
    lines: list[str] = []
    install_missing([Package("python3", "python3"), Package("hosts", "/etc/hosts")], lines.append)
    assert (ran, lines) == ([], [])


def test_missing_packages_are_announced_and_installed_together(ran: Ran, tmp_path: Path) -> None:
    lines: list[str] = []
    tool = str(tmp_path / "tool")
    install_missing([Package("one", tool), Package("python3", "python3"), Package("two", tool)], lines.append)
    assert lines == ["installing one, two from the system's packages; no service is started"]
    assert [command for command in ran if command.endswith("install -y --no-install-recommends one two")]


def test_an_installation_starts_no_service_and_leaves_no_policy(ran: Ran, tmp_path: Path) -> None:
    install_missing([Package("one", str(tmp_path / "tool"))], lambda _: None)
    assert "exit 101" in ran[0]
    assert ran[-1] == f"sudo -n rm -f {tmp_path / 'policy-rc.d'}"


def test_a_policy_of_the_machine_is_left_alone(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "policy-rc.d").touch()
    install_missing([Package("one", str(tmp_path / "tool"))], lambda _: None)
    assert not [command for command in ran if "policy-rc.d" in command]


def test_a_package_without_the_expected_file_is_an_error(ran: Ran) -> None:
    with pytest.raises(DeedboxError, match="still missing after the installation: one"):
        install_missing([Package("one", "/nowhere/tool")], lambda _: None)


def test_a_tool_outside_the_path_of_a_user_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """For users other than root, `mkfs.ext4` counted as missing."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert packages.missing([Package("init-system-helpers", "invoke-rc.d")]) == []


def test_without_root_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_sudo", lambda: None)
    with pytest.raises(DeedboxError, match="run `apt-get install one two` as root"):
        install_missing([Package("one", "/nowhere/1"), Package("two", "/nowhere/2")], lambda _: None)


def test_a_failed_installation_gives_the_reason() -> None:
    with pytest.raises(DeedboxError, match=r"no such place.*run it by hand"):
        packages.run(["sh", "-c", "echo no such place >&2; exit 3"], "run it by hand")
