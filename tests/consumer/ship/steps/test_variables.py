from consumer.config.loader import load
from consumer.ship.steps.variables import VARIABLES


def test_a_command_of_deedbox_that_a_step_runs_does_not_take_the_facts_for_settings() -> None:
    """DEEDBOX_ARCHIVE_PATH would be an unknown setting, and `run deedbox export …` would fail."""
    load(None, dict.fromkeys(VARIABLES, "x"), {}, [])
