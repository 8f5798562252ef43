"""Where a daemon's log goes: a file, standard output, or syslog."""

from __future__ import annotations

import faulthandler
import logging
import logging.handlers
import os
import socket
import sys

from tapkit.errors import DaemonError

_FORMAT = "%(asctime)s [%(name)s] %(levelname)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S%z"
_SYSLOG_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")


def to_file(path: str, level: int) -> int:
    """Log into a file, opened anew when a log rotator moves it away.

    Returns:
        The file descriptor, for what is printed.

    Raises:
        DaemonError: it can't be opened.
    """
    try:
        handler = logging.handlers.WatchedFileHandler(path, encoding="utf-8", errors="replace")
    except OSError as error:
        raise DaemonError(
            f"can't open the log ({error.strerror})", path, "name another with --logfile"
        ) from error
    _install(handler, level)
    stream = handler.stream
    assert stream is not None  # without `delay` it is opened at once
    faulthandler.enable(stream)
    return stream.fileno()


def to_stdout(level: int) -> None:
    """Log to standard output, for a foreground run under a person or a supervisor."""
    _install(logging.StreamHandler(sys.stdout), level)
    faulthandler.enable()


def to_syslog(prefix: str, level: int) -> None:
    """Log to the local syslog daemon, each line with `prefix` as its program name.

    Raises:
        DaemonError: none listens.
    """
    path = next((path for path in _SYSLOG_SOCKETS if _listens(path)), None)
    if path is None:
        raise DaemonError(
            "can't reach the syslog daemon", _SYSLOG_SOCKETS[0], "start it, or use --logfile"
        )
    handler = logging.handlers.SysLogHandler(path, logging.handlers.SysLogHandler.LOG_DAEMON)
    handler.ident = f"{prefix}[{os.getpid()}]: "
    _install(handler, level, logging.Formatter("[%(name)s] %(message)s"))


def _listens(path: str) -> bool:
    """Whether a syslog daemon takes datagrams at `path`; the handler itself never says."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(path) == 0


def _install(
    handler: logging.Handler, level: int, formatter: logging.Formatter | None = None
) -> None:
    handler.setFormatter(formatter or logging.Formatter(_FORMAT, _TIME))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
