"""The limits of keys and values of KVP records, for each kind of reader.

Sources: linux/tools/hv/hv_kvp_daemon.c and drivers/hv/hv_kvp.c.
"""

from dataclasses import dataclass

KEY_BYTES = 512
VALUE_BYTES = 2048
RECORD_BYTES = KEY_BYTES + VALUE_BYTES
PREFIX = "DEEDBOX"
# The largest body that RabbitMQ accepts needs 550,000 slices if every byte is escaped. The format has room for 9,999,999.
SLICES_MAX = 600_000


@dataclass(frozen=True, slots=True)
class Profile:
    """The limits that a kind of reader sets for records. A unit is a byte for `WIRE` and a UTF-16 unit for `HOST`."""

    name: str
    key_units: int
    value_units: int
    inline_units: int  # in a sliced event, a longer member gets slices of its own
    field_units: tuple[
        int, int, int
    ]  # archive and event, type, and ID in a key; a longer field is shortened with a hash
    slices_max: int
    ascii_only: bool
    compact: bool  # the value has no ID if the key holds it, and no arrival time if it equals the event time


# One byte less than the field: readers in C expect a NUL at the end.
WIRE = Profile("wire", 511, 2047, 255, (120, 120, 200), SLICES_MAX, ascii_only=False, compact=True)
# The kernel keeps (512/2)-2 and (2048/2)-2 UTF-16 units and drops the remainder. In ASCII, one unit is one byte.
HOST = Profile("host", 254, 1022, 90, (60, 60, 100), 1024, ascii_only=True, compact=False)
