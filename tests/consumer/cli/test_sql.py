from pathlib import Path

from consumer.cli.command import EXAMPLES
from tests.support.archive_logs import archive_log, some
from tests.support.command_line import deedbox


def test_the_examples_of_the_help_run(tmp_path: Path) -> None:
    import shlex

    import consumer.cli.sql  # noqa: F401 -- registers its examples

    archive_log(tmp_path).append(some(0, 3))
    for example in EXAMPLES["sql"]:
        done = deedbox(*(str(tmp_path) if word == "DIR" else word for word in shlex.split(example)))
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
