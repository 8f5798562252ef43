"""Processes to measure: started, waited for with a deadline, and reaped whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

PATIENCE = 60.0  # seconds; nothing here takes a tenth of it
_POLL = 0.0005  # seconds between two tries to connect


Command = Sequence[str | Path]


class BenchmarkError(Exception):
    """A contender did not do what it is measured at."""


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what would change how Python starts or imports."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | extra


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Command, cwd: str | Path, port: int, say: bytes = b""
) -> Iterator[tuple[psutil.Process, float]]:
    """A server under measurement, from its start to its end; it finds its port in `QOTD_PORT`
    too.

    Parameters:
        say: what to say to have an answer; the server may then go on to listen.

    Yields the process, and the seconds from its start to the first whole answer on `port`.
    """
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        server = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=clean_environment(QOTD_PORT=str(port)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if not first_answer(port, server, say):
                log.seek(0)
                raise BenchmarkError(f"{command}: no answer:\n{log.read().decode()}")
            yield psutil.Process(server.pid), time.perf_counter() - started
        finally:
            _reap(server)


def timed(command: Command, cwd: str | Path, **environment: str) -> float:
    """The wall time of a command that must succeed, in seconds."""
    started = time.perf_counter()
    output(command, cwd, **environment)
    return time.perf_counter() - started


def output(command: Command, cwd: str | Path, **environment: str) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{command}: exit status {done.returncode}:\n{done.stderr}")
    return done.stdout


def cpu_seconds(process: psutil.Process) -> float:
    """The processor time a process has used."""
    exact = Path(f"/proc/{process.pid}/schedstat")  # Linux; else in ticks of 10 ms
    if exact.exists():
        return int(exact.read_text().split()[0]) / 1e9
    times = process.cpu_times()
    return float(times.user + times.system)


def first_answer(
    port: int, server: subprocess.Popen[bytes], say: bytes = b"", *, daemon: bool = False
) -> bool:
    """Wait until `port` answers with a whole line; False where the server ended before.

    Parameters:
        daemon: the process started is not the server: it may well end before.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and (daemon or server.poll() is None):
        with socket.socket() as client:
            client.settimeout(PATIENCE)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                client.sendall(say)
                answer = b""
                while not (say and answer) and (data := client.recv(4096)):
                    answer += data
                return answer.endswith(b"\r\n")
        time.sleep(_POLL)
    return False


def wait_readable(fd: int) -> None:
    """Wait for a pidfd's process to end.

    Raises:
        BenchmarkError: it did not.
    """
    if not select.select([fd], [], [], PATIENCE)[0]:
        raise BenchmarkError("a daemon did not stop")


def _reap(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(PATIENCE)
