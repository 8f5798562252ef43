"""Stops under fire: `python -m tests.faults.stops [ROUNDS]`.

First, a stopService that blocks the process in each of many ways, on each event loop: it must be
broken off, or the process must save and leave without it. Then storms of 1, 2 or 20 TERMs and
INTs at a daemon just started: saved, and no pidfile left, every time. Exit status 1 if not.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.place import PATIENCE, Place, has_ended, wait_for

SCRIPT = """
import ctypes, os, queue, socket, subprocess, threading, time
from tapkit.application import Application
from tapkit.service import Service

def busy():
    while True: pass

def swallow():
    while True:
        try: time.sleep(1)
        except BaseException: pass

def lock():
    held = threading.Lock(); held.acquire(); held.acquire()

def recv():
    ours, theirs = socket.socketpair(); ours.recv(1)

def join():
    other = threading.Thread(target=time.sleep, args=(3600,), daemon=True)
    other.start(); other.join()

def sleep(): time.sleep(3600)
def event(): threading.Event().wait()
def get(): queue.Queue().get()
def read(): os.read(os.pipe()[0], 1)
def child(): subprocess.run(["sleep", "3600"])
def c_sleep():
    while True: ctypes.CDLL(None).sleep(100)

class Blocking(Service):
    def stopService(self):
        globals()[os.environ["KIND"]]()

application = Application("block")
Blocking().setServiceParent(application)
"""
WAYS = [
    "sleep",
    "busy",
    "lock",
    "event",
    "get",
    "recv",
    "read",
    "child",
    "join",
    "c_sleep",
    "swallow",
]
LOOPS = ("asyncio", "uvloop")


def blocked(place: Place, loop: str, way: str) -> str | None:
    """What was wrong with one stop that blocks; None: nothing."""
    (place.path / "block.tac").write_text(SCRIPT)
    place.env["KIND"] = way
    with place.foreground("-n", "-r", loop, "--stop-timeout", "0.5", "-y", "block.tac") as process:
        wait_for("it to run", lambda: "block runs on" in place.log("foreground.log"))
        began = time.monotonic()
        process.terminate()
        status = process.wait(PATIENCE)
    took, log = time.monotonic() - began, place.log("foreground.log")
    how = "broken off" if "was broken off" in log else "left from a thread"
    print(f"{loop:8} {way:8} {how:20} {took:5.2f} s")
    if status != 1 or (place.path / "twistd.pid").exists() or "Blocking" not in log:
        return f"{loop}, {way}: status {status}: {log}"
    return None


def stormed(place: Place) -> str | None:
    """What was wrong with one stop by many signals; None: nothing."""
    (place.path / "qotd-shutdown.tap").unlink(missing_ok=True)
    started = place.twistd("-r", random.choice(LOOPS), "-f", "qotd.tap")
    if started.returncode:
        return started.stderr
    process = psutil.Process(place.pid())
    for _ in range(random.choice([1, 2, 20])):
        if has_ended(process):
            break
        process.send_signal(random.choice([signal.SIGTERM, signal.SIGINT]))
        time.sleep(random.choice([0, 0, 0.02, 0.12]))
    wait_for("the daemon to end", lambda: has_ended(process))
    left = place.file_names()
    if "qotd-shutdown.tap" not in left or "twistd.pid" in left:
        return f"left {left}: {place.log()}"
    return None


def faults(folder: Path, rounds: int) -> Iterator[str | None]:
    place = Place(folder / "blocked")
    try:
        for loop in LOOPS:
            for way in WAYS:
                yield blocked(place, loop, way)
    finally:
        place.reap()
    place = Place(folder / "storms")
    try:
        place.mktap("qotd", "--port", "0")
        for _ in range(rounds):
            yield stormed(place)
    finally:
        place.reap()


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as folder:
        found = list(faults(Path(folder), rounds))
    bad = [fault for fault in found if fault]
    print(*bad, sep="\n")
    print(f"{len(found)} stops, {len(bad)} of them wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
