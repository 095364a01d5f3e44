"""A transport for tests of readers: no socket, only whether it is read."""

import asyncio


class Transport(asyncio.ReadTransport):
    """Remembers whether it reads."""

    reads = True

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True
