from consumer.cli.app import COMMANDS
from consumer.cli.command import EXAMPLES


def test_the_command_is_there_with_its_examples() -> None:
    """The command itself is tested in commands/test_ship.py."""
    assert "ship" in [module.__name__.rpartition(".")[2] for module in COMMANDS]
    assert EXAMPLES["ship"]
