"""Lines as messages."""

import os
from pathlib import Path

from consumer.forward.messages import LineMessages, display_path
from consumer.watch.lines import Line

LOG = Path("/log")


def test_a_message_has_the_position_of_its_line() -> None:
    made = LineMessages("exchange", "key").of(Line(b"text", "g", 5, 10), LOG)
    assert (made.exchange, made.routing_key, made.body) == ("exchange", "key", b"text")
    headers = made.properties["headers"]
    assert (headers["path"], headers["position"]) == ("/log", 10)
    assert headers.keys() == {"host", "path", "position"}


def test_the_pieces_of_a_line_name_the_line() -> None:
    pieces = [Line(b"a", "g", 5, 6, 0, False), Line(b"b", "g", 5, 8, 1, True)]
    headers = [LineMessages("", "").of(piece, LOG).properties["headers"] for piece in pieces]
    assert [(one["piece"], one["last_piece"]) for one in headers] == [(0, False), (1, True)]
    assert len({one["line"] for one in headers}) == 1


def test_an_id_belongs_to_one_place_in_one_content_of_a_file() -> None:
    line = Line(b"text", "g", 5, 10)
    places = [
        (line, LOG),
        (line._replace(offset=11), LOG),
        (line._replace(content_id="h"), LOG),
        (line, Path("/other")),
    ]
    first, again = ([LineMessages("", "").of(*place).properties["message_id"] for place in places] for _ in range(2))
    assert first == again
    assert len(set(first)) == len(places)


def test_a_path_is_text_whatever_bytes_it_has() -> None:
    assert display_path(Path(os.fsdecode("/é".encode() + b"\xff"))) == "/é\\xff"
