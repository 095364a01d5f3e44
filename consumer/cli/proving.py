"""The options of `verify` that say how much it reads, and whose signatures it accepts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from consumer.errors import Exit, Fatal


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Proving:
    """What is to be proved, and how."""

    deep: Annotated[
        bool | None,
        Parameter(
            help="Read every byte and decode every event; otherwise heads, footers, digests and attributes. [default: --deep for local paths, --no-deep with a URL]"
        ),
    ] = None
    budget: Annotated[
        str | None,
        Parameter(
            help="With --deep: read about this many bytes as a whole in this run, those that were read longest ago first, and remember it. [default: everything]"
        ),
    ] = None
    public_key: Annotated[
        tuple[Path, ...],
        Parameter(
            negative=(),
            consume_multiple=False,
            help="File with public keys. The digests must be signed with one of them. Repeatable. [default: no signature is checked]",
        ),
    ] = ()

    @property
    def budget_bytes(self) -> int | None:
        """The bytes of the budget; None if there is none. Raises Fatal for a text that is no size, and without --deep."""
        if self.budget is None:
            return None
        from consumer.config.quantities import parse_quantity  # `--help` must not load the settings
        from consumer.section import Unit

        if self.deep is not True:
            raise Fatal(Exit.SETTINGS, "--budget works only with --deep", "use both, or neither")
        try:
            is_number = self.budget.isascii() and self.budget.isdigit()
            found = int(self.budget) if is_number else parse_quantity(self.budget, Unit.BYTES)
        except ValueError as error:
            raise Fatal(Exit.SETTINGS, f"--budget {self.budget}", str(error)) from error
        if found <= 0:
            raise Fatal(Exit.SETTINGS, f"--budget {self.budget}", "give more than 0 bytes")
        return int(found)


DEFAULT_PROVING = Proving()
