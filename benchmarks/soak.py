"""Many connections held open, and some replaced all the time: does anything grow?

    python benchmarks/soak.py [--connections N] [--seconds S] [--reactor NAME]

An echo server as a daemon. After a warm-up of one turnover of every connection its memory and
its file descriptors are counted, and again at the end; each second `tapctl status`'s question is
asked over the control socket, and its answer timed. Exit status 1 where something grew, an
answer was wrong, or a status took longer than it may.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import environment, processes  # noqa: E402
from benchmarks.environment import HERE  # noqa: E402

STATUS_LIMIT = 0.1  # seconds
GROWTH = 1.02  # times: what the allocator may round up in minutes of churn
MESSAGE = b"m" * 64
_ASK = """
import sys, time
from tapkit.run.control import client
while sys.stdin.readline():
    began = time.perf_counter()
    client.ask("twistd.pid", "status")
    print(time.perf_counter() - began, flush=True)
"""


class State(NamedTuple):
    """What the server holds."""

    memory: int
    descriptors: int


class Soak:
    """Connections to one server, each of them used."""

    def __init__(self, port: int, count: int):
        self.port = port
        self.wrong = 0
        self.peers = [self._connect() for _ in range(count)]

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), processes.PATIENCE)

    def churn(self) -> None:
        """Replace one connection, and use the new one and another."""
        index = random.randrange(len(self.peers))
        self.peers[index].close()
        self.peers[index] = self._connect()
        for peer in (self.peers[index], random.choice(self.peers)):
            peer.sendall(MESSAGE)
            self.wrong += peer.recv(len(MESSAGE), socket.MSG_WAITALL) != MESSAGE

    def close(self) -> None:
        """Leave."""
        for peer in self.peers:
            peer.close()


def main(argv: list[str]) -> int:
    arguments = _arguments(argv)
    tapkit, _ = environment.prepare()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        port = processes.free_port()
        server = _daemon(tapkit, Path(folder), port, arguments.reactor, stack)
        soak = Soak(port, arguments.connections)
        stack.callback(soak.close)
        for _ in range(arguments.connections):
            soak.churn()
        before = _state(server)
        statuses = _run(soak, tapkit, folder, arguments.seconds, stack)
        return _told(before, _state(server), statuses, soak.wrong, arguments)


def _daemon(
    tapkit: environment.Environment,
    folder: Path,
    port: int,
    reactor: str,
    stack: contextlib.ExitStack,
) -> psutil.Process:
    echo = HERE / "servers" / "echo_tapkit.tac"
    command: list[str | Path] = [tapkit.script("twistd"), "-r", reactor, "-y", echo]
    processes.output(command, folder, QOTD_PORT=str(port))
    server = psutil.Process(int((folder / "twistd.pid").read_text()))
    stack.callback(server.kill)
    return server


def _run(
    soak: Soak,
    tapkit: environment.Environment,
    folder: str,
    seconds: float,
    stack: contextlib.ExitStack,
) -> list[float]:
    """Churn for so long; the seconds each status took."""
    asker = subprocess.Popen(
        [str(tapkit.python), "-c", _ASK],
        cwd=folder,
        env=processes.clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(asker.wait, processes.PATIENCE)
    assert asker.stdin is not None and asker.stdout is not None  # both are pipes
    stack.callback(asker.stdin.close)
    statuses = []
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        asker.stdin.write("\n")
        asker.stdin.flush()
        while time.monotonic() < min(now + 1, end):
            soak.churn()
        statuses.append(float(asker.stdout.readline()))
    return statuses


def _state(server: psutil.Process) -> State:
    return State(server.memory_full_info().uss, server.num_fds())


def _told(
    before: State, after: State, statuses: list[float], wrong: int, arguments: argparse.Namespace
) -> int:
    print(f"{arguments.connections} connections, {arguments.seconds:g} s of churn")
    print(f"memory: {before.memory >> 10} KiB after the warm-up, {after.memory >> 10} at the end")
    print(f"descriptors: {before.descriptors} after the warm-up, {after.descriptors} at the end")
    median, worst = statistics.median(statuses) * 1e3, max(statuses) * 1e3
    print(f"status: {median:.1f} ms median, {worst:.1f} ms worst of {len(statuses)}")
    print(f"wrong answers: {wrong}")
    grew = after.memory > before.memory * GROWTH or after.descriptors > before.descriptors
    return int(grew or bool(wrong) or max(statuses) > STATUS_LIMIT)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Hold many connections; see what grows.")
    parser.add_argument("--connections", type=int, default=10_000, metavar="N")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S")
    parser.add_argument("--reactor", default="uvloop", metavar="NAME")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
