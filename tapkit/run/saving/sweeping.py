"""What a save that was cut short leaves behind: its temporary file."""

from __future__ import annotations

import contextlib
import os
import re

from tapkit.run.saving.policy import SHUTDOWN, SNAPSHOT


def sweep(folder: str, name: str, journal: bool = False) -> None:
    """Remove the temporary files of saves that were cut short.

    Parameters:
        journal: those of its journal as well, which must not be open.
    """
    temporary = [entry for entry in os.listdir(folder) if entry.endswith(".tmp")]
    kinds = [rf"-(?:{SHUTDOWN}|{SNAPSHOT})\.\w+(?:\.\d+)?", *([r"\.journal\.\d+"] * journal)]
    ours = rf"\.{re.escape(name)}(?:{'|'.join(kinds)})\.[0-9a-f]{{16}}\.tmp"
    for entry in temporary:
        if re.fullmatch(ours, entry):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, entry))
