# ruff: noqa: N802  # the tutorial's hooks keep their camelCase
"""A service that does something every so often."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from tapkit import limits
from tapkit.errors import ServiceError, describe
from tapkit.names import qualified_name
from tapkit.service import Service
from tapkit.walk import Steps, is_awaitable

logger = logging.getLogger("tapkit.internet")


class TimerService(Service):
    """Calls `callable(*args, **kwargs)` when it starts, then every `step` seconds.

    The calls keep to the grid of `step`, without drift; one that takes longer than a step
    skips what it missed, and none overlaps another. An exception is logged, and it goes on.

    Parameters:
        step: seconds, above 0.
        callable: a function, or a coroutine function, that can be saved by its name.
    """

    __module__ = "tapkit.internet"  # images name it by its public place

    volatile: ClassVar[tuple[str, ...]] = ("_task", "_stop")

    # Seconds a call may still take when the service stops; None: those of --drain-timeout.
    drain_timeout: float | None = None

    _task: asyncio.Task[None] | None = None
    _stop: asyncio.Event | None = None

    def __init__(self, step: float, callable: Callable[..., Any], *args: Any, **kwargs: Any):
        self.step = step
        self.callable = callable
        self.args = args
        self.kwargs = kwargs
        self._check()

    def startService(self) -> Awaitable[None]:
        self._check()
        super().startService()
        return self._begin(self._start())

    def stopService(self) -> Awaitable[None]:
        """Call no more; a call that waits is awaited, `drain_timeout` seconds at most."""
        super().stopService()
        return self._end(self._finish())

    def _check(self) -> None:
        if not (isinstance(self.step, (int, float)) and 0 < self.step < math.inf):
            raise ServiceError(
                f"a timer's step is a number of seconds above 0, not {self.step!r}",
                qualified_name(self),
            )

    def _start(self) -> Steps:
        try:
            yield self._launch()
        except BaseException:
            self.running = False
            raise

    async def _launch(self) -> None:
        if self._task is None:
            self._stop = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._run(self._stop))

    async def _run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            await self._call()
            late = loop.time() - due
            due += self.step * max(1, math.ceil(late / self.step))
            try:
                await asyncio.wait_for(stop.wait(), due - loop.time())
            except asyncio.TimeoutError:
                pass  # it is time again

    async def _call(self) -> None:
        try:
            result = self.callable(*self.args, **self.kwargs)
            if is_awaitable(result):
                await result
        except Exception as error:
            logger.error(
                "%s failed: %s", qualified_name(self.callable), describe(error), exc_info=error
            )

    def _finish(self) -> Steps:
        task, self._task = self._task, None
        if task is not None:
            assert self._stop is not None
            self._stop.set()
            yield self._join(task)

    async def _join(self, task: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait({task}, timeout=limits.drain_limit(self))
        finally:
            if not task.done():
                logger.warning("%s did not end in time", qualified_name(self.callable))
                task.cancel()
        await asyncio.wait({task}, timeout=1.0)
