"""The first process of a foreground run, after a hot restart.

Whoever started `twistd -n` - a shell, a container, a supervisor that is not systemd - watches the
process it started, and takes its end for the end of the service. So that process stays: it passes
on the signals it gets, and leaves when the daemon does, with its exit status. It holds no sockets
and no state. The daemon's number is in the pidfile, as ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from types import FrameType

log = logging.getLogger("tapkit.reload")

_PR_SET_CHILD_SUBREAPER = 36  # Linux, prctl(2)
PASSED_ON = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


def stand_in(daemon: int, pidfile: str) -> int:
    """Pass on signals until the daemon ends; its exit status.

    Parameters:
        daemon: the process that took over from this one.
        pidfile: absolute path; says which one took over from that one.
    """
    _become_reaper()

    def pass_on(number: int, _frame: FrameType | None) -> None:
        # Asked of the pidfile each time: the one known here may just have been replaced.
        with contextlib.suppress(ProcessLookupError):
            os.kill(_read(pidfile) or daemon, number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    log.info("PID %d stands in for PID %d: it passes on signals", os.getpid(), daemon)
    status = 0
    while True:
        status = _wait(daemon)
        heir = _read(pidfile)
        if heir is None or heir == daemon or not _exists(heir):
            return status
        daemon = heir


def _wait(daemon: int) -> int:
    """Wait for one process to end, and reap whatever else was left to us."""
    while True:
        try:
            pid, status = os.waitpid(-1, 0)
        except ChildProcessError:  # its parent was not us, and this system has no subreapers
            import psutil

            with contextlib.suppress(psutil.Error):
                psutil.Process(daemon).wait()
            return 0
        if pid == daemon:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _become_reaper() -> None:
    """Become the parent of the daemons to come, when theirs have left."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _exists(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)


def _read(pidfile: str) -> int | None:
    try:
        with open(pidfile) as file:
            return int(file.read(32))
    except (OSError, ValueError):
        return None
