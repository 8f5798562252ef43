# ruff: noqa: N802  # the transport's methods are the tutorial's
"""One connection, between asyncio's transport and a `tapkit.protocol.Protocol`.

`Connection` is both: the asyncio.Protocol the event loop calls, and the `transport` a
Protocol writes to. One object a connection, no task, no log line: this is the hot path.

**Back-pressure.** When what is written piles up beyond the high-water mark of asyncio's
buffer, reading from that connection stops until it drains. So a protocol that answers what it
reads holds a bounded amount for a peer that does not read its answers. What produces data
without reading any registers as a producer, or awaits `drain()`.

**Closing.** asyncio's close() flushes its buffer, but reads no more meanwhile; and closing a
socket that holds unread input, or gets some later, makes TCP reset the connection and throw
away what the peer has not read yet. So with much left to flush, or a peer that talks,
`loseConnection` goes on reading, and drops what it reads, until all is flushed; then it
half-closes and waits for the peer's end, some seconds at most. (What nginx calls a lingering
close.) Else it closes at once: always to linger costs a third of the connections a second.
"""

from __future__ import annotations

import asyncio
import logging
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

from tapkit.errors import TapkitError, describe
from tapkit.net.connections import Address, Connections, address_of
from tapkit.protocol import ConnectionDone

LINGER = 30.0  # seconds to wait for the end of a peer that reads slowly
BRIEF_LINGER = 5.0  # seconds, where all is sent already; less than a service's drain_timeout
NO_BYTES = b"\0\0\0\0"  # the C int of FIONREAD

logger = logging.getLogger("tapkit.protocol")


class Connection(asyncio.Protocol):
    """A Protocol's transport. What is written after it was closed is dropped."""

    __slots__ = (
        "__weakref__",
        "_connections",
        "_early",
        "_ended",
        "_eof",
        "_factory",
        "_full",
        "_heard",
        "_linger",
        "_paused",
        "_peer",
        "_producer",
        "_protocol",
        "_reason",
        "_stopped",
        "_transport",
        "_waiters",
        "disconnecting",
    )

    def __init__(self, factory: Any, connections: Connections):
        self._factory = factory
        self._connections = connections
        self._protocol: Any = None
        self._transport: Any = None
        self._peer: Address | str = ""
        self._reason: BaseException | None = None
        self._producer: Any = None
        self._waiters: list[asyncio.Future[None]] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._early = b""  # what a loop delivered before it could be told not to read
        self._heard = False  # the peer has sent something
        self._full = False  # asyncio's write buffer is above its high-water mark
        self._paused = False  # the protocol asked for a pause
        self._stopped = False  # asyncio was told not to read
        self._eof = False  # the peer will send no more
        self._ended = False  # no more can be written
        self.disconnecting = False

    def __reduce__(self) -> Any:
        raise TypeError("a live connection can't be saved")

    # What a protocol calls.

    def write(self, data: bytes) -> None:
        """Send `data`, in its turn; returns at once."""
        if not self._ended:
            self._transport.write(data)

    def writelines(self, pieces: Any) -> None:
        """Send many pieces, as one `write` of all of them would."""
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        """Close when all that was written has been sent."""
        if self.disconnecting:
            return
        self.disconnecting = self._ended = True
        if not self._full and not self._peer_talks():
            self._transport.close()
            return
        if self._stopped and not self._eof:
            self._transport.resume_reading()
        if not self._full:
            slow = self._transport.get_write_buffer_size()
            self._finish_closing(LINGER if slow else BRIEF_LINGER)

    def finish(self) -> None:
        """The service stops: close when what is in hand is done, as far as it is known."""
        if self.disconnecting or self._producer is not None:
            return
        try:
            # An object that is no Protocol of ours need not have the hook.
            getattr(self._protocol, "service_stopping", self.loseConnection)()
        except Exception as error:
            self._failed("service_stopping", error)

    def abortConnection(self) -> None:
        """Close at once; what is not sent yet is lost."""
        if self._reason is None:
            self._reason = ConnectionAbortedError("the connection was aborted on this side")
        self.disconnecting = self._ended = True
        self._transport.abort()

    def loseWriteConnection(self) -> None:
        """Tell the peer that no more will come, and go on reading.

        Raises:
            TapkitError: a TLS connection can't do this.
        """
        if self._ended:
            return
        if not self._transport.can_write_eof():
            raise TapkitError(
                "a TLS connection can't be closed one way only",
                str(self._peer),
                "use loseConnection",
            )
        if self._eof:
            self.loseConnection()
            return
        self._ended = True
        self._transport.write_eof()

    def getPeer(self) -> Address | str:
        """The other side: an Address, equal to (host, port); a path for a UNIX socket."""
        return self._peer

    def getHost(self) -> Address | str:
        """This side of the connection."""
        return address_of(self._transport.get_extra_info("sockname"))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What asyncio's transport knows more: "socket", "peercert", "ssl_object" ..."""
        return self._transport.get_extra_info(name, default)

    @property
    def reading(self) -> bool:
        """Whether more data is wanted: not while paused, nor while much is left to write."""
        return not (self._full or self._paused)

    def pauseProducing(self) -> None:
        """Stop reading; a peer that sends on comes to a halt in its turn."""
        self._paused = True
        self._settle_reading()

    def resumeProducing(self) -> None:
        """Read again."""
        self._paused = False
        self._settle_reading()

    def registerProducer(self, producer: Any, streaming: bool = True) -> None:
        """Have `producer` told to pause and resume as this connection fills and drains.

        Raises:
            TapkitError: there is one already, or it waits to be pulled (not `streaming`).
        """
        if self._producer is not None:
            raise TapkitError("a producer is registered already", str(self._peer))
        if not streaming:
            raise TapkitError(
                "only a producer that pushes can be registered",
                str(self._peer),
                "pull in a coroutine that awaits transport.drain()",
            )
        self._producer = producer
        if self._full:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """The producer has no more."""
        self._producer = None
        if self._connections.closing:
            self.finish()

    async def drain(self) -> None:
        """Wait until more can be written without piling up.

        Raises:
            ConnectionError: the connection is lost.
        """
        if self._protocol is None:
            raise ConnectionResetError("the connection is lost")
        if self._full:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter

    # What the event loop calls.

    def connection_made(self, transport: Any) -> None:
        fresh, self._transport = self._transport, transport
        if fresh is not None:
            self._taken_over(fresh, transport)
            return
        self._peer = address_of(transport.get_extra_info("peername"))
        self._connections.open.add(self)
        if self._connections.closing:
            self.abortConnection()
            return
        try:
            self._protocol = self._factory.buildProtocol(self._peer)
            if self._protocol is None:
                self.abortConnection()
            else:
                self._protocol.makeConnection(self)
        except Exception as error:
            self._failed("connectionMade" if self._protocol else "buildProtocol", error)
        if self._stopped:
            asyncio.get_running_loop().call_soon(self._stay_stopped)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self.disconnecting:
            return
        if self._stopped:
            self._early += data
            return
        try:
            self._protocol.dataReceived(data)
        except Exception as error:
            self._failed("dataReceived", error)

    def eof_received(self) -> bool:
        self._eof = True
        if self.disconnecting:
            return self._full  # else nothing is left to wait for
        try:
            self._protocol.readConnectionLost()
        except Exception as error:
            self._failed("readConnectionLost", error)
        return bool(self._transport.can_write_eof())  # TLS ends both ways at once

    def connection_lost(self, error: BaseException | None) -> None:
        reason = self._reason or error or ConnectionDone()
        if not self._ended:
            self._transport.close()  # 3.10's TLS transport warns if nobody did
        self.disconnecting = self._ended = True
        if self._linger is not None:
            self._linger.cancel()
        if self._waiters:
            for waiter in self._take_waiters():
                waiter.set_exception(ConnectionResetError("the connection is lost"))
        if self._protocol is not None:
            self._protocol.connected = False
            try:
                self._protocol.connectionLost(reason)
            except Exception as failure:
                self._report("connectionLost", failure)
            self._protocol = None  # no cycle is left for the collector
        self._connections.discard(self, reason)

    def pause_writing(self) -> None:
        self._full = True
        self._settle_reading()
        self._tell_producer("pauseProducing")

    def resume_writing(self) -> None:
        self._full = False
        if self.disconnecting:
            self._finish_closing(LINGER)
            return
        for waiter in self._take_waiters():
            waiter.set_result(None)
        self._tell_producer("resumeProducing")
        self._settle_reading()

    # How these work together.

    def _taken_over(self, fresh: Any, transport: Any) -> None:
        """What began on a bare socket (`tapkit.net.eager`) goes on with the loop's transport."""
        if self._reason is None:
            self._reason = fresh.error
        fresh.hand_over(transport)
        if self._stopped:
            asyncio.get_running_loop().call_soon(self._stay_stopped)

    def _peer_talks(self) -> bool:
        """Whether the peer has sent what was not read, or may well send on."""
        # When a service stops, most peers are idle and would hold up the stop until they end.
        if self._heard and not self._connections.closing:
            return True
        fd = getattr(self._transport, "fd", None)  # a fresh one's
        if fd is None:
            sock = self._transport.get_extra_info("socket")
            fd = -1 if sock is None else sock.fileno()
        return fd >= 0 and ioctl(fd, FIONREAD, NO_BYTES) != NO_BYTES

    def _finish_closing(self, limit: float) -> None:
        if self._eof or not self._transport.can_write_eof():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer has reset it, and nobody read so far
            self._transport.abort()
            return
        self._linger = asyncio.get_running_loop().call_later(limit, self._end_lingering)

    def _end_lingering(self) -> None:
        self._transport.close()

    def _stay_stopped(self) -> None:
        # Some loops (3.10's, uvloop) begin to read after connection_made, whatever it said.
        if self._stopped and not self.disconnecting:
            self._transport.resume_reading()
            self._transport.pause_reading()

    def _settle_reading(self) -> None:
        """Make asyncio read or not, as is wanted now."""
        if self.disconnecting:
            return
        if self._stopped and self.reading and self._protocol is not None:
            try:
                self._deliver_held_back()  # may fill the buffer again, or close
            except Exception as error:
                self._failed("dataReceived", error)
                return
        stop = not self.reading
        if stop == self._stopped or self.disconnecting:
            return
        self._stopped = stop
        if self._eof:  # to read on would only find the end again
            return
        if stop:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _deliver_held_back(self) -> None:
        self._protocol._deliver_held_back()
        if self._early and self.reading and not self.disconnecting:
            data, self._early = self._early, b""
            self._protocol.dataReceived(data)

    def _tell_producer(self, call: str) -> None:
        if self._producer is not None and not self.disconnecting:
            try:
                getattr(self._producer, call)()
            except Exception as error:
                self._failed(call, error)

    def _take_waiters(self) -> list[asyncio.Future[None]]:
        waiters, self._waiters = self._waiters, None
        return [waiter for waiter in waiters or () if not waiter.done()]

    def _failed(self, hook: str, error: Exception) -> None:
        self._report(hook, error)
        if self._reason is None:
            self._reason = error
        self.loseConnection()

    def _report(self, hook: str, error: Exception) -> None:
        made = type(self._protocol or self._factory).__name__
        peer = self._peer or "a nameless peer"
        logger.error("%s.%s failed for %s: %s", made, hook, peer, describe(error), exc_info=error)
