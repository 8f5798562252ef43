"""Which daemons there are, and which one is meant.

    WHERE               the daemon
    none                of twistd.pid, here
    a file              that pidfile; or, of an image, the one that runs from it
    a directory         of twistd.pid in it, or the only one in it
    any other word      the one whose application has that name, or whose image has

Daemons are found where they are, among the processes: one of ours keeps its pidfile open, and
its control socket lies beside it. (A registry of them was rejected: a daemon that has shed its
privileges, or was killed, can't take itself out of it.)
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from tapkit.errors import DaemonError, UsageError
from tapkit.names import suggestion
from tapkit.run.control import sockets as control_sockets
from tapkit.run.control.client import NobodyListensError, ask

DEFAULT_PIDFILE = "twistd.pid"
LIST_LIMIT = 2.0  # seconds for each of many daemons to answer
_LARGEST_PIDFILE = 64


class NoDaemonError(DaemonError):
    """No daemon runs there."""


class Found(NamedTuple):
    """A daemon: the pidfile it holds, and what it said of itself (None: it does not answer)."""

    pidfile: str
    status: dict[str, Any] | None


def find(where: str | None) -> str:
    """The absolute path of the pidfile that `where` means; a daemon need not hold it.

    Raises:
        NoDaemonError: no daemon has that name.
        UsageError: several may be meant.
    """
    if where is None:
        return os.path.abspath(DEFAULT_PIDFILE)
    if os.path.isdir(where):
        return _in_folder(where)
    if _may_be_pidfile(where):
        return os.path.abspath(where)
    return _named(where)


def holds(pidfile: str) -> int | None:
    """The number in a pidfile that a living daemon holds; None: nobody does.

    Asked only after a daemon that did not answer: for the moment it takes, the lock looks held
    to a twistd that starts.

    Raises:
        DaemonError: it can't be looked at.
    """
    try:
        fd = os.open(pidfile, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DaemonError(
            f"can't read the pidfile ({error.strerror})", pidfile, "ask its user, or root"
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        said = os.pread(fd, _LARGEST_PIDFILE, 0).strip()
        return int(said) if said.isdigit() else 0
    finally:
        os.close(fd)
    return None


def daemons(limit: float = LIST_LIMIT) -> list[Found]:
    """Every daemon of this user, of root every one, by pidfile. Each gets `limit` seconds."""
    from concurrent.futures import ThreadPoolExecutor  # one that hangs holds up no other

    pidfiles = sorted(_pidfiles())
    if not pidfiles:
        return []
    with ThreadPoolExecutor(min(16, len(pidfiles))) as pool:
        answers = pool.map(lambda pidfile: _status(pidfile, limit), pidfiles)
        return [found for found in answers if found is not None]


def holding(pidfile: str, pid: int) -> bool:
    """Whether the process `pid` really has this pidfile open: a number in a file proves nothing."""
    return any(os.path.samefile(path, pidfile) for path in _open_files(pid) if os.path.exists(path))


def _pidfiles() -> set[str]:
    """The pidfiles that processes of ours hold open, with a control socket beside them."""
    import psutil

    me = os.geteuid()
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it ended just now
            if me not in (0, process.uids().effective):
                continue
            for path in _open_files(process.pid):
                if _is_socket(control_sockets.path_beside(path)):
                    found.add(path)
    return found


def _open_files(pid: int) -> Iterator[str]:
    """Small files that a process has open, as far as we may know."""
    import psutil

    try:
        files = psutil.Process(pid).open_files()
    except (psutil.Error, OSError):
        return
    for path in {file.path for file in files}:
        with contextlib.suppress(OSError):
            if os.stat(path).st_size <= _LARGEST_PIDFILE:
                yield path


def _status(pidfile: str, limit: float) -> Found | None:
    try:
        return Found(pidfile, ask(pidfile, "status", limit))
    except NobodyListensError:
        return None  # what is open there is no daemon's pidfile, or it just ended
    except DaemonError:
        return Found(pidfile, None)


def _in_folder(folder: str) -> str:
    usual = os.path.abspath(os.path.join(folder, DEFAULT_PIDFILE))
    if os.path.lexists(usual):
        return usual
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise DaemonError(
            f"can't read the directory ({error.strerror})", folder, "name the pidfile"
        ) from error
    with_socket = [
        path
        for path in (os.path.abspath(os.path.join(folder, name)) for name in names)
        if _is_socket(control_sockets.path_beside(path))
    ]
    return _only(with_socket, folder) or usual


def _named(where: str) -> str:
    found = daemons()
    chosen = [one.pidfile for one in found if one.status and _is_meant(one.status, where)]
    pidfile = _only(chosen, where)
    if pidfile is None:
        names = [str(one.status["name"]) for one in found if one.status]
        raise NoDaemonError(
            f"no daemon runs that is called so{suggestion(where, names)}",
            where,
            "see `tapctl list`, or name its pidfile or directory",
        )
    return pidfile


def _is_meant(status: dict[str, Any], where: str) -> bool:
    image = status.get("image")
    if status.get("name") == where:
        return True
    if not isinstance(image, str):
        return False
    if os.path.exists(where):
        return os.path.realpath(where) == os.path.realpath(image)
    return where in (os.path.basename(image), image)


def _only(pidfiles: list[str], where: str) -> str | None:
    if len(pidfiles) > 1:
        shown = ", ".join(pidfiles)
        raise UsageError(f"{len(pidfiles)} daemons may be meant", where, f"name one of {shown}")
    return pidfiles[0] if pidfiles else None


def _may_be_pidfile(where: str) -> bool:
    """Whether a word names a pidfile rather than a daemon: by what is there, else its looks."""
    try:
        found = os.stat(where)
    except OSError:
        return where.endswith(".pid")
    return stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST_PIDFILE


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False
