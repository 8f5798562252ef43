"""One application's process while it serves: its states, and all that may be asked of it.

    starting --ready--> running --stop--> stopping --> stopped
        \\--stop, or a hook raises--> stopping

Whatever speaks to a running daemon - a signal, the control socket - calls a method of `Daemon`
and nothing else, so what it can be asked is what is public here.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from tapkit.application import Application
from tapkit.errors import EXIT_FAILED, DaemonError, TapkitError, describe
from tapkit.net import inherited
from tapkit.run import afterwards, logs, signals, waking
from tapkit.run.blocked import ECHO, Watch
from tapkit.run.process import privileges
from tapkit.run.reload.handover import Handover, wind_down
from tapkit.run.saving.policy import Saved, SavePolicy
from tapkit.run.saving.saver import Saver
from tapkit.run.stopping import Stop, StopRules

log = logging.getLogger("tapkit.runner")


class Daemon:
    """An application in its process.

    Parameters:
        saving: where the state goes at stop.
        ready: called when the ports are bound, the services started, and the signals heard.
        rules: how it stops.
        confine: called when the ports are bound, to give up what is needed no more; None: become
            whom the application names.
    """

    owns_state: ClassVar[bool] = True
    """Whether the state of the services is in this process, to be saved or carried over."""

    def __init__(
        self,
        application: Application,
        saving: SavePolicy,
        ready: Callable[[], None],
        confine: Callable[[], None] | None = None,
        rules: StopRules = StopRules(),  # noqa: B008  # a Record
    ) -> None:
        self.application = application
        self.saving = saving
        self.saver = Saver(application, saving)
        self.state = "starting"
        self._ready = ready
        self._confine = confine or (lambda: privileges.shed(application.uid, application.gid))
        self._starting: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._why = ""  # it stops
        self._asked = 0.0  # when
        self._saves = True  # at the end
        self._save_lock = threading.Lock()
        self._leave = rules.leave
        self._stopping = Stop(application, rules)
        self.watch: Watch | None = None
        self._rules = rules
        self.handover: Handover | None = None
        self.on_handed_over: list[Callable[[], None]] = []
        self._reloading: asyncio.Task[int] | None = None
        self._passed_on = False  # a stop, to the process that has taken over

    def stop(self, why: str) -> None:
        """Stop the services in reverse, save the state, and leave; `why` is for the log.

        While it still starts, the start is abandoned and what it did is undone. Asked once
        more, it hurries: open connections are cut, hooks that wait are cancelled. It saves all
        the same.
        """
        now = asyncio.get_running_loop().time()
        if self._stop_asked.is_set():
            if now - self._asked > ECHO and self.state not in ("saving", "stopped"):
                log.warning("received %s as well: hurrying", why)
                self._stopping.hurry()
            return
        self._why, self._asked = why, now
        self._stop_asked.set()
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()

    def quit(self, why: str) -> None:
        """Stop without saving; also what an earlier `stop` would have saved."""
        self._saves = False
        self.stop(why)

    def passes_on(self, number: signal.Signals) -> bool:
        """Whether a signal was for the process that has taken over, for which this one stays.

        It is told. A second one that asks for a stop is for this process as well: connections
        that it still waits for are cut.
        """
        handover = self.handover
        if handover is None or not handover.left_to:
            return False
        from tapkit.run.reload.standing_in import pass_on

        pass_on(number, handover.left_to, handover.pidfile.path)
        if number not in signals.STOPPING:
            return True
        if self._passed_on:
            return False
        self._passed_on, self._asked = True, asyncio.get_running_loop().time()
        return True

    @property
    def last_save(self) -> Saved | None:
        """The last save of the state, or attempt at one; None before the first."""
        return self.saver.last

    def snapshot(self, why: str) -> Awaitable[Saved]:
        """Save the state and go on; to be awaited, or dropped: a failure is logged as well.

        Raises:
            TapkitError: when awaited: it could not be saved; what was there before is whole.
        """
        return self.saver.snapshot(why)

    def fail(self, why: str) -> None:
        """Stop, and save, because something went wrong: not a clean stop."""
        self._stopping.faults.append(why)
        self.stop(why)

    def reload(self, why: str, source: str = "") -> asyncio.Task[int]:
        """Let a new process take over, without refusing anybody; then leave.

        To be awaited, or dropped: a failure is logged as well. Asked again meanwhile, it is the
        same reload.

        Parameters:
            source: `image`, `state`, or "": see `Handover.pass_on`.

        Returns:
            A task; its result is the number of the new process, which has taken over then.

        Raises:
            TapkitError: when awaited: it did not work, and this process goes on serving.
        """
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.ensure_future(self._reload(why, source))
            self._reloading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._reloading

    def workers(self) -> list[dict[str, Any]]:
        """The processes that serve for this one, each with its number, pid, state, restarts."""
        return []

    def reopen_logs(self) -> None:
        """Let go of the log's file, which may have been moved away, and open it anew."""
        logs.reopen()

    async def rest(self) -> None:
        """Stop the services, for a while or for good; nothing is saved."""
        await self.saver.halt()
        await Stop(self.application, self._rules).run()
        await self.saver.hand_on()

    async def wake(self) -> None:
        """Start the services again.

        Raises:
            ServiceError: one did not start.
        """
        self.saver.resume()
        await self.application.privilegedStartService()
        await self.application.startService()

    async def live(self) -> None:
        """Start, serve until a stop is asked for, stop, save.

        Raises:
            TapkitError: it did not start, or did not stop or save cleanly. A service that
                fails to stop does not keep the others from stopping, nor the state from being
                saved.
        """
        self.watch = Watch(
            asyncio.get_running_loop(),
            self._stopping.blocking_limit,
            lambda: self._stopping.doing,
            self._leave_at_once,
        )
        signals.listen(self)
        try:
            with waking.by_signals(asyncio.get_running_loop()):
                await self._live()
        finally:
            self.watch.end()

    async def _live(self) -> None:
        self._starting = asyncio.ensure_future(self._start())
        await self._stopping.until_done({self._starting})
        if not self._starting.done():
            raise DaemonError(f"stopped by {self._why}: its start does not give in and was left")
        try:
            await self._starting
        except asyncio.CancelledError:
            if not self._stop_asked.is_set():
                raise
            raise DaemonError(f"stopped by {self._why} before it was ready") from None
        self.state = "running"
        self._begun.set()
        log.info(
            "%s runs on %s; %s",
            self.application.name,
            type(asyncio.get_running_loop()).__module__.partition(".")[0],
            self.saving.describe(self.application),
        )
        self.saver.start_clock()
        if self.handover is not None:
            self.saver.tell = self.handover.notifier.status
        gc.enable()  # off since the command began
        self._ready()
        afterwards.catch_up()
        await self._stop_asked.wait()
        await self._end_reload()
        await self._stop()

    async def _reload(self, why: str, source: str) -> int:
        name = self.application.name
        await self._begun.wait()
        try:
            if self.handover is None or self.state != "running":
                raise DaemonError(f"it is {self.state}, so it can't be reloaded")
            if self.handover.successor is not None:
                raise DaemonError(f"PID {self.handover.successor} has taken over", None, "ask that")
            log.info("received %s, reloading %s", why, name)
            self.state = "reloading"
            successor = await self.handover.pass_on(self, source)
        except Exception as error:
            ours = None if isinstance(error, TapkitError) else error
            log.error("the reload failed: %s", describe(error), exc_info=ours)
            log.warning("%s goes on as it is", name)
            raise
        finally:
            if self.state == "reloading":
                self.state = "running"
        for call in self.on_handed_over:
            call()
        if not self._stop_asked.is_set():
            self._why = f"the word of PID {successor}, which has taken over"
            self._asked = asyncio.get_running_loop().time()
            self._stop_asked.set()
        return successor

    async def _end_reload(self) -> None:
        """Before a stop: give up a reload under way; after one, let connections finish."""
        if self._reloading is not None and not self._reloading.done():
            self._reloading.cancel()
            await asyncio.wait({self._reloading})
            if self.handover is not None and self.handover.successor is not None:
                from tapkit.run.reload.standing_in import pass_on

                # It came too late to give up.
                number = signal.SIGTERM if self._saves else signal.SIGQUIT
                pass_on(number, self.handover.successor, self.handover.pidfile.path)
        if self.handover is not None and self.handover.successor is not None:
            await self.saver.halt()
            await self._wind_down()

    async def _wind_down(self) -> None:
        """Accept no more, and let connections end by themselves, unless somebody is in a hurry."""
        ending = asyncio.ensure_future(wind_down(self.application, self._rules.drain_timeout))
        await self._stopping.until_done({ending})
        ending.cancel()
        await asyncio.wait({ending})

    async def _start(self) -> None:
        """Bind and start everything, and only then let anybody in: a stop that comes before all
        is ready saves nothing, so nobody may have changed anything."""
        application = self.application
        lets_in = not inherited.holds_back()  # else our predecessor says when
        if lets_in:
            inherited.hold_back()
        try:
            self.saver.recover()
            await application.privilegedStartService()
            await self._begin(application)
        except BaseException:
            if lets_in:
                inherited.turn_away()
            raise
        if lets_in:
            inherited.let_in()

    async def _begin(self, application: Application) -> None:
        try:
            self._confine()
            self.saver.begin()
            await application.startService()
            self.saving.rehearse(application)
        except BaseException:
            await Stop(application, self._rules._replace(drain_timeout=0.0)).run()
            await self.saver.close()
            raise

    async def _stop(self) -> None:
        self.state = "stopping"
        if self.handover is not None:
            self.handover.notifier.stopping()
        await self.saver.halt()
        log.info("received %s, stopping %s", self._why, self.application.name)
        await self._stopping.run()
        assert self.watch is not None
        self.watch.end()  # a save takes the time it takes
        self.state = "saving"
        await self._save()
        self.state = "stopped"
        log.info("%s stopped", self.application.name)
        self._stopping.raise_unless_clean()

    async def _save(self) -> None:
        # For ever locked once a thread has begun to save and leave: see `_leave_at_once`.
        self._save_lock.acquire()
        if self._saves:
            await self.saver.finish()
        else:
            log.warning("received QUIT: the state of %s is not saved", self.application.name)
            await self.saver.close()

    def _leave_at_once(self) -> None:
        """End the process from the thread that watches, as the main thread can't be had."""
        name = self.application.name
        log.critical("%s can't be stopped in good order: saving it as it is, and leaving", name)
        self._save_lock.acquire()
        try:
            left = self.handover is not None and self.handover.successor is not None
            if self._saves and self.state != "starting" and not left:
                self.saving.save(self.application)
        except Exception as error:
            log.critical("%s", describe(error), exc_info=error)
        finally:
            self._leave()
            os._exit(EXIT_FAILED)
