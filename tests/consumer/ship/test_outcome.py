from consumer.ship.outcome import PassResult, Progress


def test_complete_means_that_nothing_is_left() -> None:
    assert PassResult(verified=1).is_complete
    for left in (PassResult(problems={"a": "reason"}), PassResult(down="reason"), PassResult(stopped=True)):
        assert not left.is_complete


def test_a_later_pass_adds_to_an_earlier_one() -> None:
    total = PassResult(2, 1, 10).after(PassResult(3, 3, 30, {"a": "reason"}, "down"))
    assert total == PassResult(5, 4, 40)


def test_a_file_that_did_not_wait_is_not_subtracted() -> None:
    progress = Progress()
    progress.expect({"a": 5, "b": 7})
    for name in ("a", "a", "late"):
        progress.drop(name)
    assert (progress.waiting, progress.waiting_bytes) == (1, 7)
