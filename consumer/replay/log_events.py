"""The log events of the stage of `run` that publishes to another broker."""

from consumer.log import Level, LogEvent

MIRRORING = LogEvent(
    "mirroring",
    Level.INFO,
    ("destination", "exchange", "checkpoint", "behind"),
    "The stage `[replay]` is connected to the other broker and publishes. `exchange`: empty if each event goes to its own. `behind`: how many archived events follow the checkpoint.",
)
MIRROR_PROGRESS = LogEvent(
    "mirror_progress",
    Level.INFO,
    ("state", "behind", "published", "set_aside", "reason"),
    "State and figures of the stage `[replay]`, every ten seconds (`service.stats_s`). `state`: connecting, publishing, waiting, standby or stopped. `behind`: archived events that follow the checkpoint. `published` and `set_aside`: events since the start of the stage.",
    "Watch `behind`: it grows if the other broker is slower than the publishers, or not there.",
    repeats=True,
)
MIRROR_CONNECT_FAILED = LogEvent(
    "mirror_connect_failed",
    Level.WARNING,
    ("destination", "reason", "wait_s"),
    "The connection to the other broker failed or was lost. The stage tries again after `wait_s` seconds. Archiving continues, and the archives keep what is to be published.",
    "If it lasts, check that the other broker runs, and the user, the password and the address in `[replay]`.",
)
MIRROR_WAITING = LogEvent(
    "mirror_waiting",
    Level.ERROR,
    ("destination", "count", "position", "exchange", "routing_key", "reason", "wait_s"),
    "The other broker did not take `count` events; `position` is the first of them. The stage tries them again after `wait_s` seconds, and publishes nothing else until then. It waits for a missing queue up to `replay.patience_s`, and for an exchange, a permission or a queue that is full without a limit.",
    "Follow `reason`: bind a queue, create the exchange, or grant write permission at the other broker.",
)
MIRROR_RESUMED = LogEvent(
    "mirror_resumed", Level.INFO, ("waited_s",), "The other broker takes the events again for which the stage waited."
)
MIRROR_SET_ASIDE = LogEvent(
    "mirror_set_aside",
    Level.ERROR,
    ("destination", "count", "position", "exchange", "routing_key", "reason", "path"),
    "The stage went on without `count` events, of which `position` is the first: the other broker never accepts them, or no queue took them for `replay.patience_s`. The file `path` lists each of them with its reason. They stay in the archive.",
    "Remove the reason, then publish the listed events with `deedbox replay --id`.",
)
MIRROR_STANDBY = LogEvent(
    "mirror_standby",
    Level.INFO,
    ("checkpoint",),
    "Another process has the checkpoint of the stage `[replay]` and publishes the events of all instances. This one takes over when it ends.",
)
MIRROR_FAILED = LogEvent(
    "mirror_failed",
    Level.ERROR,
    ("reason", "do", "wait_s"),
    "The stage `[replay]` cannot read its checkpoint or the archive, or cannot store how far it is. It publishes nothing and tries again after `wait_s` seconds. Archiving continues.",
    "Follow the field `do`.",
)
MIRROR_UNREADABLE = LogEvent(
    "mirror_unreadable",
    Level.ERROR,
    ("path", "reason"),
    "The stage `[replay]` cannot read a part of an archive. It does not publish what is there.",
    "Run `deedbox verify`. If the archive can be restored, restore it.",
)
MIRROR_STOPPED = LogEvent(
    "mirror_stopped",
    Level.INFO,
    ("published", "set_aside"),
    "The stage `[replay]` has stopped and stored how far it published. It goes on there at the next start.",
)
MIRROR_ENDED = LogEvent(
    "mirror_ended",
    Level.ERROR,
    ("reason", "wait_s"),
    "The process of the stage `[replay]` ended by itself. It is started again after `wait_s` seconds and goes on after its checkpoint.",
    "If it repeats, report it.",
)
