"""Imported once the daemon serves: what it needs later, and its first client need not wait for.

tapkit's own modules are not left until they are needed: by then another tapkit may have been
installed in this one's place, and modules of two versions do not go together.
"""

from __future__ import annotations

import asyncio
import contextlib

from tapkit.run import lazily

DELAY = 0.1  # seconds; those who waited for the start are served first

MODULES = (
    "inspect",  # asyncio has it only when it is used: see `lazily`. Nor is OpenSSL loaded here:
    # it would be a third of the memory of a daemon that has no TLS.
    "tapkit.run.control.status",
    "tapkit.run.reload.heir",
    "tapkit.run.reload.standing_in",
    "tapkit.image.flat",
    "tapkit.image.offenders",
    "cloudpickle",
)


def catch_up() -> None:
    """Import it soon, one module between two callbacks of the running loop."""
    asyncio.get_running_loop().call_later(DELAY, _import_next, list(reversed(MODULES)))


def at_once() -> None:
    """Import it now: before a fork, so that the children share it."""
    for name in MODULES:
        lazily.import_whole(name)


def _import_next(left: list[str]) -> None:
    with contextlib.suppress(ImportError):  # whoever needs it says what that means
        lazily.import_whole(left.pop())
    if left:
        asyncio.get_running_loop().call_soon(_import_next, left)
