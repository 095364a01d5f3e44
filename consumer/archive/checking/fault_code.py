"""FaultCode: the kinds of faults that `verify` finds. Pure.

Invariant: files of acknowledgements hold the values, so that a value never changes and never gets another meaning.
"""

from enum import StrEnum


class FaultCode(StrEnum):
    """The kind of a fault in a verdict."""

    UNREADABLE = "unreadable"  # the file cannot be opened, or is no archive
    EMPTY_FILE = "empty_file"
    HEAD_NAME = "head_name"  # the head names another archive than the name of the file
    BATCH_UNREADABLE = "batch_unreadable"  # the events of a batch cannot be decoded
    BATCH_COUNT = "batch_count"  # the number of events in a batch is not the number in its header
    GAP = "gap"  # bytes that are no batch, or events that are missing between batches
    REPAIRED_GAP = "repaired_gap"  # a gap that a repair recorded in the footer
    FOOTER_BATCHES = "footer_batches"  # the footer lists other batches than the archive holds
    FOOTER_EVENTS = "footer_events"  # the footer counts other events than the archive holds
    FOOTER_REMOVED = "footer_removed"  # the footer counts other removed events than the archive holds
    NO_FOOTER = "no_footer"  # the archive has the name of a sealed one
    TOMBSTONE = "tombstone"  # a tombstone names an event that cannot be read
    ARCHIVE_TWICE = "archive_twice"  # two archives have the same ID
    ARCHIVE_MISSING = "archive_missing"  # another archive, the ledger or the watermark names it
    ARCHIVE_CHANGED = "archive_changed"  # the archive differs from the one that was sealed
    EVENTS_MISSING = "events_missing"  # the archive held more events when it was sealed
    END_MISSING = "end_missing"  # more events were committed than the archive holds
    COPIES_DIFFER = (
        "copies_differ"  # two places hold different archives of one ID, and neither is a rewriting of the other
    )
    DIGEST_MISSING = "digest_missing"  # a digest is at no place
    DIGEST_DAMAGED = "digest_damaged"  # the file is no digest, or the one of another instance or number
    DIGEST_CHANGED = "digest_changed"  # it does not follow the digest before it, or two places hold different ones
    DIGEST_SIGNATURE = "digest_signature"  # the signature is wrong, or of an unknown key
    DIGEST_UNSIGNED = "digest_unsigned"  # neither the digest nor a later one has a signature, and a key was given
