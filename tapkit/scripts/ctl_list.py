"""tapctl list: the daemons that run."""

from __future__ import annotations

import json

from tapkit.errors import EXIT_OK
from tapkit.scripts.daemons import duration, resources, size, table

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.run.control.finding import Found

USAGE = """
List the daemons that run: this user's; all, for root.

Usage:
  tapctl list [options]
  tapctl list (-h | --help)

Options:
  --json      Print a JSON array of what `tapctl status --json` prints.
  -h, --help  Show this.

A daemon that does not answer within 2 seconds is listed as unknown.

Exit status: 0 it is done, however many there are; 1 it failed; 2 the command line is mistyped.
"""

HEADING = ("NAME", "PID", "STATE", "UPTIME", "CONNECTIONS", "MEMORY", "CPU %", "PIDFILE")


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.run.control.finding import daemons

    found = daemons()
    if arguments["--json"]:
        print(json.dumps([status_of(one) for one in found], indent=2))
    elif found:
        print(table([HEADING, *(row(status_of(one)) for one in found)]), end="")
    else:
        print("No daemons run.")
    return EXIT_OK


def status_of(one: Found) -> dict[str, Any]:
    """What is known of a daemon, with what it costs."""
    if one.status is None:
        return {"state": "unknown", "why": "it does not answer", "pidfile": one.pidfile}
    return {**one.status, **resources(one.status)}


def row(status: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table."""
    from tapkit.image.labels import printable

    if "pid" not in status:
        cells: list[Any] = ["-", "-", status["state"], "-", "-", "-", "-"]
    else:
        cpu = status["cpu_percent"]
        cells = [
            status["name"],
            status["pid"],
            status["state"],
            duration(status["uptime"]),
            "-" if status["connections"] is None else status["connections"],
            size(status["memory"]),
            "-" if cpu is None else f"{cpu:.1f}",
        ]
    return tuple(printable(str(cell)) for cell in [*cells, status["pidfile"]])
