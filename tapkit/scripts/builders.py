"""TAP builders on a command line: found, listed, and made into a service. For mktap and twistd."""

from __future__ import annotations

import sys

from tapkit import plugin, usage
from tapkit.scripts.console import complain, list_commands

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any


class Built:
    """What a TAP builder made, and from what: its options, secrets left out."""

    __slots__ = ("options", "service")

    def __init__(self, service: Any, options: dict[str, Any]):
        self.service = service
        self.options = options


def find(program: str, *, debug: bool = False, progress: bool = False) -> plugin.Found:
    """Every TAP builder there is. What is wrong with a drop-in costs that drop-in alone."""
    found = plugin.find(
        "tap",
        debug=(lambda line: complain(program, line)) if debug else None,
        progress=_show_progress if progress and sys.stderr.isatty() else None,
    )
    if progress:
        _end_progress(len(found.plugins))
    return found


def listing(program: str) -> str:
    """The part of `--help` that names the commands."""
    found = find(program)
    for fault in found.faults:
        complain(program, f"warning: {fault}")
    return list_commands((p.tapname, p.description) for p in found.plugins)


def build(program: str, found: plugin.Found, name: str, argv: list[str]) -> Built:
    """Load the TAP builder `name`, let its Options read `argv`, and make its service.

    Raises:
        PluginError: there is none of that name, or it is broken.
        UsageError: its Options refuse the command line.
        usage.HelpRequested: the command line asks for help.
    """
    builder = plugin.load_builder(found.get(name))
    options = builder.Options()
    options.program = f"{program} {name}"
    options.parseOptions(argv)
    return Built(plugin.make_service(builder, options), usage.public_options(options))


def _show_progress(done: int, total: int, name: str) -> None:
    width = 30
    filled = width * done // max(total, 1)
    bar = "#" * filled + "." * (width - filled)
    sys.stderr.write(f"\r\x1b[Klooking for plug-ins [{bar}] {done}/{total} {name[:30]}")
    sys.stderr.flush()


def _end_progress(count: int) -> None:
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{start}{count} plug-ins found\n")
