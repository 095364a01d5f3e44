"""The log events of the service as a whole. Each package declares its own in its `log_events` module."""

from consumer.log import Level, LogEvent

STARTED = LogEvent(
    "started",
    Level.INFO,
    ("version", "instance", "directory", "queue", "unclean"),
    "The service has locked its directory and recovered it. It connects next. `unclean`: 0 after a clean stop. Otherwise 1, plus 1 for each earlier run in a row that ended without a clean stop and committed nothing.",
)
STATS = LogEvent(
    "stats",
    Level.INFO,
    (
        "state", "events_per_s", "bytes_per_s", "archived", "acked", "held", "held_bytes", "unacked_age_s", "batch_mean",
        "sync_p50_ms", "sync_p99_ms", "loop_lag_ms", "free_bytes", "redelivered", "marked", "generation", "open_archive",
        "last_roll", "log_lines_lost", "replay",
    ),
    "State and rates of the service, every ten seconds (`service.stats_s`). `replay`: state and lag of the stage `[replay]`, if it is on.",
    "Watch it.",
    repeats=True,
)  # fmt: skip
DRAINING = LogEvent(
    "draining",
    Level.INFO,
    ("signal", "held"),
    "The service stops. It accepts no new deliveries and commits the `held` ones.",
)
DRAIN_DEADLINE = LogEvent(
    "drain_deadline",
    Level.WARNING,
    ("returned",),
    "The service could not commit everything within `service.drain_s`. `returned` deliveries were returned to the broker.",
    "Check whether the disk is slow. Raise `service.drain_s`.",
)
STOPPED = LogEvent(
    "stopped",
    Level.INFO,
    ("archived", "acked", "returned"),
    "The service has stopped. If a failure was the reason, `failed` follows.",
)
FAILED = LogEvent(
    "failed",
    Level.ERROR,
    ("exit", "reason", "do"),
    "The service cannot continue. `exit` is its exit status.",
    "Follow the field `do`.",
)
