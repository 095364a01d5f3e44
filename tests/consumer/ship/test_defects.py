from consumer.ship.defects import describe


def test_a_defect_has_its_type_and_its_place() -> None:
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        found = describe(error)
    assert found.startswith("ValueError: no such thing (test_defects.py, line ")
    assert describe(KeyError("x")) == "KeyError: 'x'"
