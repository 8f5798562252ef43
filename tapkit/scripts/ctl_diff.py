"""tapctl diff: what differs between two images, by attribute path."""

from __future__ import annotations

import json

from tapkit.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, UsageError
from tapkit.scripts.console import run

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tapkit.image.compare import Difference

USAGE = """
Tell what differs between two images, of any forms. Neither is loaded.

Usage:
  tapctl diff [options] A B
  tapctl diff (-h | --help)

A and B are files, one of them may be - for standard input. A line is one difference, and says
where: application.services[0].port: 8007 -> 8017. The order of attributes and of the members of
a set makes no difference, nor do the comments of a text form.

Options:
  -q, --quiet  Print nothing; the exit status tells.
  --json       Print a JSON array of objects with path, kind ("changed", "added", "removed" or
               "shared differently"), old and new.
  --passphrase-file=FILE  The passphrase of an encrypted image is the first line of FILE; without
                it, it is asked for at the terminal.
  --passphrase-fd=N  It comes from the open descriptor N.
  --identity=FILE  Open it with this age identity, or ssh key; repeatable.
  -h, --help   Show this.

Exit status: 0 they are the same, 1 they differ, 2 there was trouble.
"""

REPEATED = ("--identity",)

DIFFERENT = 1
TROUBLE = EXIT_USAGE  # as diff(1) has it


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    status = DIFFERENT

    def body() -> int:
        nonlocal status
        status = _diff(arguments)
        return EXIT_OK

    failed = run("tapctl diff", body)
    return TROUBLE if failed == EXIT_FAILED else failed or status


def _diff(arguments: dict[str, Any]) -> int:
    from tapkit.image.collector import no_collector

    if arguments["A"] == arguments["B"] == "-":
        raise UsageError("there is one standard input", None, "name one of the two files")
    with no_collector():
        found = _differences(arguments)
        if arguments["--quiet"]:
            return DIFFERENT if any(True for _ in found) else EXIT_OK
        if arguments["--json"]:
            return _print_json(list(found))
        count = 0
        for difference in found:
            print(difference)
            count += 1
    return DIFFERENT if count else EXIT_OK


def _differences(arguments: dict[str, Any]) -> Iterator[Difference]:
    from tapkit.image.compare import differences
    from tapkit.scripts.images import opened

    one, other = (opened(arguments[name], arguments=arguments) for name in ("A", "B"))
    return differences(one.nodes, other.nodes)


def _print_json(found: list[Difference]) -> int:
    print(json.dumps([difference._asdict() for difference in found], indent=2))
    return DIFFERENT if found else EXIT_OK
