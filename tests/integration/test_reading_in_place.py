"""Each command that reads gives the same output for a directory and for its copy in object storage."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import orjson
import pytest

from consumer.archive.listing import find_archives
from consumer.archive.naming import parse_open
from consumer.archive.reading.footer_cache import FooterCache, use_cache
from consumer.objects.stores import configure, store_of
from consumer.objects.url import ObjectUrl
from consumer.query.query import make_query
from consumer.query.search import Search
from tests.support.archive_logs import archive_log, some
from tests.support.archive_sets import ArchiveSet
from tests.support.command_line import deedbox
from tests.support.copied import copy_to
from tests.support.http_proxy import HttpProxy
from tests.support.rolling import Unsynced
from tests.support.s3 import S3

SEED = 7


@pytest.fixture
def storage(seaweedfs: S3, bucket: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> ObjectUrl:
    """A new bucket that the commands reach by the usual variables."""
    for name, value in seaweedfs.environ().items():
        monkeypatch.setenv(name, value)
    return bucket / "archive"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Archives with deleted, compacted, repacked, recovered and duplicate events; all are sealed."""
    archives = ArchiveSet(tmp_path / "archive", Random(SEED))
    for _ in range(60):
        archives.step()
    archives.close()
    deedbox("repair", archives.directory)
    assert not [path for path in find_archives([archives.directory]) if parse_open(path)]
    return archives.directory


def output(*arguments: object, path: Path | ObjectUrl) -> tuple[int, str, str]:
    """Exit status and output of a command, without the place of the archives."""
    done = deedbox(*arguments)
    return done.returncode, done.stdout.replace(str(path), "PATH"), done.stderr.replace(str(path), "PATH")


COMMANDS = [
    ("cat", "{}", "--format", "kvp"),
    ("cat", "{}", "--type", "a.*", "--duplicates", "show"),
    ("search", "{}", "--order", "desc", "--limit", "5"),
    ("search", "{}", "--id", "id-1", "--where", "serial>=3"),
    ("tail", "-n", "7", "{}"),
    ("ls", "{}", "--format", "jsonl"),
    ("repair", "--dry-run", "{}"),
    ("stats", "{}", "--by", "type"),
    ("sql", "select type, count(*) from events group by 1 order by 1", "{}"),
]


def test_a_directory_and_its_copy_give_the_same_output(directory: Path, storage: ObjectUrl) -> None:
    copy_to(directory, storage)
    for command in COMMANDS:
        local, remote = (
            output(*(str(path) if word == "{}" else word for word in command), path=path)
            for path in (directory, storage)
        )
        assert remote == local, command


def test_an_export_of_the_copy_has_the_same_files(directory: Path, storage: ObjectUrl, tmp_path: Path) -> None:
    copy_to(directory, storage)
    for path, out in ((directory, tmp_path / "local"), (storage, tmp_path / "remote")):
        assert deedbox("export", path, "--format", "jsonl", "--out", out).returncode == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "local").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "remote").iterdir()}
    assert any(files.values())


def test_a_directory_and_its_copy_together_are_one(directory: Path, storage: ObjectUrl) -> None:
    copy_to(directory, storage)
    (alone, together) = (deedbox("search", *paths) for paths in ([directory], [storage, directory]))
    assert (together.returncode, together.stdout) == (alone.returncode, alone.stdout)
    newest = deedbox("tail", "-n", 4, storage, directory)
    assert newest.stdout == deedbox("tail", "-n", 4, directory).stdout


def test_settings_of_a_file_reach_the_storage(tmp_path: Path, bucket: ObjectUrl, seaweedfs: S3) -> None:
    log = archive_log(tmp_path / "archive")
    log.append(some(0, 3))
    log.roll("stop")
    config, secret = tmp_path / "deedbox.toml", tmp_path / "secret"
    secret.write_text(seaweedfs.secret_key)
    config.write_text(
        f'[objects]\nendpoint = "http://127.0.0.1:{seaweedfs.port}"\nregion = "us-east-1"\n'
        f'access_key = "{seaweedfs.access_key}"\nsecret_key_file = "{secret}"\n'
    )
    assert deedbox("ship", tmp_path / "archive", "--to", bucket, "--once", "--config", config).returncode == 0
    assert len(deedbox("search", bucket, "--config", config).stdout.splitlines()) == 3
    wrong = deedbox("search", bucket, "--config", config, "--set", "objects.secret_key=wrong")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == (
        f"deedbox: {bucket}: the secret key is wrong; check objects.secret_key or AWS_SECRET_ACCESS_KEY\n"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://no-such-bucket/archive", "there is no bucket 'no-such-bucket'; create it, or correct the URL"),
        ("{}/no/such/prefix", "there is no object of this name or below it; correct the URL"),
    ],
)
def test_a_place_without_archives_is_one_line(storage: ObjectUrl, url: str, reason: str) -> None:
    place = url.format(storage)
    for command in ("search", "ls"):
        done = deedbox(command, place)
        assert (done.returncode, done.stderr) == (1, f"deedbox: {place}: {reason}\n"), command


def test_a_storage_that_does_not_answer_is_one_line(storage: ObjectUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("DEEDBOX_OBJECTS__RETRY_S", "0")
    done = deedbox("search", storage)
    what = "no connection to the storage; check the endpoint, the network and the storage"
    assert (done.returncode, done.stderr) == (1, f"deedbox: {storage}: {what}\n")


@pytest.mark.parametrize(
    "command",
    [
        ("delete", "id-1", "{}"),
        ("undelete", "id-1", "{}"),
        ("compact", "{}"),
        ("repair", "{}"),
        ("tail", "-f", "{}"),
        ("tail", "--checkpoint", "name", "{}"),
        ("import", "{}", "--format", "jsonl", "--dir", "x"),
        ("import", "x", "--format", "jsonl", "--dir", "{}"),
        ("export", "x", "--format", "jsonl", "--out", "{}"),
    ],
)
def test_a_command_for_local_archives_refuses_a_url(command: tuple[str, ...]) -> None:
    done = deedbox(*("s3://bucket/archive" if word == "{}" else word for word in command))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "s3://bucket/archive" in done.stderr
    assert "local" in done.stderr


def test_the_python_interface_takes_urls(directory: Path, storage: ObjectUrl) -> None:
    import deedbox as api

    copy_to(directory, storage)
    remote, local = api.open(str(storage)), api.open(directory)
    assert list(remote.search(types="a.*", strict=False)) == list(local.search(types="a.*", strict=False))
    assert list(remote.tail(5)) == list(local.tail(5))
    assert [one.position for one in remote.get("id-1")] == [one.position for one in local.get("id-1")]
    with pytest.raises(ValueError, match="cannot be followed"):
        remote.tail(follow=True)


def test_a_copy_of_a_line_of_jsonl_has_its_position(directory: Path, storage: ObjectUrl) -> None:
    copy_to(directory, storage)
    line = deedbox("search", storage, "--limit", 1).stdout
    position = orjson.loads(line)["position"]
    assert deedbox("get", position, storage).stdout == line


@pytest.fixture
def many(tmp_path: Path, bucket: ObjectUrl, seaweedfs: S3, proxy: HttpProxy) -> Iterator[ObjectUrl]:
    """Forty archives of about 100 KB, behind a proxy that counts."""
    log = archive_log(tmp_path / "archive", Unsynced())
    random = Random(1)
    for number in range(40):
        log.append([one._replace(body=random.randbytes(800)) for one in some(number * 100, 100)])
        log.roll("stop")
    copy_to(tmp_path / "archive", bucket)
    configure(seaweedfs.settings(proxy.port, timeout_s=2.0, retry_s=1.0))
    yield bucket
    use_cache(None)


def test_a_search_sends_few_small_requests_at_the_same_time(many: ObjectUrl, proxy: HttpProxy, tmp_path: Path) -> None:
    """amazon-mq/rabbitmq-stream-s3#351: one connection limits a reader; eight requests at a time do not. quickwit#680: footers are cached."""
    use_cache(FooterCache(tmp_path / "cache", 64 << 20))
    proxy.delay(0.02)
    whole = sum(one.size for one in store_of(many).list(many))
    proxy.exchanges.clear()
    assert [one.event.id for one in Search([many], make_query(ids=["id-1234"]))] == ["id-1234"]
    cold = [one for one in proxy.exchanges if one.method == "GET"]
    assert proxy.in_flight_max >= 8
    assert len(proxy.exchanges) == len(cold), "no head request"
    assert len(cold) <= 1 + 40 * 4 + 3, "a listing; head, end, index and words of each archive; the batch"
    assert sum(one.received for one in cold) < whole / 8
    proxy.exchanges.clear()
    assert len(list(Search([many], make_query(ids=["id-1234"])))) == 1
    assert len(proxy.exchanges) <= 4, "a listing and the batch"


def test_a_storage_that_falls_silent_costs_its_time_limit_once(many: ObjectUrl, proxy: HttpProxy) -> None:
    search = Search([many])
    search.plan()
    proxy.swallow()
    began = time.monotonic()
    assert list(search) == []
    assert len(search.faults) == 40
    assert "no answer in time" in str(search.faults[0])
    assert time.monotonic() - began < 40, "and not for each archive"
