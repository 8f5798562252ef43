"""Accepting our own connections: many at a time, each begun before the event loop has it.

asyncio's server makes a transport, a task and a future for every connection it accepts, before
the protocol hears of it: more than half of what a short conversation costs. Here a connection
begins on the bare socket. What `connectionMade` writes is sent at once, and where that was all
(QOTD, daytime, a refusal) the loop never learns of it. A conversation that goes on is handed to
the loop's own transport, and from then on nothing is different.

Rejected: a transport of our own for the whole life of a connection. It would halve what is
left on asyncio, but be slower than uvloop's, and be one more implementation of back-pressure.
Only plain sockets begin like this: TLS has to shake hands first, and a foreign asyncio.Protocol
may ask its transport anything.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

from tapkit.errors import describe
from tapkit.net.connection import Connection

logger = logging.getLogger("tapkit.protocol")

BATCH = 128
"""Connections accepted before others get their turn."""

RETRY = 1.0
"""Seconds to wait where the system has no more file descriptors or memory for us."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class EagerServer:
    """Accepts on a listening socket; closes like an asyncio.Server.

    Parameters:
        sock: bound, listening, and from now on this server's to close.
        make: makes the Connection of each socket accepted.
    """

    def __init__(self, sock: socket.socket, make: Callable[[], Any]):
        self._sock = sock
        self._make = make
        self._kind = int(sock.family), int(sock.type), sock.proto
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        self._handovers: set[asyncio.Task[Any]] = set()

    async def start_serving(self) -> None:
        """Accept, those that wait in the backlog first."""
        self._loop.add_reader(self._sock.fileno(), self._accept_some)

    def close(self) -> None:
        """Accept no more, and close the socket."""
        if self._sock.fileno() < 0:
            return
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until those accepted last are the loop's."""
        if self._handovers:
            await asyncio.wait(self._handovers)

    def _accept_some(self) -> None:
        for _ in range(BATCH):
            try:
                # What socket.accept() wraps: its wrapping costs as much as the system call.
                fd, peer = self._sock._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            fresh = Fresh(socket.SocketType(*self._kind, fd), peer)
            try:
                self._begin(fresh)
            except Exception as error:  # a fault of ours: the next connection is not to blame
                logger.error("a connection could not begin: %s", describe(error), exc_info=error)
                fresh.close_socket()

    def _begin(self, fresh: Fresh) -> None:
        connection = self._make()
        connection.connection_made(fresh)
        if fresh.over:
            fresh.close_socket()
            connection.connection_lost(fresh.error)
            return
        task = self._loop.create_task(self._hand_over(fresh, connection))
        self._handovers.add(task)
        task.add_done_callback(self._handovers.discard)

    async def _hand_over(self, fresh: Fresh, connection: Connection) -> None:
        sock = fresh.whole_socket()
        sock.setblocking(False)
        try:
            await self._loop.connect_accepted_socket(lambda: connection, sock)
        except BaseException as error:
            if not fresh.handed_over:  # else the loop's transport tells the protocol
                sock.close()
                connection.connection_lost(error)
            if not isinstance(error, OSError):
                raise

    def _pause(self, error: OSError) -> None:
        """Where nothing can be accepted, trying again at once would only burn the processor."""
        if error.errno not in _EXHAUSTED:
            raise error
        logger.error(
            "can't accept a connection (%s): trying again in %g s; raise the limit of open files",
            error.strerror,
            RETRY,
        )
        self._loop.remove_reader(self._sock.fileno())
        self._retry = self._loop.call_later(
            RETRY, self._loop.add_reader, self._sock.fileno(), self._accept_some
        )


class Fresh:
    """The transport of a connection whose socket the event loop does not have yet."""

    __slots__ = (
        "_aborted",
        "_closing",
        "_eof",
        "_peer",
        "_sock",
        "_unsent",
        "error",
        "fd",
        "handed_over",
    )

    def __init__(self, sock: socket.SocketType, peer: Any):
        self._sock = sock
        self.fd = sock.fileno()
        self._peer = peer
        self._unsent = b""
        self._closing = self._aborted = self._eof = self.handed_over = False
        self.error: OSError | None = None

    @property
    def over(self) -> bool:
        """Whether nothing is left to do but to close the socket."""
        return self._aborted or (self._closing and not self._unsent)

    def hand_over(self, transport: Any) -> None:
        """The loop's transport is there: it gets what was left to do."""
        self.handed_over = True
        if self._unsent:
            transport.write(self._unsent)
        if self._aborted:
            transport.abort()
        elif self._closing:
            transport.close()
        elif self._eof:
            transport.write_eof()

    def whole_socket(self) -> socket.socket:
        """The socket as the rest of Python knows it; made only where it is asked for."""
        if not isinstance(self._sock, socket.socket):
            bare = self._sock
            kind = bare.family, bare.type, bare.proto
            self._sock = socket.socket(*kind, fileno=bare.detach())
        return self._sock

    def close_socket(self) -> None:
        self._sock.close()

    # What a Connection asks of a transport.

    def write(self, data: bytes) -> None:
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._sock.send(data, socket.MSG_DONTWAIT)  # spares making it non-blocking
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self.error = error
            self._aborted = True
            return
        if sent < len(data):
            self._unsent = bytes(data[sent:])

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._aborted = True

    def write_eof(self) -> None:
        self._eof = True

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def pause_reading(self) -> None:
        """It does not read yet; what was asked of the connection holds for the next."""

    resume_reading = pause_reading

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return self._peer
        if name == "socket":
            return self.whole_socket()
        if name == "sockname":
            return self._sock.getsockname()
        return default
