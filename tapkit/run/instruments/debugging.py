"""`--debug`: pdb in a daemon that stays in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pdb
import signal
import sys
from types import FrameType, TracebackType

from tapkit.errors import describe
from tapkit.run import signals


class Debugger(pdb.Pdb):
    """pdb, in which `q` and the end of input stop the daemon as a signal does.

    pdb's own `q` raises an exception wherever the program is: the state would be lost.
    """

    def __init__(self) -> None:
        super().__init__(nosigint=True)  # INT is how one gets here

    def do_quit(self, arg: str) -> bool | None:
        """Stop the daemon, in order, as TERM does."""
        os.kill(os.getpid(), signal.SIGTERM)
        return self.do_continue("")

    do_q = do_exit = do_EOF = do_quit  # noqa: N815 - pdb calls these by their commands' names


def listen() -> None:
    """Let INT enter the debugger where the program is, be it in a loop without end; and an
    exception that is logged, where it was raised."""
    # Not the event loop's add_signal_handler: it would enter only between two callbacks.
    signals.ACTIONS.pop(signal.SIGINT, None)
    signal.signal(signal.SIGINT, _enter)
    logging.getLogger().addHandler(_PostMortem(logging.ERROR))


def post_mortem(error: BaseException) -> None:
    """Look at an exception where it was first raised; `q` leaves it there."""
    while error.__cause__ is not None and error.__cause__.__traceback__ is not None:
        error = error.__cause__
    _look(describe(error), error.__traceback__)


def _enter(number: int, frame: FrameType | None) -> None:
    _say("interrupted; c goes on, q stops the daemon")
    with contextlib.suppress(RuntimeError):  # no loop runs yet, or any more
        # One that waits for something to happen would wait on: pdb stops at the next line.
        asyncio.get_running_loop().call_soon_threadsafe(int)
    Debugger().set_trace(frame)


class _PostMortem(logging.Handler):
    """What hooks raise is caught and logged, so that the others are served: here it is seen."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            post_mortem(record.exc_info[1])


def _look(what: str, traceback: TracebackType | None) -> None:
    _say(f"{what}; q leaves it, and the daemon goes on as it would have")
    debugger = pdb.Pdb(nosigint=True)
    debugger.reset()
    debugger.interaction(None, traceback)


def _say(line: str) -> None:
    print(f"twistd: debugger: {line}", file=sys.stderr, flush=True)
