"""Search against a simple filter over all events: random archive sets and random queries, from seeds.

`--archive-sets N` sets the number of sets, `--seed S` the first seed. A failure names its seed.
"""

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random

import pytest

from codec.event import Event
from consumer.archive.listing import find_archives
from consumer.archive.reading.duplicates import DuplicateMode
from consumer.objects.url import ObjectUrl
from consumer.query.query import Query, make_query
from consumer.query.search import Search
from tests.support.archive_logs import START_US
from tests.support.archive_sets import IDS, TAGS, TIMES, TYPES, ArchiveSet, Held
from tests.support.copied import copy_to

QUERIES = 12  # a set
Test = Callable[[Event], bool]


def some_time(random: Random) -> int:
    return random.choice([*TIMES, START_US + random.randrange(100)])


def random_query(random: Random) -> tuple[Query, list[Test]]:
    """A query, and the same as a simple filter."""
    asked: dict[str, object] = {}
    tests: list[Test] = []
    since, until, early, late = sorted([some_time(random), some_time(random)]) + sorted(some_time(random) for _ in "ab")
    ids, tag = random.sample(IDS, 2), random.choice(TAGS)
    glob, other = random.choice(["a.*", "*", "b", "[[]x]", "bad?", "é", ""]), random.choice(["a.b", "b*", "*c"])
    choices: list[tuple[dict[str, object], Test]] = [
        ({"since_us": since}, lambda event: event.time_us >= since),
        ({"until_us": until}, lambda event: event.time_us <= until),
        ({"ids": ids}, lambda event: event.id in ids),
        ({"types": [glob]}, lambda event: fnmatchcase(event.type, glob)),
        (
            {"types": [TYPES[1], f"!{other}"]},
            lambda event: event.type == TYPES[1] and not fnmatchcase(event.type, other),
        ),
        ({"types": [f"!{other}"]}, lambda event: not fnmatchcase(event.type, other)),
        ({"tags": [tag]}, lambda event: tag in event.tags),
        ({"source": ("e*", None)}, lambda event: event.exchange.startswith("e")),
        ({"source": (None, "k.a")}, lambda event: event.routing_key == "k.a"),
        ({"match": "serial.:[1-9]3"}, lambda event: re.search(rb'"serial":[1-9]3', event.body) is not None),
        ({"where": ["serial>=7"]}, lambda event: number_of(event) >= 7),
    ]
    for members, test in random.sample(choices, random.choice([0, 1, 1, 1, 2, 3])):
        if not asked.keys() & members.keys():
            asked |= members
            tests.append(test)
    query = make_query(**asked)
    if random.random() < 0.2:
        return query.arriving(early, late), [*tests, lambda event: early <= event.arrived_us <= late]
    return query, tests


def number_of(event: Event) -> int:
    return json.loads(event.body)["serial"] if event.body.startswith(b"{") else -1


def by_hand(held: list[Held], tests: list[Test], descending: bool) -> list[tuple[Event, str]]:
    found = [one for one in held if all(test(one.event) for test in tests)]
    found.sort(key=lambda one: (one.event.time_us, one.archive, one.number), reverse=descending)
    return [(one.event, f"{one.archive}:{one.number}") for one in found]


def copied(directory: Path, *name: object) -> ObjectUrl:
    """A copy in the store of this process. Some searches read it."""
    prefix = ObjectUrl("memory", directory.name, "-".join(map(str, name)))
    copy_to(directory, prefix)
    return prefix


def test_a_search_and_a_simple_filter_find_the_same_events(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pytestconfig.getoption("seed")
    for seed in range(first, first + pytestconfig.getoption("archive_sets")):
        random = Random(seed)
        monkeypatch.setattr("consumer.query.merge.HELD_BYTES_MAX", random.choice([1, 5000, 20_000, 64 << 20]))
        archives = ArchiveSet(tmp_path / str(seed), random)
        archives.grow()
        for number in range(QUERIES):
            query, tests = random_query(random)
            descending, mode = random.random() < 0.5, random.choice(list(DuplicateMode))
            remote = bool(find_archives([archives.directory])) and random.random() < 0.3
            place = copied(archives.directory, tmp_path.name, number) if remote else archives.directory
            search = Search([place], query.showing(mode), descending)
            everything = by_hand(archives.held, tests, descending)
            expected = [one for one in everything if mode == "show" or bool(one[0].duplicate) == (mode == "only")]
            if not remote and random.random() < 0.3:
                search.plan()
                archives.move()
            assert list(search) == expected, f"seed {seed}, query {number}: {query}"
            assert search.faults == [], f"seed {seed}, query {number}"
            hidden = len(everything) - len(expected) if mode == "hide" else 0
            assert search.duplicates.hidden == hidden, f"seed {seed}, query {number}"
        archives.close()
