"""Log handlers that never stop a service: what could not be logged is counted, and told later.

They write by os.write: a buffered stream that met a full disk keeps what it could not write,
and puts it, torn, before the line it can write an hour later.
"""

from __future__ import annotations

import logging
import os
import socket
import time

from tapkit.errors import describe
from tapkit.records import Record

_LONGEST = 8000  # bytes of one syslog line; a datagram for a UNIX socket may be longer, daemons cut
_SYSLOG_FACILITY = 3 << 3  # daemon, RFC 5424 6.2.1
_SYSLOG_SEVERITIES = ((50, 2), (40, 3), (30, 4), (20, 6))  # from a logging level up


class Failures(Record):
    """How often something could not be logged: that, and why the last time."""

    count: int
    reason: str | None


class Sink(logging.Handler):
    """Where log lines go. A failure is counted, and told in the log when it works again.

    Attributes:
        failures: how often it failed since the process started.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failures = Failures(0, None)
        self._untold = 0
        self._since = ""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:  # a call such as log.info("%d", "x"): its own fault
            self._count(error)
            text = self._own_line(
                f"a log call failed: {describe(error)}: {record.pathname}:{record.lineno}"
            )
            self._untold -= 1
        known = self.failures.count
        try:
            self.put(text, record.levelno)
            if self._untold and self.failures.count == known:
                self._tell()
        except Exception as error:
            self._count(error)

    def put(self, text: str, level: int) -> None:
        """Write one record.

        Raises:
            OSError: it could not be written.
        """
        raise NotImplementedError

    def reopen(self) -> None:
        """Begin anew, where that means something."""

    def failed(self, error: OSError) -> None:
        """Count a failure beside the writing itself, such as a rotation's."""
        self._count(error)

    def _count(self, error: Exception) -> None:
        if not self._untold:
            self._since = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self._untold += 1
        self.failures = Failures(self.failures.count + 1, describe(error))

    def _tell(self) -> None:
        count, since, reason = self._untold, self._since, self.failures.reason
        text = f"logging failed {count} times since {since} ({reason}), and works again"
        self.put(self._own_line(text), logging.WARNING)
        self._untold = 0

    def _own_line(self, text: str) -> str:
        record = logging.LogRecord("tapkit.logs", logging.WARNING, "", 0, text, None, None)
        return self.format(record)


class StreamLog(Sink):
    """Lines into a file descriptor.

    Attributes:
        fd: where.
    """

    def __init__(self, fd: int):
        super().__init__()
        self.fd = fd
        self._torn = False  # the last line was cut short

    def put(self, text: str, level: int) -> None:
        data = text.encode("utf-8", "backslashreplace") + b"\n"
        if self._torn:
            data = b"\n" + data
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self.fd, left) :]
            self._torn = False
        except OSError:
            self._torn = self._torn or len(left) < len(data)
            raise


class SyslogLog(Sink):
    """Lines to a syslog daemon's datagram socket (RFC 3164 over AF_UNIX).

    A daemon that hangs is not waited for: its queue full is a failure like any other.

    Parameters:
        path: of the socket.
        ident: what each line begins with: `PROGRAM[PID]: `.

    Raises:
        OSError: nobody listens there.
    """

    def __init__(self, path: str, ident: str):
        super().__init__()
        self._path = path
        self._ident = ident
        self._socket = self._connect()

    def put(self, text: str, level: int) -> None:
        severity = next((s for least, s in _SYSLOG_SEVERITIES if level >= least), 7)
        for line in text.splitlines() or [""]:
            whole = f"<{_SYSLOG_FACILITY | severity}>{self._ident}{line}"
            self._send(whole.encode("utf-8", "backslashreplace")[:_LONGEST])

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except BlockingIOError:
            raise
        except OSError:  # the daemon was started anew, perhaps
            fresh = self._connect()
            self._socket.close()
            self._socket = fresh
            self._socket.send(data)

    def _connect(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.connect(self._path)
        except BaseException:
            made.close()
            raise
        return made
