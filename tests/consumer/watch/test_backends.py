import sys
from pathlib import Path

import pytest

from consumer import log
from consumer.errors import Fatal
from consumer.watch.backend import EVERYWHERE
from consumer.watch.backends import Polling, Static, available, choose


def test_the_best_available_backend_comes_first() -> None:
    assert available() == ["inotify", "polling", "static"]
    assert choose().name == "inotify"


@pytest.mark.parametrize("name", ["inotify", "polling", "static"])
def test_a_backend_is_chosen_by_its_name(name: str) -> None:
    backend = choose(name)
    assert backend.name == name
    backend.close()


def test_a_backend_that_does_not_work_is_not_replaced_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bcfg2 fell back to its pseudo monitor without a word when an import failed."""
    logged: list[tuple[str, dict]] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: logged.append((event.name, fields)))
    monkeypatch.delitem(sys.modules, "consumer.watch.inotify", raising=False)
    monkeypatch.setitem(sys.modules, "asyncinotify", None)
    assert choose().name == "polling"
    assert [(event, fields["backend"]) for event, fields in logged] == [("watch_fallback", "polling")]
    with pytest.raises(Fatal, match="inotify"):
        choose("inotify")
    assert available() == ["polling", "static"]


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="no watch backend 'gamin'; choose one of inotify, polling, static"):
        choose("gamin")


def test_polling_reports_every_directory_and_static_reports_none() -> None:
    assert Polling(0.001).wait_for_changes(1) is EVERYWHERE
    assert Static().wait_for_changes(0.001) == set()
    assert not Polling().watch({Path("/")})


def test_interrupt_ends_a_wait() -> None:
    for backend in (Polling(60), Static()):
        backend.interrupt()
        backend.wait_for_changes(60)
