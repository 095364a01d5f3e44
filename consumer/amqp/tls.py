"""The TLS context of a connection to the broker, from the files that the settings name."""

import ssl

from yarl import URL

from consumer.amqp.topology import Topology
from consumer.errors import Exit, Fatal


def tls_context(topology: Topology) -> ssl.SSLContext | None:
    """The context for an amqps URL, None for another one. Raises Fatal for files that cannot be used."""
    if URL(topology.url).scheme != "amqps":
        return None
    try:
        context = ssl.create_default_context(cafile=topology.ca_file or None)
        if topology.certificate_file:
            context.load_cert_chain(topology.certificate_file, topology.key_file or None)
    except OSError as error:
        raise Fatal(
            Exit.SETTINGS, f"TLS files: {error}", "check broker.ca_file, broker.certificate_file and broker.key_file"
        ) from error
    return context
