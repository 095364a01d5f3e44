"""The settings of the connection to RabbitMQ."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from yarl import URL

from consumer.amqp.topology import Declare, Topology
from consumer.section import IN_SECONDS, Arguments, Section


class BrokerSection(Section, frozen=True):
    """The broker, the queue and the exchange."""

    url: Annotated[
        str, Meta(description="URL of the broker: amqp:// or amqps://, with user, host, port and virtual host.")
    ] = "amqp://guest:guest@127.0.0.1:5672/"
    password: Annotated[
        str,
        Meta(
            description="Password. It replaces the password of the URL. Keep it in a file: broker.password_file or DEEDBOX_BROKER__PASSWORD_FILE."
        ),
    ] = ""
    queue: Annotated[str, Meta(min_length=1, max_length=255, description="Name of the queue to consume.")] = "deedbox"
    queue_type: Annotated[Literal["quorum", "classic"], Meta(description="Type of the queue: quorum or classic.")] = (
        "quorum"
    )
    queue_arguments: Annotated[
        Arguments,
        Meta(
            description='More arguments of the queue, a table. In the environment and with --set, write JSON: {"x-delivery-limit": 20}.'
        ),
    ] = msgspec.field(default_factory=dict)
    exchange: Annotated[
        str,
        Meta(
            max_length=127,
            description="Exchange to bind the queue to. Empty: no exchange is bound, and the queue is consumed with the bindings that it has.",
        ),
    ] = ""
    exchange_type: Annotated[
        str, Meta(description="Type of the exchange: topic, fanout, direct, headers, or the type of a plugin.")
    ] = "topic"
    exchange_arguments: Annotated[Arguments, Meta(description="Arguments of the exchange, a table.")] = msgspec.field(
        default_factory=dict
    )
    binding_keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Routing keys to bind the queue with. In the environment and with --set, separate them by commas."
        ),
    ] = ("#",)
    binding_arguments: Annotated[
        Arguments, Meta(description="Arguments of the bindings, a table. A headers exchange needs them.")
    ] = msgspec.field(default_factory=dict)
    consumer_arguments: Annotated[
        Arguments, Meta(description="Arguments of the consumer, a table, for example x-priority.")
    ] = msgspec.field(default_factory=dict)
    declare: Annotated[
        Literal["queue", "all", "none"],
        Meta(
            description="What to declare if it is missing. queue: the queue and its bindings; the exchange must exist. all: also the exchange. none: nothing."
        ),
    ] = "queue"
    ca_file: Annotated[
        str,
        Meta(
            description="File with the certificate authority that signed the certificate of the broker. Empty: the authorities of the system."
        ),
    ] = ""
    certificate_file: Annotated[
        str, Meta(description="File with the client certificate, if the broker asks for one.")
    ] = ""
    key_file: Annotated[str, Meta(description="File with the key of the client certificate.")] = ""
    watchdog_s: Annotated[
        float,
        Meta(
            ge=1,
            extra=IN_SECONDS,
            description="Connect again if messages wait in the queue and none is delivered for this time, in seconds.",
        ),
    ] = 60.0

    def topology(self, connection_name: str) -> Topology:
        """The exchange and queue to declare and consume. The password is in the URL; `connection_name` is shown by the broker."""
        url = str(URL(self.url).with_password(self.password)) if self.password else self.url
        return Topology(
            url, self.queue, self.queue_type, self.queue_arguments, self.exchange, self.exchange_type,
            self.exchange_arguments, self.binding_keys, self.binding_arguments, self.consumer_arguments,
            Declare(self.declare), connection_name, self.ca_file, self.certificate_file, self.key_file,
        )  # fmt: skip
