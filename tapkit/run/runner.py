"""The event loop of a daemon: made, run until the daemon has lived, and closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tapkit.application import Application
from tapkit.errors import describe
from tapkit.run import reactors, signals
from tapkit.run.daemon import Daemon
from tapkit.run.snapshot import SavePolicy

log = logging.getLogger("tapkit.runner")


def run(
    application: Application, reactor: str, saving: SavePolicy, ready: Callable[[], None]
) -> None:
    """Serve until a signal says stop, then stop in reverse and save.

    Parameters:
        reactor: the event loop's name, as `reactors.check` returned it.
        saving, ready: see `Daemon`.

    Raises:
        TapkitError: it did not start, or did not stop or save cleanly.
    """
    loop = reactors.new_loop(reactor)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_live(application, saving, ready))
    finally:
        signals.block()
        _close(loop)


async def _live(application: Application, saving: SavePolicy, ready: Callable[[], None]) -> None:
    await Daemon(application, saving, ready).live()


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """What asyncio.Runner does at its end; Python 3.10 has none."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    for task in left:
        if not task.cancelled() and (error := task.exception()):
            log.error("a task ended badly: %s", describe(error), exc_info=error)
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()
