"""`import` as a user runs it."""

from pathlib import Path

import pytest

from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox

FOREIGN = Path(__file__).parents[3] / "data" / "foreign"


@pytest.mark.parametrize(
    ("name", "format", "count"),
    [("shoebox-v1.bin", "shoebox", 3), ("theia.stream", "theia", 2), ("cloudinit-22.4.pool", "cloudinit", 4)],
)
def test_imported_files_verify_as_complete(tmp_path: Path, name: str, format: str, count: int) -> None:
    done = deedbox("import", FOREIGN / name, "--format", format, "--dir", tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (Exit.OK, f"{FOREIGN / name}: {count} events")
    assert f"complete: 1 archive, {count} events" in deedbox("verify", tmp_path).stdout


def test_a_damaged_file_gives_its_whole_events_and_a_line_for_each_gap(tmp_path: Path) -> None:
    raw = (FOREIGN / "shoebox-v1.bin").read_bytes()
    (tmp_path / "damaged").write_bytes(raw + b"noise" + raw[:-3])
    done = deedbox("import", tmp_path / "damaged", "--format", "shoebox", "--dir", tmp_path / "archive")
    assert done.returncode == Exit.DAMAGED
    assert done.stdout.splitlines()[-1].endswith("damaged: 5 events, 2 parts skipped")
    assert [line.split(": ")[2] for line in done.stderr.splitlines()] == ["at 222", "at 398"]
    assert deedbox("search", tmp_path / "archive", "--count").stdout == "5\n"


def test_a_second_import_continues_the_sequence_of_archives(tmp_path: Path) -> None:
    for _ in range(2):
        deedbox("import", FOREIGN / "theia.stream", "--format", "theia", "--dir", tmp_path)
    assert "complete: 2 archives, 4 events" in deedbox("verify", tmp_path).stdout


def test_a_file_that_cannot_be_read_does_not_stop_the_import_of_others(tmp_path: Path) -> None:
    done = deedbox(
        "import", tmp_path / "nothere", FOREIGN / "theia.stream", "--format", "theia", "--dir", tmp_path / "archive"
    )
    assert done.returncode == Exit.DAMAGED
    assert f"{tmp_path / 'nothere'}: No such file or directory" in done.stderr
    assert deedbox("search", tmp_path / "archive", "--count").stdout == "2\n"


def test_a_relative_directory_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shoebox matched its pattern against the full path: the example of its README read nothing."""
    (tmp_path / "in").mkdir()
    for number in range(4):  # three empty files in a row were the end to it
        (tmp_path / "in" / f"test_{number}").write_bytes(
            (FOREIGN / "shoebox-v1.bin").read_bytes() if number == 3 else b""
        )
    monkeypatch.chdir(tmp_path)
    done = deedbox("import", "./in", "--format", "shoebox", "--dir", "archive")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (Exit.OK, "in/test_3: 3 events")


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("shoebox-v1.bin", "shoebox"),
        ("theia.stream", "theia"),
        ("cloudinit-22.4.pool", "cloudinit"),
        ("lines", "jsonl"),
    ],
)
@pytest.mark.parametrize("wrong", ["shoebox", "theia", "cloudinit", "jsonl"])
def test_a_file_of_another_format_is_not_reported_as_damage(tmp_path: Path, name: str, format: str, wrong: str) -> None:
    path = tmp_path / "lines" if name == "lines" else FOREIGN / name
    if name == "lines":
        path.write_bytes(b'{"a":1}\n')
    done = deedbox("import", path, "--format", wrong, "--dir", tmp_path / "archive")
    if wrong == format:
        assert (done.returncode, done.stderr) == (Exit.OK, "")
    else:
        reported = f"deedbox: {path}: begins as a {format} file, but --format is {wrong}; nothing of it was imported; use --format {format}\n"
        assert (done.returncode, done.stderr) == (Exit.DAMAGED, reported)


def test_a_line_that_is_not_json_is_not_imported_as_an_event(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b'{"a":1}\nnot json\n{"a":2}\n')
    done = deedbox("import", tmp_path / "lines", "--format", "jsonl", "--dir", tmp_path / "archive")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        Exit.DAMAGED,
        f"{tmp_path / 'lines'}: 2 events, 1 part skipped",
    )
    assert done.stderr == f"deedbox: {tmp_path / 'lines'}: at 8: 8 bytes: damaged: not JSON\n"


@pytest.mark.parametrize("instance", ["../elsewhere", "a b", "", "é"])
def test_an_import_with_a_wrong_instance_name_is_refused(tmp_path: Path, instance: str) -> None:
    """Regression: the events went to archives that no reader finds, with exit status 0."""
    arguments = ("--format", "theia", "--dir", tmp_path / "archive", "--instance", instance)
    done = deedbox("import", FOREIGN / "theia.stream", *arguments)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert done.stderr.startswith(f"deedbox: {instance!r} is no name of an instance; use letters, digits")
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("format", ["jsonl", "theia"])
def test_an_import_of_an_archive_is_one_error_and_archives_nothing(tmp_path: Path, format: str) -> None:
    """Regression: each line of the compressed bytes was reported as a line that is not JSON."""
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 500))
    one.roll("test")
    (sealed,) = find_archives([tmp_path / "archive"])
    done = deedbox("import", sealed, "--format", format, "--dir", tmp_path / "other")
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "")
    assert done.stderr == (
        f"deedbox: {sealed}: is an archive of Deedbox; nothing of it was imported; "
        "`deedbox export --format jsonl` writes files that can be imported\n"
    )


def test_a_binary_file_is_one_error_and_archives_nothing(tmp_path: Path) -> None:
    """Regression: each of its 81,000 lines was an error, and lines that were JSON by chance became events."""
    path = tmp_path / "other"
    path.write_bytes(b"PAR1\0\xff\n" * 40 + b"7\n" + b"\xfe\0\n" * 50_000)
    done = deedbox("import", path, "--format", "jsonl", "--dir", tmp_path / "archive")
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "")
    assert done.stderr == (
        f"deedbox: {path}: is not a jsonl file: 99 of its first 100 parts are not events, the first one at 0: damaged: not JSON; "
        "nothing of it was imported; if only its beginning is damaged, remove the beginning and import the rest\n"
    )
    assert find_archives([tmp_path / "archive"]) == []


def test_damage_in_the_middle_of_a_file_loses_no_line_before_or_after_it(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    good = [b'{"n":%d}\n' % n for n in range(400)]
    path.write_bytes(b"".join(good[:200]) + b"\xff\0\n" * 5000 + b"".join(good[200:]) + b"x\n")
    done = deedbox("import", path, "--format", "jsonl", "--dir", tmp_path / "archive")
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, f"{path}: 400 events, 5001 parts skipped\n")
    lines = done.stderr.splitlines()
    assert len(lines) == 12
    end = sum(map(len, good[:200])) + 3 * 5000 - 1
    assert lines[10] == f"deedbox: {path}: up to {end}: 4990 more parts skipped in a row"
    assert lines[11].endswith(": 1 byte: damaged: not JSON")
    assert deedbox("cat", tmp_path / "archive", "--format", "raw").stdout.encode() == b"".join(good)
