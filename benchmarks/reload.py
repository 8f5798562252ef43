"""Hot restarts under constant connections: how long one takes, and how long a client waits.

Not only a measurement: one connection refused, reset or cut short, or one conversation that is
not counted at the end, fails the run. Clients connect over TCP and over a UNIX socket without a
pause; the state carried over is the count of their conversations.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.report import Table

_LOOPS = ("asyncio", "uvloop")
_CLIENTS = 3  # of each kind


def measure(environments: Environments, quick: bool) -> list[Table]:
    """200 restarts on each event loop; 20 when quick."""
    restarts: dict[str, list[float]] = {}
    waits: dict[str, list[float]] = {}
    answers = 0
    for loop in _LOOPS:
        taken, longest, count = _campaign(environments, loop, 20 if quick else 200)
        restarts[loop], waits[loop] = taken, longest
        answers += count
    note = f"{answers} conversations: none refused, reset or cut short, and all of them counted."
    return [
        Table("Hot restart, from HUP to the new pidfile", "s, less is better", restarts, [], note),
        Table("Longest wait of a client around a restart", "s, less is better", waits, []),
    ]


class _Clients:
    """Threads that connect, read the answer to its end, and connect again."""

    def __init__(self, places: list[tuple[int, object]]):
        self.answers = 0
        self.longest = 0.0
        self.faults: list[str] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=place)
            for place in places
            for _ in range(_CLIENTS)
        ]

    def __enter__(self) -> _Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(processes.PATIENCE)

    def take_longest(self) -> float:
        """The longest wait since this was last asked."""
        with self._lock:
            longest, self.longest = self.longest, 0.0
        return longest

    def _run(self, family: int, place: object) -> None:
        while not self._over.is_set():
            began = time.perf_counter()
            try:
                answer = _talk(family, place)
                fault = None if answer.endswith(b"\r\n") else f"cut short: {answer!r}"
            except OSError as error:
                fault = repr(error)
            took = time.perf_counter() - began
            with self._lock:
                self.longest = max(self.longest, took)
                self.answers += fault is None
                if fault is not None:
                    self.faults.append(fault)


def _campaign(
    environments: Environments, loop: str, count: int
) -> tuple[list[float], list[float], int]:
    port = processes.free_port()
    taken: list[float] = []
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = str(folder / "s")
        with _daemon(environments, loop, folder, port, path):
            places = [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_UNIX, path)]
            with _Clients(places) as clients:
                for _ in range(count):
                    _more(clients)
                    clients.take_longest()
                    taken.append(_restart(folder))
                    _more(clients)
                    waits.append(clients.take_longest())
            counted = int(_talk(socket.AF_INET, ("127.0.0.1", port)))
    if clients.faults:
        raise processes.BenchmarkError(f"{loop}: {len(clients.faults)}: {clients.faults[:5]}")
    if counted != clients.answers + 1:
        raise processes.BenchmarkError(f"{loop}: {clients.answers} answers, {counted - 1} counted")
    return taken, waits, clients.answers


@contextlib.contextmanager
def _daemon(
    environments: Environments, loop: str, folder: Path, port: int, path: str
) -> Iterator[None]:
    tapkit = environments.tapkit
    where = {"PYTHONPATH": str(HERE / "servers")}
    code = f"import counting; counting.save('counting.tap', {port}, {path!r})"
    processes.output([tapkit.python, "-c", code], folder, **where)
    start = [tapkit.script("twistd"), "-r", loop, "-f", "counting.tap"]
    processes.output(start, folder, **where)
    try:
        yield
    finally:
        pid = _pid(folder)
        os.kill(pid, signal.SIGTERM)
        _until(lambda: not (folder / "twistd.pid").exists())


def _restart(folder: Path) -> float:
    before = _pid(folder)
    began = time.perf_counter()
    os.kill(before, signal.SIGHUP)
    _until(lambda: _pid(folder) not in (0, before))
    return time.perf_counter() - began


def _more(clients: _Clients) -> None:
    """See some conversations through: the restart is over, and all is as before."""
    goal = clients.answers + 10 * _CLIENTS
    _until(lambda: clients.answers >= goal or bool(clients.faults))


def _pid(folder: Path) -> int:
    text = (folder / "twistd.pid").read_text()
    return int(text) if text.strip() else 0


def _until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + processes.PATIENCE
    while not fact():
        if time.monotonic() > deadline:
            raise processes.BenchmarkError("a restart did not come to its end: see the log")
        time.sleep(0.002)


def _talk(family: int, place: object) -> bytes:
    with socket.socket(family) as client:
        client.settimeout(processes.PATIENCE)
        client.connect(place)
        answer = b""
        while data := client.recv(4096):
            answer += data
    return answer
