"""What started this process, and starts its successor."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from tapkit.records import Record

VARIABLE = "TAPKIT_HANDOVER"
"""Tells a new process the number of the descriptor over which it speaks to its predecessor."""


class CommandLine(Record):
    """What started this process, and starts its successor."""

    words: list[str]
    folder: str
    environment: Mapping[str, str]

    @classmethod
    def of_this_process(cls) -> CommandLine:
        """To be asked before anything changes the directory or the environment."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != VARIABLE and not name.startswith(("LISTEN_", "WATCHDOG_PID"))
        }
        return cls([sys.executable, *sys.orig_argv[1:]], os.getcwd(), kept)
