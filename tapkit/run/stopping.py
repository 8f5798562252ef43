"""How a daemon's services stop, each within its limit, whatever one of them does.

    stop_accepting of all -> drain of all at once -> stopService one by one, in reverse

A service that raises is named and the next one is stopped; one that takes too long is named,
with the place where it waits, cancelled, and left behind. A hurried stop cuts what is open and
cancels what waits, and still calls every stopService: what is saved after it must be the state
of services that had their say.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from types import CodeType
from typing import Any

from tapkit.errors import DaemonError, ServiceError, TapkitError, describe
from tapkit.limits import CURRENT, DRAIN_TIMEOUT, IDraining, StopPolicy
from tapkit.records import Record
from tapkit.run.blocked import Blocked
from tapkit.service import IServiceCollection, path_of
from tapkit.walk import Steps, walk

log = logging.getLogger("tapkit.stop")

STOP_TIMEOUT = 10.0  # seconds for one service's stop
HURRIED = 1.0  # seconds for one service's stop, once somebody is in a hurry
GRACE = 1.0  # seconds for what was cancelled to give in
_ASYNCIO = os.path.dirname(asyncio.__file__)
SETTLING = 3  # turns of the loop until a connection accepted last has its protocol


class StopRules(Record):
    """What an administrator decides about a stop.

    Attributes:
        drain_timeout: seconds for open connections to finish; 0: they are closed at once.
        stop_timeout: seconds for one service to stop; None: for ever.
        leave: removes what says that this process is there; called if it must leave from the
            middle of a call that does not return.
    """

    drain_timeout: float = DRAIN_TIMEOUT
    stop_timeout: float | None = STOP_TIMEOUT
    leave: Callable[[], None] = lambda: None


class Stop(StopPolicy):
    """One stop of a whole application.

    Parameters:
        root: the application.

    Attributes:
        faults: what was not clean about it, each in words.
        doing: what of it runs now, in words.
    """

    def __init__(self, root: Any, rules: StopRules):
        self.faults: list[str] = []
        self.doing = ""
        self._root = root
        self._rules = rules
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Stop all there is; never raises for a service's fault."""
        token = CURRENT.set(self)
        try:
            self._turn_away()
            await self._drain()
            await self._stop_services()
        finally:
            CURRENT.reset(token)

    def hurry(self) -> None:
        """Cut what is open, cancel what waits, and give what is left `HURRIED` seconds each."""
        self._hurry.set()

    async def until_done(
        self, tasks: Collection[asyncio.Future[None]], limit: float | None = None
    ) -> None:
        """Wait until all are done, somebody is in a hurry, or `limit` seconds are over."""
        waits: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(asyncio.wait(tasks)),
            asyncio.ensure_future(self._hurry.wait()),
        }
        await asyncio.wait(waits, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def raise_unless_clean(self) -> None:
        """Say what was not clean.

        Raises:
            DaemonError: something was.
        """
        if self.faults:
            raise DaemonError(f"the stop was not clean: {'; '.join(self.faults)}")

    # What services, and the watch on the event loop, ask.

    def steps(self, path: str, service: Any, steps: Steps) -> Steps:
        what = _named(path, service)
        known, outer, began = len(self.faults), self.doing, time.monotonic()
        self.doing = f"stopService of {what}"
        try:
            begun = walk(steps)
            if isinstance(begun, asyncio.Task):
                yield self._within(begun, path, service)
        except Blocked as error:
            took = time.monotonic() - began
            self._fault(what, f"blocked the process for {took:.0f} s and was broken off")
            raise ServiceError(f"{self.faults[-1]}", path) from error
        except Exception as error:
            if len(self.faults) == known:  # else it comes from below, and was told there
                self._fault(what, _failure(error), error)
            raise
        finally:
            self.doing = outer

    def drain_limit(self, service: Any) -> float:
        own: float | None = service.drain_timeout
        if self._hurry.is_set():
            return 0.0
        return self._rules.drain_timeout if own is None else own

    def blocking_limit(self) -> float | None:
        """Seconds that one callback may keep the event loop from turning; None: for ever."""
        return HURRIED if self._hurry.is_set() else self._rules.stop_timeout

    # The three parts.

    def _turn_away(self) -> None:
        for path, service in self._draining():
            try:
                service.stop_accepting()
            except (Exception, Blocked) as error:
                self._fault(_named(path, service), f"stop_accepting: {describe(error)}", error)

    async def _drain(self) -> None:
        for _ in range(SETTLING):
            await asyncio.sleep(0)
        drains = {asyncio.ensure_future(s.drain()): (path, s) for path, s in self._draining()}
        if not drains:
            return
        limit = max(self._drain_patience(service) for _, service in drains.values())
        await self.until_done(drains, limit)
        left = [drain for drain in drains if not drain.done()]
        for drain in left:
            drain.cancel()
        if left:
            await asyncio.wait(left, timeout=GRACE)
        for drain, (path, service) in drains.items():
            self._judge(drain, path, service, drain in left)

    async def _stop_services(self) -> None:
        try:
            await self._root.stopService()
        except (Exception, Blocked) as error:
            if not self.faults:
                self._fault("the application", _failure(error), error)

    # How they work.

    async def _within(self, task: asyncio.Task[None], path: str, service: Any) -> None:
        """Wait for a stop that was begun, as long as it may take; then give it up."""
        calm, limit = not self._hurry.is_set(), self._limit(service)
        if calm:
            await self.until_done({task}, limit)
        hurried = calm and self._hurry.is_set() and not task.done()
        if not calm or (hurried and isinstance(service, IServiceCollection)):
            limit = self._limit(service)  # its children are hurried, one by one
            await asyncio.wait({task}, timeout=limit)
        if not task.done():
            how = "was hurried" if hurried else f"did not stop within {limit:g} s"
            failure = ServiceError(f"{how}; it waits in {_place(task)}", path)
            await self._give_up(task, _named(path, service))
            raise failure
        task.result()

    async def _give_up(self, task: asyncio.Task[None], what: str) -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
        if not task.done():
            log.error("%s: does not give in to its cancellation, and is left behind", what)

    def _limit(self, service: Any) -> float | None:
        """Seconds for a service's stop: its own, what it has in hand, its children's."""
        own = HURRIED if self._hurry.is_set() else getattr(service, "stop_timeout", None)
        if own is None:
            own = self._rules.stop_timeout
        if own is None:
            return None
        if hasattr(service, "drain_timeout"):
            own += self.drain_limit(service)
        if isinstance(service, IServiceCollection):
            for child in service:
                limit = self._limit(child)
                if limit is None:
                    return None
                own += limit + GRACE
        return own

    def _drain_patience(self, service: Any) -> float:
        limit = self.drain_limit(service) if hasattr(service, "drain_timeout") else 0.0
        return (limit or self._rules.drain_timeout) + 2 * GRACE

    def _draining(self) -> list[tuple[str, IDraining]]:
        return [
            (path_of(service), service)
            for service in _running(self._root)
            if isinstance(service, IDraining)
        ]

    def _judge(self, drain: asyncio.Future[None], path: str, service: Any, late: bool) -> None:
        what = _named(path, service)
        if late:
            hurried = self._hurry.is_set()
            how = "its connections were cut" if hurried else "its drain took too long"
            self._fault(what, how)
        elif not drain.cancelled() and (error := drain.exception()):
            self._fault(what, f"drain: {describe(error)}", error)

    def _fault(self, what: str, how: str, error: BaseException | None = None) -> None:
        self.faults.append(f"{what}: {how}")
        ours = error is None or isinstance(error, TapkitError)
        log.error("%s: %s", what, how, exc_info=None if ours else error)


def _named(path: str, service: Any) -> str:
    return f"{path} ({type(service).__name__})"


def _running(collection: Any) -> Iterator[Any]:
    """The running services below `collection`, the last started first."""
    for service in reversed(list(collection)):
        if service.running:
            yield service
        if isinstance(service, IServiceCollection):
            yield from _running(service)


def _failure(error: BaseException) -> str:
    return error.what if isinstance(error, ServiceError) else describe(error)


def _place(task: asyncio.Task[None]) -> str:
    """Where a task waits: the innermost line that can be seen and is not asyncio's own."""
    waiting: Any = task.get_coro()
    seen = "an unknown place"
    while waiting is not None:
        code: CodeType | None = getattr(waiting, "cr_code", None)
        frame = getattr(waiting, "cr_frame", None)
        if code is None or frame is None:
            break
        if _is_foreign(code):
            seen = f"{code.co_name}, {code.co_filename}:{frame.f_lineno}"
        waiting = waiting.cr_await
    return seen


def _is_foreign(code: CodeType) -> bool:
    """Whether code is neither asyncio's nor of the walk that called it."""
    ours = code.co_filename == walk.__code__.co_filename
    return not ours and os.path.dirname(code.co_filename) != _ASYNCIO
