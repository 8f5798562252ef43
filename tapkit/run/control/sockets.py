"""The control socket as a file: where it lies, how it is made, and who is at its other end.

It lies beside the pidfile, whose lock says who may replace it, and is named after it:
`twistd.pid` has `.twistd.pid.ctl`. (A runtime directory of the user's was rejected: daemon and
command need not agree on XDG_RUNTIME_DIR or, under systemd's PrivateTmp, on /tmp. An abstract
name was rejected: it has no mode, and only Linux has it.)

A UNIX socket's path is at most some 100 bytes long. A longer one is reached from its own
directory, by name: bound before anything else runs in the process, and by short-lived commands.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import sys
import threading
from collections.abc import Iterator

from tapkit.errors import DaemonError

MODE = 0o600
BACKLOG = 128
_LONGEST = 100  # bytes; Linux takes 107, macOS 103

_UCRED = struct.Struct("3i")  # Linux, unix(7): pid, uid, gid
_XUCRED = struct.Struct("IIh16I")  # macOS, <sys/ucred.h>: version, uid, number of groups, groups
_moving = threading.Lock()  # the process has one directory, whatever its threads ask at once
_LOCAL_PEERCRED = 1  # macOS, <sys/un.h>; its level is 0


def path_beside(pidfile: str) -> str:
    """The control socket's path of the daemon that holds `pidfile`."""
    folder, name = os.path.split(os.path.abspath(pidfile))
    if len(os.fsencode(name)) > _LONGEST - len("..ctl.12345678.new"):
        import hashlib

        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return os.path.join(folder, f".{name}.ctl")


def bind(path: str, uid: int | None = None) -> socket.socket:
    """A listening socket at `path`, in the place of whatever socket is there.

    It is made under another name and moved there when its mode is right and it listens: at no
    moment can others connect, and a daemon that takes over from another leaves no gap.

    Parameters:
        uid: whom the process becomes; root makes the socket that user's.

    Raises:
        OSError: it can't be made there; nothing is left behind.
    """
    new = f"{path}.{os.getpid()}.new"
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)  # left by a process of our number that was killed just here
        with _reachable(new) as name:
            made.bind(name)
        os.chmod(new, MODE)  # before listen(): until then nobody gets in
        if uid is not None and os.geteuid() == 0:
            os.chown(new, uid, -1)
        made.listen(BACKLOG)
        os.rename(new, path)
    except BaseException:
        made.close()
        with contextlib.suppress(OSError):
            os.unlink(new)
        raise
    return made


def discard(pidfile: str) -> None:
    """Remove the control socket that a dead daemon left; the caller holds its pidfile locked."""
    path = path_beside(pidfile)
    with contextlib.suppress(OSError):  # there is none: the usual case
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)


def connect(path: str, limit: float) -> socket.socket:
    """A connection to the control socket at `path`, with `limit` seconds for each operation.

    Raises:
        OSError: nobody listens there, or it is not ours to speak to.
        DaemonError: whoever listens is neither root, nor who asks, nor whom root asks about.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(limit)
        with _reachable(path) as name:
            connection.connect(name)
        peer = peer_uid(connection)
        if os.geteuid() != 0 and peer not in (0, os.geteuid(), os.getuid()):
            raise DaemonError(f"user {peer} listens there", path, "ask that user, or root")
    except BaseException:
        connection.close()
        raise
    return connection


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end, as the kernel says: who connected, or who listened.

    Raises:
        OSError: the kernel does not say.
    """
    if sys.platform == "darwin":
        told = connection.getsockopt(0, _LOCAL_PEERCRED, _XUCRED.size)
        return int(_XUCRED.unpack(told)[1])
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(told)[1])


@contextlib.contextmanager
def _reachable(path: str) -> Iterator[str]:
    """A name for `path` that is short enough for a socket."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield path
        return
    with _moving:
        back = os.open(".", os.O_RDONLY)
        try:
            os.chdir(os.path.dirname(path))
            yield os.path.basename(path)
        finally:
            os.fchdir(back)
            os.close(back)
