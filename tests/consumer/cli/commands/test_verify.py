"""`verify` as a user runs it."""

from pathlib import Path

import orjson

from tests.support.command_line import deedbox


def test_verify_prints_json_lines(directory: Path) -> None:
    lines = [
        orjson.loads(line)
        for line in deedbox("verify", directory, "--format", "jsonl", "--workers", 2).stdout.splitlines()
    ]
    assert [(line["id"], line["events"], line["state"], line["faults"]) for line in lines] == [
        ("one-00000001", 50, "sealed", []), ("one-00000002", 50, "open", []),
    ]  # fmt: skip
