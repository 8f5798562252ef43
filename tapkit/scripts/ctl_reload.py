"""tapctl reload: a new process in the place of a daemon's, and nobody refused meanwhile."""

from __future__ import annotations

from tapkit.errors import EXIT_OK, UsageError
from tapkit.scripts.daemons import WHERE, asked, seconds_of

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

USAGE = f"""
Put a new process in a daemon's place: new code, or an edited image. Nobody is refused meanwhile.

Usage:
  tapctl reload [options] [WHERE]
  tapctl reload (-h | --help)
{WHERE}

Options:
  --from=WHAT     Start from the `image` file, or from the `state` the daemon has; without it,
                  from the file if it has changed since it was loaded, else from the state.
  --timeout=SECS  Wait SECS seconds; the reload may go on then [default: 300].
  -h, --help      Show this.

The new process gets the listening sockets; the old one leaves when the new one serves. If the
new one does not start, the old one goes on, and this says why.

Exit status: 0 the new process serves, 1 the old one still does, 2 the command line is mistyped.
"""

SOURCES = ("image", "state")


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    source = arguments["--from"] or ""
    if source and source not in SOURCES:
        raise UsageError(f"can't reload from {source!r}", "--from", "image or state")
    limit = seconds_of("--timeout", arguments["--timeout"])
    done = asked(arguments["WHERE"], "reload", limit, source=source)
    print(f"Reloaded: process {done['pid']} serves now.")
    return EXIT_OK
