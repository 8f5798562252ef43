"""tapctl top: the list of daemons, again and again."""

from __future__ import annotations

import sys
import time

from tapkit.errors import EXIT_OK
from tapkit.scripts.ctl_list import HEADING, row, status_of
from tapkit.scripts.daemons import seconds_of, table

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

USAGE = """
Watch the daemons that run: this user's; all, for root. Ctrl-C ends it.

Usage:
  tapctl top [options]
  tapctl top (-h | --help)

Options:
  --every=SECS  Look again after SECS seconds [default: 2].
  --once        Print the table once, as it does where standard output is no terminal.
  -h, --help    Show this.

CPU % is of the time since the last look; the first time, and with --once, since each daemon's
start. Those that cost most come first.

Exit status: 0 it is done, 1 it failed, 2 the command line is mistyped.
"""

_OTHER_SCREEN, _BACK = "\x1b[?1049h", "\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    every = seconds_of("--every", arguments["--every"])
    looks = Looks()
    if arguments["--once"] or not sys.stdout.isatty():
        print(looks.text(), end="")
        return EXIT_OK
    print(_OTHER_SCREEN, end="")
    try:
        while True:
            print(_screen(looks.text()), end="", flush=True)
            time.sleep(every)
    except KeyboardInterrupt:
        return EXIT_OK
    finally:
        print(_BACK, end="", flush=True)


class Looks:
    """One look after the other; each knows the CPU time of the one before."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, float], tuple[float, float]] = {}

    def text(self) -> str:
        """The table as it is now."""
        from tapkit.run.control.finding import daemons

        seen = [self._lately(status_of(one)) for one in daemons()]
        seen.sort(key=lambda status: status.get("cpu_percent") or 0.0, reverse=True)
        total = sum(status.get("connections") or 0 for status in seen)
        heading = f"{time.strftime('%H:%M:%S')}  {len(seen)} daemons, {total} connections\n\n"
        return heading + table([HEADING, *map(row, seen)])

    def _lately(self, status: dict[str, Any]) -> dict[str, Any]:
        """The status, with the CPU time since the last look in place of since the start."""
        spent = status.get("cpu_seconds")
        if spent is None:
            return status
        now = time.monotonic()
        key = status["pid"], status["started"]
        before = self._before.get(key)
        self._before[key] = now, spent
        if before is None or now <= before[0]:
            return status
        percent = 100 * max(0.0, spent - before[1]) / (now - before[0])
        return {**status, "cpu_percent": round(percent, 1)}


def _screen(text: str) -> str:
    """What draws the text over what the terminal showed before, without a flicker."""
    import shutil

    columns, lines = shutil.get_terminal_size()
    shown = [line[:columns] for line in text.splitlines()[: max(1, lines - 1)]]
    return _HOME + "".join(line + _REST_OF_LINE + "\r\n" for line in shown) + _REST_OF_SCREEN
