"""tapctl status: whether a daemon runs, and how it does."""

from __future__ import annotations

import json

from tapkit.errors import EXIT_OK, DaemonError
from tapkit.scripts.console import complain
from tapkit.scripts.daemons import WHERE, duration, resources, running, size

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

USAGE = f"""
Tell whether a daemon runs, and how it does.

Usage:
  tapctl status [options] [WHERE]
  tapctl status (-h | --help)
{WHERE}

Options:
  --json      Print it as JSON, described in the module tapkit.scripts.ctl_status.
  -h, --help  Show this.

Exit status: 0 it runs, 3 it is stopped, 4 it can't be known, 2 the command line is mistyped.
"""

# The JSON is one object. Of a daemon that runs:
#   name, pid, state ("starting", "running", "reloading", "stopping", "saving"), uid, gid, started
#   (seconds since the epoch), uptime (seconds), image (path, or null), form, saving (in words),
#   last_save (null, or the fields of tapkit.run.saving.policy.Saved), pidfile, rundir, log (path,
#   or words, or null), log_failures (count, and reason of the last), connections (how many are
#   open), ports (an array such as "tcp:127.0.0.1:8007"), services (an array of path, depth,
#   class, name, running, ports, connections), services_left_out (how many), workers (an array of
#   number, pid, state, restarts, age in seconds; where there are any, running and connections
#   are null: the workers have them), loop, tapkit, python; and, seen from outside, with its
#   children: memory (bytes resident), cpu_seconds, cpu_percent (mean since the start).
# Else: state ("stopped" or "unknown"), why, pidfile.

PROGRAM = "tapctl status"
STOPPED = 3  # as the Linux Standard Base has it for init scripts
UNKNOWN = 4


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.run.control.finding import NoDaemonError

    as_json = arguments["--json"]
    try:
        _, status = running(arguments["WHERE"])
    except NoDaemonError as error:
        return _no_status(STOPPED, "stopped", error, as_json)
    except DaemonError as error:
        return _no_status(UNKNOWN, "unknown", error, as_json)
    status |= resources(status)
    print(json.dumps(status, indent=2) if as_json else "\n".join(_report(status)))
    return EXIT_OK


def _no_status(exit_status: int, state: str, error: DaemonError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"state": state, "why": str(error), "pidfile": error.where}, indent=2))
    elif exit_status == STOPPED:
        print(f"stopped: {error}")
    else:
        complain(PROGRAM, str(error))
    return exit_status


def _report(status: dict[str, Any]) -> Iterator[str]:
    from tapkit.image.labels import printable

    yield printable(
        f"{status['name']} is {status['state']}, PID {status['pid']}, "
        f"for {duration(status['uptime'])}"
    )
    yield ""
    for title, text in _facts(status):
        yield f"{title + ':':<13}{printable(str(text))}"
    if status["workers"]:
        yield ""
        yield "Workers:"
        yield from (f"  {_worker(row)}" for row in status["workers"])
    yield ""
    yield "Services:"
    for row in status["services"]:
        yield printable("  " * min(row["depth"] + 1, 20) + _service(row))
    if status["services_left_out"]:
        yield f"  ... and {status['services_left_out']} more"


def _facts(status: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    image = status["image"]
    yield "image", f"{image} ({status['form']})" if image else "none"
    yield "state", status["saving"]
    yield "last save", _saved(status["last_save"])
    yield "pidfile", status["pidfile"]
    yield "log", _log(status)
    yield "memory", size(status["memory"])
    if status["cpu_seconds"] is not None:
        yield "cpu", f"{status['cpu_seconds']:g} s, {status['cpu_percent']:g} % since the start"
    connections = status["connections"]
    yield (
        "connections",
        "not counted: the workers have them" if connections is None else connections,
    )
    yield "ports", " ".join(status["ports"]) or "none"
    yield "runs on", f"{status['loop']}, Python {status['python']}, tapkit {status['tapkit']}"


def _log(status: dict[str, Any]) -> str:
    failures = status["log_failures"]
    place = str(status["log"] or "none")
    if not failures["count"]:
        return place
    return f"{place}; logging FAILED {failures['count']} times, last: {failures['reason']}"


def _saved(last: dict[str, Any] | None) -> str:
    if last is None:
        return "none since the start"
    if last["error"] is not None:
        return f"FAILED at {last['at']} ({last['why']}): {last['error']}"
    took = f"{last['size']} bytes in {last['seconds']:.3f} s"
    return f"number {last['generation']}, {last['at']} ({last['why']}), {last['path']}, {took}"


def _worker(row: dict[str, Any]) -> str:
    words = [f"{row['number']}: {row['state']}", f"PID {row['pid'] or '-'}"]
    words.append(f"for {duration(row['age'])}")
    words.append(f"restarted {row['restarts']} times")
    return ", ".join(words)


def _service(row: dict[str, Any]) -> str:
    words = [row["class"].rpartition(".")[2]]
    if row["name"] is not None:
        words.append(repr(row["name"]))
    if row["running"] is not None:
        words.append("runs" if row["running"] else "does not run")
    if row["ports"]:
        words.append("on " + " ".join(row["ports"]))
    if row["connections"] is not None:
        words.append(f"with {row['connections']} connections")
    return " ".join(words)
