"""Signals to real daemons: heard whatever the threads do, and whether or not there can be any."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.place import Place, wait_for
from tests.test_twistd import add_tap

LOOPS = ["asyncio", "uvloop"]

TAP = """
import _thread, signal, time
from tapkit import journal, service, usage

class Options(usage.Options):
    optFlags = [["elsewhere", "e", "Another thread takes the signals."],
                ["threadless", "t", "No thread can be started any more."],
                ["journaled", "j", "It has a journal, which is written by a thread."]]

class Threads(service.Service):
    def __init__(self, config):
        self.elsewhere, self.threadless = bool(config["elsewhere"]), bool(config["threadless"])

    def startService(self):
        if self.elsewhere:
            _thread.start_new_thread(time.sleep, (3600,))
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
        if self.threadless:
            _thread.stack_size(1 << 46)
        return super().startService()

class Journaled(journal.Journaled, Threads):
    pass

def makeService(config):
    return (Journaled if config["journaled"] else Threads)(config)
"""


def start(place: Place, reactor: str, *how: str) -> psutil.Process:
    """A daemon of that kind, which has nothing to do but to sleep in its event loop."""
    if reactor == "uvloop":
        pytest.importorskip("uvloop")
    add_tap(place, "threads", TAP)
    assert place.mktap("threads", *how).returncode == 0
    done = place.twistd("-r", reactor, "-f", "threads.tap")
    assert done.returncode == 0, done.stderr
    process = psutil.Process(place.pid())
    wait_for("it to sleep", lambda: process.status() == psutil.STATUS_SLEEPING)
    return process


@pytest.mark.parametrize("reactor", LOOPS)
def test_a_signal_that_another_thread_takes_wakes_the_loop(place: Place, reactor: str) -> None:
    """The kernel may give it to any thread, and the loop sleeps on: it is heard all the same.

    So is one that comes just before the loop falls asleep, which can't be shown at will.
    """
    process = start(place, reactor, "--elsewhere")
    process.send_signal(signal.SIGUSR2)
    wait_for("the snapshot", lambda: "saved threads-snapshot.tap" in place.log())
    wait_for("it to sleep", lambda: process.status() == psutil.STATUS_SLEEPING)
    place.kill()
    assert place.file_names() == [
        *("lib", "threads-shutdown.tap", "threads-snapshot.tap", "threads.tap", "twistd.log")
    ]


@pytest.mark.parametrize("reactor", LOOPS)
@pytest.mark.parametrize(
    "more", [(), pytest.param(("--journaled",), id="journaled", marks=pytest.mark.slow)]
)
def test_a_stop_that_no_thread_can_watch(place: Place, reactor: str, more: tuple[str, ...]) -> None:
    """Where no thread can be started it stops, saves, and says that nobody watched."""
    start(place, reactor, "--threadless", *more)
    place.kill()
    assert "WARNING: the stop is not watched, so what blocks it" in place.log()
    assert "can't start new thread" in place.log()
    assert "threads stopped" in place.log()
    assert "Traceback" not in place.log()
    assert {"threads-shutdown.tap", "twistd.log"} <= set(place.file_names())
    assert "twistd.pid" not in place.file_names()


@pytest.mark.slow
@pytest.mark.parametrize("reactor", LOOPS)
def test_a_flood_of_signals(place: Place, reactor: str) -> None:
    """As fast as they can be sent, more than any buffer holds: it neither drowns nor hangs."""
    process = start(place, reactor, "--elsewhere")
    for _ in range(200_000):
        os.kill(process.pid, signal.SIGUSR1)
    place.kill()
    assert "threads stopped" in place.log()
    assert "Resource temporarily unavailable" not in place.log()
