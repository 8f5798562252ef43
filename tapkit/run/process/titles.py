"""The name a process shows: `qotd` to ps -e, top and pgrep; `qotd: twistd -f qotd.tap` to ps -f.

The command stays in the long name because tapctl, and people, find a daemon by it.
"""

from __future__ import annotations

import os
import sys

# setproctitle writes over the memory of argv. It would go on over that of the environment, and
# whoever reads /proc/PID/environ would find the title there. The process itself is never
# executed anew for its name's sake: that is how a virtual environment gets lost.
_KEEP_ENVIRONMENT = "SPT_NOENV"


def show(name: str) -> None:
    """Name this process, where setproctitle (extra `proctitle`) is installed."""
    known = os.environ.get(_KEEP_ENVIRONMENT)
    os.environ[_KEEP_ENVIRONMENT] = "1"
    try:
        import shlex

        import setproctitle

        command = shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
        setproctitle.setproctitle(f"{name}: {command}")
        setproctitle.setthreadtitle(name)
    except ImportError:
        pass
    finally:
        if known is None:
            del os.environ[_KEEP_ENVIRONMENT]


def command_line(words: list[str]) -> list[str]:
    """The command line of a process, be it as it was or as `show` left it.

    Parameters:
        words: as the system tells them: psutil's `cmdline()`.
    """
    if any(words[1:]) or not words or ": " not in words[0]:
        return words  # a title is one word, and the rest of its memory is empty
    try:
        import shlex

        return shlex.split(words[0].partition(": ")[2])
    except ValueError:  # it was too long for its memory, and was cut in quotes
        return words[0].partition(": ")[2].split()
