"""An event loop that no signal finds asleep.

Python's own handlers run in the main thread, between two bytecodes. A signal that comes after
the last of these, and before the system call in which the loop sleeps, is noted and not acted
on; one that the kernel gives to another thread does not interrupt that call either. Without a
word in the loop's own ear both wait for whatever happens next, which may be nothing.
(`signal.set_wakeup_fd`, as asyncio's `add_signal_handler` uses it; why that is not used is in
`tapkit.run.signals`.)
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def by_signals(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have every signal with a Python handler wake `loop`, which runs in the main thread."""
    theirs = signal.set_wakeup_fd(-1)
    if theirs >= 0:  # uvloop sees to it by itself
        signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
        yield
        return
    alarm, bell = socket.socketpair()
    with alarm, bell:
        alarm.setblocking(False)
        bell.setblocking(False)
        loop.add_reader(alarm, _silence, alarm)
        # A full buffer wakes it as well as one byte does. And to warn of it, CPython's C handler
        # takes a lock that the very code it interrupts may hold: the process then waits for ever.
        signal.set_wakeup_fd(bell.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            loop.remove_reader(alarm)


def _silence(alarm: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while alarm.recv(4096):
            pass
