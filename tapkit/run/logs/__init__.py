"""Where a daemon's log goes, and how it looks: one handler a process, set up once.

The log is the standard `logging`: whatever logs to a `logging` logger is in it. What the process
prints, and what `faulthandler` writes of a crash, goes into a log file as it is.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from typing import Any

from tapkit.errors import DaemonError, UsageError
from tapkit.names import suggestion
from tapkit.records import Record
from tapkit.run.logs.files import FileLog
from tapkit.run.logs.sinks import Failures, Sink, StreamLog, SyslogLog

_TEXT = "%(asctime)s [%(name)s] %(levelname)s: %(message)s"
_TIME = "%Y-%m-%dT%H:%M:%S%z"
_SYSLOG_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")

SIZE = 10_000_000  # bytes
KEEP = 5
FORMATS = ("text", "json")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


class Rotation(Record):
    """When a log file is rotated by us, and what is kept.

    Attributes:
        size: bytes a file may have; 0: it is never rotated here.
        keep: how many old files are kept, as `twistd.log.1` (the newest) and on.
    """

    size: int = SIZE
    keep: int = KEEP


class Style(Record):
    """How a log looks, and when it is rotated."""

    form: str = "text"
    rotation: Rotation = Rotation()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601), level, logger, message; exception, stack."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S.") + self._zone(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = record.stack_info
        import json  # a daemon that logs text starts without it

        return json.dumps(line)

    def _zone(self, record: logging.LogRecord) -> str:
        return f"{int(record.msecs):03}" + self.formatTime(record, "%z")


def check_format(name: str) -> str:
    """The format of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in FORMATS:
        raise UsageError(f"no such log format: {name}{suggestion(name, FORMATS)}", "--log-format")
    return name


def bytes_of(text: str) -> int:
    """A size: a number of bytes, or of K, M or G (of 1000).

    Raises:
        UsageError: it is no size.
    """
    number, unit = text.rstrip("KMGkmg"), text[len(text.rstrip("KMGkmg")) :].upper()
    if not (number.isascii() and number.isdigit() and unit in _UNITS):
        raise UsageError(f"{text!r} is no size", "--log-size", "give bytes, or such as 10M")
    return int(number) * _UNITS[unit]


def to_file(
    path: str,
    level: int,
    style: Style = Style(),  # noqa: B008  # a Record
    movable: bool = True,
) -> int:
    """Log into a file, opened anew when a log rotator moves it away.

    Parameters:
        movable: whether its path will mean the same later on; not so in a chroot.

    Returns:
        The file descriptor, for what is printed; it stays the same when the file is opened anew.

    Raises:
        DaemonError: it can't be opened.
    """
    try:
        handler = FileLog(path, style.rotation.size, style.rotation.keep, movable)
    except OSError as error:
        raise DaemonError(
            f"can't open the log ({error.strerror})", path, "name another with --logfile"
        ) from error
    _install(handler, level, style.form)
    faulthandler.enable(handler.fd)
    return handler.fd


def to_stdout(level: int, style: Style = Style()) -> None:  # noqa: B008  # a Record
    """Log to standard output, for a foreground run under a person or a supervisor."""
    _install(StreamLog(sys.stdout.fileno()), level, style.form)
    faulthandler.enable()


def to_syslog(prefix: str, level: int, style: Style = Style()) -> None:  # noqa: B008  # a Record
    """Log to the local syslog daemon, each line with `prefix` as its program name.

    Raises:
        DaemonError: none listens.
    """
    for path in _SYSLOG_SOCKETS:
        try:
            handler = SyslogLog(path, f"{prefix}[{os.getpid()}]: ")
        except OSError:
            continue
        # The syslog daemon writes the time and the level itself.
        plain = logging.Formatter("[%(name)s] %(message)s") if style.form == "text" else None
        _install(handler, level, style.form, plain)
        return
    raise DaemonError(
        "can't reach the syslog daemon", _SYSLOG_SOCKETS[0], "start it, or use --logfile"
    )


def reopen() -> None:
    """Begin a new log file: the one a rotator has put in place, else rotate ourselves."""
    for handler in _sinks():
        handler.reopen()


def place() -> str | None:
    """Where the log goes: a path, or in words where it is no file; None: nowhere."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, FileLog):
            return handler.path
        if isinstance(handler, SyslogLog):
            return "syslog"
        if isinstance(handler, StreamLog):
            return "standard output"
    return None


def failures() -> Failures:
    """How often this process could not log, and why the last time."""
    found = [handler.failures for handler in _sinks()]
    return found[0] if found else Failures(0, None)


def _sinks() -> list[Sink]:
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, Sink)]


def _install(
    handler: Sink, level: int, form: str, formatter: logging.Formatter | None = None
) -> None:
    json_lines = JsonFormatter() if form == "json" else None
    handler.setFormatter(formatter or json_lines or logging.Formatter(_TEXT, _TIME))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what is printed is in the log in its place
            stream.reconfigure(line_buffering=True)
