"""Clients that connect without a pause, and count what goes wrong; a daemon to reload meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import threading
from typing import Any

from tests.place import PATIENCE, Place, wait_for

# Counts its conversations over TCP, over a UNIX socket and over UDP: the state to carry over.
COUNTER = """
import os
from tapkit import internet, protocol, service, usage

class Options(usage.Options):
    optParameters = [["port", "p", "0", "Listen on this TCP and UDP port."],
                     ["path", "s", "", "Listen on this UNIX socket as well."]]

class Counting(protocol.Protocol):
    def connectionMade(self):
        self.factory.count += 1
        self.transport.write(b"%d %d\\r\\n" % (self.factory.count, os.getpid()))
        self.transport.loseConnection()

class Factory(protocol.ServerFactory):
    protocol = Counting
    count = 0

class Datagrams(protocol.DatagramProtocol):
    def __init__(self, factory):
        self.factory = factory
    def datagramReceived(self, data, peer):
        self.factory.count += 1
        self.transport.write(b"%d %d" % (self.factory.count, os.getpid()), peer)

def makeService(config):
    both = service.MultiService()
    factory = Factory()
    where = dict(interface="127.0.0.1")
    internet.server(config["port"], factory, **where).setServiceParent(both)
    internet.datagram_server(config["port"], Datagrams(factory), **where).setServiceParent(both)
    if config["path"]:
        internet.UNIXServer(config["path"], factory).setServiceParent(both)
    return both
"""

# Answers each line with its number on this connection, and counts all lines.
LINES = """
from tapkit import internet, protocol, usage

class Options(usage.Options):
    pass

class Numbering(protocol.LineReceiver):
    def lineReceived(self, line):
        self.factory.count += 1
        self.sendLine(b"%d" % self.factory.count)

class Factory(protocol.ServerFactory):
    protocol = Numbering
    count = 0

def makeService(config):
    return internet.TCPServer(0, Factory(), interface="127.0.0.1")
"""


class Clients:
    """Threads that connect, read an answer to the end, and connect again.

    Attributes:
        answers: how many were whole.
        faults: what went wrong, in words.
    """

    def __init__(
        self,
        where: Any,
        count: int = 4,
        say: bytes = b"",
        half_close: bool = False,
        tls: ssl.SSLContext | None = None,
    ):
        self.answers = 0
        self.faults: list[str] = []
        self._where = where
        self._say = say
        self._tls = tls
        self._half_close = half_close
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def more(self, count: int = 5) -> None:
        """Wait until so many more answers have come."""
        goal = self.answers + count
        wait_for(f"{count} more answers", lambda: self.answers >= goal or self.faults)

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                whole = self._talk().endswith(b"\r\n")
                fault = None if whole else "an answer was cut short"
            except OSError as error:
                fault = f"{type(error).__name__}: {error}"
            with self._lock:
                if fault is None:
                    self.answers += 1
                else:
                    self.faults.append(fault)

    def _talk(self) -> bytes:
        family = socket.AF_UNIX if isinstance(self._where, str) else socket.AF_INET
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(socket.socket(family))
            client.settimeout(PATIENCE)
            client.connect(self._where)
            if self._tls is not None:
                tls = self._tls.wrap_socket(client, server_hostname="127.0.0.1")
                client = stack.enter_context(tls)
            if self._say:
                client.sendall(self._say)
            if self._half_close:
                client.shutdown(socket.SHUT_WR)
            answer = b""
            while data := client.recv(4096):
                answer += data
            return answer


def count_at(port: int) -> int:
    """Ask a counter once; what it has counted."""
    return _number(_asked(("127.0.0.1", port)))


def _asked(where: Any) -> bytes:
    family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(PATIENCE)
        client.connect(where)
        answer = b""
        while data := client.recv(4096):
            answer += data
        return answer


def _number(answer: bytes) -> int:
    return int(answer.split()[0])


def reload(place: Place, pidfile: str = "twistd.pid") -> int:
    """Send HUP, and wait until another process has taken over; its number."""
    before = place.pid(pidfile)
    os.kill(before, signal.SIGHUP)

    def after() -> int | None:
        with contextlib.suppress(ValueError):  # the number is being written
            return place.pid(pidfile) if place.pid(pidfile) != before else None
        return None

    return wait_for("another process to take over", after)
