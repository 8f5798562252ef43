"""Sockets, bound and listening, before there is an event loop to accept on them.

On Linux two sockets with SO_REUSEADDR can both be bound to one port; only listen() tells that
it is taken. So whatever must be known before privileges are shed is known only after listen():
`stream_sockets` does both, and clients wait in the backlog until the service starts.

A socket that was handed to this process (`tapkit.net.inherited`) is taken instead of a new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import Any

from tapkit.errors import ServiceError
from tapkit.net import inherited
from tapkit.net.connections import Address, address_of

TRIES = 20  # ports the system chose for one address family and someone else has in the other

REMEDIES = {
    errno.EADDRINUSE: "stop what listens there, or choose another port",
    errno.EACCES: "a port below 1024 needs root; choose a higher one",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose one it has",
}
UNIX_REMEDIES = {
    errno.EACCES: "choose a directory this user may write to",
    errno.ENOENT: "make the directory first",
}
NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}


def stream_sockets(
    interface: str, port: int, backlog: int, name: str | None = None
) -> list[socket.socket]:
    """Listening TCP sockets, one for each address; all have the same port, also for port 0.

    Parameters:
        interface: an address or a host name; "" is every IPv4 and IPv6 address there is.
        name: of the service, which sockets handed to this process may be for.

    Raises:
        ServiceError: one of them can't be had; none is left open.
    """
    return _sockets(interface, port, socket.SOCK_STREAM, backlog, name)


def datagram_sockets(interface: str, port: int, name: str | None = None) -> list[socket.socket]:
    """Bound UDP sockets; otherwise as `stream_sockets`."""
    return _sockets(interface, port, socket.SOCK_DGRAM, 0, name)


def addresses(sockets: Iterable[socket.socket]) -> list[Address | str]:
    """Where sockets are: (host, port) pairs, or paths."""
    return [address_of(sock.getsockname()) for sock in sockets]


def _sockets(
    interface: str, port: int, kind: int, backlog: int, name: str | None
) -> list[socket.socket]:
    request = inherited.request_of(kind, interface, port)
    taken = inherited.claim(request, name, kind)
    for sock in taken:
        _make_ready(sock, backlog)
    return inherited.note(request, taken or _bound(interface, port, kind, backlog))


def _make_ready(sock: socket.socket, backlog: int) -> socket.socket:
    """A socket that was handed to us, as one of our own would be."""
    sock.setblocking(False)
    if sock.type == socket.SOCK_STREAM:
        sock.listen(backlog)
    return sock


def _bound(interface: str, port: int, kind: int, backlog: int) -> list[socket.socket]:
    places = _resolve(interface, port, kind)
    for tries_left in reversed(range(TRIES)):
        try:
            return _bind_all(places, port, backlog)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE and port == 0 and len(places) > 1
            if not (taken and tries_left):
                raise _refused(_spelt(interface, port), error, REMEDIES) from error
    raise AssertionError("the last try returned or raised")


def _resolve(interface: str, port: int, kind: int) -> list[tuple[Any, ...]]:
    # An empty interface is not left to getaddrinfo: whether it says "::" depends on the
    # machine's configuration, and on some the IPv6 socket then takes the IPv4 port as well.
    if not interface:
        found: list[tuple[Any, ...]] = [(socket.AF_INET, kind, 0, "", ("0.0.0.0", port))]
        if socket.has_ipv6:
            found.append((socket.AF_INET6, kind, 0, "", ("::", port)))
        return found
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, interface)
            # A number needs no resolver, nor the encoding of names that Python imports for it.
            return [(family, kind, 0, "", (interface, port))]
    try:
        found = list(socket.getaddrinfo(interface, port, type=kind, flags=socket.AI_PASSIVE))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServiceError(
            f"can't listen on {_spelt(interface, port)}: {reason}",
            None,
            "name an address of this machine, such as 127.0.0.1",
        ) from error
    return list(dict.fromkeys(found))


def _bind_all(places: list[tuple[Any, ...]], port: int, backlog: int) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        missing: OSError | None = None
        for family, kind, protocol, _name, address in places:
            if any(inherited.covers(sock, family, (address[0], port)) for sock in sockets):
                continue  # systemd's [::] is there for both
            try:
                sock = undo.enter_context(_bind(family, kind, protocol, address, port, backlog))
            except OSError as error:
                if not _lacks_family(error, family):
                    raise
                missing = error
            else:
                sockets.append(sock)
                port = sock.getsockname()[1]
        if missing is not None and not sockets:
            raise missing
        undo.pop_all()
        return sockets


def _lacks_family(error: OSError, family: int) -> bool:
    """Whether the error only says that this machine has no IPv6 (or no IPv4)."""
    no_ipv6 = family == socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL
    return no_ipv6 or error.errno in NO_SUCH_FAMILY


def _bind(
    family: int, kind: int, protocol: int, address: tuple[Any, ...], port: int, backlog: int
) -> socket.socket:
    handed = inherited.claim_address(family, kind, (address[0], port))
    if handed is not None:
        return _make_ready(handed, backlog)
    sock = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            # Else this socket would take the IPv4 port too, and IPv4 peers look like ::ffff:...
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # For datagrams it would let a second server take half of the first one's.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((address[0], port, *address[2:]))
        if kind == socket.SOCK_STREAM:
            sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def unix_socket(path: str, mode: int, backlog: int, name: str | None = None) -> socket.socket:
    """A listening UNIX socket. A socket file nobody listens on any more is replaced.

    Parameters:
        name: as for `stream_sockets`.

    Raises:
        ServiceError: someone listens there, something that is no socket is there (it is left
            alone), or the place can't be written.
    """
    handed = inherited.claim_path(path, name)
    if handed is not None:
        return inherited.note(inherited.unix_request(path), [_make_ready(handed, backlog)])[0]
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound = False
    try:
        sock.setblocking(False)
        _make_way(path)
        sock.bind(path)
        bound = True
        os.chmod(path, mode)  # before listen(): until then nobody gets in
        sock.listen(backlog)
    except BaseException as error:
        sock.close()
        if bound:
            os.unlink(path)
        if isinstance(error, (OSError, ValueError)):
            raise _refused(path, error, UNIX_REMEDIES) from error
        raise
    return inherited.note(inherited.unix_request(path), [sock])[0]


def _make_way(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ServiceError(
            f"can't listen on {path}: a file that is no socket is there",
            None,
            "move it away, or choose another path",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # whoever made it is gone
            return
        except BlockingIOError:
            pass  # its backlog is full: someone listens
    raise ServiceError(
        f"can't listen on {path}: Address already in use",
        None,
        "stop what listens there, or choose another path",
    )


def identity(path: str) -> tuple[int, int] | None:
    """What tells a file from another one of the same name later."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _spelt(interface: str, port: int) -> str:
    return str(Address(interface, port)) if interface else f"port {port}"


def _refused(where: str, error: Exception, remedies: dict[int, str]) -> ServiceError:
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    return ServiceError(f"can't listen on {where}: {reason}", None, remedies.get(number or 0))
