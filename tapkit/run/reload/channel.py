"""What the two processes of a hot restart speak through: frames on a UNIX socket pair.

A frame is its length and a msgpack map; file descriptors and bulk data follow the frame that
announces them. One end belongs to an event loop that goes on serving, the other to a process
that has nothing else to do: so the same frames are read in two ways.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Any

import msgpack  # type: ignore[import-untyped,unused-ignore]

from tapkit.errors import DaemonError

_LENGTH = struct.Struct(">I")
_LONGEST = 1 << 20  # bytes of a frame; what is larger is bulk
_BATCH = 200  # descriptors in one message; Linux takes 253
_PIECE = 1 << 20  # bytes of bulk data read at a time

Message = dict[str, Any]


class BlockingChannel:
    """The end of a process that waits."""

    def __init__(self, sock: socket.socket):
        self.socket = sock
        sock.setblocking(True)

    def tell(self, **message: Any) -> None:
        """Send a frame.

        Raises:
            OSError: the other side is gone.
        """
        self.socket.sendall(_packed(message))

    def hear(self) -> Message:
        """Wait for a frame.

        Raises:
            EOFError: the other side is gone.
        """
        return _unpacked(self.bulk(_length(self.bulk(_LENGTH.size))))

    def bulk(self, count: int) -> bytes:
        """Read `count` bytes."""
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(min(count - len(data), _PIECE))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def descriptors(self, count: int) -> list[int]:
        """Read `count` file descriptors, as the other side sent them."""
        fds: list[int] = []
        while len(fds) < count:
            data, more, _flags, _address = socket.recv_fds(self.socket, 1, _BATCH)
            if not data or not more:
                raise EOFError
            fds += more
        for fd in fds:
            os.set_inheritable(fd, False)
        return fds


class LoopChannel:
    """The end of a process with an event loop to serve."""

    def __init__(self, sock: socket.socket):
        self.socket = sock
        sock.setblocking(False)

    async def tell(self, bulk: bytes = b"", **message: Any) -> None:
        """Send a frame, and the bulk data it announces.

        Raises:
            OSError: the other side is gone.
        """
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, _packed(message))
        if bulk:
            await loop.sock_sendall(self.socket, bulk)

    async def hear(self) -> Message:
        """Wait for a frame.

        Raises:
            EOFError: the other side is gone.
        """
        return _unpacked(await self._read(_length(await self._read(_LENGTH.size))))

    async def ended(self) -> None:
        """Wait until the other side has closed its end."""
        loop = asyncio.get_running_loop()
        try:
            while await loop.sock_recv(self.socket, _PIECE):
                pass
        except OSError:
            pass

    def greet(self, fds: list[int], message: Message) -> None:
        """Send the first frame and file descriptors, some thousands at most: what an empty
        socket buffer takes without waiting."""
        self.socket.sendall(_packed(message))
        for start in range(0, len(fds), _BATCH):
            socket.send_fds(self.socket, [b"F"], fds[start : start + _BATCH])

    async def _read(self, count: int) -> bytes:
        loop = asyncio.get_running_loop()
        data = b""
        while len(data) < count:
            more = await loop.sock_recv(self.socket, count - len(data))
            if not more:
                raise EOFError
            data += more
        return data


def _packed(message: Message) -> bytes:
    body: bytes = msgpack.packb(message)
    return _LENGTH.pack(len(body)) + body


def _length(head: bytes) -> int:
    (length,) = _LENGTH.unpack(head)
    if length > _LONGEST:
        raise DaemonError("the other process of the restart is not one of tapkit's")
    return int(length)


def _unpacked(body: bytes) -> Message:
    message = msgpack.unpackb(body)
    if not isinstance(message, dict):
        raise DaemonError("the other process of the restart is not one of tapkit's")
    return message
