"""How the services of a process are stopped: what a daemon decides, and services ask.

Outside a daemon nothing is in a hurry: a stop takes as long as its services do, and only
connections, which depend on others, have a limit.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol, runtime_checkable

from tapkit.walk import Steps

DRAIN_TIMEOUT = 10.0  # seconds that open connections get to finish


@runtime_checkable
class IDraining(Protocol):
    """A service that can turn newcomers away before it stops, and see off those who are there.

    A daemon calls `stop_accepting` on all of them before it stops any service, then awaits
    every `drain` at the same time, then stops the services one by one.
    """

    def stop_accepting(self) -> None: ...
    async def drain(self) -> None: ...


class StopPolicy:
    """How services are stopped; this one lets them take their time."""

    def steps(self, path: str, service: Any, steps: Steps) -> Steps:
        """The `steps` of one service's stop, as this policy wants them walked."""
        return steps

    def drain_limit(self, service: Any) -> float:
        """Seconds that what `service` has in hand may take: its own, or the process's."""
        own: float | None = service.drain_timeout
        return DRAIN_TIMEOUT if own is None else own


CURRENT: ContextVar[StopPolicy] = ContextVar("stop_policy", default=StopPolicy())  # noqa: B039


def drain_limit(service: Any) -> float:
    """Seconds that what `service` has in hand may take, now that it stops."""
    return CURRENT.get().drain_limit(service)
