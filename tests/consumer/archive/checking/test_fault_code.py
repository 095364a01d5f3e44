from consumer.archive.checking.fault_code import FaultCode


def test_the_values_stay_because_acknowledgement_files_hold_them() -> None:
    assert [*FaultCode] == [
        "unreadable", "empty_file", "head_name", "batch_unreadable", "batch_count", "gap", "repaired_gap", "footer_batches",
        "footer_events", "footer_removed", "no_footer", "tombstone", "archive_twice", "archive_missing", "archive_changed",
        "events_missing", "end_missing", "copies_differ", "digest_missing", "digest_damaged", "digest_changed",
        "digest_signature", "digest_unsigned",
    ]  # fmt: skip
