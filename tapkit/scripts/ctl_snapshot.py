"""tapctl snapshot: the state of a daemon, saved while it runs."""

from __future__ import annotations

from tapkit.errors import EXIT_OK
from tapkit.scripts.daemons import WHERE, asked, seconds_of

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

USAGE = f"""
Save the state of a daemon, which goes on serving, and wait until it is on the disk.

Usage:
  tapctl snapshot [options] [WHERE]
  tapctl snapshot (-h | --help)
{WHERE}

Options:
  --timeout=SECS  Wait SECS seconds; the daemon may go on saving then [default: 600].
  -h, --help      Show this.

Exit status: 0 it is saved, 1 it is not, and what was there before is whole, 2 the command line
is mistyped.
"""


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image.labels import printable

    limit = seconds_of("--timeout", arguments["--timeout"])
    done = asked(arguments["WHERE"], "snapshot", limit)
    print(
        printable(
            f"Saved {done['path']}: {done['size']} bytes in {done['seconds']:.3f} s; "
            f"service stood still for {1000 * done['pause']:.1f} ms."
        )
    )
    return EXIT_OK
