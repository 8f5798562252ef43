# ruff: noqa: N802  # the tutorial's hooks keep their camelCase
"""Services that connect: TCP, TLS and UNIX clients, which may connect again."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Awaitable
from typing import Any, ClassVar

from tapkit import limits
from tapkit.errors import describe
from tapkit.net.accepting import Acceptor, acceptor
from tapkit.net.connections import ABORT_PATIENCE, Address, Connections
from tapkit.net.serving import client_context
from tapkit.ports import port_number
from tapkit.protocol import ConnectionDone
from tapkit.service import Service
from tapkit.walk import Steps

FACTOR = 2.0  # each wait is so many times the one before
JITTER = 0.25  # and up to this part shorter, so that clients do not all come back at once

logger = logging.getLogger("tapkit.internet")


class ClientService(Service):
    """What all connecting services share. Its start does not wait for the connection.

    The factory's `startedConnecting`, `clientConnectionFailed` and `clientConnectionLost` get
    this service as the connector.

    Parameters:
        factory: a ClientFactory, or a callable that returns an asyncio.Protocol.
        timeout: seconds one attempt may take.
        reconnect: whether to connect again, whenever the connection fails or is lost.
        initial_delay, max_delay: seconds before the first and, at most, any later new attempt;
            in between the wait doubles, less a random part.

    Attributes:
        drain_timeout: seconds the connection gets to finish when the service stops; None:
            those of `--drain-timeout`.
    """

    volatile: ClassVar[tuple[str, ...]] = ("_link",)

    drain_timeout: float | None = None

    timeout: float = 30.0
    reconnect: bool = False
    initial_delay: float = 1.0
    max_delay: float = 60.0

    _link: _Link | None = None

    def __init__(
        self,
        factory: Any,
        timeout: float = 30.0,
        reconnect: bool = False,
        initial_delay: float = 1.0,
        max_delay: float = 60.0,
    ):
        self.factory = factory
        self.timeout = timeout
        self.reconnect = reconnect
        self.initial_delay = initial_delay
        self.max_delay = max_delay

    def startService(self) -> Awaitable[None]:
        super().startService()
        return self._begin(self._start())

    def stopService(self) -> Awaitable[None]:
        """Close the connection, flushing, and connect no more."""
        super().stopService()
        return self._end(self._stop())

    def connect(self) -> None:
        """Connect again: at once, or when the present connection is gone."""
        if self._link is not None:
            self._link.connect()

    def disconnect(self) -> None:
        """Close the connection; where `reconnect` is set, another one follows."""
        if self._link is not None:
            self._link.disconnect()

    @property
    def open_connections(self) -> int:
        """How many connections it has now."""
        return 0 if self._link is None else len(self._link.connections.open)

    @property
    def destination(self) -> str:
        """Where it connects to, in words."""
        raise NotImplementedError

    async def dial(self, make: Acceptor) -> Any:
        """Make one connection."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Read what must be read before connecting."""

    def _start(self) -> Steps:
        try:
            yield self._launch()
        except BaseException:
            self.running = False
            raise

    async def _launch(self) -> None:
        if self._link is None:
            self._prepare()
            link = _Link(self)
            if hasattr(self.factory, "doStart"):
                self.factory.doStart()
            self._link = link
            link.connect()

    def _stop(self) -> Steps:
        link, self._link = self._link, None
        if link is not None:
            yield link.close(limits.drain_limit(self))


class _Link:
    """A client's connection, and the task that makes it and makes it again."""

    def __init__(self, service: ClientService):
        self.service = service
        self.connections = Connections()
        self.make = acceptor(service.factory, self.connections)
        self.task: asyncio.Task[None] | None = None
        self.closing = False
        self.linked = False  # from a connection made until the factory is told of its loss
        self.again = asyncio.Event()  # connect() was called

    def connect(self) -> None:
        self.again.set()
        if not self.closing and (self.task is None or self.task.done()):
            self.task = asyncio.get_running_loop().create_task(self._run())

    def disconnect(self) -> None:
        for connection in list(self.connections.open):
            connection.loseConnection()

    async def close(self, timeout: float) -> None:
        self.closing = True
        try:
            if self.task is not None and not (self.linked or self.connections.open):
                self.task.cancel()
            await self.connections.drain(timeout)
            if self.task is not None:
                await asyncio.wait({self.task}, timeout=ABORT_PATIENCE)  # it tells the factory
        finally:
            if self.task is not None:
                self.task.cancel()
            if hasattr(self.service.factory, "doStop"):
                self.service.factory.doStop()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        service = self.service
        delay = service.initial_delay
        while True:
            self.again.clear()
            begun = loop.time()
            await self._connect_once()
            if loop.time() - begun > max(delay, service.initial_delay):
                delay = service.initial_delay  # it was worth it
            if self.closing or not (service.reconnect or self.again.is_set()):
                return
            import random  # few daemons are clients

            wait = delay * (1 - JITTER * random.random())
            if not self.again.is_set():
                logger.info("connecting to %s again in %.1f s", service.destination, wait)
            try:
                await asyncio.wait_for(self.again.wait(), wait)
            except asyncio.TimeoutError:
                pass
            delay = min(delay * FACTOR, service.max_delay)

    async def _connect_once(self) -> None:
        service = self.service
        self._tell("startedConnecting", service)
        try:
            await asyncio.wait_for(service.dial(self.make), service.timeout)
        except (OSError, asyncio.TimeoutError) as error:
            logger.warning("can't connect to %s: %s", service.destination, _why(error))
            self._tell("clientConnectionFailed", service, error)
            return
        logger.info("connected to %s", service.destination)
        self.linked = True
        await self.connections.wait_empty()
        self.linked = False
        self._tell("clientConnectionLost", service, self.connections.reason or ConnectionDone())

    def _tell(self, hook: str, *arguments: Any) -> None:
        call = getattr(self.service.factory, hook, None)
        if call is None:
            return
        try:
            call(*arguments)
        except Exception as error:
            where = self.service.destination
            logger.error("%s failed for %s: %s", hook, where, describe(error), exc_info=error)


def _why(error: Exception) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return "no answer in time"
    number = getattr(error, "errno", None) or 0
    if isinstance(error, ssl.SSLError) or number <= 0:
        return describe(error)
    return os.strerror(number)  # asyncio's own text is about its call, not the reason


class TCPClient(ClientService):
    """Connects to a TCP port.

    Parameters:
        host: a name or an address; all its addresses are tried.
        options: those of ClientService.
    """

    __module__ = "tapkit.internet"  # images name it by its public place

    def __init__(self, host: str, port: int | str, factory: Any, **options: Any):
        super().__init__(factory, **options)
        self.host = host
        self.port = port_number(port)

    @property
    def destination(self) -> str:
        return str(Address(self.host, self.port))

    async def dial(self, make: Acceptor) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.create_connection(make, self.host, self.port)


class SSLClient(TCPClient):
    """Connects to a TLS port, and checks that the certificate is good and names `host`.

    Parameters:
        cafile: PEM file of the authorities to believe; "" for the system's.
        certificate, privkey: paths of PEM files, to show who we are; "" for nobody.
    """

    __module__ = "tapkit.internet"  # images name it by its public place

    volatile: ClassVar[tuple[str, ...]] = ("_context",)

    _context: Any = None

    def __init__(
        self,
        host: str,
        port: int | str,
        factory: Any,
        cafile: str = "",
        certificate: str = "",
        privkey: str = "",
        **options: Any,
    ):
        super().__init__(host, port, factory, **options)
        self.cafile = cafile
        self.certificate = certificate
        self.privkey = privkey

    def _prepare(self) -> None:
        self._context = client_context(self.cafile, self.certificate, self.privkey)

    async def dial(self, make: Acceptor) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.create_connection(make, self.host, self.port, ssl=self._context)


class UNIXClient(ClientService):
    """Connects to a UNIX socket.

    Parameters:
        path: of the socket's file.
        options: those of ClientService.
    """

    __module__ = "tapkit.internet"  # images name it by its public place

    def __init__(self, path: str, factory: Any, **options: Any):
        super().__init__(factory, **options)
        self.path = path

    @property
    def destination(self) -> str:
        return self.path

    async def dial(self, make: Acceptor) -> Any:
        return await asyncio.get_running_loop().create_unix_connection(make, self.path)
