"""What a daemon says of itself, at once: counters are read, nothing is walked but its services.

The keys are what `tapctl status --json` prints; what a process costs in memory and time the
command adds, from outside.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tapkit import __version__
from tapkit.names import qualified_name
from tapkit.net.connections import Address
from tapkit.run import logs

if TYPE_CHECKING:
    from tapkit.run.daemon import Daemon

MOST_SERVICES = 1000  # told one by one; the rest is counted


def status(daemon: Daemon) -> dict[str, Any]:
    """The state of a daemon, in what msgpack and JSON can hold."""
    application = daemon.application
    tree = list(_services(application))
    workers = daemon.workers()
    if workers:  # the services run there, and the connections are there
        for row in tree:
            row["running"] = row["connections"] = None
    return {
        "name": str(application.name),
        "pid": os.getpid(),
        "state": daemon.state,
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "form": application.form,
        "saving": daemon.saving.describe(application),
        "last_save": saved(daemon),
        "log_failures": logs.failures()._asdict(),
        "connections": None if workers else sum(row["connections"] or 0 for row in tree),
        "ports": [port for row in tree for port in row["ports"]],
        "services": tree[:MOST_SERVICES],
        "services_left_out": max(0, len(tree) - MOST_SERVICES),
        "workers": workers,
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "tapkit": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def saved(daemon: Daemon) -> dict[str, Any] | None:
    """The last save, or the attempt at one: the fields of `tapkit.run.saving.policy.Saved`."""
    return None if daemon.last_save is None else daemon.last_save._asdict()


def _services(application: Any) -> Iterator[dict[str, Any]]:
    """Each service of the tree, parents first, once each whatever the tree."""
    met: set[int] = set()
    todo = [(application, "application", 0)]
    while todo:
        service, path, depth = todo.pop()
        if id(service) in met:
            continue
        met.add(id(service))
        yield {
            "path": path,
            "depth": depth,
            "class": qualified_name(type(service)),
            "name": service.name if isinstance(service.name, str) else None,
            "running": bool(service.running),
            "ports": _ports(service),
            "connections": _count(service),
        }
        held = getattr(service, "services", None)
        if isinstance(held, list):
            inner = [(s, f"{path}.services[{i}]", depth + 1) for i, s in enumerate(held)]
            todo.extend(reversed(inner))


def _ports(service: Any) -> list[str]:
    """Where a service listens, as it would be typed: tcp:127.0.0.1:8007, unix:/run/x.sock."""
    kind = str(getattr(service, "kind", "unix"))
    addresses = getattr(service, "addresses", None)
    if not isinstance(addresses, list):
        return []
    return [
        f"{kind}:{address}" if isinstance(address, Address) else f"unix:{address}"
        for address in addresses
    ]


def _count(service: Any) -> int | None:
    """How many connections a service has open; None: it has none to count."""
    count = getattr(service, "open_connections", None)
    return count if isinstance(count, int) else None
