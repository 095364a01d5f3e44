"""The log events of the steps on seal."""

from consumer.log import Level, LogEvent

STEP_DONE = LogEvent(
    "step_done", Level.INFO, ("archive", "step", "path"), "A step on seal is done. `path`: where the archive is now."
)
STEP_WAITING = LogEvent(
    "step_waiting",
    Level.INFO,
    ("archive", "step", "reason"),
    "A step that takes an archive away cannot run yet. The archive stays, and the step runs when `reason` is no longer true.",
)
STEP_FAILED = LogEvent(
    "step_failed",
    Level.WARNING,
    ("archive", "path", "step", "reason", "archives", "wait_s"),
    "A step on seal failed. The archive stays where it is, and Deedbox tries again after `wait_s` seconds. Steps after it that do not take the archive away run nevertheless. `archives`: for how many archives this step has failed and is not done yet.",
    "Correct the cause in `reason`.",
)
STEP_DEFECT = LogEvent(
    "step_defect",
    Level.ERROR,
    ("path", "step", "reason", "wait_s"),
    "A step on seal failed with an exception that Deedbox does not expect. `reason`: its type, and the place in the code. The archive stays where it is, and Deedbox tries again after `wait_s` seconds.",
    "Report it: it is a defect of Deedbox. If the setting `seal.steps` was changed just before, change it back.",
)
