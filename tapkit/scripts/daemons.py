"""What the commands that speak to a daemon share: which one is meant, and how it is shown."""

from __future__ import annotations

from tapkit.errors import DaemonError, UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

WHERE = """
WHERE is a pidfile; a directory, then twistd.pid in it, or the only daemon's there; the name of an
application; or the image a daemon runs from. Without it: twistd.pid, here."""

_UNITS = "KMGT"
_BYTES = 1024.0


def running(where: str | None) -> tuple[str, dict[str, Any]]:
    """The pidfile and the status of the daemon that is meant.

    Raises:
        NoDaemonError: none runs there.
        DaemonError: it can't be asked.
    """
    from tapkit.run.control.client import ask
    from tapkit.run.control.finding import find

    pidfile = find(where)
    return pidfile, ask_living(pidfile, lambda: ask(pidfile, "status"))


def asked(where: str | None, command: str, limit: float, **arguments: Any) -> Any:
    """What the daemon that is meant answers.

    Raises:
        NoDaemonError: none runs there.
        DaemonError: it can't be asked, or it refuses.
    """
    from tapkit.run.control.client import ask
    from tapkit.run.control.finding import find

    pidfile = find(where)
    return ask_living(pidfile, lambda: ask(pidfile, command, limit, **arguments))


def ask_living(pidfile: str, question: Any) -> Any:
    """The answer to `question()`; where nobody listens, the pidfile's lock tells why.

    Raises:
        NoDaemonError: no daemon holds the pidfile.
        DaemonError: one does and can't be asked, or it refuses.
    """
    from tapkit.run.control.client import NobodyListensError
    from tapkit.run.control.finding import NoDaemonError, holds

    try:
        return question()
    except NobodyListensError as error:
        pid = holds(pidfile)
        if pid is None:
            raise NoDaemonError(
                "no daemon runs", pidfile, "name another pidfile, directory or application"
            ) from None
        if not pid:
            raise DaemonError("a daemon is starting", pidfile, "ask it in a moment") from None
        raise DaemonError(
            f"the daemon (PID {pid}) has no control socket",
            error.where,
            f"its log says why; `kill {pid}` stops it",
        ) from None


def resources(status: dict[str, Any]) -> dict[str, Any]:
    """What the daemon's process costs: its workers' with it. None where it is not to be known.

    Keys: memory (bytes resident), cpu_seconds, cpu_percent (mean since the start).
    """
    import psutil

    unknown = {"memory": None, "cpu_seconds": None, "cpu_percent": None}
    try:
        main = psutil.Process(status["pid"])
        processes = [main, *main.children(recursive=True)]
    except (psutil.Error, KeyError, TypeError, ValueError):
        return unknown
    memory, seconds = 0, 0.0
    for process in processes:
        try:
            memory += process.memory_info().rss
            times = process.cpu_times()
        except psutil.Error:  # a child that has just ended
            continue
        seconds += times.user + times.system
    uptime = max(float(status["uptime"]), 0.01)
    percent = round(100 * seconds / uptime, 1)
    return {"memory": memory, "cpu_seconds": round(seconds, 2), "cpu_percent": percent}


def duration(seconds: float) -> str:
    """Seconds in words: 3 d 4 h, 2 min 5 s."""
    whole = int(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, whole = divmod(whole, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def size(number: int | None) -> str:
    """Bytes in words: 22.4 MB; `-` where they are not known."""
    if number is None:
        return "-"
    shown, unit = float(number), " B"
    for name in _UNITS:
        if shown < _BYTES:
            break
        shown, unit = shown / _BYTES, f" {name}B"
    return f"{shown:.0f}{unit}" if unit == " B" else f"{shown:.1f}{unit}"


def seconds_of(option: str, text: str) -> float:
    """A time limit from the command line.

    Raises:
        UsageError: it is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{text!r} is not a number of seconds", option)
    return seconds


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Columns, aligned."""
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)
