"""The settings: names, types, limits, defaults and meanings. Pure values; `settings` fills them in.

Invariant: every setting has a default and a meaning, and no default is unsafe.
"""

import socket
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta
from yarl import URL

from consumer.amqp.topology import Topology
from consumer.archive import naming

PREFETCH_MAX = 65_535  # basic.qos carries it in 16 bits
MIB = 1 << 20

Positive = Annotated[int, Meta(ge=1)]
Bytes = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Arguments = dict[str, Any]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section: every field has a default, and its meaning beside it in `MEANINGS`."""


class BrokerSection(Section, frozen=True):
    """Where deliveries come from."""

    url: str = "amqp://guest:guest@127.0.0.1:5672/"
    password: str = ""
    queue: Annotated[str, Meta(min_length=1, max_length=255)] = "deedbox"
    queue_type: Literal["quorum", "classic"] = "quorum"
    queue_arguments: Arguments = {}
    exchange: Annotated[str, Meta(max_length=127)] = ""
    exchange_type: str = "topic"
    exchange_arguments: Arguments = {}
    binding_keys: tuple[str, ...] = ("#",)
    binding_arguments: Arguments = {}
    consumer_arguments: Arguments = {}
    declare: Literal["queue", "all", "none"] = "queue"
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    watchdog_s: Annotated[float, Meta(ge=1)] = 60.0


class BatchSection(Section, frozen=True):
    """When a batch is committed."""

    count: Annotated[int, Meta(ge=1, le=PREFETCH_MAX // 2)] = 2000
    bytes: Annotated[int, Meta(ge=1, le=1 << 30)] = 8 * MIB
    linger_s: Annotated[float, Meta(ge=0, le=60)] = 0.005


class ArchiveSection(Section, frozen=True):
    """Where archives go."""

    dir: Annotated[str, Meta(min_length=1)] = "archive"
    instance: str = ""
    name: str = naming.TEMPLATE
    level: Annotated[int, Meta(ge=1, le=19)] = 1
    describe: Literal["amqp", "openstack"] = "amqp"
    free_bytes_min: Bytes = 64 * MIB


class RollSection(Section, frozen=True):
    """When an archive is sealed; 0 means never for that reason."""

    bytes: Bytes = 128 * MIB
    age_s: Seconds = 3600.0
    events: Annotated[int, Meta(ge=0)] = 0
    align_s: Annotated[int, Meta(ge=0)] = 0


class ServiceSection(Section, frozen=True):
    """The process."""

    drain_s: Annotated[float, Meta(gt=0)] = 30.0
    stats_s: Annotated[float, Meta(ge=0.1)] = 10.0
    log: Literal["auto", "json", "console"] = "auto"


class WatchSection(Section, frozen=True):
    """Where `watch` publishes, and what it remembers."""

    exchange: Annotated[str, Meta(max_length=127)] = ""
    routing_key: Annotated[str, Meta(max_length=255)] = ""
    state: str = ""
    from_start: bool = False
    backend: Literal["", "inotify", "polling"] = ""


class Settings(msgspec.Struct, frozen=True):
    """All sections."""

    broker: BrokerSection = BrokerSection()
    batch: BatchSection = BatchSection()
    archive: ArchiveSection = ArchiveSection()
    roll: RollSection = RollSection()
    service: ServiceSection = ServiceSection()
    watch: WatchSection = WatchSection()

    @property
    def instance(self) -> str:
        """Who writes: the setting, or the name of the host."""
        return self.archive.instance or naming.instance_from(socket.gethostname())

    @property
    def prefetch(self) -> int:
        """Two batches: one commits while the next one grows."""
        return 2 * self.batch.count

    @property
    def topology(self) -> Topology:
        """The broker's part, with the password in its place."""
        broker = self.broker
        url = str(URL(broker.url).with_password(broker.password)) if broker.password else broker.url
        return Topology(
            url, broker.queue, broker.queue_type, broker.queue_arguments, broker.exchange, broker.exchange_type,
            broker.exchange_arguments, broker.binding_keys, broker.binding_arguments, broker.consumer_arguments,
            broker.declare, f"deedbox {self.instance}", broker.ca_file, broker.certificate_file, broker.key_file,
        )  # fmt: skip


MEANINGS = {
    "broker.url": "amqp:// or amqps:// with user, host, port and virtual host",
    "broker.password": "replaces the password of the URL; give it as broker.password_file or DEEDBOX_BROKER__PASSWORD_FILE",
    "broker.queue": "the queue to consume",
    "broker.queue_type": "quorum or classic",
    "broker.queue_arguments": "further arguments of the queue, a table; in the environment and with --set JSON: {\"x-delivery-limit\": 20}",
    "broker.exchange": "the exchange to bind the queue to; empty: the queue is consumed as it is",
    "broker.exchange_type": "topic, fanout, direct, headers, or a plugin's type",
    "broker.exchange_arguments": "arguments of the exchange",
    "broker.binding_keys": "routing keys to bind with; several with commas in the environment",
    "broker.binding_arguments": "arguments of the bindings, for headers exchanges",
    "broker.consumer_arguments": "arguments of the consumer, such as x-priority",
    "broker.declare": "queue: make the queue and its bindings if they are missing, the exchange must exist; all: make the exchange too; none: take what exists",
    "broker.ca_file": "the authority that signed the broker's certificate; empty: the system's",
    "broker.certificate_file": "our certificate, where the broker asks for one",
    "broker.key_file": "its key",
    "broker.watchdog_s": "messages wait and none is delivered for so long: connect anew",
    "batch.count": "deliveries of a batch, at most; the prefetch is twice that",
    "batch.bytes": "bytes of a batch, at most (one larger delivery is a batch of its own)",
    "batch.linger_s": "how long a batch may wait for more deliveries while they keep coming",
    "archive.dir": "the directory of the archives",
    "archive.instance": "who writes, unique in the directory; empty: the host's name",
    "archive.name": "template of sealed archives' paths",
    "archive.level": "zstd level",
    "archive.describe": "where id, type and time come from: amqp (properties) or openstack (notification bodies)",
    "archive.free_bytes_min": "pause when less than this is free",
    "roll.bytes": "seal at this size",
    "roll.age_s": "seal at this age",
    "roll.events": "seal at this count",
    "roll.align_s": "seal when the clock (UTC) passes a multiple of this",
    "service.drain_s": "how long SIGTERM waits for what is held to be committed",
    "service.stats_s": "how often the stats line comes",
    "service.log": "json, console, or auto: console on a terminal",
    "watch.exchange": "the exchange to publish to; empty: the queue that the routing key names",
    "watch.routing_key": "the routing key of every line",
    "watch.state": "the file that remembers what was published; empty: nothing is remembered",
    "watch.from_start": "publish also what the files hold already",
    "watch.backend": "inotify or polling; empty: the better one that works here",
}  # fmt: skip

SECTIONS: dict[str, type[Section]] = get_type_hints(Settings)
TYPES = {f"{section}.{name}": hint for section, kind in SECTIONS.items() for name, hint in get_type_hints(kind, include_extras=True).items()}  # fmt: skip
