"""All log events by name: the events of every package, for the documentation and for tests.

The running service does not need it: each module imports the events that it logs.
"""

from types import ModuleType

from consumer import log, log_events
from consumer.amqp import log_events as amqp
from consumer.archive import log_events as archive
from consumer.forward import log_events as forward
from consumer.ingest import log_events as ingest
from consumer.log import LogEvent
from consumer.replay import log_events as replay
from consumer.ship import log_events as ship
from consumer.ship.retention import log_events as retention
from consumer.ship.steps import log_events as steps
from consumer.watch import log_events as watch


def declared(module: ModuleType) -> list[LogEvent]:
    """The log events that a module declares, in their order."""
    return [value for value in vars(module).values() if isinstance(value, LogEvent)]


MODULES = (log_events, amqp, ingest, archive, ship, steps, retention, replay, forward, watch, log)
CATALOGUE = {event.name: event for module in MODULES for event in declared(module)}
