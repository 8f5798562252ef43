"""The event loop of a daemon: made, run until the daemon has lived, and closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tapkit.application import Application
from tapkit.errors import describe
from tapkit.run import reactors, signals
from tapkit.run.control.server import ControlServer, serving
from tapkit.run.daemon import Daemon
from tapkit.run.logs import uncaught
from tapkit.run.reload.handover import Handover
from tapkit.run.saving.policy import SavePolicy
from tapkit.run.stopping import StopRules

log = logging.getLogger("tapkit.runner")

_CLOSE_LIMIT = 1.0  # seconds for what is left in the loop to give in


def run(
    application: Application,
    reactor: str,
    saving: SavePolicy,
    ready: Callable[[], None],
    control: ControlServer | None = None,
    confine: Callable[[], None] | None = None,
    handover: Handover | None = None,
    start_timeout: float | None = None,
    rules: StopRules = StopRules(),  # noqa: B008  # a Record
    make: Callable[..., Daemon] = Daemon,
) -> None:
    """Serve until a signal says stop, then stop in reverse and save.

    Parameters:
        reactor: the event loop's name, as `reactors.check` returned it.
        saving, ready, confine, rules: see `Daemon`.
        control: what `tapctl` speaks to.
        handover: how a reload starts the process that takes over.
        start_timeout: seconds, for a start that nobody else watches.
        make: makes the daemon, from what `Daemon` is made from.

    Raises:
        TapkitError: it did not start, or did not stop or save cleanly.
    """
    loop = reactors.new_loop(reactor)
    asyncio.set_event_loop(loop)
    uncaught.log_all(loop)
    daemon = make(application, saving, ready, confine, rules)
    daemon.handover = handover
    try:
        _complete(loop, loop.create_task(_live(daemon, control, start_timeout)), daemon)
    finally:
        if handover is not None and handover.left_to:
            signals.hold(signals.ACTIONS)  # for `tapkit.run.reload.standing_in`
        else:
            signals.ignore()
        _close(loop)


def _complete(loop: asyncio.AbstractEventLoop, life: asyncio.Task[None], daemon: Daemon) -> None:
    """Run the loop until `life` is over, whatever a callback throws out of it meanwhile."""
    while True:
        try:
            loop.run_until_complete(life)
            return
        except BaseException as error:
            if life.done():
                raise
            # sys.exit() in a callback, say: no reason to lose the state.
            log.critical("%s stopped the event loop", describe(error), exc_info=error)
            loop.call_soon(daemon.fail, f"{describe(error)} stopped the event loop")


async def _live(daemon: Daemon, control: ControlServer | None, start_timeout: float | None) -> None:
    if start_timeout is not None:
        asyncio.get_running_loop().call_later(start_timeout, _expire, daemon, start_timeout)
    async with serving(control, daemon):
        await daemon.live()


def _expire(daemon: Daemon, seconds: float) -> None:
    if daemon.state == "starting":
        daemon.stop(f"--start-timeout ({seconds:g} seconds)")


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """What asyncio.Runner does at its end; Python 3.10 has none."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=_CLOSE_LIMIT))
    for task in left:
        if not task.done():
            log.error("a task does not give in to its cancellation: %r", task)
        elif not task.cancelled() and (error := task.exception()):
            log.error("a task ended badly: %s", describe(error), exc_info=error)
    ending = loop.create_task(loop.shutdown_asyncgens())
    loop.run_until_complete(asyncio.wait({ending}, timeout=_CLOSE_LIMIT))
    asyncio.set_event_loop(None)
    loop.close()
