"""Services on the network: plain objects that hold paths and numbers, and start.

What a service holds only while it runs - sockets, connections, tasks, TLS settings - is in one
volatile attribute, so an image of a running service is the image of a stopped one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any, ClassVar

from tapkit import limits, ports
from tapkit.errors import UsageError
from tapkit.net.accepting import Acceptor, Handler, acceptor, stream_acceptor
from tapkit.net.clients import SSLClient, TCPClient, UNIXClient
from tapkit.net.connections import Address, Connections
from tapkit.net.datagrams import DatagramTransport
from tapkit.net.listening import datagram_sockets, stream_sockets, unix_socket
from tapkit.net.serving import Listener, server_context
from tapkit.net.timers import TimerService
from tapkit.ports import BACKLOG, UNIX_MODE, PortDescription
from tapkit.service import Service
from tapkit.walk import Steps

__all__ = [
    "SSLClient",
    "SSLServer",
    "StreamServer",
    "TCPClient",
    "TCPServer",
    "TimerService",
    "UDPServer",
    "UNIXClient",
    "UNIXServer",
    "datagram_server",
    "server",
]

logger = logging.getLogger("tapkit.internet")


class ListeningService(Service):
    """What all listening services share. The port is bound in the privileged start.

    Attributes:
        drain_timeout: seconds that open connections get to finish when the service stops;
            None: those of `--drain-timeout`, 10 without a daemon.
    """

    volatile: ClassVar[tuple[str, ...]] = ("_listener",)

    drain_timeout: float | None = None
    log_prefix: ClassVar[str] = ""

    _listener: Any = None

    @property
    def addresses(self) -> list[Address | str]:
        """Where it listens: (host, port) pairs, or the path; empty when it does not."""
        return [] if self._listener is None else list(self._listener.addresses)

    @property
    def bound_port(self) -> int | None:
        """The port number it has; the one the system chose, for port 0."""
        for address in self.addresses:
            if isinstance(address, Address):
                return address.port
        return None

    def privilegedStartService(self) -> Awaitable[None] | None:
        """Bind the port and listen; who connects waits until the service starts.

        Raises:
            ServiceError: the port can't be had, or a certificate can't be read.
        """
        if self._listener is None:
            self._listener = self._listen()
        return super().privilegedStartService()

    def startService(self) -> Awaitable[None]:
        """Accept; binds first, if there was no privileged start."""
        super().startService()
        return self._begin(self._start())

    def stopService(self) -> Awaitable[None]:
        """Accept no more, let the connections finish, and abort what is left after
        `drain_timeout` seconds. Every connection is gone when this is done."""
        super().stopService()
        return self._end(self._stop())

    def stop_accepting(self) -> None:
        """Let nobody in any more; who is in is served on."""
        if self._listener is not None:
            self._listener.pause()

    async def finish(self, grace: float) -> None:
        """Let nobody in any more, and give who is in `grace` seconds to leave; none is cut."""
        if isinstance(self._listener, Listener) and self._listener.accepting:
            await self._listener.finish(grace)

    async def drain(self) -> None:
        """Let the connections finish, and abort what is left after `drain_timeout` seconds."""
        if self._listener is not None and self._listener.accepting:
            self._listener.close()
            await self._drain(self._listener)

    def _listen(self) -> Any:
        raise NotImplementedError

    def _start(self) -> Steps:
        try:
            if self._listener is None:
                self._listener = self._listen()
            if not self._listener.accepting:
                yield self._accept(self._listener)
                where = " and ".join(map(str, self.addresses))
                logger.info("listening on %s%s", self.log_prefix, where)
        except BaseException:
            self.running = False
            if self._listener is not None:
                self._listener.abort()
                self._listener = None
            raise

    async def _accept(self, listener: Any) -> None:
        raise NotImplementedError

    def _stop(self) -> Steps:
        listener, self._listener = self._listener, None
        if listener is not None:
            serving = listener.accepting
            listener.close()
            if serving:
                yield self._finish(listener)

    async def _finish(self, listener: Any) -> None:
        try:
            await self._drain(listener)
        finally:
            self._finished()

    async def _drain(self, listener: Any) -> None:
        raise NotImplementedError

    def _finished(self) -> None:
        """Tell who serves that no connection is left."""
        raise NotImplementedError


class _StreamService(ListeningService):
    """A service whose connections a factory serves.

    Attributes:
        factory: a `tapkit.protocol.Factory`, a callable that returns an asyncio.Protocol, or
            a coroutine function `handler(reader, writer)`.
    """

    factory: Any = None

    @property
    def open_connections(self) -> int:
        """How many connections it serves now."""
        return 0 if self._listener is None else len(self._listener.connections.open)

    def _acceptor(self, connections: Connections) -> Acceptor:
        return acceptor(self.factory, connections)

    async def _accept(self, listener: Listener) -> None:
        make = self._acceptor(listener.connections)
        _call_if_there(self.factory, "doStart")
        try:
            await listener.accept(make)
        except BaseException:
            _call_if_there(self.factory, "doStop")
            raise

    async def _drain(self, listener: Listener) -> None:
        limit = limits.drain_limit(self)
        aborted = await listener.drain(limit)
        if aborted:
            logger.warning(
                "aborted %d connections that were still open %g s after the stop", aborted, limit
            )

    def _finished(self) -> None:
        _call_if_there(self.factory, "doStop")


class TCPServer(_StreamService):
    """Serves TCP connections.

    Parameters:
        port: a number (0: the system chooses) or a description (`tapkit.ports`).
        factory: what serves a connection; see `_StreamService`.
        interface: an address or host name of this machine; "" is all of them.
        backlog: how many connections may wait to be accepted.

    Raises:
        UsageError: the port or its description is wrong.
    """

    kind: ClassVar[str] = "tcp"

    port: int = 0
    interface: str = ""
    backlog: int = BACKLOG

    def __init__(self, port: int | str, factory: Any, interface: str = "", backlog: int = BACKLOG):
        self._describe(port, interface=interface, backlog=backlog)
        self.factory = factory  # last: a text image shows first what an administrator edits

    def _describe(self, port: int | str, **defaults: Any) -> PortDescription:
        told = _parse(self, port, **defaults)
        self.port, self.interface, self.backlog = told.port, told.interface, told.backlog
        return told

    def _listen(self) -> Listener:
        # Once more: an administrator may have edited the image.
        self._describe(self.port, interface=self.interface, backlog=self.backlog)
        sockets = stream_sockets(self.interface, self.port, self.backlog, self.name)
        return Listener(sockets, self.backlog)


class StreamServer(TCPServer):
    """Serves TCP connections by a coroutine: `async def handler(reader, writer)`.

    The connection is closed when the handler returns. When the service stops, handlers read
    the end of their input, may finish their answer, and are cancelled after `drain_timeout`.
    """

    def __init__(
        self, port: int | str, handler: Handler, interface: str = "", backlog: int = BACKLOG
    ):
        super().__init__(port, None, interface, backlog)
        del self.factory
        self.handler = handler

    def _acceptor(self, connections: Connections) -> Acceptor:
        return stream_acceptor(self.handler, connections)


class SSLServer(TCPServer):
    """Serves TLS connections.

    Parameters:
        certificate, privkey: paths of PEM files, read in the privileged start; the private key
            may be in the certificate's file.
    """

    kind: ClassVar[str] = "ssl"

    certificate: str = ""
    privkey: str = ""

    def __init__(
        self,
        port: int | str,
        factory: Any,
        certificate: str = "",
        privkey: str = "",
        interface: str = "",
        backlog: int = BACKLOG,
    ):
        self.certificate, self.privkey = certificate, privkey
        super().__init__(port, factory, interface, backlog)

    def _describe(self, port: int | str, **defaults: Any) -> PortDescription:
        defaults.update(certificate=self.certificate, privkey=self.privkey)
        told = super()._describe(port, **defaults)
        self.certificate, self.privkey = told.certificate, told.privkey
        return told

    def _listen(self) -> Listener:
        context = server_context(self.certificate, self.privkey)
        listener = super()._listen()
        listener.context = context
        return listener


class UNIXServer(_StreamService):
    """Serves connections to a UNIX socket.

    Parameters:
        path: of the socket's file, or a description (`unix:/run/x.sock:mode=660`). A socket
            nobody listens on is replaced; the file is removed at stop, if it is still ours.
        mode: permissions of the file.
    """

    mode: int = UNIX_MODE
    backlog: int = BACKLOG

    def __init__(self, path: str, factory: Any, mode: int = UNIX_MODE, backlog: int = BACKLOG):
        told = PortDescription("unix", path=path, mode=mode, backlog=backlog)
        if path.startswith("unix:"):
            told = ports.parse(path, mode=mode, backlog=backlog)
        self.path, self.mode, self.backlog = told.path, told.mode, told.backlog
        self.factory = factory

    def _listen(self) -> Listener:
        return Listener([unix_socket(self.path, self.mode, self.backlog, self.name)], self.backlog)


class UDPServer(ListeningService):
    """Receives and sends datagrams.

    Parameters:
        port: a number (0: the system chooses) or a description (`udp:8007`).
        protocol: a `tapkit.protocol.DatagramProtocol`.
        interface: as for TCPServer.
    """

    kind: ClassVar[str] = "udp"
    log_prefix: ClassVar[str] = "udp "

    port: int = 0
    interface: str = ""

    def __init__(self, port: int | str, protocol: Any, interface: str = ""):
        self._describe(port, interface)
        self.protocol = protocol

    def _describe(self, port: int | str, interface: str) -> None:
        told = _parse(self, port, interface=interface)
        self.port, self.interface = told.port, told.interface

    def _listen(self) -> DatagramTransport:
        self._describe(self.port, self.interface)
        sockets = datagram_sockets(self.interface, self.port, self.name)
        return DatagramTransport(self.protocol, sockets)

    async def _accept(self, listener: DatagramTransport) -> None:
        await listener.accept()

    async def _drain(self, listener: DatagramTransport) -> None:
        await listener.drain(limits.drain_limit(self))

    def _finished(self) -> None:
        self.protocol.stopProtocol()


def server(description: int | str, factory: Any, **defaults: Any) -> _StreamService:
    """The service a port description asks for: TCPServer, SSLServer or UNIXServer.

    Parameters:
        factory: what serves a connection; see `_StreamService`.
        defaults: what holds where the description says nothing, e.g. `interface="127.0.0.1"`.

    Raises:
        UsageError: the description is wrong, or of a datagram port.
    """
    told = ports.parse(description, **defaults)
    if told.kind == "tcp":
        return TCPServer(told.port, factory, told.interface, told.backlog)
    if told.kind == "ssl":
        files = told.certificate, told.privkey
        return SSLServer(told.port, factory, *files, told.interface, told.backlog)
    if told.kind == "unix":
        return UNIXServer(told.path, factory, told.mode, told.backlog)
    raise UsageError("a udp port has no connections", str(description), "use tcp, ssl or unix")


def datagram_server(description: int | str, protocol: Any, **defaults: Any) -> UDPServer:
    """The service for datagrams that a port description asks for; `8007` is `udp:8007`.

    Raises:
        UsageError: the description is wrong, or not of a datagram port.
    """
    told = ports.parse(description, "udp", **defaults)
    if told.kind != "udp":
        raise UsageError(f"a {told.kind} port has no datagrams", str(description), "use udp")
    return UDPServer(told.port, protocol, told.interface)


def _parse(service: Any, port: int | str, **defaults: Any) -> PortDescription:
    told = ports.parse(port, service.kind, **defaults)
    if told.kind != service.kind:
        raise UsageError(
            f"a {type(service).__name__} has no {told.kind} port",
            str(port),
            "use tapkit.internet.server, which takes any kind",
        )
    return told


def _call_if_there(factory: Any, hook: str) -> None:
    call = getattr(factory, hook, None)
    if call is not None:
        call()
