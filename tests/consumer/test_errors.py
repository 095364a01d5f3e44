from consumer.errors import DeedboxError, Exit, Fatal, Retry, StorageFault, StorageReason


def test_an_error_has_the_failure_and_the_action() -> None:
    assert (
        str(Fatal(Exit.QUEUE, "queue 'a' exists with other settings", "change the settings"))
        == "queue 'a' exists with other settings; change the settings"
    )
    assert str(Retry("no answer")) == "no answer"


def test_every_exit_status_is_its_own_and_none_is_a_signal() -> None:
    assert len({int(status) for status in Exit}) == len(Exit)
    assert all(status < 126 for status in Exit)


def test_a_storage_fault_has_a_word_for_the_log() -> None:
    fault = StorageFault(StorageReason.DISK_FULL, "no space", "free some")
    assert (fault.reason, fault.what, fault.do) == ("disk_full", "no space", "free some")
    assert isinstance(fault, DeedboxError)
