"""tapctl: a table of commands, each in its own module with its own usage text."""

from __future__ import annotations

import importlib

from tapkit.errors import UsageError
from tapkit.names import suggestion
from tapkit.scripts.console import command, list_commands

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

PROGRAM = "tapctl"

COMMANDS = {
    "diff": ("tapkit.scripts.ctl_diff", "Tell what differs between two images."),
    "edit": ("tapkit.scripts.ctl_edit", "Edit an image of any form as XML."),
    "inspect": ("tapkit.scripts.ctl_inspect", "Tell what is in an image; draw it."),
}
"""Each command's module, and what it does. The module has USAGE, for docopt, and
`main(arguments)`, which returns the exit status."""


def main(argv: list[str], doc: str) -> int:
    """Run tapctl; `doc` is its usage text, which docopt reads."""
    return command(PROGRAM, argv, doc, _dispatch, more_help=_listing)


def _listing() -> str:
    return list_commands((name, about) for name, (_, about) in COMMANDS.items())


def _dispatch(arguments: dict[str, Any]) -> int:
    name = arguments["COMMAND"]
    if name not in COMMANDS:
        close = suggestion(name, COMMANDS)
        hint = None if close else f"see {PROGRAM} --help"
        raise UsageError(f"no such command: {name}{close}", None, hint)
    module = importlib.import_module(COMMANDS[name][0])
    argv = arguments["ARGS"]
    return command(f"{PROGRAM} {name}", argv, module.USAGE, module.main, options_first=False)
