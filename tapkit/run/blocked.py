"""A stop that is asked for while some callback keeps the event loop from turning.

A plain `stopService` that never returns, a callback in an endless loop: the loop can't hear a
signal then, but Python can. Its own signal handler runs in the main thread between two
bytecodes, and inside a system call that waits. So from the first signal that asks for a stop, a
thread looks whether the loop still turns. If it does not for too long, the thread says in the
log where the main thread hangs, and has `Blocked` raised there.

What can't be broken off like this is a call into C that does not return: there the thread saves
the state as it stands and ends the process. It can't where that call holds the interpreter's
lock as well (a regular expression run wild): such a process only KILL ends.
"""

from __future__ import annotations

import _thread
import asyncio
import asyncio.base_events
import asyncio.events
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType

log = logging.getLogger("tapkit.stop")

LOOK = 0.1  # seconds between two looks, while a stop goes on
AGAIN = 1.0  # seconds between two attempts to break the same call off
ATTEMPTS = 3

# A second signal within so many seconds is the same wish: timeout(1), some shells and supervisors
# send one to the process and one to its group.
ECHO = 0.1

_UNWATCHED = "the stop is not watched, so what blocks it will not be broken off: %s"

# Between two callbacks nothing hangs: here an exception would hit the loop itself.
_LOOP_FILES = {asyncio.base_events.__file__, asyncio.events.__file__}


class Blocked(BaseException):
    """Breaks off what blocks the event loop; not for `except Exception`, like a cancellation."""


class Watch:
    """Sees to it that the event loop of the main thread turns.

    Parameters:
        limit: seconds one callback may take, asked again and again; None: for ever.
        doing: what the loop is busy with, in words.
        give_up: called in the watching thread when nothing helps; should not return.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: Callable[[], float | None],
        doing: Callable[[], str],
        give_up: Callable[[], None],
    ):
        self._loop = loop
        self._limit = limit
        self._doing = doing
        self._give_up = give_up
        self._beats = 0
        self._breaking: int | None = None
        self._asked: float | None = None
        self._hurried = False
        self._over = threading.Event()

    def begin(self) -> None:
        """A stop is asked for: watch from now on; asked again, with less patience.

        Made to be called by a signal handler.
        """
        if self._asked is not None:
            self._hurried = self._hurried or time.monotonic() - self._asked > ECHO
        elif not self._over.is_set():
            self._asked = time.monotonic()
            # Not threading.Thread: whom the signal interrupts may hold that module's lock.
            try:
                _thread.start_new_thread(self._run, ())
            except RuntimeError as error:  # no memory, or too many: no reason not to stop
                self._loop.call_soon_threadsafe(log.warning, _UNWATCHED, error)

    def end(self) -> None:
        """Watch no more: what follows may take its time."""
        self._over.set()

    def breaks_off(self, frame: FrameType | None) -> bool:
        """Whether the signal handler that was called at `frame` is to raise `Blocked`."""
        asked, self._breaking = self._breaking, None
        if asked is None or asked != self._beats or self._over.is_set():
            return False
        return frame is not None and frame.f_code.co_filename not in _LOOP_FILES

    def _beat(self) -> None:
        self._beats += 1

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                asked = self._beats
                self._loop.call_soon_threadsafe(self._beat)
                self._wait_for_beat(asked)
        except RuntimeError:
            if not self._over.is_set():  # else the loop was closed under our feet
                raise

    def _wait_for_beat(self, asked: int) -> None:
        began, attempts, due = time.monotonic(), 0, 0.0
        while not self._over.wait(LOOK) and self._beats == asked:
            limit, waited = (AGAIN if self._hurried else self._limit()), time.monotonic() - began
            if limit is None or waited < limit or waited < due:
                continue
            if attempts == ATTEMPTS:
                self._over.set()
                self._give_up()
                return
            attempts, due = attempts + 1, waited + AGAIN
            self._break_off(asked, waited)

    def _break_off(self, asked: int, waited: float) -> None:
        main = threading.main_thread().ident
        assert main is not None
        stack = "".join(traceback.format_stack(sys._current_frames()[main]))
        what = self._doing() or "a callback"
        self._breaking = asked
        signal.pthread_kill(main, signal.SIGTERM)
        # Last: the main thread may hang with the log's lock held.
        log.critical("%s blocks the process for %.1f s: breaking it off\n%s", what, waited, stack)
