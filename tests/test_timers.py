"""TimerService: its grid, its calls, its refusals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tapkit.errors import ServiceError
from tapkit.internet import TCPClient, TimerService
from tests.loops import Run, running, until
from tests.loops import run as run
from tests.peers import HOST, AskingFactory


class Ticks:
    """Counts the calls of a timer, and fails where told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def tick(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append((args, kwargs))
        if len(self.calls) == 2:
            raise ValueError("a bad tick")

    async def slow_tick(self) -> None:
        self.calls.append("begun")
        await asyncio.sleep(0.02)
        self.calls.append("ended")

    async def hung_tick(self) -> None:
        self.calls.append("begun")
        await asyncio.Event().wait()


def test_a_timer_ticks_at_once_and_goes_on(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """It calls with its arguments at the start, then every step, whatever a call raises."""
    ticks = Ticks()

    async def main() -> None:
        service = TimerService(0.005, ticks.tick, 1, two=2)
        async with running(service):
            await service.startService()
            await until(lambda: len(ticks.calls) >= 4)
        count = len(ticks.calls)
        assert ticks.calls[0] == ((1,), {"two": 2})
        async with running(service):
            await until(lambda: len(ticks.calls) > count)

    run(main())
    assert "Ticks.tick failed: ValueError: a bad tick" in caplog.text


def test_a_timer_keeps_to_its_grid(run: Run) -> None:
    """Calls that take longer than a step neither overlap nor pile up, and nothing drifts."""

    async def main() -> None:
        times: list[float] = []
        loop = asyncio.get_running_loop()

        async def tick() -> None:
            times.append(loop.time())
            if len(times) == 2:
                await asyncio.sleep(0.07)  # longer than a step

        async with running(TimerService(0.05, tick)):
            await until(lambda: len(times) == 5)
        off_grid = [(time - times[0] + 0.025) % 0.05 - 0.025 for time in times]
        assert all(abs(off) < 0.024 for off in off_grid)
        assert times[2] - times[1] > 0.07
        assert times[4] - times[0] > 0.2

    run(main())


def test_a_timer_finishes_its_call(run: Run) -> None:
    """A stop waits for the call under way, and cancels one that does not end in time."""

    async def main() -> None:
        ticks = Ticks()
        service = TimerService(10, ticks.slow_tick)
        await service.startService()
        await until(lambda: ticks.calls)
        await service.stopService()
        assert ticks.calls == ["begun", "ended"]
        hung = TimerService(10, ticks.hung_tick)
        hung.drain_timeout = 0.01
        await hung.startService()
        await until(lambda: len(ticks.calls) == 3)
        await hung.stopService()

    run(main())


@pytest.mark.parametrize("step", [0, -1, "1", None, float("inf"), float("nan")])
def test_a_step_is_a_time(step: Any) -> None:
    """A step that is no number of seconds above 0 is refused, also in a hand-edited image."""
    with pytest.raises(ServiceError, match="a timer's step is a number of seconds above 0"):
        TimerService(step, print)
    timer = TimerService(1, print)
    timer.step = step
    with pytest.raises(ServiceError, match="TimerService"):
        timer.startService()


def test_a_timer_needs_a_loop() -> None:
    """Without an event loop a timer or a client says so, and does not run."""
    for service in (TimerService(1, print), TCPClient(HOST, 1, AskingFactory())):
        with pytest.raises(ServiceError, match="no event loop is running"):
            service.startService()
        assert not service.running
