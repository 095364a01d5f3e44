from consumer.ship.side_lines import union


def test_each_line_of_both_once() -> None:
    assert union(b'{"a":1}\n{"b":1}\n', b'{"b":1}\n{"c":1}\n') == b'{"a":1}\n{"b":1}\n{"c":1}\n'
    assert union(b"", b'{"a":1}\n{"a":1}\n') == b'{"a":1}\n'
    assert union(b'{"a":1}\n', b"") == b'{"a":1}\n'


def test_a_damaged_line_of_the_object_does_not_stay() -> None:
    assert union(b'{"a":1}\n{"b"\n[]\n\xff\n', b"") == b'{"a":1}\n'
