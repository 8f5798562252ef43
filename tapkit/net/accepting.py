"""What may serve a connection: our Factory, an asyncio.Protocol factory, a coroutine handler.

`acceptor` turns any of them into the protocol factory asyncio asks for, and sees to it that
each connection is among the service's `Connections`, so that a stop can close and await it.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from tapkit.errors import ServiceError, describe
from tapkit.names import qualified_name
from tapkit.net.connection import Connection
from tapkit.net.connections import Connections, address_of
from tapkit.protocol import Protocol

logger = logging.getLogger("tapkit.protocol")

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Acceptor = Callable[[], asyncio.BaseProtocol]


def acceptor(factory: Any, connections: Connections) -> Acceptor:
    """The asyncio protocol factory for whatever `factory` is.

    Parameters:
        factory: a `tapkit.protocol.Factory` (anything with `buildProtocol`), a coroutine
            function `handler(reader, writer)`, or a callable returning an asyncio.Protocol
            or a `tapkit.protocol.Protocol`.

    Raises:
        ServiceError: it is none of these.
    """
    if hasattr(factory, "buildProtocol"):
        return functools.partial(Connection, factory, connections)
    import inspect  # for these alone

    if inspect.iscoroutinefunction(factory):
        return stream_acceptor(factory, connections)
    if callable(factory):
        connections.open = weakref.WeakSet()  # what leaves by set_protocol must not pile up
        return lambda: _wrap(factory, connections)
    raise ServiceError(
        f"{qualified_name(factory)} can't serve connections",
        None,
        "give a Factory, a callable that returns an asyncio.Protocol, or a coroutine function",
    )


def may_begin_early(made: Acceptor) -> bool:
    """Whether an acceptor makes our own connections, which need no transport to begin."""
    return isinstance(made, functools.partial) and made.func is Connection


def stream_acceptor(handler: Handler, connections: Connections) -> Acceptor:
    """The asyncio protocol factory for a coroutine `handler(reader, writer)`."""
    return lambda: _Stream(handler, connections)


def _wrap(factory: Callable[[], Any], connections: Connections) -> asyncio.BaseProtocol:
    try:
        protocol = factory()
    except Exception as error:  # asyncio itself tells of this in debug mode only
        logger.error("%s failed: %s", factory, describe(error), exc_info=error)
        return _Refusal()
    if isinstance(protocol, Protocol):
        return Connection(_Ready(protocol), connections)
    if isinstance(protocol, asyncio.BufferedProtocol):
        return _ForwardBuffered(protocol, connections)
    if isinstance(protocol, asyncio.BaseProtocol):
        return _Forward(protocol, connections)
    logger.error("%s made %r, which is no protocol", factory, protocol)
    return _Refusal()


class _Refusal(asyncio.Protocol):
    """Closes at once."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()


class _Ready:
    """The factory of one protocol, made already."""

    __slots__ = ("protocol",)

    def __init__(self, protocol: Protocol):
        self.protocol = protocol

    def buildProtocol(self, _address: Any) -> Protocol:  # noqa: N802  # the tutorial's hook
        return self.protocol


class _Forwarding(asyncio.BaseProtocol):
    """Stands before a foreign asyncio protocol, to know when its connection begins and ends.

    The busy callbacks are the inner protocol's own bound methods, set as attributes of this:
    nothing is called in between. A protocol that hands its transport to another one
    (set_protocol) leaves this, and takes on the closing itself.
    """

    FORWARDED: ClassVar[tuple[str, ...]] = ()

    def __init__(self, inner: Any, connections: Connections):
        self._inner = inner
        self._connections = connections
        for callback in self.FORWARDED:
            setattr(self, callback, getattr(inner, callback))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._connections.open.add(self)
        if self._connections.closing:
            transport.abort()
        self._inner.connection_made(transport)

    def connection_lost(self, error: BaseException | None) -> None:
        try:
            self._inner.connection_lost(error)
        finally:
            self._transport.close()  # 3.10's TLS transport warns if nobody did
            self._connections.discard(self, error)

    def loseConnection(self) -> None:  # noqa: N802  # closes like a Connection
        self._transport.close()

    def finish(self) -> None:
        getattr(self._inner, "service_stopping", self._transport.close)()

    def abortConnection(self) -> None:  # noqa: N802
        self._transport.abort()


_FLOW = ("eof_received", "pause_writing", "resume_writing")


class _Forward(_Forwarding, asyncio.Protocol):
    FORWARDED = ("data_received", *_FLOW)


class _ForwardBuffered(_Forwarding, asyncio.BufferedProtocol):
    FORWARDED = ("get_buffer", "buffer_updated", *_FLOW)


class _Stream(asyncio.StreamReaderProtocol):
    """A connection served by a coroutine; it is over when both the coroutine and it are."""

    def __init__(self, handler: Handler, connections: Connections):
        loop = asyncio.get_running_loop()
        self._handler = handler
        self._connections = connections
        self._serving: asyncio.Task[None] | None = None
        self._reader = asyncio.StreamReader(loop=loop)
        self._closing = self._lost = False
        super().__init__(self._reader, self._begin, loop=loop)

    def connection_made(self, transport: Any) -> None:
        self._connections.open.add(self)
        super().connection_made(transport)
        if self._connections.closing:
            self.abortConnection()

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._peer = address_of(writer.get_extra_info("peername")) or "a nameless peer"
        self._serving = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add_done_callback(self._settle)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._handler(reader, writer)
        except ConnectionError as error:
            logger.debug("%s left: %s", self._peer, describe(error))
        except Exception as error:
            name = getattr(self._handler, "__qualname__", repr(self._handler))
            logger.error("%s failed for %s: %s", name, self._peer, describe(error), exc_info=error)
        finally:
            writer.close()

    def data_received(self, data: bytes) -> None:
        if not self._closing:
            super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._lost = True
        self._settle()

    def _settle(self, _task: Any = None) -> None:
        if self._lost and (self._serving is None or self._serving.done()):
            self._connections.discard(self, None)

    def loseConnection(self) -> None:  # noqa: N802
        """The handler reads the end of the input: it can finish its answer, and does no more."""
        self._closing = True
        self._reader.feed_eof()

    finish = loseConnection

    def abortConnection(self) -> None:  # noqa: N802
        if self._serving is not None:
            self._serving.cancel()
        self._writer.transport.abort()
