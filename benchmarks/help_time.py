"""`mktap --help` among 300 packages, 60 of them drop-ins: found and listed without importing."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from benchmarks import processes
from benchmarks.environment import Environments
from benchmarks.report import Table, interleave

PACKAGES = 300
DROP_INS = 60
_SAYS = "One of the crowd."


def measure(environments: Environments, *, quick: bool) -> list[Table]:
    """One table, against an interpreter that does nothing; the goal is less than 4 times it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "path")
        crowd(path)
        python = environments.tapkit.python
        commands: dict[str, processes.Command] = {
            "python -c pass": [python, "-c", "pass"],
            "mktap --help": [environments.tapkit.script("mktap"), "--help"],
        }
        listed = processes.output(commands["mktap --help"], folder, PYTHONPATH=str(path))
        if (count := listed.count(_SAYS)) != DROP_INS:
            raise processes.BenchmarkError(f"mktap --help lists {count} of {DROP_INS} drop-ins")
        contenders = {
            name: functools.partial(_milliseconds, command, folder, path)
            for name, command in commands.items()
        }
        samples = interleave(contenders, 5 if quick else 20)
    title = f"mktap --help with {PACKAGES} packages, {DROP_INS} of them drop-ins"
    return [Table(title, "milliseconds, less is better", samples, ("python -c pass",))]


def crowd(path: Path) -> None:
    """Fill a directory with packages, every fifth a drop-in with one TAP builder."""
    for number in range(PACKAGES):
        package = path / f"crowd{number:03}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('nothing here is imported')\n")
        if number % (PACKAGES // DROP_INS) == 0:
            register = f"register({package.name!r}, '{package.name}.tap', type='tap', "
            more = f"tapname={package.name!r}, description={_SAYS!r})\n"
            (package / "plugins.tml").write_text(register + more)


def _milliseconds(command: processes.Command, folder: str, path: Path) -> float:
    return processes.timed(command, folder, PYTHONPATH=os.fspath(path)) * 1000
