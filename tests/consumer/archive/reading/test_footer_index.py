from pathlib import Path

import pytest

from codec.errors import Corrupt
from codec.filter import key_hash
from consumer.archive.listing import find_archives
from consumer.archive.reading.footer_index import holding, read_index
from consumer.archive.reading.reader import open_archive
from tests.support.archive_logs import archive_log, some


@pytest.fixture
def path(tmp_path: Path) -> Path:
    one = archive_log(tmp_path)
    for first in range(0, 60, 6):
        one.append(some(first, 6))
    one.roll("stop")
    return find_archives([tmp_path])[0]


@pytest.mark.parametrize("verify_filters", [False, True])
def test_the_index_names_the_batches_that_hold_a_key(path: Path, verify_filters: bool) -> None:
    with open_archive(path) as archive:
        index, words_at = read_index(archive, verify_filters)
        assert index.footer.events == 60
        assert 4 in holding(archive, index, words_at, key_hash("id", "id-25"))
        assert list(holding(archive, index, words_at, key_hash("id", "no such id"))) == []


def test_a_file_without_a_footer_is_refused(path: Path) -> None:
    path.chmod(0o640)
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    with open_archive(path) as archive, pytest.raises(Corrupt):
        read_index(archive, verify_filters=False)
