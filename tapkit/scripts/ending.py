"""twistd's options for how a daemon stops and what it logs."""

from __future__ import annotations

from tapkit.errors import UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.run.logs import Style
    from tapkit.run.stopping import StopRules


_LEAST = 5.0  # seconds: an interpreter on a busy machine takes its time as well


def stop_rules(arguments: dict[str, Any]) -> StopRules:
    """How it stops, from a command line.

    Raises:
        UsageError: a number of seconds is none.
    """
    from tapkit.run import stopping

    drain = seconds(arguments, "--drain-timeout")
    return stopping.StopRules(drain, seconds(arguments, "--stop-timeout") or None)


def log_style(arguments: dict[str, Any]) -> Style:
    """How the log looks and when it is rotated, from a command line.

    Raises:
        UsageError: there is no such format, a size or a number is none.
    """
    from tapkit.run import logs

    keep = arguments["--log-keep"]
    if not (keep.isascii() and keep.isdigit()):
        raise UsageError(f"{keep!r} is not a number of files", "--log-keep")
    rotation = logs.Rotation(logs.bytes_of(arguments["--log-size"]), int(keep))
    return logs.Style(logs.check_format(arguments["--log-format"]), rotation)


def seconds(arguments: dict[str, Any], option: str) -> float:
    """The seconds that `option` says.

    Raises:
        UsageError: it is no number, or below 0.
    """
    text = arguments[option]
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UsageError(f"{text!r} is not a number of seconds", option)
    return number


def end_within(limit: float | None) -> None:
    """See to it that the process, which has nothing left to do, ends in `limit` seconds, or 5
    where that is less: a thread nobody ended would hold it. Where it hangs is written to standard
    error, and it ends with status 1. None: it may take for ever."""
    import faulthandler
    import signal

    if limit is None:
        return
    limit = max(limit, _LEAST)
    try:
        faulthandler.dump_traceback_later(limit, exit=True)
    except RuntimeError:  # no thread can be started, to watch: the kernel does, but says nothing
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, limit)
