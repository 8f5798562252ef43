"""The open connections of one service, and where their ends are."""

from __future__ import annotations

import asyncio
from collections.abc import MutableSet
from typing import Any, NamedTuple

ABORT_PATIENCE = 1.0  # seconds for the loop to deliver the loss of aborted connections


class Address(NamedTuple):
    """Where an IP socket is: equal to the pair (host, port)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(name: Any) -> Address | str:
    """What a socket's name says: an Address, or a UNIX socket's path ("" for one without)."""
    if isinstance(name, tuple):
        return Address(name[0], name[1])
    return name if isinstance(name, str) else ""


class Connections:
    """The open connections of one service: `Connection`s, or others that close like them."""

    __slots__ = ("_emptied", "closing", "open", "reason")

    def __init__(self) -> None:
        self.open: MutableSet[Any] = set()
        self.closing = False
        self.reason: BaseException | None = None
        self._emptied: asyncio.Future[None] | None = None

    def discard(self, connection: Any, reason: BaseException | None) -> None:
        """A connection is gone, and its protocol knows."""
        self.open.discard(connection)
        self.reason = reason
        if not self.open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    async def drain(self, timeout: float) -> int:
        """Close every connection, flushing; after `timeout` seconds abort those left.

        Returns how many had to be aborted. All are gone when it returns.
        """
        self.closing = True  # one that is only being made now finds the door shut
        try:
            for connection in list(self.open):
                connection.finish()
            await self.wait_empty(timeout)
        finally:  # also when cancelled: a hurried stop leaves nothing open either
            left = list(self.open)
            for connection in left:
                connection.abortConnection()
        await self.wait_empty(ABORT_PATIENCE)
        return len(left)

    async def wait_empty(self, timeout: float | None = None) -> None:
        """Wait until no connection is open, `timeout` seconds at most."""
        if self.open:
            if self._emptied is None or self._emptied.done():
                self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait({self._emptied}, timeout=timeout)
