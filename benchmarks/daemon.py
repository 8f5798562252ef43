"""A daemon's life: from the command to the first quote, to its return, at rest, to its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.load import stay_on_processor
from benchmarks.report import Samples, Table

_MIB = 1 << 20
_CONNECTIONS = 64
_SETTLING = 1.0  # seconds to come to rest: tapkit imports some of what it needs after its start
_BASES = ("bare asyncio", "bare uvloop", "Twisted")
_FOREGROUND = ("bare asyncio", "bare uvloop", "uvicorn")
_HTTP = ("gunicorn", "uvicorn")
_REQUEST = b"GET / HTTP/1.0\r\n\r\n"  # to those that answer nobody who says nothing


class Life(NamedTuple):
    """What one daemon took: milliseconds, and MiB of memory that is its own."""

    first_quote: float
    returned: float
    stopped: float
    memory: float


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """Starts, stops and memory in daemon mode; echo in the foreground."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_lives(environments, Path(folder), 5 if quick else 20)] + _echoes(
            environments, Path(folder), 3 if quick else 9
        )


def _lives(environments: Environments, folder: Path, rounds: int) -> list[Table]:
    port = processes.free_port()
    place = f"tcp:{port}:interface=127.0.0.1"
    tapkit, twisted = environments
    processes.output([tapkit.script("mktap"), "qotd", "--port", place], folder)
    bare: list[str | Path] = [tapkit.python, HERE / "servers" / "bare.py"]
    ours: list[str | Path] = [tapkit.script("twistd"), "-f", "qotd.tap", "-r"]
    commands: dict[str, list[str | Path]] = {
        "bare asyncio": [*bare, "asyncio", str(port)],
        "tapkit asyncio": [*ours, "asyncio"],
        "bare uvloop": [*bare, "uvloop", str(port)],
        "tapkit uvloop": [*ours, "uvloop"],
        "Twisted": [twisted.script("twistd"), "-y", HERE / "servers" / "qotd_twisted.tac"],
        "gunicorn": [
            *(twisted.script("gunicorn"), "--daemon", "--workers", "1"),
            *("--pid", folder / "twistd.pid"),
            *("--bind", f"127.0.0.1:{port}", "--chdir", HERE / "servers", "quote_http"),
        ],
        "uvicorn": [
            *(twisted.script("uvicorn"), "--app-dir", HERE / "servers", "--port", str(port)),
            *("--log-level", "warning", "quote_http:asgi"),
        ],
    }
    lives: dict[str, list[Life]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            say = _REQUEST if name in _HTTP else b""
            lives[name].append(_life(command, folder, port, name in _FOREGROUND, say))
    quote, returned, stopped, memory = (
        {name: [one[field] for one in taken] for name, taken in lives.items()}
        for field in range(len(Life._fields))
    )
    note = (
        "A bare script is no daemon: it runs in the foreground, saves nothing, says nothing. "
        "gunicorn (a daemon of one worker) and uvicorn (in the foreground) serve the quote by HTTP."
    )
    milliseconds = "milliseconds, less is better"
    return [
        Table("Start to first quote, as a daemon", milliseconds, quote, _BASES, note),
        Table("Start to the command's return", milliseconds, _daemons(returned), ("Twisted",)),
        Table("TERM to the end of the process", milliseconds, stopped, _BASES),
        Table("Memory of its own at rest (USS)", "MiB, less is better", memory, _BASES),
    ]


def _daemons(samples: Samples) -> Samples:
    return {name: taken for name, taken in samples.items() if name not in _FOREGROUND}


def _life(
    command: processes.Command, folder: Path, port: int, foreground: bool, say: bytes
) -> Life:
    """Start, ask once, weigh, stop."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env=processes.clean_environment(QOTD_PORT=str(port)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    daemon = None
    try:
        if not processes.first_answer(port, process, say, daemon=not foreground):
            raise processes.BenchmarkError(f"{command}: no answer")
        first_quote = time.perf_counter() - started
        if not foreground and process.wait(processes.PATIENCE) != 0:
            raise processes.BenchmarkError(f"{command}: exit status {process.returncode}")
        returned = time.perf_counter() - started
        pid = process.pid if foreground else int((folder / "twistd.pid").read_text())
        daemon = psutil.Process(pid)
        time.sleep(_SETTLING)
        family = [daemon, *daemon.children(recursive=True)]
        memory = sum(member.memory_full_info().uss for member in family) / _MIB
        return Life(first_quote * 1e3, returned * 1e3, _stop(daemon, process) * 1e3, memory)
    finally:
        for left in (daemon, psutil.Process(process.pid) if process.poll() is None else None):
            if left is not None and left.is_running():
                left.kill()
        process.wait()


def _stop(daemon: psutil.Process, process: subprocess.Popen[bytes]) -> float:
    started = time.perf_counter()
    if daemon.pid == process.pid:
        process.send_signal(signal.SIGTERM)
        process.wait(processes.PATIENCE)
    else:
        handle = os.pidfd_open(daemon.pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            processes.wait_readable(handle)
        finally:
            os.close(handle)
    return time.perf_counter() - started


def _echoes(environments: Environments, folder: Path, rounds: int) -> list[Table]:
    tapkit, twisted = environments
    bare: list[str | Path] = [tapkit.python, HERE / "servers" / "bare_echo.py"]
    ours: list[str | Path] = [tapkit.script("twistd"), "-n", "-y", HERE / "servers/echo_tapkit.tac"]
    theirs = [twisted.script("twistd"), "-noy", HERE / "servers" / "echo_twisted.tac"]
    rates: Samples = {}
    costs: Samples = {}
    for _ in range(rounds):
        for name in ("bare asyncio", "tapkit asyncio", "bare uvloop", "tapkit uvloop", "Twisted"):
            port = processes.free_port()
            loop = name.split()[-1]
            command = theirs
            if name != "Twisted":
                command = [*bare, loop, str(port)] if "bare" in name else [*ours, "-r", loop]
            rate, cost = _echo(command, folder, port)
            rates.setdefault(name, []).append(rate)
            costs.setdefault(name, []).append(cost)
    title = f"Echo of 64 bytes over {_CONNECTIONS} connections"
    return [
        Table(title, "messages a second, more is better", rates, _BASES),
        Table("Processor time of the server", "us a message, less is better", costs, _BASES),
    ]


def _echo(command: processes.Command, folder: Path, port: int) -> tuple[float, float]:
    count = 20_000
    with processes.running(command, folder, port, say=b"\r\n") as (server, _):
        stay_on_processor(0, server.pid)
        _load(port, 2000)
        before = processes.cpu_seconds(server)
        done = _load(port, count)
        cost = processes.cpu_seconds(server) - before
    if done["bad"]:
        raise processes.BenchmarkError(f"{command}: {done['bad']:.0f} answers were wrong")
    return count / done["seconds"], cost / count * 1e6


def _load(port: int, count: int) -> dict[str, float]:
    command = [sys.executable, str(HERE / "echo_load.py"), *map(str, (port, count, _CONNECTIONS))]
    told: dict[str, float] = json.loads(processes.output(command, HERE))
    return told
