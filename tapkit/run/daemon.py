"""One application's process while it serves: its states, and all that may be asked of it.

    starting --ready--> running --stop--> stopping --> stopped
        \\--stop, or a hook raises--> stopping

Whatever speaks to a running daemon - a signal, the control socket - calls a method of `Daemon`
and nothing else, so what it can be asked is what is public here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tapkit.application import Application
from tapkit.errors import DaemonError, describe
from tapkit.run import privileges, signals
from tapkit.run.snapshot import SavePolicy

log = logging.getLogger("tapkit.runner")


class Daemon:
    """An application in its process.

    Parameters:
        saving: where the state goes at stop.
        ready: called when the ports are bound, the services started, and the signals heard.
    """

    def __init__(
        self, application: Application, saving: SavePolicy, ready: Callable[[], None]
    ) -> None:
        self.application = application
        self.saving = saving
        self.state = "starting"
        self._ready = ready
        self._starting: asyncio.Task[None] | None = None
        self._stop_asked = asyncio.Event()
        self._why = ""  # it stops

    def stop(self, why: str) -> None:
        """Stop the services in reverse, save the state, and leave; `why` is for the log.

        While it still starts, the start is abandoned and what it did is undone.
        """
        if self._stop_asked.is_set():
            return
        self._why = why
        self._stop_asked.set()
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()

    async def live(self) -> None:
        """Start, serve until a stop is asked for, stop, save.

        Raises:
            TapkitError: it did not start, or did not stop or save cleanly. A service that
                fails to stop does not keep the others from stopping, nor the state from being
                saved.
        """
        signals.listen(self)
        self._starting = asyncio.ensure_future(self._start())
        try:
            await self._starting
        except asyncio.CancelledError:
            if not self._stop_asked.is_set():
                raise
            raise DaemonError(f"stopped by {self._why} before it was ready") from None
        self.state = "running"
        log.info(
            "%s runs on %s; %s",
            self.application.name,
            type(asyncio.get_running_loop()).__module__.partition(".")[0],
            self.saving.describe(self.application),
        )
        self._ready()
        await self._stop_asked.wait()
        await self._stop()

    async def _start(self) -> None:
        application = self.application
        await application.privilegedStartService()
        try:
            privileges.shed(application.uid, application.gid)
            await application.startService()
            self.saving.rehearse(application)
        except BaseException:
            await application.stopService()
            raise

    async def _stop(self) -> None:
        self.state = "stopping"
        log.info("received %s, stopping %s", self._why, self.application.name)
        failure: Exception | None = None
        try:
            await self.application.stopService()
        except Exception as error:
            log.error("%s", describe(error))
            failure = error
        self.saving.save(self.application)
        self.state = "stopped"
        log.info("%s stopped", self.application.name)
        if failure is not None:
            raise failure
