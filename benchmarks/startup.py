"""From spawning a server to the first quote it serves, in wall time."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from benchmarks import processes
from benchmarks.environment import HERE, Environments
from benchmarks.report import Table, interleave


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """One table: a whole image loaded and started, against a script on Twisted and bare Python."""
    with tempfile.TemporaryDirectory() as folder:
        port = processes.free_port()
        _make_image(environments, port, folder)
        tac = HERE / "servers" / "qotd_twisted.tac"
        bare: list[str | Path] = [environments.tapkit.python, HERE / "servers" / "bare.py"]
        twistd: list[str | Path] = [
            environments.tapkit.script("twistd"),
            "-no",
            "-f",
            "qotd.tap",
            "-r",
        ]
        commands: dict[str, processes.Command] = {
            "bare asyncio": [*bare, "asyncio", str(port)],
            "tapkit asyncio": [*twistd, "asyncio"],
            "bare uvloop": [*bare, "uvloop", str(port)],
            "tapkit uvloop": [*twistd, "uvloop"],
            "Twisted": [environments.twisted.script("twistd"), "-no", "-y", tac],
        }
        contenders = {
            name: functools.partial(_seconds_to_first_quote, command, folder, port)
            for name, command in commands.items()
        }
        samples = interleave(contenders, 5 if quick else 20)
    title = "Start to first quote: twistd -n -f qotd.tap, a .tac on Twisted, a bare script"
    unit = "milliseconds, less is better"
    return [Table(title, unit, samples, ("bare asyncio", "bare uvloop", "Twisted"))]


def _make_image(environments: Environments, port: int, folder: str) -> None:
    place = f"tcp:{port}:interface=127.0.0.1"
    processes.output([environments.tapkit.script("mktap"), "qotd", "--port", place], folder)


def _seconds_to_first_quote(command: processes.Command, folder: str, port: int) -> float:
    with processes.running(command, folder, port) as (_, seconds):
        return seconds * 1000
