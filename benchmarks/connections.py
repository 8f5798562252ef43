"""How many QOTD connections a second a server serves, and what processor time each costs it."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.load import stay_on_processor
from benchmarks.report import Samples, Table

_WINDOW = 64  # connections at once; less than every contender's backlog
_WARM_UP = 500
_BASES = ("bare asyncio", "bare uvloop", "Twisted")
# A client busier than this all the time has no reserve: it may be what is measured.
_BUSY = 0.9


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """Rates and costs, from the same runs."""
    rounds, count = (3, 4000) if quick else (9, 20000)
    names = list(_commands(environments, 0))
    rates: Samples = {name: [] for name in names}
    costs: Samples = {name: [] for name in names}
    client_busy: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name in names:
                rate, cost, busy = _sample(environments, name, count, Path(folder))
                rates[name].append(rate)
                costs[name].append(cost)
                client_busy[name].append(busy)
    title = f"QOTD connections over TCP, {_WINDOW} at once, {count} a sample, {rounds} rounds"
    return [
        Table(title, "a second, more is better", rates, _BASES, bottleneck(client_busy)),
        Table("Processor time of the server", "us a connection, less is better", costs, _BASES),
    ]


def _commands(environments: Environments, port: int) -> dict[str, list[str | Path]]:
    tapkit, twisted = environments
    bare: list[str | Path] = [tapkit.python, HERE / "servers" / "bare.py"]
    place = f"tcp:{port}:interface=127.0.0.1"
    ours: list[str | Path] = [tapkit.script("twistd"), "-n", "-r"]
    theirs: list[str | Path] = [twisted.script("twistd"), "-no", "-y"]
    tac = HERE / "servers" / "qotd_twisted.tac"
    return {
        "bare asyncio": [*bare, "asyncio", str(port)],
        "tapkit asyncio": [*ours, "asyncio", "qotd", "--port", place],
        "bare uvloop": [*bare, "uvloop", str(port)],
        "tapkit uvloop": [*ours, "uvloop", "qotd", "--port", place],
        "Twisted": [*theirs, tac],
        "Twisted asyncio": [theirs[0], "--reactor=asyncio", *theirs[1:], tac],
    }


def _sample(
    environments: Environments, name: str, count: int, folder: Path
) -> tuple[float, float, float]:
    """Connections a second, server microseconds a connection, and how busy the client was."""
    port = processes.free_port()
    with processes.running(_commands(environments, port)[name], folder, port) as (server, _):
        stay_on_processor(0, server.pid)
        _load(port, _WARM_UP)
        before = processes.cpu_seconds(server)
        done = _load(port, count)
        cost = processes.cpu_seconds(server) - before
    if done["bad"]:
        raise processes.BenchmarkError(f"{name}: {done['bad']:.0f} answers were not whole")
    return count / done["seconds"], cost / count * 1e6, done["cpu"] / done["seconds"]


def _load(port: int, count: int) -> dict[str, float]:
    command = [sys.executable, str(HERE / "load.py"), *map(str, (port, count, _WINDOW))]
    told: dict[str, float] = json.loads(processes.output(command, HERE))
    return told


def bottleneck(client_busy: dict[str, list[float]]) -> str:
    """The sentence that says whether the client, not a server, set the pace."""
    busy = {name: statistics.median(taken) for name, taken in client_busy.items()}
    bound = [f"{name} ({share:.0%})" for name, share in busy.items() if share > _BUSY]
    if not bound:
        return f"The client was never the bottleneck (at most {max(busy.values()):.0%} busy)."
    return f"The client was the bottleneck, read the processor time instead: {', '.join(bound)}."
