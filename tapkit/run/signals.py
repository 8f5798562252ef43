"""What each signal asks of a daemon: one table."""

from __future__ import annotations

import asyncio
import signal
import threading

from tapkit.run.blocked import Blocked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from tapkit.run.daemon import Daemon

ACTIONS: dict[signal.Signals, Callable[[Daemon, str], None]] = {
    signal.SIGTERM: lambda daemon, name: daemon.stop(name),
    signal.SIGINT: lambda daemon, name: daemon.stop(name),
    signal.SIGQUIT: lambda daemon, name: daemon.quit(name),
    signal.SIGUSR1: lambda daemon, name: daemon.reopen_logs(),
    signal.SIGUSR2: lambda daemon, name: _dropped(daemon.snapshot(name)),
    signal.SIGHUP: lambda daemon, name: _dropped(daemon.reload(name)),
}
"""What each signal does, given the signal's name."""


STOPPING = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def listen(daemon: Daemon) -> None:
    """Let signals reach `daemon`, between two callbacks of the running event loop.

    Not by the loop's own add_signal_handler: while a callback blocks the loop, that hears
    nothing, and what asks for a stop must be heard.
    """
    loop = asyncio.get_running_loop()
    waiting: set[int] = set()  # heard, and not acted on yet: in a storm the loop must get on

    def act(number: int) -> None:
        waiting.discard(number)
        known = signal.Signals(number)
        if not daemon.passes_on(known):
            ACTIONS[known](daemon, known.name)

    def heard(number: int, frame: FrameType | None) -> None:
        assert daemon.watch is not None
        if number in STOPPING:
            daemon.watch.begin()
            if daemon.watch.breaks_off(frame):
                raise Blocked("it blocks a process that shall stop")
        if number not in waiting:
            waiting.add(number)
            loop.call_soon_threadsafe(act, number)

    for number in ACTIONS:
        signal.signal(number, heard)
        # What asks for a stop may interrupt a system call, nothing else may.
        signal.siginterrupt(number, number in STOPPING)


def _dropped(_outcome: object) -> None:
    """The log tells how it went; nobody else waits for it."""


def hold(numbers: Iterable[int]) -> None:
    """From here on these wait, for a `signal.sigwait` of the main thread."""
    numbers = set(numbers)
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        signal.signal(number, _keep)


def _keep(number: int, _frame: FrameType | None) -> None:
    """Another thread, which does not block it, took a signal: send it to the one that does."""
    signal.pthread_kill(threading.get_ident(), number)


def ignore() -> None:
    """From here on nothing is heard: one more TERM, sent while only the pidfile is left to
    remove, must not end the process before."""
    for number in ACTIONS:
        signal.signal(number, signal.SIG_IGN)
