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
    "audit": ("tapkit.scripts.ctl_audit", "Tell what an image would import and call."),
    "bundle": ("tapkit.scripts.ctl_bundle", "Make one file of an image, which Python runs."),
    "check": ("tapkit.scripts.ctl_check", "Tell whether an image fits the code that is here."),
    "completion": ("tapkit.scripts.ctl_completion", "Print a shell's completion of the commands."),
    "diff": ("tapkit.scripts.ctl_diff", "Tell what differs between two images."),
    "edit": ("tapkit.scripts.ctl_edit", "Edit an image of any form as XML."),
    "inspect": ("tapkit.scripts.ctl_inspect", "Tell what is in an image; draw it."),
    "keygen": ("tapkit.scripts.ctl_keygen", "Make a key to sign images with."),
    "list": ("tapkit.scripts.ctl_list", "List the daemons that run."),
    "logs": ("tapkit.scripts.ctl_logs", "Show the log of a daemon, and follow it."),
    "reload": ("tapkit.scripts.ctl_reload", "Put a new process in a daemon's place."),
    "sign": ("tapkit.scripts.ctl_sign", "Sign an image."),
    "snapshot": ("tapkit.scripts.ctl_snapshot", "Save a daemon's state while it runs."),
    "status": ("tapkit.scripts.ctl_status", "Tell whether a daemon runs, and how it does."),
    "stop": ("tapkit.scripts.ctl_stop", "Stop a daemon, and wait until it is gone."),
    "top": ("tapkit.scripts.ctl_top", "Watch the daemons that run."),
    "unit": ("tapkit.scripts.ctl_unit", "Print a systemd unit that runs an image."),
    "verify": ("tapkit.scripts.ctl_verify", "Tell who signed an image."),
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
    return command(
        f"{PROGRAM} {name}",
        argv,
        module.USAGE,
        module.main,
        options_first=False,
        repeated=getattr(module, "REPEATED", ()),
    )
