"""The event loops a daemon can run on; the tutorial calls them reactors."""

from __future__ import annotations

import asyncio
import importlib.util

from tapkit.errors import DaemonError, UsageError
from tapkit.names import suggestion

REACTORS = {
    "asyncio": "the standard library's event loop; always there",
    "uvloop": "libuv's event loop, faster; the default where it is installed",
}


def installed(name: str) -> bool:
    """Whether a reactor can be used here."""
    return name == "asyncio" or importlib.util.find_spec(name) is not None


def check(name: str | None) -> str:
    """The reactor to use: `name`, or the best one installed.

    Raises:
        UsageError: there is no reactor of that name.
        DaemonError: it is not installed.
    """
    if name is None:
        return "uvloop" if installed("uvloop") else "asyncio"
    if name not in REACTORS:
        close = suggestion(name, REACTORS)
        raise UsageError(f"no such reactor: {name}{close}", None, "see --help-reactors")
    if not installed(name):
        raise DaemonError(f"{name} is not installed", None, "pip install 'tapkit[fast]'")
    return name


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """A new event loop of the reactor `name`, as `check` returned it."""
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()
