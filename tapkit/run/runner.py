"""An application's life inside its process: bind, shed privileges, start, serve, stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from tapkit.application import Application
from tapkit.errors import DaemonError, describe
from tapkit.run import privileges, reactors
from tapkit.run.snapshot import SavePolicy

log = logging.getLogger("tapkit.runner")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(
    application: Application, reactor: str, saving: SavePolicy, ready: Callable[[], None]
) -> None:
    """Serve until a signal says stop, then stop in reverse and save.

    Parameters:
        reactor: the event loop's name, as `reactors.check` returned it.
        saving: where the state goes at stop.
        ready: called when the ports are bound, the services started, and the signals heard.

    Raises:
        TapkitError: it did not start, or did not stop or save cleanly. A service that fails
            to stop does not keep the others from stopping, nor the state from being saved.
    """
    loop = reactors.new_loop(reactor)
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_live(application, saving, ready))
    finally:
        # Closing the loop gives the signals back their default action; one more TERM, sent
        # while only the pidfile is left to remove, must not end the process before that.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        _close(loop)


async def _live(application: Application, saving: SavePolicy, ready: Callable[[], None]) -> None:
    stop: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.put_nowait, number)
    await _unless_stopped(_start(application, saving), stop)
    log.info(
        "%s runs on %s; %s",
        application.name,
        type(loop).__module__.partition(".")[0],
        saving.describe(application),
    )
    ready()
    received = await stop.get()
    log.info("received %s, stopping %s", received.name, application.name)
    failure: Exception | None = None
    try:
        await application.stopService()
    except Exception as error:
        log.error("%s", describe(error))
        failure = error
    saving.save(application)
    log.info("%s stopped", application.name)
    if failure is not None:
        raise failure


async def _start(application: Application, saving: SavePolicy) -> None:
    await application.privilegedStartService()
    try:
        privileges.shed(application.uid, application.gid)
        await application.startService()
        saving.rehearse(application)
    except BaseException:
        await application.stopService()
        raise


async def _unless_stopped(
    starting: Coroutine[Any, Any, None], stop: asyncio.Queue[signal.Signals]
) -> None:
    """Wait for the start, or abandon it in order when a signal comes first."""
    task = asyncio.ensure_future(starting)
    stopped = asyncio.ensure_future(stop.get())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done() and not task.done():
        task.cancel()
        await asyncio.wait({task})
        raise DaemonError(f"stopped by {stopped.result().name} before it was ready")
    stopped.cancel()
    if stopped.done() and not stopped.cancelled():
        stop.put_nowait(stopped.result())
    task.result()


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
