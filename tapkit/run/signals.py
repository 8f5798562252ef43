"""What each signal asks of a daemon: one table."""

from __future__ import annotations

import asyncio
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tapkit.run.daemon import Daemon

ACTIONS: dict[signal.Signals, Callable[[Daemon, str], None]] = {
    signal.SIGTERM: lambda daemon, name: daemon.stop(name),
    signal.SIGINT: lambda daemon, name: daemon.stop(name),
}
"""What each signal does, given the signal's name."""


def listen(daemon: Daemon) -> None:
    """Let signals reach `daemon`, between two callbacks of the running event loop."""
    loop = asyncio.get_running_loop()
    for number, action in ACTIONS.items():
        loop.add_signal_handler(number, action, daemon, number.name)


def block() -> None:
    """From here on they wait: closing a loop gives signals back their default action, and one
    more TERM, sent while only the pidfile is left to remove, must not end the process before."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ACTIONS)
