"""Faults at system calls, put there by strace into real processes."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults import ledger
from tests.faults.scenario import recovered
from tests.place import ROOT

PATIENCE = 60.0  # seconds
MODES = ("loop", "fork", "child")
FILE_CALLS = (
    *("openat", "write", "fsync", "fdatasync", "rename", "renameat", "renameat2"),
    *("link", "linkat", "unlink", "unlinkat", "fchmod", "fchown", "close", "ftruncate"),
    *("newfstatat", "fstat", "lstat", "stat", "lseek", "read", "getdents64", "flock"),
)
"""What may fail because of a disk."""


class Fault(NamedTuple):
    """The `nth` call named `call` of a process or thread: killed there, or the call fails."""

    call: str
    nth: int
    what: str  # `signal=KILL`, `error=EIO`

    def __str__(self) -> str:
        return f"{self.what} at {self.call} number {self.nth}"


class Outcome(NamedTuple):
    """What a life said before it ended."""

    acked: list[int]
    status: int


class Subject:
    """Lives to put faults into, one after the other; see `scenario`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.scenario"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def live(self, mode: str, folder: Path, options: Iterable[str]) -> Outcome:
        """One life under strace with these options, to its end."""
        self.say(f"{mode} {folder}")
        acked, word, number = self.hear([])
        assert word == "pid", f"no life: {word} {number}"
        with tracing(number, options):
            self.say("")
            acked, word, status = self.hear(acked)
            while word == "pid":  # its second child waits as well, untraced
                self.say("")
                acked, word, status = self.hear(acked)
        return Outcome(acked, status)

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, acked: list[int]) -> tuple[list[int], str, int]:
        """Collect acknowledgements up to the first other word."""
        assert self.process.stdout is not None
        while True:
            word, _, number = self.process.stdout.readline().decode().partition(" ")
            if word != "ack":
                return acked, word, int(number)
            acked = [*acked, int(number)]

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@contextlib.contextmanager
def tracing(pid: int, options: Iterable[str]) -> Iterator[None]:
    """strace on a process; at the end it has seen all that it followed come to theirs."""
    strace = subprocess.Popen(
        ["strace", "-f", "-p", str(pid), *options], stderr=subprocess.PIPE, text=True
    )
    assert strace.stderr is not None
    try:
        line = strace.stderr.readline()
        assert "attached" in line, line
        yield
        strace.communicate(timeout=PATIENCE)
    finally:
        strace.kill()
        strace.communicate()


def calls_of_a_life(subject: Subject, mode: str, folder: Path) -> dict[str, int]:
    """Each system call a life makes, with how often the one of its threads that does it most."""
    log = folder / "strace.log"
    outcome = subject.live(mode, folder, ["-o", str(log)])
    assert outcome == (list(range(1, 9)), 0), outcome
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    for line in log.read_text(errors="replace").splitlines():
        if match := re.match(r"(\d+) +(\w+)\(", line):
            counts[match[1], match[2]] += 1
    most: dict[str, int] = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return most


def faults(calls: dict[str, int]) -> list[Fault]:
    """A kill at every system call, and EIO and ENOSPC at every one that may have them."""
    found = []
    for call, count in sorted(calls.items()):
        whats = ["signal=KILL"]
        if call in FILE_CALLS:
            whats += ["error=EIO", "error=ENOSPC"]
        found += [Fault(call, nth, what) for what in whats for nth in range(1, count + 1)]
    return found


def check(folder: Path, outcome: Outcome) -> None:
    """One whole image, the journal fits, and nothing acknowledged is lost."""
    entries = recovered(folder).services[0].entries
    assert entries == sorted(set(entries)), entries
    assert set(outcome.acked) <= set(entries), (outcome.acked, entries)


def campaign(folder: Path, modes: Iterable[str] = MODES, every: int = 1) -> Iterator[str]:
    """Put every `every`th fault into a life of its own; a line for each mode."""
    subject = Subject()
    try:
        for mode in modes:
            place = new_place(folder / mode / "calls")
            found = faults(calls_of_a_life(subject, mode, place))[::every]
            hit = 0
            for number, fault in enumerate(found):
                place = new_place(folder / mode / str(number))
                inject = f"inject={fault.call}:{fault.what}:when={fault.nth}"
                options = ["-e", f"trace={fault.call}", "-e", inject, "-o", os.devnull]
                outcome = subject.live(mode, place, options)
                hit += outcome != (list(range(1, 9)), 0)
                try:
                    check(place, outcome)
                except Exception as error:
                    raise AssertionError(f"{mode}, {fault}, in {place}: {error}") from error
                shutil.rmtree(place)
            yield f"{mode}: {len(found)} faults, {hit} of them seen from outside"
    finally:
        subject.close()


def new_place(folder: Path) -> Path:
    folder.mkdir(parents=True)
    ledger.write(folder)
    return folder
