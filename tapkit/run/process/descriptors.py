"""File descriptors a daemon was given unasked, and lets go: else `x=$(twistd ...)` never returns.

What comes through exec is inheritable by nature, and what Python opens is not (PEP 446). So those
above 2 that are still inheritable are the caller's - but for the sockets of systemd's socket
activation, which it announces. Who passes one on purpose marks it close-on-exec as soon as it is
found, as sd_listen_fds(3) does.
"""

from __future__ import annotations

import os

_FIRST = 3
_DIRECTORY = "/dev/fd"  # on Linux a link to /proc/self/fd


def close(keep: range = range(0)) -> None:
    """Close what was inherited, except `keep`."""
    for fd in _open():
        if fd >= _FIRST and fd not in keep and _inheritable(fd):
            os.close(fd)


def announced() -> range:
    """The descriptors systemd passes to this very process (LISTEN_PID, LISTEN_FDS).

    To be asked before a fork: the daemon has another number.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return range(0)
    count = os.environ.get("LISTEN_FDS", "")
    return range(_FIRST, _FIRST + int(count)) if count.isdigit() else range(0)


def _open() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_DIRECTORY)]
    except OSError:  # no /proc is mounted
        return list(range(_FIRST, min(os.sysconf("SC_OPEN_MAX"), 1 << 16)))


def _inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False  # it is the one that listed them
