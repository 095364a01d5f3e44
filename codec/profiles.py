"""How large keys and values of KVP records may be, for each kind of reader.

Sources: linux/tools/hv/hv_kvp_daemon.c and drivers/hv/hv_kvp.c.
"""

from dataclasses import dataclass

KEY_BYTES = 512
VALUE_BYTES = 2048
RECORD_BYTES = KEY_BYTES + VALUE_BYTES
PREFIX = "DEEDBOX"
SLICES_MAX = (
    600_000  # the largest body a broker takes, with every byte escaped, needs 550,000; there is room for 9,999,999
)


@dataclass(frozen=True, slots=True)
class Profile:
    """The limits of the readers of the records."""

    name: str
    key_units: int
    value_units: int
    inline_units: int  # in sliced events, longer fields go into slices of their own
    field_units: tuple[int, int, int]  # incarnation, type and id in a key; longer ones are shortened with a hash
    slices_max: int
    ascii_only: bool
    compact: (
        bool  # the value leaves out what the record holds elsewhere: an id that the key holds, an equal second time
    )


# A key or value without a NUL would run over in C, hence one less than the field.
WIRE = Profile("wire", 511, 2047, 255, (120, 120, 200), SLICES_MAX, ascii_only=False, compact=True)
# The kernel keeps (512/2)-2 and (2048/2)-2 UTF-16 units and drops the rest; ASCII makes units and bytes the same.
HOST = Profile("host", 254, 1022, 90, (60, 60, 100), 1024, ascii_only=True, compact=False)
