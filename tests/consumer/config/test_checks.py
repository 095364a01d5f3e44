from msgspec.structs import replace

from consumer.config.checks import faults_of
from consumer.config.sections import Settings


def test_the_defaults_have_no_fault() -> None:
    assert list(faults_of(Settings())) == []


def test_every_fault_is_found_and_names_its_setting() -> None:
    default = Settings()
    settings = replace(
        default,
        broker=replace(default.broker, url="http://host/", queue="é" * 128, binding_keys=("a", "\udcff")),
        archive=replace(default.archive, instance="a/b", name="%Y/x", describe=("otel", "celry")),
        roll=replace(default.roll, bytes=1000),
        objects=replace(default.objects, endpoint="https://localhost:s3cret@localhost"),
        replay=replace(default.replay, url="ftp://me:s3cret@host/", checkpoint="a/b", exchange="é" * 128),
    )
    assert "s3cret" not in "".join(faults_of(settings))
    names = [fault.partition(":")[0] for fault in faults_of(settings)]
    assert names == [
        "broker.url",
        "replay.url",
        "replay.checkpoint",
        "archive.instance",
        "archive.describe",
        "archive.name",
        "roll.bytes",
        "objects.endpoint",
        "broker.queue",
        "replay.exchange",
        "broker.binding_keys",
    ]


def test_steps_on_seal_that_cannot_run_are_faults() -> None:
    default = Settings()
    for step, fault in (
        ("copy /x", "expected one of ship"),
        ("move /srv/archive/done", "outside of the archive directory"),
        ("link /srv/archive", "outside of the archive directory"),
        ("ship", "needs a destination in ship.destinations"),
    ):
        archive = replace(default.archive, dir="/srv/archive")
        settings = replace(default, archive=archive, seal=replace(default.seal, steps=(step,)))
        (found,) = faults_of(settings)
        assert found.startswith("seal.steps: ")
        assert fault in found
