"""Commands, written down before they are acknowledged: for state that must not be lost at all.

    class Bank(journal.Journaled, service.Service):
        @journal.command
        def deposit(self, account, amount):
            self.balances[account] = self.balances.get(account, 0) + amount
            return self.balances[account]

    balance = await bank.deposit("alice", 100)  # on the disk when this returns

A command runs at once when it is called, like the plain method it is; what its caller waits for
is the disk. A daemon starts from its newest image and runs again the commands that came after.
So a command must do the same each time it is run on the same state:

- it changes the state of its own service, and does nothing else: no file, no connection, no log;
- the time, random numbers, what another service knows: all come in as arguments;
- arguments are plain data: None, bool, int (64 bit), float, str, bytes, and lists and dicts of
  these. A tuple is none: it would come back as a list;
- it looks first and changes then: one that raises is not written down, so it must have changed
  nothing;
- it is no coroutine, and calls no other command (what two share is a plain method).

State that is changed otherwise than by commands is saved with the next image, as ever. A journal
is opened by the daemon that saves an image's state; elsewhere, as in a unit test, commands run
and are not written down.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

from tapkit.errors import JournalError
from tapkit.styles import Persistent

__all__ = ["Journaled", "command", "is_command"]

S = TypeVar("S", bound="Journaled")
P = ParamSpec("P")
R = TypeVar("R")


class Journaled(Persistent):
    """A service whose commands are journaled; derive from it and from `Service`.

    The journal knows it by its path of names in the service tree, so a service that is one of
    several of its class must have a name, and keep it.
    """

    volatile: ClassVar[tuple[str, ...]] = ("_run_journaled",)

    # What runs a command: (name, function, args, kwargs); set while a journal is open.
    _run_journaled: Callable[..., Awaitable[Any]] | None = None


def command(function: Callable[..., R]) -> Callable[..., Awaitable[R]]:
    """Make a method of a `Journaled` a command.

    It then returns an awaitable (a future, where an event loop runs): the method's own result,
    once the command is on the disk, or a JournalError if it could not get there. What the
    method itself raises is raised at once.

    Raises:
        JournalError: the method is a coroutine.
    """
    if inspect.iscoroutinefunction(function):
        raise JournalError(
            f"{function.__qualname__} is a coroutine, and a command runs at once",
            f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}",
            "do what must be awaited before, and give the command what came of it",
        )

    @functools.wraps(function)
    def run(self: Journaled, *args: Any, **kwargs: Any) -> Awaitable[R]:
        if self._run_journaled is None:
            return _done(function(self, *args, **kwargs))
        return self._run_journaled(function, args, kwargs)

    run.is_command = True  # type: ignore[attr-defined]
    return run


def is_command(method: Any) -> bool:
    """Whether a class's attribute was made by `command`."""
    return getattr(method, "is_command", False) is True


class _Done(Generic[R]):
    """An awaitable that never waits, where there is no event loop to make a future."""

    def __init__(self, result: R):
        self._result = result

    def __await__(self) -> Generator[None, None, R]:
        return self._result
        yield


def _done(result: R) -> Awaitable[R]:
    try:
        future = asyncio.get_running_loop().create_future()
    except RuntimeError:
        return _Done(result)
    future.set_result(result)
    return future
