"""A network of one's own: for tests of a port that the README fixes.

A port that is free on one machine is taken on another, and on a shared one it comes and goes.
Where the kernel lets us (Linux, as root) such a test gets a network namespace, in which nobody
else has a port. Elsewhere it waits its turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator

from tests.place import wait_for

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


@contextlib.contextmanager
def own_network(port: int) -> Iterator[None]:
    """Run the body, and what it starts, where nobody else listens on `port`."""
    with contextlib.ExitStack() as stack:
        if not _unshared(stack):
            wait_for(f"port {port} to be free", lambda: _free(port))
        yield


def _unshared(stack: contextlib.ExitStack) -> bool:
    """Move this thread into a new network namespace, until the stack ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare") or os.geteuid() != 0:
        return False
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, before)
    if libc.unshare(_CLONE_NEWNET) != 0:
        return False  # a container without the right to
    stack.callback(_back, libc, before)
    _loopback_up()
    return True


def _back(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "can't go back to the machine's network")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack_from("16sh", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, name))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
