"""What a listening service holds while it does, apart from what is saved of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import weakref
from typing import Any

from tapkit.errors import ServiceError, describe
from tapkit.net import inherited
from tapkit.net.accepting import Acceptor, may_begin_early
from tapkit.net.connections import Address, Connections
from tapkit.net.eager import EagerServer
from tapkit.net.listening import addresses, identity

CLOSE_PATIENCE = 1.0  # seconds for the loop to let go of a listening socket
_LOOK = 0.01  # seconds between two looks at the handshakes left when accepting has ended
_TURNS = 3  # of the loop, from an accepted socket to a connection its service knows


class Listener:
    """Listening sockets, then servers on them, then connections.

    Parameters:
        sockets: bound and listening; the listener closes them.
        backlog: asyncio calls listen() once more, with this.
        context: for TLS.
    """

    def __init__(
        self, sockets: list[socket.socket], backlog: int, context: ssl.SSLContext | None = None
    ):
        self.connections = Connections()
        self.addresses: list[Address | str] = addresses(sockets)
        self._sockets = sockets
        self._backlog = backlog
        self.context = context
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()  # with TLS: also who shakes hands
        self._servers: list[asyncio.AbstractServer | EagerServer] = []
        # Absolute: the process may change its directory between now and the end.
        unix = sockets[0].family == socket.AF_UNIX
        self._path = os.path.abspath(sockets[0].getsockname()) if unix else None
        self._identity = identity(self._path) if self._path else None

    @property
    def accepting(self) -> bool:
        """Whether `accept` was called."""
        return bool(self._servers)

    async def accept(self, acceptor: Acceptor) -> None:
        """Accept connections, those that wait in the backlog first."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            if self.context is None and may_begin_early(acceptor):
                self._servers.append(EagerServer(sock, acceptor))
                continue
            create: Any = loop.create_unix_server if self._path else loop.create_server
            server = await create(
                self._noting(acceptor) if self.context else acceptor,
                sock=sock,
                ssl=self.context,
                backlog=self._backlog,
                start_serving=False,
                **_no_cleanup(create),
            )
            self._servers.append(server)
        if inherited.holds_back():
            inherited.when_let_in(lambda: loop.create_task(self._serve()))
        else:
            await self._serve()

    async def _serve(self) -> None:
        if self._sockets[0].fileno() < 0:
            return  # stopped before anybody was let in
        for server in self._servers:
            await server.start_serving()

    def pause(self) -> None:
        """Accept no more, but let those accepted last become connections: to be closed some turns
        of the loop later."""
        for server, sock in zip(self._servers, self._sockets, strict=False):
            # It makes transports in tasks of their own, and a closed one refuses them.
            if isinstance(server, asyncio.Server) and sock.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(sock.fileno())

    async def finish(self, timeout: float) -> None:
        """Accept no more, and give the connections `timeout` seconds to end by themselves.

        None that was accepted already is lost on the way to its protocol.
        """
        self.pause()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._emptied(), timeout)

    async def _emptied(self) -> None:
        for server in self._servers:
            if isinstance(server, EagerServer):
                await server.wait_closed()
        while not all(map(_has_begun, self._made)):
            await asyncio.sleep(_LOOK)  # nobody tells when a handshake failed
        await self.connections.wait_empty()

    def _noting(self, acceptor: Acceptor) -> Acceptor:
        def make() -> asyncio.BaseProtocol:
            made = acceptor()
            self._made.add(made)
            return made

        return make

    def close(self) -> None:
        """Accept no more; the port is free, the UNIX socket's path removed if still ours."""
        path = self._path
        if path and not inherited.is_kept(path) and self._identity == identity(path):
            with contextlib.suppress(FileNotFoundError):  # it went in this very moment
                os.unlink(path)
        for server in self._servers:
            server.close()
        for sock in self._sockets[len(self._servers) :]:
            sock.close()  # asyncio closes those it was given

    def abort(self) -> None:
        """Close, and drop every connection at once."""
        self.close()
        self.connections.closing = True
        for connection in list(self.connections.open):
            connection.abortConnection()

    async def drain(self, timeout: float) -> int:
        """Close the connections, as `Connections.drain`."""
        aborted = await self.connections.drain(timeout)
        for server in self._servers:
            # Python 3.13: reaches those that left by set_protocol, or still shake hands.
            getattr(server, "abort_clients", bool)()
            # From 3.12 on this waits for every client, and may wait for ever.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server.wait_closed(), CLOSE_PATIENCE)
        return aborted


def _has_begun(protocol: Any) -> bool:
    """Whether a protocol that `acceptor` made has heard of its connection."""
    known = getattr(protocol, "_transport", None) or getattr(protocol, "_writer", None)
    return known is not None


def _no_cleanup(create: Any) -> dict[str, bool]:
    """Python 3.13 removes a UNIX socket's path by itself, also when another process has it."""
    known = getattr(create, "__kwdefaults__", None) or {}
    return {"cleanup_socket": False} if "cleanup_socket" in known else {}


def server_context(certificate: str, privkey: str) -> ssl.SSLContext:
    """The TLS settings of a server, from PEM files; what they hold stays in memory.

    Raises:
        ServiceError: a file can't be read, or they are no certificate and its private key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    load_certificate(context, certificate, privkey)
    return context


def client_context(cafile: str, certificate: str, privkey: str) -> ssl.SSLContext:
    """The TLS settings of a client, which checks the server's certificate and name.

    Parameters:
        cafile: PEM file of the authorities to believe; "" for the system's.
        certificate, privkey: to show who we are; "" for nobody in particular.

    Raises:
        ServiceError: as `server_context`.
    """
    if cafile:
        _check_readable("certificate authorities", cafile)
    try:
        context = ssl.create_default_context(cafile=cafile or None)
    except ssl.SSLError as error:
        raise ServiceError(f"no certificate authorities: {_reason(error)}", cafile) from error
    if certificate:
        load_certificate(context, certificate, privkey)
    return context


def load_certificate(context: ssl.SSLContext, certificate: str, privkey: str) -> None:
    """Put a certificate chain and its private key into `context`."""
    _check_readable("certificate", certificate)
    if privkey:
        _check_readable("private key", privkey)
    both = f"{certificate} and {privkey}" if privkey else certificate

    def refuse_passphrase() -> str:
        # Without this OpenSSL would ask on the terminal, which a daemon does not have.
        raise ServiceError("the private key is encrypted", both, "store it without a passphrase")

    try:
        context.load_cert_chain(certificate, privkey or None, password=refuse_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ServiceError(
                "the private key does not belong to the certificate", both
            ) from error
        raise ServiceError(
            f"no certificate and private key there ({_reason(error)})",
            both,
            "give PEM files: -----BEGIN CERTIFICATE-----, -----BEGIN PRIVATE KEY-----",
        ) from error


def _check_readable(what: str, path: str) -> None:
    # OpenSSL's own error names neither the file nor which of them it is.
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise ServiceError(f"can't read the {what}: {error.strerror}", path) from error


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or describe(error)).lower().replace("_", " ")
