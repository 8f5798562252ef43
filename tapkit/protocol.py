"""Protocols and factories: the tutorial's hooks, one protocol object a connection.

A protocol never sees asyncio: `self.transport` is a `tapkit.net.connection.Connection`, which
carries what happens on the wire to these hooks. The hooks are plain methods; a server that
reads better as a coroutine is a `tapkit.internet.StreamServer`.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, ClassVar

from tapkit.errors import ServiceError
from tapkit.names import qualified_name, refuse_misspelt_hooks
from tapkit.styles import Persistent

_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE

HOOKS = (
    "makeConnection",
    "connectionMade",
    "dataReceived",
    "readConnectionLost",
    "connectionLost",
    "pauseProducing",
    "resumeProducing",
    "lineReceived",
    "rawDataReceived",
    "lineLengthExceeded",
    "sendLine",
    "setLineMode",
    "setRawMode",
    "startProtocol",
    "stopProtocol",
    "datagramReceived",
    "buildProtocol",
    "doStart",
    "doStop",
    "startFactory",
    "stopFactory",
    "startedConnecting",
    "clientConnectionFailed",
    "clientConnectionLost",
)


def _is_coroutine_function(hook: Any) -> bool:
    """As `inspect.iscoroutinefunction`, which is asked, and imported, for what is seldom."""
    if type(hook) is FunctionType:
        return bool(hook.__code__.co_flags & _CO_COROUTINE)
    import inspect

    return inspect.iscoroutinefunction(hook)


class _Hooked(Persistent):
    """What protocols and factories share: a slip in a hook's name or kind is refused at once."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_misspelt_hooks(cls, HOOKS)
        for hook in filter(vars(cls).__contains__, HOOKS):
            # A coroutine per hook would need a queue per connection to keep their order,
            # and the back-pressure of each chunk would be lost in it: streams do it better.
            if _is_coroutine_function(vars(cls)[hook]):
                raise TypeError(
                    f"{cls.__name__}.{hook} can't be a coroutine; make it a plain method, or "
                    "write a coroutine handler(reader, writer) for tapkit.internet.StreamServer"
                )


class ConnectionDone(ConnectionError):  # noqa: N818  # the tutorial's name
    """Why a connection was lost when nothing went wrong: one side closed it."""

    def __str__(self) -> str:
        return "the connection was closed"


class Protocol(_Hooked):
    """One connection's conversation. Override the hooks.

    It is never saved, as its connection does not outlive the process: what refers to one finds a
    `styles.LeftOut` there after loading. What must live longer belongs to the factory.

    Attributes:
        transport: what to write to; a `tapkit.net.connection.Connection`.
        factory: what made this protocol, and holds what outlives the connection.
        connected: whether the connection is there.
    """

    ephemeral: ClassVar[bool] = True
    volatile: ClassVar[tuple[str, ...]] = ("transport", "connected")

    transport: Any = None
    factory: Any = None
    connected: bool = False

    def makeConnection(self, transport: Any) -> None:
        """Take the transport and begin. A test passes a transport of its own here."""
        self.transport = transport
        self.connected = True
        self.connectionMade()

    def connectionMade(self) -> None:
        """The connection is there: greet, or ask."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes came, cut anywhere: a message may come in pieces, or several in one."""

    def readConnectionLost(self) -> None:
        """The peer will send no more, but still reads. Closes, once all written is sent.

        Override it to go on writing, and call `transport.loseConnection()` at the end.
        """
        self.transport.loseConnection()

    def connectionLost(self, reason: BaseException) -> None:
        """The connection is gone; `reason` is a ConnectionDone where nothing went wrong."""

    def service_stopping(self) -> None:
        """The service stops. Closes, once all written is sent.

        Override it to finish what is in hand first, and call `transport.loseConnection()` then;
        after the drain timeout the connection is cut.
        """
        self.transport.loseConnection()

    def pauseProducing(self) -> None:
        """Take in no more data for now; the peer feels it."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Take in data again."""
        self.transport.resumeProducing()

    def _deliver_held_back(self) -> None:
        """Reading goes on: first hand out what came before it was paused."""


class Factory(_Hooked):
    """Makes the protocols of a service, and keeps what outlives a connection.

    Attributes:
        protocol: the class (or callable) `buildProtocol` calls.
        numPorts: how many running services use this factory.
    """

    volatile: ClassVar[tuple[str, ...]] = ("numPorts",)

    protocol: Any = None
    numPorts: int = 0  # noqa: N815  # the tutorial's name

    def buildProtocol(self, address: Any) -> Any:
        """The protocol for a connection from (or to) `address`; None refuses it."""
        if self.protocol is None:
            raise ServiceError(
                "a factory does not say what its connections talk",
                qualified_name(self),
                "set its class attribute protocol, or override buildProtocol",
            )
        protocol = self.protocol()
        protocol.factory = self
        return protocol

    def doStart(self) -> None:
        """A service begins to use this factory; the first one calls `startFactory`."""
        if self.numPorts == 0:
            self.startFactory()
        self.numPorts += 1

    def doStop(self) -> None:
        """A service no longer uses this factory; the last one calls `stopFactory`."""
        if self.numPorts == 0:
            return
        self.numPorts -= 1
        if self.numPorts == 0:
            self.stopFactory()

    def startFactory(self) -> None:
        """Before the first connection: open what can't be saved."""

    def stopFactory(self) -> None:
        """After the last connection is gone: close what `startFactory` opened."""


class ServerFactory(Factory):
    """A factory for a listening service."""


class ClientFactory(Factory):
    """A factory for a connecting service, told how it goes.

    `connector` is the service: `connector.connect()` tries again, `connector.disconnect()`
    gives up.
    """

    def startedConnecting(self, connector: Any) -> None:
        """A connection is being tried."""

    def clientConnectionFailed(self, connector: Any, reason: BaseException) -> None:
        """No connection came about."""

    def clientConnectionLost(self, connector: Any, reason: BaseException) -> None:
        """The connection was there and is gone; its protocol knows already."""


class DatagramProtocol(_Hooked):
    """A conversation in datagrams: one object for all peers. Override the hooks.

    `transport.write(data, address)` sends; `address` is a (host, port) pair.
    """

    volatile: ClassVar[tuple[str, ...]] = ("transport",)

    transport: Any = None

    def makeConnection(self, transport: Any) -> None:
        """Take the transport and begin."""
        self.transport = transport
        self.startProtocol()

    def startProtocol(self) -> None:
        """The port is there."""

    def stopProtocol(self) -> None:
        """The port is gone."""

    def datagramReceived(self, data: bytes, address: Any) -> None:
        """One datagram came, whole."""


class LineReceiver(Protocol):
    """A protocol of lines, with stretches of raw data between them.

    Class attributes to set:
        delimiter: ends a line, and is not part of it.
        bare_newline: whether a line may also end with a newline alone, as nc and people send
            it; for a delimiter of CR LF. Off by default: where lines carry on to other
            programs that disagree about it, it lets one line be smuggled inside another.
        MAX_LENGTH: bytes; a longer line goes to `lineLengthExceeded`.
    """

    volatile: ClassVar[tuple[str, ...]] = ("_pending", "_begin", "_searched", "_raw", "_busy")

    delimiter: bytes = b"\r\n"
    bare_newline: bool = False
    MAX_LENGTH: int = 16384

    # What came and is not handed out yet is _pending[_begin:]; up to _searched it holds no
    # delimiter. Lines are cut by moving _begin: deleting each from the front of the buffer
    # would copy the rest once a line. _busy: a hook may feed, switch modes, pause or resume;
    # the loop that called it carries on, so nothing recurses and nothing overtakes.
    _pending: bytearray | None = None
    _begin: int = 0
    _searched: int = 0
    _raw: bool = False
    _busy: bool = False

    def lineReceived(self, line: bytes) -> None:
        """A line came, without its delimiter."""

    def rawDataReceived(self, data: bytes) -> None:
        """Data came in raw mode."""

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is longer than MAX_LENGTH; `line` is all that came of it, and is dropped."""
        self.transport.loseConnection()

    def sendLine(self, line: bytes) -> None:
        """Write a line, with its delimiter."""
        self.transport.write(line + self.delimiter)

    def setRawMode(self) -> None:
        """What comes next goes to `rawDataReceived`."""
        self._raw = True

    def setLineMode(self, extra: bytes = b"") -> None:
        """What comes next is lines again, beginning with `extra`."""
        self._raw = False
        if extra:
            self.dataReceived(extra)

    def dataReceived(self, data: bytes) -> None:
        if self._pending is None:
            self._pending = bytearray()
        self._pending += data
        self._deliver_held_back()

    def _deliver_held_back(self) -> None:
        if self._busy or not self._pending:
            return
        self._busy = True
        try:
            # A paused connection holds lines back too: one chunk may hold thousands of
            # requests, and a peer that reads no answers must not make us write them all.
            while self._wants_more() and self._deliver_one():
                pass
        finally:
            self._busy = False
            del self._pending[: self._begin]
            self._searched -= self._begin
            self._begin = 0

    def _wants_more(self) -> bool:
        # A test's own transport need not know these two.
        reading = getattr(self.transport, "reading", True)
        return reading and not getattr(self.transport, "disconnecting", False)

    def _deliver_one(self) -> bool:
        pending = self._pending
        assert pending is not None
        if self._raw:
            data = self._take(len(pending), 0)
            if data:
                self.rawDataReceived(data)
            return bool(data)
        delimiter = b"\n" if self.bare_newline else self.delimiter
        overlap = len(self.delimiter) - 1  # so much of a delimiter may have come already
        found = pending.find(delimiter, max(self._begin, self._searched - overlap))
        if found < 0:
            self._searched = len(pending)
            if len(pending) - self._begin - overlap <= self.MAX_LENGTH:
                return False
            self.lineLengthExceeded(self._take(len(pending), 0))
            return True
        returned = self.bare_newline and pending.endswith(b"\r", self._begin, found)
        end = found - returned
        if end - self._begin > self.MAX_LENGTH:
            self.lineLengthExceeded(self._take(len(pending), 0))
        else:
            self.lineReceived(self._take(end, returned + len(delimiter)))
        return True

    def _take(self, end: int, skip: int) -> bytes:
        assert self._pending is not None
        with memoryview(self._pending) as view:
            taken = bytes(view[self._begin : end])
        self._begin = self._searched = end + skip
        return taken
