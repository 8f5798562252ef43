"""Listening sockets this process did not bind: handed to it by systemd or by its predecessor.

`tapkit.net.listening` asks here before it binds. A socket is found by the request it was first
bound for (a restart: so port 0 keeps its number), by the name of the service (systemd's
`FileDescriptorName=`), or by its address. What a restart hands on is noted here as well: each
socket this process listens on, with the request it answers.

A socket's place is in the kernel, not in a process: as long as one process has it open, nobody
is refused, and who connects waits in its queue.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from tapkit.records import Record

log = logging.getLogger("tapkit.net")

_V6ONLY = (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


class Handed(Record):
    """Sockets that belong together, not claimed by a service yet.

    Attributes:
        request: what they were bound for, as `request_of`; "" where nobody knows.
        name: of the service they are for; "" where nobody says.
    """

    request: str
    name: str
    sockets: list[socket.socket]


_handed: list[Handed] = []
_ours: weakref.WeakKeyDictionary[socket.socket, tuple[int, str]] = weakref.WeakKeyDictionary()
_serials = itertools.count()
_kept: set[str] = set()  # paths of UNIX sockets another process goes on listening on


_held_back: list[Callable[[], object]] | None = None


def hold_back() -> None:
    """Services start, but let nobody in before `let_in`: this process may not come to serve,
    and what it did for a client would be forgotten with it."""
    global _held_back
    _held_back = []


def holds_back() -> bool:
    """Whether nobody is let in yet."""
    return _held_back is not None


def let_in() -> None:
    """Let in who waits, and who comes from now on."""
    global _held_back
    calls, _held_back = _held_back or [], None
    for call in calls:
        call()


def turn_away() -> None:
    """Nobody who waits will be let in: the start failed, and the services are stopped."""
    global _held_back
    _held_back = None


def when_let_in(call: Callable[[], object]) -> None:
    """Call, at once or when `let_in` is."""
    if _held_back is None:
        call()
    else:
        _held_back.append(call)


def request_of(kind: int, interface: str, port: int) -> str:
    """What a service asks for, in one word."""
    return f"{'tcp' if kind == socket.SOCK_STREAM else 'udp'}:{interface}:{port}"


def unix_request(path: str) -> str:
    """The same, for a UNIX socket."""
    return f"unix:{os.path.abspath(path)}"


def hand(groups: Iterable[Handed]) -> None:
    """Sockets came to this process."""
    _handed.extend(groups)


def claim(request: str, name: str | None, kind: int) -> list[socket.socket]:
    """The IP sockets that were bound for this very request, or are for the service of that name.

    Parameters:
        kind: SOCK_STREAM or SOCK_DGRAM; others of that name stay unclaimed.
    """
    return _claim(request, name, lambda s: s.type == kind and s.family != socket.AF_UNIX)


def claim_address(family: int, kind: int, address: tuple[Any, ...]) -> socket.socket | None:
    """The socket that is at this address, for one that can take only what is there."""
    if not address[1]:
        return None  # any port will do: then no particular one was meant
    fitting = [
        (_is_dual(sock), group, sock)
        for group in _handed
        for sock in group.sockets
        if sock.type == kind and covers(sock, family, address)
    ]
    for _dual, group, sock in sorted(fitting, key=lambda fit: fit[0]):
        group.sockets.remove(sock)
        if not group.sockets:
            _handed.remove(group)
        return sock
    return None


def claim_path(path: str, name: str | None) -> socket.socket | None:
    """The UNIX socket at this path, or for the service of that name."""
    place = os.path.abspath(path)
    found = _claim(unix_request(path), name, lambda s: s.family == socket.AF_UNIX)
    found = found or _claim("", None, lambda s: _path(s) == place)
    for more in found[1:]:
        more.close()  # a service has one path
    return found[0] if found else None


def _claim(
    request: str, name: str | None, fits: Callable[[socket.socket], bool]
) -> list[socket.socket]:
    for group in _handed:
        if request and group.request == request:
            _handed.remove(group)
            return group.sockets
    wanted = [
        group
        for group in _handed
        if (group.name == name if name else not request) and fits(group.sockets[0])
    ]
    for group in wanted:
        _handed.remove(group)
    return [sock for group in wanted for sock in group.sockets]


def covers(sock: socket.socket, family: int, address: tuple[Any, ...]) -> bool:
    """Whether who connects to `address` reaches `sock`; systemd's `[::]` takes IPv4 as well."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    there = sock.getsockname()
    if sock.family == family:
        return bool(there[:2] == address[:2])
    return address[0] == "0.0.0.0" and there[1] == address[1] and _is_dual(sock)


def unclaimed() -> list[Handed]:
    """Take what no service asked for."""
    left = list(_handed)
    _handed.clear()
    return left


def close_unclaimed(spelt: Callable[[Handed], str], quietly: bool = False) -> None:
    """Close the sockets no service asked for, and say which."""
    for group in unclaimed():
        if not quietly:
            log.warning("no service listens on %s: closed", spelt(group))
        for sock in group.sockets:
            sock.close()


def note(request: str, sockets: list[socket.socket]) -> list[socket.socket]:
    """This process listens on `sockets`, for `request`; returns them."""
    serial = next(_serials)
    for sock in sockets:
        _ours[sock] = serial, request
    return sockets


def noted(kind: str) -> list[socket.socket]:
    """The sockets this process listens on for requests of that kind: what is before the colon."""
    return [
        sock
        for sock, (_serial, request) in _ours.items()
        if request.partition(":")[0] == kind and sock.fileno() >= 0
    ]


def noted_paths() -> list[str]:
    """The paths of the UNIX sockets this process listens on."""
    requests = (request for _serial, request in _ours.values())
    return [request.partition(":")[2] for request in requests if request.startswith("unix:")]


def to_hand_on() -> list[Handed]:
    """Duplicates of all sockets this process listens on: they stay open when it stops."""
    groups: dict[int, Handed] = {}
    for sock, (serial, request) in _ours.items():
        if sock.fileno() >= 0:
            groups.setdefault(serial, Handed(request, "", [])).sockets.append(sock.dup())
    return [groups[serial] for serial in sorted(groups)]


def keep_paths(paths: Iterable[str], keep: bool = True) -> None:
    """Another process listens there too: the paths of these UNIX sockets are not ours to
    remove. With `keep` false they are ours again."""
    (_kept.update if keep else _kept.difference_update)(paths)


def kept_paths() -> list[str]:
    """Which they are."""
    return sorted(_kept)


def paths_of(groups: Iterable[Handed]) -> list[str]:
    """The paths of the UNIX sockets among these."""
    # The request first: a socket that was renamed does not know where it is.
    return [
        group.request.partition(":")[2] or _path(sock)
        for group in groups
        for sock in group.sockets
        if sock.family == socket.AF_UNIX
    ]


def is_kept(path: str) -> bool:
    """Whether the path of a UNIX socket stays when its service stops."""
    return path in _kept


def _path(sock: socket.socket) -> str:
    name = sock.getsockname()
    return os.path.abspath(name) if isinstance(name, str) else ""


def _is_dual(sock: socket.socket) -> bool:
    return sock.family == socket.AF_INET6 and not sock.getsockopt(*_V6ONLY)
