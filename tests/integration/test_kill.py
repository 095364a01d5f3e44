"""The promise under kill -9: every confirmed publish is in the archive, to the byte."""

import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from codec.event import Event
from codec.stable import stable_header
from consumer.archive.checking.verify import verify
from tests.support import archives
from tests.support.messages import Sent, messages
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

MESSAGES = 20_000
KILLS = 10
SEED = 20261121


class Feed(threading.Thread):
    """Publish at a constant rate in a thread; `join` raises its error."""

    def __init__(self, url: str, exchange: str, sent: list[Sent], per_s: float) -> None:
        super().__init__(daemon=True)
        self._publisher = WirePublisher(url)
        self._exchange, self._sent, self._per_s = exchange, sent, per_s
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            started = time.monotonic()
            for index, message in enumerate(self._sent):
                self._publisher.publish(self._exchange.encode(), *message)
                if index % 50 == 0:
                    self._publisher.wait_for_confirms(behind=1000)
                    time.sleep(max(0.0, started + index / self._per_s - time.monotonic()))
            self._publisher.wait_for_confirms()
        except Exception as error:  # noqa: BLE001 -- raised again by finish
            self._error = error

    def finish(self) -> None:
        self.join()
        self._publisher.close()
        if self._error is not None:
            raise self._error


def identity(key: str, header: bytes, body: bytes) -> tuple[str, bytes, bytes]:
    return key, stable_header(header), body


def of_event(event: Event) -> tuple[str, bytes, bytes]:
    return identity(event.routing_key, event.header, event.body)


def test_every_confirmed_message_survives_ten_kills(url: str, name: str, tmp_path: Path) -> None:
    """20,000 confirmed publishes into a quorum queue, ten kills at random moments: nothing is lost, and each redelivered event is marked."""
    sent = list(messages(MESSAGES, SEED))
    random = Random(SEED)
    with Deedbox(
        tmp_path / "archive", "--queue", name, "--exchange", name, "--instance", "one", "--url", url
    ) as deedbox:
        deedbox.wait_for("consuming")
        feed = Feed(url, name, sent, per_s=1500)
        feed.start()
        for kill in range(1, KILLS + 1):
            time.sleep(random.uniform(0.05, 0.6))
            deedbox.kill()
            deedbox.start()
            deedbox.wait_for("consuming", kill + 1)
        feed.finish()
        deedbox.wait_until(lambda: len(archives.unmarked(tmp_path / "archive")) >= MESSAGES, "all archived")
        assert deedbox.stop() == 0
    found = archives.events(tmp_path / "archive")
    wanted = Counter(
        identity(message.key.decode("utf-8", "surrogateescape"), message.header, message.body) for message in sent
    )
    assert Counter(of_event(event) for event in found if not event.duplicate) == wanted
    assert {event.exchange for event in found} == {name}
    verdicts = list(verify([tmp_path / "archive"]))
    assert [fault for verdict in verdicts for fault in verdict.faults] == []
    assert deedbox.lines("recovered"), "not one kill hit an open archive"
    marked = sum(verdict.duplicates for verdict in verdicts)
    assert marked == len(found) - MESSAGES
    print(f"{len(found)} archived in {len(verdicts)} archives, {marked} of them marked as duplicates")
