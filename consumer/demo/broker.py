"""The broker of the demo: the one that the environment names, or a private node. RabbitMQ is installed if it is missing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from consumer.demo.node import SERVER, Node
from consumer.demo.packages import Package, PrintLine, install_missing
from consumer.errors import DeedboxError, Exit, Fatal

URL_VARIABLE = "DEEDBOX_BROKER__URL"
RABBITMQ = Package("rabbitmq-server", str(SERVER))


@contextmanager
def broker(environ: Mapping[str, str], print_line: PrintLine) -> Iterator[str]:
    """The URL of a broker, for the duration of the block. Raises Fatal if there is none and RabbitMQ cannot be installed."""
    if url := environ.get(URL_VARIABLE):
        print_line(f"using the broker of {URL_VARIABLE}")
        yield url
        return
    ensure_server(print_line)
    with Node() as node:
        print_line(f"private RabbitMQ node on port {node.port}, in {node.root}")
        yield node.url


def ensure_server(print_line: PrintLine) -> None:
    """Install RabbitMQ from the packages of the system if it is missing. Raises Fatal with the command to run by hand."""
    try:
        install_missing([RABBITMQ], print_line)
    except DeedboxError as error:
        raise Fatal(Exit.NO_BROKER, f"no broker: {error.what}", f"{error.do}, or set {URL_VARIABLE}") from error
