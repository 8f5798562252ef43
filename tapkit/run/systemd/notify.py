"""What systemd and a service say to each other: readiness, a watchdog, sockets.

The protocol is a datagram of `NAME=value` lines to the UNIX socket in `NOTIFY_SOCKET`, and file
descriptors from 3 on, counted and named by `LISTEN_FDS`, `LISTEN_FDNAMES` (sd_notify(3),
sd_listen_fds(3)). It is stable by promise. A dozen lines of our own are rather to be kept than a
dependency: the libraries either bind libsystemd in C, or are a dozen lines and not kept up.

All of these variables are taken out of the environment: they are for this process, and a child
that answered them would speak in its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import MutableMapping

from tapkit.errors import describe
from tapkit.net.inherited import Handed

log = logging.getLogger("tapkit.systemd")

FIRST_FD = 3
_LONGEST = 4096  # a status longer than this is of no use to anyone


class Notifier:
    """Tells the supervisor how this process is; says nothing where there is none to tell.

    Parameters:
        address: what `NOTIFY_SOCKET` said: a path, or `@name` of the abstract name space.
        watchdog: seconds within which it wants to hear that we are alive; None: it does not.
    """

    def __init__(self, address: str = "", watchdog: float | None = None):
        self.address = address
        self.watchdog = watchdog
        self._failed = False
        self._beat: asyncio.TimerHandle | None = None

    @property
    def listens(self) -> bool:
        """Whether there is a supervisor that follows our notifications."""
        return bool(self.address)

    def ready(self, status: str, pid: int | None = None) -> None:
        """The start, or a reload, is complete; `pid` is the main process from now on."""
        self.tell(READY=1, MAINPID=pid or os.getpid(), STATUS=status)

    def reloading(self) -> None:
        """A reload has begun; `ready` ends it."""
        self.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)

    def stopping(self, status: str = "") -> None:
        """The stop has begun."""
        self.tell(STOPPING=1, STATUS=status)

    def status(self, status: str) -> None:
        """What `systemctl status` shows, in a line."""
        self.tell(STATUS=status)

    def beat(self) -> None:
        """Tell that the event loop is alive, now and at half of the watchdog's time on.

        From inside the loop that serves, so that one that hangs is restarted.
        """
        if self.watchdog is not None:
            self.tell(WATCHDOG=1)
            self._beat = asyncio.get_running_loop().call_later(self.watchdog / 2, self.beat)

    def hush(self) -> None:
        """Say nothing any more: another process speaks to the supervisor."""
        self.address = ""
        if self._beat is not None:
            self._beat.cancel()

    def tell(self, **facts: object) -> None:
        """Send facts, in one datagram. A failure is logged once: it must not stop a service."""
        if not self.address:
            return
        lines = [f"{name}={str(fact)[:_LONGEST]}" for name, fact in facts.items() if fact != ""]
        text = "\n".join(line.replace("\n", " ") for line in lines)
        place = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
                speaker.setblocking(False)
                speaker.sendto(text.encode("utf-8", "replace"), place)
        except OSError as error:
            if not self._failed:
                log.warning("can't notify the supervisor: %s: %s", self.address, describe(error))
            self._failed = True


def notifier(environment: MutableMapping[str, str]) -> Notifier:
    """Who wants to be notified, as the environment says; taken out of it."""
    address = environment.pop("NOTIFY_SOCKET", "")
    period = environment.pop("WATCHDOG_USEC", "")
    whose = environment.pop("WATCHDOG_PID", "")
    if not address.startswith(("/", "@")):
        address = ""
    watched = period.isdigit() and int(period) > 0 and whose in ("", str(os.getpid()))
    return Notifier(address, int(period) / 1e6 if watched and address else None)


def passed_sockets(environment: MutableMapping[str, str]) -> list[Handed]:
    """The sockets systemd opened for this process, as the environment says; taken out of it.

    One group for each descriptor. Descriptors that are no listening or datagram sockets are
    said in the log and closed.
    """
    whose = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    environment.pop("LISTEN_PIDFDID", None)
    if whose != str(os.getpid()) or not count.isdigit():
        return []
    groups = []
    for index in range(int(count)):
        fd = FIRST_FD + index
        name = names[index] if index < len(names) else ""
        sock = _socket(fd, name)
        if sock is not None:
            groups.append(Handed("", name, [sock]))
    return groups


def spelt(group: Handed) -> str:
    """A handed socket, for the log."""
    names = {str(_place(sock)) for sock in group.sockets}
    label = group.name or group.request
    return f"{' and '.join(sorted(names))}{f' ({label})' if label else ''}"


def _place(sock: socket.socket) -> str:
    name = sock.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def _socket(fd: int, name: str) -> socket.socket | None:
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
    except OSError as error:
        log.warning("descriptor %d (%s) is no socket: %s", fd, name, describe(error))
        with contextlib.suppress(OSError):
            os.close(fd)
        return None
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.type == socket.SOCK_DGRAM or listens:
        return sock
    log.warning("descriptor %d (%s) is no listening socket; use Accept=no", fd, name)
    sock.close()
    return None
