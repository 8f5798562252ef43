"""Walking a tree of hooks, some of which are plain methods and some coroutines.

A walk is a generator of the awaitables it meets. As long as nothing makes it wait it runs to
its end at once, without an event loop; the rest becomes one task. What `walk` returns may be
awaited or dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from types import CoroutineType
from typing import Any

from tapkit.errors import ServiceError

Steps = Generator[Awaitable[Any], None, None]


class _Done:
    """What a hook that has nothing to wait for returns: `await` it or drop it."""

    def __await__(self) -> Generator[Any, None, None]:
        return iter(())  # type: ignore[return-value]  # an empty iterator ends an await at once


DONE = _Done()

_tasks: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks only weakly


def walk(steps: Steps) -> Awaitable[None]:
    """Run `steps` at once as far as they do not wait; the rest is a task.

    Raises:
        What the steps raise before their first wait; later errors are the awaitable's.
    """
    try:
        awaitable = next(steps)
        while True:
            if awaitable is DONE:
                awaitable = next(steps)
            elif loop_runs():
                return _begin_task(awaitable, steps)
            else:
                if isinstance(awaitable, CoroutineType):
                    awaitable.close()
                awaitable = steps.throw(_needs_loop())
    except StopIteration:
        return DONE


def one_after_another(*calls: Any) -> Steps:
    """The steps that call each, waiting for what it returned before the next."""
    for call in calls:
        yield call()


def after(unfinished: Awaitable[None] | None, steps: Steps, cancel: bool) -> Steps:
    """The steps, once an unfinished walk has ended, cancelled first if `cancel`."""
    if isinstance(unfinished, asyncio.Task) and not unfinished.done():
        yield _wait_for_end(unfinished, cancel)
    yield from steps


def is_awaitable(result: Any) -> bool:
    """As `inspect.isawaitable`, which is asked, and imported, for what is seldom."""
    if result is None:
        return False
    if isinstance(result, Awaitable):
        return True
    import inspect

    return inspect.isawaitable(result)


def loop_runs() -> bool:
    """Whether this is called from inside an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _needs_loop() -> ServiceError:
    return ServiceError(
        "a service's hook is a coroutine, and no event loop is running",
        None,
        "start the tree inside asyncio.run()",
    )


async def _wait_for_end(task: asyncio.Task[None], cancel: bool) -> None:
    if cancel:
        task.cancel()
    await asyncio.wait({task})  # its outcome belongs to whoever began it


def _begin_task(awaitable: Awaitable[Any], steps: Steps) -> asyncio.Task[None]:
    def ended(task: asyncio.Task[None]) -> None:
        _tasks.discard(task)
        if getattr(steps, "gi_frame", None) is not None:  # it is not closed
            # A task cancelled before its first step never runs: what the steps did until
            # now is still to be undone.
            if isinstance(awaitable, CoroutineType):
                awaitable.close()
            _undo(steps)

    task = asyncio.get_running_loop().create_task(_finish(awaitable, steps))
    _tasks.add(task)
    task.add_done_callback(ended)
    return task


def _undo(steps: Steps) -> None:
    try:
        awaitable = steps.throw(asyncio.CancelledError())
    except (StopIteration, asyncio.CancelledError):
        return
    _begin_task(awaitable, steps)


async def _finish(awaitable: Awaitable[Any], steps: Steps) -> None:
    try:
        while True:
            try:
                await awaitable
            except BaseException as error:
                awaitable = steps.throw(error)
            else:
                awaitable = next(steps)
    except StopIteration:
        return
