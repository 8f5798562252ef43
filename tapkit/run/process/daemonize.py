"""Into the background, without lying: the parent waits until the daemon says how it went.

    parent --fork--> watcher (new session) --fork--> daemon

The daemon tells its verdict through a pipe; the watcher passes it on to the parent. Two forks,
because a session leader that opens a terminal would get it as its controlling one. The watcher
does not leave at once, as it classically does: it is the daemon's parent, the only one who can
say how a daemon died that could not report. It leaves at the verdict. Each process closes the
pipe ends it does not use, so that a death is an end of file and never a wait without end.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from typing import NoReturn

from tapkit.errors import EXIT_FAILED, EXIT_OK
from tapkit.records import Record

_READY = b"ready\n"


class Verdict(Record):
    """How a start went: the exit status for the command, and what to say on stderr."""

    status: int
    message: str


class Report:
    """The daemon's end: exactly one of `ready` and `failed` is told."""

    def __init__(self, fd: int):
        self._fd = fd

    @property
    def fd(self) -> int:
        """The pipe's end; -1 once the verdict is told."""
        return self._fd

    def ready(self) -> None:
        """The ports are bound and the services started."""
        self._tell(_READY)

    def failed(self, status: int, message: str) -> None:
        """The start failed; `message` is for the user, as long as it needs to be."""
        self._tell(b"%d\n%s" % (status, message.encode("utf-8", "surrogateescape")))

    def _tell(self, verdict: bytes) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            while verdict:
                verdict = verdict[os.write(fd, verdict) :]
        except BrokenPipeError:
            pass  # the command that waited was interrupted; the log has it all
        finally:
            os.close(fd)


class Waiting:
    """The parent's end: wait for the verdict."""

    def __init__(self, fd: int, watcher: int, mask: Iterable[int]):
        self._fd = fd
        self._watcher = watcher
        self._mask = mask

    def wait(self, limit: float | None) -> Verdict:
        """Wait until the daemon is ready, has failed or died, or `limit` seconds are over.

        At the limit, or when the waiting itself is interrupted, the daemon is stopped: there
        is never one left that nobody was told of.
        """
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            told = self._read(limit)
        except BaseException:
            self._stop()
            raise
        if told is None:
            self._stop()
            message = f"not ready after {limit:g} seconds, so it was stopped: see its log"
            return Verdict(EXIT_FAILED, message)
        os.close(self._fd)
        os.waitpid(self._watcher, 0)
        return _understand(told)

    def _read(self, limit: float | None) -> bytes | None:
        deadline = None if limit is None else time.monotonic() + limit
        told = b""
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._fd], [], [], left)[0]:
                return None
            data = os.read(self._fd, 65536)
            if not data:
                return told
            told += data

    def _stop(self) -> None:
        """TERM, then KILL, to the session of the watcher and the daemon."""
        for number, limit in ((signal.SIGTERM, 5.0), (signal.SIGKILL, None)):
            try:
                os.killpg(self._watcher, number)
            except ProcessLookupError:
                break
            if self._read(limit) is not None:
                break
        os.close(self._fd)
        os.waitpid(self._watcher, 0)


def detach() -> Waiting | Report:
    """Fork into the background; tells parent and daemon apart by what it returns."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    to_parent, from_watcher = os.pipe()
    # Between the fork and the wait an interrupt would leave a daemon nobody waits for.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    watcher = os.fork()
    if watcher:
        os.close(from_watcher)
        return Waiting(to_parent, watcher, mask)
    os.close(to_parent)
    return _in_watcher(from_watcher, mask)


def redirect_streams(log_fd: int | None) -> None:
    """Point stdin at nothing, stdout and stderr into the log, so that nothing printed is lost."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    for fd in (1, 2):
        os.dup2(nothing if log_fd is None else log_fd, fd)
    if nothing > 2:
        os.close(nothing)


def _in_watcher(to_parent: int, mask: Iterable[int]) -> Report:
    """Fork the daemon, and stay as its watcher; only the daemon returns."""
    os.setsid()
    # An interrupted parent stops the whole session; the watcher stays to say how it ended.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    to_watcher, from_daemon = os.pipe()
    try:
        daemon = os.fork()
    except OSError as error:
        os.write(to_parent, b"%d\ncan't fork: %s" % (EXIT_FAILED, str(error.strerror).encode()))
        os._exit(0)
    if daemon:
        os.close(from_daemon)
        _watch(daemon, to_watcher, to_parent)
    os.close(to_watcher)
    os.close(to_parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return Report(from_daemon)


def _watch(daemon: int, from_daemon: int, to_parent: int) -> NoReturn:
    """The watcher's whole life: pass the verdict on, or say how the daemon died."""
    told = b""
    while data := os.read(from_daemon, 65536):
        told += data
    if told != _READY:
        _, status = os.waitpid(daemon, 0)  # when a failed start is told, nothing of it is left
    if not told:
        message = f"the daemon died before it was ready ({_death(status)}): see its log"
        told = b"%d\n%s" % (EXIT_FAILED, message.encode())
    try:
        while told:
            told = told[os.write(to_parent, told) :]
    finally:
        os._exit(0)  # never back into the command's own code


def _death(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit status {os.WEXITSTATUS(status)}"


def _understand(told: bytes) -> Verdict:
    if told == _READY:
        return Verdict(EXIT_OK, "")
    status, _, message = told.partition(b"\n")
    if not status.isdigit():
        return Verdict(EXIT_FAILED, "the daemon's start was cut short: see its log")
    return Verdict(int(status), message.decode("utf-8", "surrogateescape"))
