"""The log events of the connection to RabbitMQ."""

from consumer.log import Level, LogEvent

DECLARED = LogEvent(
    "declared",
    Level.INFO,
    ("queue", "exchange", "bindings", "created", "messages", "consumers"),
    "The queue, the exchange and the bindings exist. `created` names the queue and the exchange if Deedbox created them. The queue may have more bindings: AMQP does not report them.",
    "If `created` has a name that should have existed, check its spelling.",
)
UNBOUND = LogEvent(
    "unbound",
    Level.WARNING,
    ("queue",),
    "The queue is new and no exchange is set, so no binding brings messages to it.",
    "Set the exchange (`--exchange`), or bind the queue yourself (`rabbitmqadmin declare binding`).",
)
RECEIVE_FALLBACK = LogEvent(
    "receive_fallback",
    Level.WARNING,
    ("library",),
    "This version of the AMQP library does not let Deedbox read the connection directly. Receiving is about ten times slower. Nothing is lost.",
    "Install the version of the library that requirements.lock names.",
)
