"""The log events of ingest."""

from consumer.log import Level, LogEvent

CONNECTING = LogEvent("connecting", Level.INFO, ("broker", "attempt"), "Deedbox connects to the broker.")
CONNECT_FAILED = LogEvent(
    "connect_failed",
    Level.WARNING,
    ("broker", "reason", "wait_s"),
    "The connection failed. Deedbox tries again after `wait_s` seconds.",
    "If it lasts, check that the broker runs and that the address is right.",
)
NOTHING_DELIVERED = LogEvent(
    "nothing_delivered",
    Level.WARNING,
    ("queue", "exchange", "bindings", "waited_s"),
    "The queue is empty, and no message was delivered since the service started to consume.",
    "Check that messages are published, and that exchange and binding keys match them.",
)
UNEXPECTED_BINDING = LogEvent(
    "unexpected_binding",
    Level.WARNING,
    ("queue", "exchange", "routing_key"),
    "A message arrived that matches no binding of the settings. The queue has another binding, or a publisher sends to the queue directly, or the exchange is bound to another exchange.",
    "Remove the bindings that you do not want (`rabbitmqctl list_bindings`). A key that you remove from `broker.binding_keys` stays bound.",
)
CONSUMING = LogEvent(
    "consuming",
    Level.INFO,
    ("queue", "generation", "prefetch", "messages"),
    "The broker delivers messages. `messages`: how many were in the queue when it was declared.",
)
EMPTIED = LogEvent(
    "emptied",
    Level.INFO,
    ("queue", "archived"),
    "`run --until-empty`: the queue had no ready message, and everything that was delivered is archived and acknowledged. The service stops. `archived`: how many events this run has archived.",
)
WIDENED = LogEvent(
    "widened",
    Level.INFO,
    ("generation", "prefetch"),
    "The prefetch was raised, because a commit after an unclean end succeeded.",
)
CONNECTION_LOST = LogEvent(
    "connection_lost",
    Level.WARNING,
    ("generation", "reason", "held"),
    "The connection or the channel closed. The broker delivers the `held` messages again.",
    "If it repeats, read the log of the broker.",
)
CONSUMER_CANCELLED = LogEvent(
    "consumer_cancelled",
    Level.WARNING,
    ("queue", "generation"),
    "The broker cancelled the consumer, because the queue was deleted or moved to another node. Deedbox declares the queue and consumes again.",
    "If it repeats, find the program that deletes the queue.",
)
STALLED = LogEvent(
    "stalled",
    Level.ERROR,
    ("queue", "messages", "idle_s"),
    "Messages wait in the queue and none is delivered. Deedbox connects again. If this happens twice in a row, the service exits.",
    "Restart the service. Report it if it repeats.",
)
DELIVERY_LIMIT_NEAR = LogEvent(
    "delivery_limit_near",
    Level.WARNING,
    ("queue", "count"),
    "A message was redelivered `count` times. A quorum queue drops a message that reaches its delivery limit.",
    "Find out why the service restarts. Raise the delivery limit or set a dead-letter exchange.",
)
PAUSED = LogEvent(
    "paused",
    Level.ERROR,
    ("reason", "detail", "returned"),
    "The disk accepts no more data. Deedbox stopped consuming and returned `returned` deliveries to the broker. Nothing is lost.",
    "Free space or repair the disk. Deedbox then resumes without a restart.",
)
STILL_PAUSED = LogEvent(
    "still_paused",
    Level.WARNING,
    ("reason", "detail", "paused_s"),
    "Deedbox tested the disk. It still accepts no data.",
    "Free space or repair the disk. Deedbox then resumes without a restart.",
)
RESUMED = LogEvent("resumed", Level.INFO, ("paused_s",), "The disk accepts data again, and Deedbox consumes again.")
SET_ASIDE = LogEvent(
    "set_aside",
    Level.ERROR,
    ("reason", "detail", "bytes", "count"),
    "The disk does not accept this delivery, but accepts smaller ones. Deedbox holds it without an ack and tries it again; the other deliveries continue. `count`: how many times it was redelivered before.",
    "Free space, or raise the limit of the file size or the quota. The broker closes a channel that holds a delivery longer than its `consumer_timeout`.",
)
STILL_ASIDE = LogEvent(
    "still_aside",
    Level.WARNING,
    ("reason", "detail", "paused_s"),
    "Deedbox tested the disk with the size of a delivery that is set aside. The disk does not accept it.",
    "Free space, or raise the limit of the file size or the quota.",
)
TAKEN_BACK = LogEvent(
    "taken_back",
    Level.INFO,
    ("paused_s",),
    "A delivery that was set aside is now archived and acknowledged.",
)
WITHHELD = LogEvent(
    "withheld",
    Level.ERROR,
    ("queue", "count", "limit", "reason", "detail"),
    "The disk does not accept a message that was redelivered `count` times. Deedbox holds it and does not return it, because the queue drops it after `limit` returns.",
    "Free space or repair the disk before you restart the service. Each restart is one more return.",
)
SLOW_SYNC = LogEvent(
    "slow_sync",
    Level.WARNING,
    ("sync_s",),
    "A sync took longer than a second.",
    "If it repeats, the disk is too slow or too busy.",
)
DUPLICATES_MARKED = LogEvent(
    "duplicates_marked",
    Level.INFO,
    ("marked", "generation"),
    "Some redelivered events equal archived events. They are archived too, each marked with the position of the first. Readers hide them by default.",
)
STALE_ACK = LogEvent(
    "stale_ack",
    Level.INFO,
    ("generation", "events"),
    "A batch became durable after its connection had closed. The broker delivers its messages again. Deedbox archives them again and marks them as duplicates.",
)
DESCRIBER_FAILED = LogEvent(
    "describer_failed",
    Level.WARNING,
    ("describer", "reason", "exchange", "routing_key"),
    "A describer of `archive.describe` failed for a message from this exchange. The event is archived with the id, type, time and tags of the describers before it. Further failures of this describer are not logged.",
    "Correct the function and restart the service.",
)
