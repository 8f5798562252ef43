"""tapctl: a table of commands, each in its own module with its own usage text."""

from __future__ import annotations

import importlib

from tapkit.errors import EXIT_OK, UsageError
from tapkit.names import suggestion
from tapkit.options import command_line
from tapkit.scripts.console import HELP, list_commands, run, version_line

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
    return run(PROGRAM, lambda: _main(argv, doc))


def _main(argv: list[str], doc: str) -> int:
    if argv in HELP:
        return _help(doc)
    arguments = command_line.parse(doc, argv, prog=PROGRAM, options_first=True).arguments
    if arguments["--help"]:
        return _help(doc)
    if arguments["--version"]:
        print(version_line(PROGRAM))
        return EXIT_OK
    return _run(arguments["COMMAND"], arguments["ARGS"])


def _help(doc: str) -> int:
    rows = [(name, description) for name, (_, description) in COMMANDS.items()]
    print(doc.strip(), list_commands(rows), sep="\n\n", end="")
    return EXIT_OK


def _run(name: str, argv: list[str]) -> int:
    if name not in COMMANDS:
        close = suggestion(name, COMMANDS)
        hint = None if close else f"see {PROGRAM} --help"
        raise UsageError(f"no such command: {name}{close}", None, hint)
    command = importlib.import_module(COMMANDS[name][0])
    program = f"{PROGRAM} {name}"

    def body() -> int:
        if argv in HELP:
            print(command.USAGE.strip())
            return EXIT_OK
        # To docopt the program is one word.
        usage = command.USAGE.replace(program, f"{PROGRAM}-{name}")
        arguments = command_line.parse(usage, argv, prog=program).arguments
        if arguments["--help"]:
            print(command.USAGE.strip())
            return EXIT_OK
        status: int = command.main(arguments)
        return status

    return run(program, body)
