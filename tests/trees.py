"""Services that note what is done to them, and trees of them."""

from __future__ import annotations

import asyncio
from typing import Any

from tapkit.service import MultiService, Service


class Noted(Service):
    """Notes its calls in a shared list; fails in the hooks it is told to."""

    def __init__(self, name: str, events: list[str], *failing: str):
        self.name = name
        self.events = events
        self.failing = failing

    def note(self, event: str) -> None:
        if event in self.failing:
            raise ValueError(f"{self.name} can't {event}")
        self.events.append(f"{event} {self.name}")

    def privilegedStartService(self) -> Any:
        self.note("bind")
        return super().privilegedStartService()

    def startService(self) -> Any:
        self.note("start")
        return super().startService()

    def stopService(self) -> Any:
        self.note("stop")
        return super().stopService()


class Slow(Noted):
    """The same as coroutines that wait in the middle."""

    async def privilegedStartService(self) -> None:
        await asyncio.sleep(0.001)
        self.note("bind")

    async def startService(self) -> None:
        self.running = True
        await asyncio.sleep(0.001)
        self.note("start")

    async def stopService(self) -> None:
        await asyncio.sleep(0.001)
        self.note("stop")
        self.running = False


class Hanging(Noted):
    """Waits in its start until it is cancelled."""

    async def startService(self) -> None:
        self.running = True
        self.events.append("hang")
        await asyncio.Event().wait()


def tree(*children: Any, name: str | None = None) -> MultiService:
    parent = MultiService()
    parent.name = name
    for child in children:
        parent.addService(child)
    return parent


def both(first: type[Noted], second: type[Noted], *failing: str) -> tuple[list[str], MultiService]:
    """Two children a and b; b fails as told."""
    events: list[str] = []
    return events, tree(first("a", events), second("b", events, *failing))


async def live(parent: MultiService) -> None:
    await parent.privilegedStartService()
    await parent.startService()


KINDS = [(Noted, Noted), (Slow, Slow), (Noted, Slow), (Slow, Noted)]
