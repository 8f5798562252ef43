# ruff: noqa: N802  # the transport's methods are the tutorial's
"""Datagrams between asyncio and a `tapkit.protocol.DatagramProtocol`."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

from tapkit.errors import describe
from tapkit.net import inherited
from tapkit.net.connections import Address, address_of
from tapkit.net.listening import addresses

logger = logging.getLogger("tapkit.protocol")


class DatagramTransport:
    """What a DatagramProtocol writes to: all sockets of its service.

    A datagram goes out through the socket the last one came in by while that one is being
    handled, so that an answer comes from the address that was asked; else through the first
    socket of the address's family.
    """

    def __init__(self, protocol: Any, sockets: list[socket.socket]):
        self.protocol = protocol
        self.addresses: list[Address | str] = addresses(sockets)
        self.current: _Endpoint | None = None
        self._sockets = sockets
        self._endpoints: list[_Endpoint] = []

    def __reduce__(self) -> Any:
        raise TypeError("a live port can't be saved")

    def write(self, data: bytes, address: Any) -> None:
        """Send one datagram to a (host, port) pair; host is an address, not a name.

        Like any datagram it may be lost: here, when the system takes them too slowly.
        """
        self._endpoint_for(address[0]).send(data, address)

    def getHost(self) -> Address | str:
        """Where the first socket is."""
        return self.addresses[0]

    @property
    def accepting(self) -> bool:
        """Whether `accept` was called."""
        return bool(self._endpoints)

    async def accept(self) -> None:
        """Receive datagrams; the protocol begins first."""
        loop = asyncio.get_running_loop()
        self._endpoints = [_Endpoint(self, sock) for sock in self._sockets]
        for endpoint in self._endpoints:
            await loop.create_datagram_endpoint(endpoint.itself, sock=endpoint.socket)
        self.protocol.makeConnection(self)
        for endpoint in self._endpoints:
            inherited.when_let_in(endpoint.begin)

    def close(self) -> None:
        """Receive no more; what was written is still sent."""
        for endpoint in self._endpoints:
            endpoint.close()
        if not self._endpoints:
            for sock in self._sockets:
                sock.close()

    def pause(self) -> None:
        """Receive no more."""
        self.close()

    async def drain(self, timeout: float) -> None:
        """Wait until what was written is sent, `timeout` seconds at most; then drop it."""
        if self._endpoints:
            closed = [endpoint.closed for endpoint in self._endpoints]
            _, left = await asyncio.wait(closed, timeout=timeout)
            if left:
                self.abort()
                await asyncio.wait(left, timeout=1.0)

    def abort(self) -> None:
        """Close, and drop what waits to be sent."""
        self.close()
        for endpoint in self._endpoints:
            if endpoint.transport is not None:
                endpoint.transport.abort()

    def _endpoint_for(self, host: str) -> _Endpoint:
        if self.current is not None:
            return self.current
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for endpoint in self._endpoints:
            if endpoint.family == family:
                return endpoint
        raise OSError(f"no socket of this service reaches {host}")


class _Endpoint(asyncio.DatagramProtocol):
    """One socket of a DatagramTransport, as asyncio sees it."""

    def __init__(self, owner: DatagramTransport, sock: socket.socket):
        self.owner = owner
        self.socket = sock
        self.family = sock.family
        self.transport: asyncio.DatagramTransport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early: list[tuple[bytes, Any]] | None = []  # what came before startProtocol
        self._full = False

    def itself(self) -> _Endpoint:
        return self

    def begin(self) -> None:
        early, self._early = self._early or [], None
        for data, address in early:
            self.datagram_received(data, address)

    def send(self, data: bytes, address: Any) -> None:
        if not self._full and self.transport is not None:
            self.transport.sendto(data, tuple(address))

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()
        else:
            self.socket.close()
            self.connection_lost(None)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        if self._early is not None:
            self._early.append((data, address))
            return
        peer = address_of(address)
        self.owner.current = self
        try:
            self.owner.protocol.datagramReceived(data, peer)
        except Exception as error:
            name = type(self.owner.protocol).__name__
            what = describe(error)
            logger.error("%s.datagramReceived failed for %s: %s", name, peer, what, exc_info=error)
        finally:
            self.owner.current = None

    def error_received(self, error: Exception) -> None:
        logger.debug("a datagram was lost: %s", describe(error))  # a peer's port is closed

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def connection_lost(self, error: BaseException | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
