"""The result of one pass over one destination, and the figures of a destination. Values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass
class Progress:
    """The figures of one destination. `waiting` and `waiting_bytes`: files that are not known to be there.

    `shipped` and `shipped_bytes`: what was uploaded and verified by this process. `reason`: why it does not work; empty if it does.
    """

    waiting: int = 0
    waiting_bytes: int = 0
    shipped: int = 0
    shipped_bytes: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def expect(self, sizes: Mapping[str, int]) -> None:
        """Note which files wait, by name, with their sizes in bytes."""
        self._sizes = dict(sizes)
        self.waiting, self.waiting_bytes = len(sizes), sum(sizes.values())

    def drop(self, name: str) -> None:
        """Note that a file does not wait any more, if it did."""
        if (size := self._sizes.pop(name, None)) is not None:
            self.waiting -= 1
            self.waiting_bytes -= size


@dataclass
class PassResult:
    """What one pass did. `verified`: files that are at the destination. `problems`: files that are not, with the reason.

    `down`: why the destination does not work; empty if it does. `retry`: whether a retry may help without any action.
    `defect`: an unexpected exception of a file.
    """

    verified: int = 0
    shipped: int = 0
    shipped_bytes: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    down: str = ""
    retry: bool = False
    stopped: bool = False
    defect: Exception | None = None

    @property
    def is_complete(self) -> bool:
        """Whether everything is at the destination."""
        return not (self.problems or self.down or self.stopped)

    def after(self, before: "PassResult") -> "PassResult":
        """The same result, with what an earlier pass has shipped."""
        return replace(
            self, verified=self.verified + before.verified, shipped=self.shipped + before.shipped,
            shipped_bytes=self.shipped_bytes + before.shipped_bytes,
            defect=self.defect or (None if self.is_complete else before.defect),
        )  # fmt: skip
