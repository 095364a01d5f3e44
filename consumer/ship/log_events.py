"""The log events of shipping."""

from consumer.log import Level, LogEvent

SHIPPING = LogEvent(
    "shipping",
    Level.INFO,
    ("destinations",),
    "Shipping has started: sealed archives go from the archive directory to each destination.",
)
ARCHIVE_SHIPPED = LogEvent(
    "archive_shipped",
    Level.INFO,
    ("file", "destination", "bytes", "seconds"),
    "A file is at the destination: size and SHA-256 were compared after the upload. `file`: an archive, a digest, or a file beside an archive.",
)
SHIP_FAILED = LogEvent(
    "ship_failed",
    Level.WARNING,
    ("file", "destination", "reason", "retry_s"),
    "A file could not be shipped. The local file stays, and Deedbox tries again in `retry_s` seconds or earlier.",
    "Nothing, if it does not repeat. Otherwise correct the cause in `reason`.",
)
SHIP_REFUSED = LogEvent(
    "ship_refused",
    Level.ERROR,
    ("file", "destination", "reason"),
    "A file is not shipped, because the local file is not the one that was sealed, or because the destination holds other content under its name. Nothing was overwritten.",
    "Run `deedbox verify` over the directory and the destination. Put the right file back, or move the wrong object away.",
)
SHIP_DEFECT = LogEvent(
    "ship_defect",
    Level.ERROR,
    ("file", "destination", "error", "retry_s"),
    "An error in shipping that is a defect of Deedbox: its type and place. The file, or everything if `file` is empty, is tried again in `retry_s` seconds. Archiving goes on.",
    "Report it as a defect. Look at the named file and its object: something about them is unusual.",
)
DESTINATION_FAILED = LogEvent(
    "destination_failed",
    Level.WARNING,
    ("destination", "reason", "retry_s"),
    "A destination does not work. Its files wait in the archive directory, and Deedbox tries again in `retry_s` seconds. Other destinations are not affected.",
    "Check the destination, the network and the credentials.",
)
DESTINATION_WORKS = LogEvent(
    "destination_works", Level.INFO, ("destination",), "A destination that did not work works again."
)
OBJECT_MISSING = LogEvent(
    "object_missing",
    Level.WARNING,
    ("file", "destination", "reason"),
    "An object that was verified at the destination was removed or replaced there. It is shipped again while the local file exists.",
    "Find out which program removes objects. Check the lifecycle rules of the bucket.",
)
DIGEST_HELD = LogEvent(
    "digest_held",
    Level.ERROR,
    ("file", "destination", "reason"),
    "A digest is not shipped, because it lists an archive that is neither in the archive directory nor at the destination, and that no policy has retired.",
    "Put the archive back, for example with `deedbox fetch` from another destination. If it is lost for good, run `deedbox verify --acknowledge`.",
)
DIGESTS_FAILED = LogEvent(
    "digests_failed",
    Level.ERROR,
    ("path", "reason"),
    "No digest could be made. Archives are shipped nevertheless.",
    "Correct the cause in `reason`.",
)
SHIPPING_STOPPED = LogEvent(
    "shipping_stopped",
    Level.INFO,
    ("shipped", "waiting"),
    "Shipping has stopped. `waiting` files are shipped after the next start.",
)
