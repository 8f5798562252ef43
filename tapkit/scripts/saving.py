"""What twistd's options say of saving the state: how often, how many, and what to resume from."""

from __future__ import annotations

import os
import time

from tapkit.errors import UsageError
from tapkit.scripts.console import complain

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tapkit.run.saving.policy import SavePolicy

SECOND = 1.0
"""The shortest time between two snapshots; each costs a fork and an fsync."""


def policy(arguments: dict[str, Any]) -> Callable[[tuple[str, ...]], SavePolicy]:
    """What makes the policy for an application from an image, given the notes for its log.

    Raises:
        UsageError: an option is mistyped.
    """
    every, keep = _every(arguments["--save-every"]), _keep(arguments["--keep"])
    if every is not None and arguments["--no_save"]:
        raise UsageError("--save-every and --no_save contradict each other", None, "give one")

    def make(notes: tuple[str, ...]) -> SavePolicy:
        from tapkit.run.saving.policy import SavePolicy

        if arguments["--no_save"]:
            return SavePolicy(None, "--no_save", notes=notes)
        return SavePolicy(".", keep=keep, every=every, notes=notes)

    return make


def refuse_for(source: str, arguments: dict[str, Any]) -> None:
    """Options that only mean something for an image.

    Raises:
        UsageError: one is given.
    """
    for option in ("--resume", "--save-every"):
        if arguments[option]:
            raise UsageError(f"{source} has no saved state", option, "make an image with mktap")


def resumed(program: str, image: str) -> tuple[str, tuple[str, ...]]:
    """The newest whole file to start from, in place of `image`; said on stderr. And the notes
    for the log.

    Raises:
        ImageError: there is none, or one that others could have written.
    """
    from tapkit.run.saving import generations

    found = generations.newest(image, ".")
    notes = [f"skipped, it is damaged: {told}" for told in found.skipped]
    saved = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.saved))
    notes.append(f"resuming from {os.path.relpath(found.path)}, saved {saved}")
    for note in notes:
        complain(program, note)
    return found.path, tuple(notes)


def _every(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not SECOND <= seconds < float("inf"):
        raise UsageError(f"{text!r} is not a number of seconds, 1 or more", "--save-every")
    return seconds


def _keep(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise UsageError(f"{text!r} is not a number of files, 1 to 1000", "--keep")
    return int(text)
