"""The TLS context of a connection to the broker."""

import ssl

from yarl import URL

from consumer.amqp.topology import Topology
from consumer.errors import Exit, Fatal


def tls_context(topology: Topology, section: str = "broker") -> ssl.SSLContext | None:
    """Return the context for an amqps URL, and None for any other URL. `section`: of the settings, for the error.

    Raises Fatal if a TLS file cannot be used.
    """
    if URL(topology.url).scheme != "amqps":
        return None
    try:
        context = ssl.create_default_context(cafile=topology.ca_file or None)
        if topology.certificate_file:
            context.load_cert_chain(topology.certificate_file, topology.key_file or None)
    except OSError as error:
        raise Fatal(
            Exit.SETTINGS,
            f"cannot use the TLS files: {error}",
            f"check {section}.ca_file, {section}.certificate_file and {section}.key_file",
        ) from error
    return context
