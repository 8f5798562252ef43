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

from tapkit.run import signals

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


def pass_on(number: int, daemon: int, pidfile: str) -> None:
    """Signal the process that has taken over, or the one that took over from that."""
    # Asked of the pidfile each time: the one known here may just have been replaced.
    with contextlib.suppress(ProcessLookupError):
        os.kill(_read(pidfile) or daemon, number)


def stand_in(daemon: int, pidfile: str) -> int:
    """Pass on signals until the daemon ends; its exit status.

    Parameters:
        daemon: the process that took over from this one.
        pidfile: absolute path; says which one took over from that one.
    """
    _become_reaper()
    # Blocked, and waited for: a handler would not be called for a signal that comes just before
    # the system call that waits for the daemon.
    signals.hold({*PASSED_ON, signal.SIGCHLD})
    log.info("PID %d stands in for PID %d: it passes on signals", os.getpid(), daemon)
    while True:
        status = _wait(daemon, pidfile)
        heir = _read(pidfile)
        if heir is None or heir == daemon or not _exists(heir):
            signals.ignore()  # as its end does not pass on any more
            return status
        daemon = heir


def _wait(daemon: int, pidfile: str) -> int:
    """Wait for one process to end, and reap whatever else was left to us."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return _wait_for_a_stranger(daemon, pidfile)
        if pid == daemon:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if not pid:
            number = signal.sigwait({*PASSED_ON, signal.SIGCHLD})
            if number != signal.SIGCHLD:
                pass_on(number, daemon, pidfile)


def _wait_for_a_stranger(daemon: int, pidfile: str) -> int:
    """Its parent was not us, and this system has no subreapers."""
    import psutil

    for number in PASSED_ON:
        signal.signal(number, lambda number, _frame: pass_on(number, daemon, pidfile))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    with contextlib.suppress(psutil.Error):
        psutil.Process(daemon).wait()
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    return 0


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
