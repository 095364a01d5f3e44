"""The reading commands as a person runs them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from codec.amqp import Field, encode_header
from consumer.archive.listing import find_archives
from consumer.errors import Exit
from tests.support import archives
from tests.support.archive_logs import archive_log, some


def deedbox(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    one = archive_log(tmp_path / "archive")
    one.append(some(0, 50))
    one.roll("test")
    one.append(some(50, 50))
    return tmp_path / "archive"


def ids(out: str) -> list[str]:
    return [orjson.loads(line)["id"] for line in out.splitlines()]


def test_search_prints_what_it_finds_and_what_that_cost(directory: Path) -> None:
    done = deedbox(
        "search", "--type", "type.1", "--type", "!x", directory, "--order", "desc", "--limit", 2, "--explain"
    )
    assert (done.returncode, ids(done.stdout)) == (Exit.OK, ["id-97", "id-94"])
    assert done.stderr.startswith("deedbox: read ")
    assert deedbox("search", directory, "--count", "--where", "serial>=90").stdout == "10\n"


def test_search_names_what_it_cannot_read(directory: Path) -> None:
    first = find_archives([directory])[0]
    first.chmod(0o600)
    first.write_bytes(first.read_bytes()[:700])
    done = deedbox("search", directory, "--count")
    assert (done.returncode, done.stdout) == (Exit.DAMAGED, "50\n")
    assert done.stderr.count("\n") == 1
    assert f"{first}: at " in done.stderr


def test_get_prints_one_event_or_says_that_there_is_none(directory: Path) -> None:
    assert ids(deedbox("get", "id-77", directory).stdout) == ["id-77"]
    assert deedbox("get", "id-7", directory, "--format", "raw").stdout.startswith('{"serial":7,')
    missing = deedbox("get", "id-100", directory)
    assert (missing.returncode, missing.stdout) == (Exit.NOT_FOUND, "")
    assert "id-100" in missing.stderr


def test_an_event_is_deleted_in_every_copy_of_its_archive(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory, tmp_path / "copy")
    assert deedbox("delete", "id-7", directory, tmp_path / "copy").stdout.startswith("1 event deleted")
    for place in (directory, tmp_path / "copy"):
        assert deedbox("get", "id-7", place).returncode == Exit.NOT_FOUND


def test_a_deleted_event_is_hidden_from_everybody_and_then_gone(directory: Path) -> None:
    """Theia could neither get nor delete."""
    for id in ("id-7", "id-77"):
        assert deedbox("delete", id, directory).stdout.startswith("1 event deleted")
    assert deedbox("delete", "id-7", directory).returncode == Exit.NOT_FOUND
    assert deedbox("search", directory, "--count").stdout == "98\n"
    for format in ("jsonl", "raw", "kvp"):
        shown = deedbox("cat", directory, "--format", format).stdout
        assert ("id-6" in shown or '"serial":6,' in shown, '"serial":7,' in shown, '"serial":77,' in shown) == (
            True, False, False,
        )  # fmt: skip
    assert "2 deleted and hidden, 0 removed" in deedbox("verify", directory).stdout
    assert "compacted: " in deedbox("compact", directory).stdout
    verified = deedbox("verify", directory)
    assert (verified.returncode, "1 deleted and hidden, 1 removed" in verified.stdout) == (Exit.OK, True)
    assert deedbox("search", directory, "--count").stdout == "98\n"


def test_an_event_of_another_directory_with_the_same_names_is_left_alone(directory: Path, tmp_path: Path) -> None:
    other = archive_log(tmp_path / "archive" / "other")
    other.append(some(100, 50))
    other.roll("test")
    assert deedbox("delete", "id-7", tmp_path).stdout.startswith("1 event deleted")
    deedbox("delete", "id-9", find_archives([directory])[0].parent)
    deedbox("compact", tmp_path)
    assert deedbox("search", tmp_path, "--count").stdout == "148\n"
    assert deedbox("get", "id-107", tmp_path).returncode == Exit.OK
    assert deedbox("get", "id-7", tmp_path).returncode == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["search", "--limit", "-1", "DIR"], Exit.SETTINGS, "--limit -1"),
        (["tail", "-n", "-1", "DIR"], Exit.SETTINGS, "--newest -1"),
        (["tail", "/nope"], Exit.DAMAGED, "nothing is there"),
        (["compact", "/nope"], Exit.DAMAGED, ""),
        (["search", "/nope"], Exit.DAMAGED, "No such file"),
        (["search", "--match", "(" * 3000, "DIR"], Exit.SETTINGS, "no regular expression"),
        (["cat", "--since", "1h", "--until", "2h", "DIR"], Exit.SETTINGS, "no event can be between"),
        (["tail", "--arrived-since", "1h", "--arrived-until", "2h", "DIR"], Exit.SETTINGS, "no event can be between"),
        (["search", "--where", "name=~x", "DIR"], Exit.SETTINGS, "has the operator '=~'"),
        (["search", "--where", "headers=3", "DIR"], Exit.SETTINGS, "write headers.NAME"),
    ],
)
def test_odd_arguments_are_said_in_a_line(directory: Path, arguments: list[str], status: Exit, says: str) -> None:
    done = deedbox(*(directory if argument == "DIR" else argument for argument in arguments))
    assert done.returncode == status
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipe_that_closes_ends_it_quietly(directory: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m consumer search {directory} {directory} {directory} | head -1", shell=True, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_cat_prints_a_table_and_local_times(directory: Path) -> None:
    table = deedbox("cat", directory, "--format", "table").stdout.splitlines()
    assert (len(table), table[0].split()[:2], "type.1" in table[2]) == (101, ["time", "position"], True)
    local = subprocess.run(
        [sys.executable, "-m", "consumer", "cat", directory, "--local"], check=True, capture_output=True, text=True,
        env={**os.environ, "TZ": "Asia/Tokyo"},
    )  # fmt: skip
    assert orjson.loads(local.stdout.splitlines()[0])["time"] == "2025-11-22T01:15:00.000000+09:00"


def test_verify_speaks_json_to_scripts(directory: Path) -> None:
    lines = [
        orjson.loads(line)
        for line in deedbox("verify", directory, "--format", "jsonl", "--workers", 2).stdout.splitlines()
    ]
    assert [(line["id"], line["events"], line["state"], line["faults"]) for line in lines] == [
        ("one-00000001", 50, "sealed", []), ("one-00000002", 50, "open", []),
    ]  # fmt: skip


def test_a_reader_that_waits_keeps_no_writer_from_writing(directory: Path, tmp_path: Path) -> None:
    """Cloud-init's reader held the lock of the file for as long as its caller took."""
    searching = subprocess.Popen(
        [sys.executable, "-m", "consumer", "tail", "-f", str(directory)], stdout=subprocess.PIPE
    )
    assert searching.stdout is not None
    assert searching.stdout.readline()
    one = archive_log(directory, instance="two")
    one.append(some(100, 5))
    one.roll("test")
    searching.terminate()
    searching.communicate()


@pytest.mark.parametrize("command", ["cat", "search", "tail", "export"])
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--arrived-since", "2026-01-01"], [3, 4]),
        (["--arrived-until", "2025-12-31"], [1, 2]),
        (["--since", "2025-11-21T16:15:00.000002Z", "--until", "2025-11-21T16:15:00.000003Z"], [2, 3]),
        (["--type", "type.1", "--id", "id-1", "--id", "id-2", "--match", "x{20}"], [1]),
        (["--where", "serial>=2", "--exchange", "ex*", "--routing-key", "key", "--type", "!type.0"], [2, 4]),
        (["--tag", "a"], [4]),
        (["--routing-key", "user.#"], [3]),
        (["--header", "retries>=3"], [4]),
        (["--where", "properties.app_id=nova"], [4]),
    ],
)
def test_every_command_that_reads_events_has_the_same_filters(
    tmp_path: Path, command: str, filters: list[str], found: list[int]
) -> None:
    one = archive_log(tmp_path / "archive")
    one.append(some(1, 2))
    late = [event._replace(arrived_us=event.arrived_us + 86_400_000_000 * 60) for event in some(3, 2)]
    header = encode_header({"headers": (("retries", Field("I", 3)),), "app_id": "nova"})
    one.append([late[0]._replace(routing_key="user.eu.created"), late[1]._replace(tags=("a",), header=header)])
    extra = ["--format", "jsonl", "--out", tmp_path / "out"] if command == "export" else []
    done = deedbox(command, tmp_path / "archive", *extra, *filters)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    out = (tmp_path / "out" / "events.jsonl").read_text() if command == "export" else done.stdout
    assert ids(out) == [f"id-{serial}" for serial in found]


def test_cat_names_an_event_on_which_an_expression_times_out(directory: Path) -> None:
    slow = archive_log(directory, instance="slow")
    slow.append([event._replace(body=b"x" * 5000) for event in some(200, 1)])
    done = deedbox("cat", directory, "--match", r"(x+x+)+(?=y)\1z|serial", "--type", "*")
    assert (done.returncode, len(ids(done.stdout))) == (Exit.DAMAGED, 100)
    assert done.stderr.count("\n") == 1
    assert "slow-00000001:0: the expression" in done.stderr


@pytest.fixture
def doubled(tmp_path: Path) -> Path:
    """Three events; the last two of five came twice and are marked."""
    one = archive_log(tmp_path / "doubled")
    one.append(some(0, 3))
    one.append(
        [event._replace(redelivered=True, duplicate=f"one-00000001:{n}") for n, event in enumerate(some(1, 2), 1)]
    )
    one.roll("test")
    return tmp_path / "doubled"


@pytest.mark.parametrize("command", [("cat",), ("search",), ("tail", "-n", 99), ("cat", "--format", "kvp")])
def test_readers_hide_marked_events_and_say_how_many(doubled: Path, command: tuple[object, ...]) -> None:
    def shown(*options: str) -> tuple[int, str]:
        done = deedbox(*command, doubled, *options)
        assert done.returncode == Exit.OK
        return done.stdout.count("id-"), done.stderr

    assert shown() == (3, "deedbox: 2 events hidden, which are marked as duplicates; --duplicates show prints them\n")
    assert shown("--duplicates", "show") == (5, "")
    assert shown("--duplicates", "only") == (2, "")


def test_cat_prints_the_records_of_unmarked_events_as_the_archive_holds_them(doubled: Path) -> None:
    shown = [
        deedbox("cat", doubled, "--format", "kvp", "--duplicates", mode).stdout for mode in ("show", "hide", "only")
    ]
    assert shown[0] == shown[1] + shown[2]
    assert len(shown[1]) == 3 * 2560


def test_get_shows_the_first_of_two_equal_events(doubled: Path) -> None:
    assert ids(deedbox("get", "id-1", doubled).stdout) == ["id-1"]
    done = deedbox("get", "id-1", doubled, "--duplicates", "only")
    assert orjson.loads(done.stdout)["duplicate"] == "one-00000001:1"
    assert done.stderr == ""
    assert ids(deedbox("get", "one-00000001:3", doubled).stdout) == ["id-1"]
    done = deedbox("get", "id-0", doubled, "--duplicates", "only")
    assert done.returncode == Exit.NOT_FOUND


def test_an_event_is_deleted_together_with_its_marked_copies(doubled: Path) -> None:
    """What is deleted for privacy must not come back by --duplicates show."""
    assert deedbox("delete", "id-1", doubled, "--yes").stdout.startswith("2 events deleted")
    assert ids(deedbox("cat", doubled, "--duplicates", "show").stdout) == ["id-0", "id-2", "id-2"]


def test_nothing_is_said_of_duplicates_where_there_are_none(directory: Path) -> None:
    for command in ("cat", "search", "tail"):
        assert deedbox(command, directory).stderr == ""


def test_counting_leaves_marked_events_out(doubled: Path) -> None:
    assert deedbox("search", doubled, "--count").stdout == "3\n"
    assert deedbox("search", doubled, "--count", "--duplicates", "show").stdout == "5\n"


def test_a_tail_that_is_interrupted_says_what_it_hid(doubled: Path) -> None:
    command = [sys.executable, "-m", "consumer", "tail", "-f", str(doubled)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        for _ in range(3):
            following.stdout.readline()
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=60)
    assert said == "deedbox: 2 events hidden, which are marked as duplicates; --duplicates show prints them\n"


@pytest.mark.parametrize("format", ["jsonl", "shoebox"])
def test_an_export_that_shows_marked_events_keeps_their_marks(doubled: Path, tmp_path: Path, format: str) -> None:
    hidden = deedbox("export", doubled, "--format", format, "--out", tmp_path / "hidden")
    assert hidden.stderr.startswith("deedbox: 2 events hidden")
    assert "3 events in 1 file" in hidden.stdout
    assert (
        deedbox("export", doubled, "--format", format, "--out", tmp_path / "all", "--duplicates", "show").stderr == ""
    )
    back = tmp_path / "back"
    assert deedbox("import", tmp_path / "all", "--format", format, "--dir", back).returncode == Exit.OK
    assert sorted(archives.events(back)) == sorted(archives.events(doubled))


def test_a_path_that_is_not_there_is_a_fault_also_with_a_limit_of_none(directory: Path) -> None:
    assert deedbox("search", directory, directory / "missing", "--limit", 0).returncode == Exit.DAMAGED


def test_a_negative_number_of_workers_is_refused(directory: Path) -> None:
    done = deedbox("search", directory, "--workers", -1)
    assert (done.returncode, done.stdout) == (Exit.SETTINGS, "")
    assert done.stderr == "deedbox: --workers -1; name a number from 0 on; 0 reads in this process alone\n"


@pytest.mark.parametrize("format", ["jsonl", "kvp", "raw"])
def test_cat_ends_at_its_limit(directory: Path, format: str) -> None:
    def shown(*options: object) -> str:
        return deedbox("cat", directory, "--format", format, *options).stdout

    size = {
        "jsonl": lambda text: text.count("\n"),
        "raw": lambda text: text.count("\n"),
        "kvp": lambda text: len(text) // 2560,
    }
    assert size[format](shown("--limit", 3)) == 3
    assert shown().startswith(shown("--limit", 3))
    assert shown("--limit", 0) == ""


@pytest.mark.parametrize("command", [["search"], ["search", "--count"], ["cat"], ["tail"]])
def test_a_directory_without_archives_is_said(tmp_path: Path, command: list[str]) -> None:
    """The answer was the same as of a search that finds nothing, and the directory may be the wrong one."""
    done = deedbox(*command, tmp_path)
    assert (done.returncode, done.stderr) == (Exit.OK, f"deedbox: {tmp_path}: no archive is there\n")


def test_what_a_search_cost_is_counted_in_words_that_fit(directory: Path) -> None:
    (sealed,) = directory.rglob("2*/*.zst")
    assert ": the index of 1 archive, and 1 batch\n" in deedbox("search", sealed, "--count", "--explain").stderr
