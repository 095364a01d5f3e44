"""The settings of the stage of `run` that publishes the archived events to another broker."""

from typing import Annotated

from msgspec import Meta
from yarl import URL

from consumer.amqp.topology import Topology
from consumer.section import IN_SECONDS, Section


class ReplaySection(Section, frozen=True):
    """Publish every archived event to another broker, live. An empty URL switches it off."""

    url: Annotated[
        str,
        Meta(
            description="URL of the other broker: amqp:// or amqps://, with user, host, port and virtual host. Empty: nothing is published."
        ),
    ] = ""
    password: Annotated[
        str,
        Meta(
            description="Password. It replaces the password of the URL. Keep it in a file: replay.password_file or DEEDBOX_REPLAY__PASSWORD_FILE."
        ),
    ] = ""
    exchange: Annotated[
        str, Meta(description="Exchange at the other broker. Empty: each event goes to the exchange that it came from.")
    ] = ""
    routing_key: Annotated[
        str, Meta(description="Routing key at the other broker. Empty: each event keeps its own.")
    ] = ""
    from_exchange: Annotated[
        str, Meta(description="Publish only events that came from an exchange of this name, a glob. Empty: all events.")
    ] = ""
    from_routing_key: Annotated[
        str,
        Meta(description="Publish only events whose routing key matches this pattern of a topic exchange. Empty: all."),
    ] = ""
    checkpoint: Annotated[
        str,
        Meta(
            description="Name of the checkpoint that stores how far the events were published. A new one begins with the oldest archived event."
        ),
    ] = "mirror"
    relay: Annotated[
        bool,
        Meta(
            description="Publish also events that already carry the marker of a replay or of another mirror. Two brokers that mirror each other would then never end."
        ),
    ] = False
    patience_s: Annotated[
        float,
        Meta(
            ge=0,
            extra=IN_SECONDS,
            description="How long the stage waits for a queue that takes an event before it sets the event aside and goes on, in seconds.",
        ),
    ] = 3600.0
    ca_file: Annotated[
        str,
        Meta(
            description="File with the certificate authority that signed the certificate of the other broker. Empty: the authorities of the system."
        ),
    ] = ""
    certificate_file: Annotated[
        str, Meta(description="File with the client certificate, if the other broker asks for one.")
    ] = ""
    key_file: Annotated[str, Meta(description="File with the key of the client certificate.")] = ""

    def topology(self, connection_name: str) -> Topology:
        """The other broker. The password is in the URL; nothing is declared there. `connection_name` is shown by the broker."""
        url = str(URL(self.url).with_password(self.password)) if self.password else self.url
        return Topology(
            url, "", name=connection_name, ca_file=self.ca_file,
            certificate_file=self.certificate_file, key_file=self.key_file,
        )  # fmt: skip
