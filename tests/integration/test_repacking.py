"""A low rate on a real broker: each message is a batch of its own, and the sealed archive is small all the same."""

from pathlib import Path

from codec import archive as container
from consumer.archive.checking.verify import verify
from consumer.archive.listing import find_archives
from tests.support import archives
from tests.support.mixes import small_mix
from tests.support.process import Deedbox
from tests.support.wire import WirePublisher

SENT = list(small_mix())[:3000]


def test_an_archive_of_one_message_a_batch_is_repacked_when_it_is_sealed_to_little_more_than_zstd_3(
    url: str, name: str, publisher: WirePublisher, tmp_path: Path
) -> None:
    plain = len(container.zstd.compress(b"\n".join(event.body for event in SENT), 3))
    directory = tmp_path / "archive"
    arguments = (
        "--url",
        url,
        "--queue",
        name,
        "--exchange",
        name,
        "--set",
        "batch.count=1",
        "--set",
        f"roll.events={len(SENT)}",
    )
    with Deedbox(directory, *arguments) as deedbox:
        deedbox.wait_for("consuming")
        for event in SENT:
            publisher.publish(name.encode(), event.type.encode(), event.header, event.body)
            publisher.wait_for_confirms(behind=100)
        line = deedbox.wait_for("archive_repacked")
        assert deedbox.stop() == 0
    (path,) = find_archives([directory])
    before = int(str(line["bytes"])) + int(str(line["saved"]))
    print(
        f"{len(SENT)} messages: zstd -3 {plain} B, before {before / plain:.2f}, after {path.stat().st_size / plain:.3f}"
    )
    assert before > 4 * plain
    assert path.stat().st_size == line["bytes"] <= 1.25 * plain
    assert [event.body for event in archives.events(directory)] == [event.body for event in SENT]
    assert [verdict.faults for verdict in verify([directory])] == [[]]
