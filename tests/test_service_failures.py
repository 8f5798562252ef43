"""The service tree when a hook fails or a start or stop is cancelled."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tapkit.errors import ServiceError
from tapkit.service import Service
from tests.loops import Run, until
from tests.loops import run as run
from tests.trees import KINDS, Hanging, Noted, Slow, both, live, tree

# Failures.


@pytest.mark.parametrize(("first", "second"), KINDS)
@pytest.mark.parametrize("hook", ["bind", "start"])
def test_a_failed_start_stops_what_was_started(
    run: Run, first: Any, second: Any, hook: str
) -> None:
    """In reverse, and the failure is reported with the child's path and its reason."""
    events, parent = both(first, second, hook)
    outer = tree(Service(), parent, name="qotd")

    async def main() -> None:
        with pytest.raises(ServiceError) as caught:
            await live(outer)
        assert caught.value.where == "MultiService 'qotd'.services[1].services[1]"
        assert str(caught.value).startswith(
            f"a service did not start: ValueError: b can't {hook}: MultiService 'qotd'"
        )
        assert isinstance(caught.value.__cause__, ValueError)

    run(main())
    assert events[-2:] == ["stop b", "stop a"]
    assert not outer.running
    assert not parent.running
    assert not any(child.running for child in parent)


def test_a_failed_start_is_not_hidden_by_a_failed_stop(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """What goes wrong while undoing a start is logged; the first failure is raised."""
    events: list[str] = []
    parent = tree(Noted("a", events, "stop"), Slow("b", events, "start"))

    async def main() -> None:
        with pytest.raises(ServiceError, match="b can't start"):
            await live(parent)

    with caplog.at_level(logging.ERROR, "tapkit.service"):
        run(main())
    assert "while undoing a failed start: a service failed to stop: " in caplog.text
    assert "ValueError: a can't stop" in caplog.text


def test_an_undo_without_a_loop_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    """No event loop is no reason to lose a failure."""
    parent = tree(Noted("a", [], "stop"), Noted("b", [], "start"))
    with pytest.raises(ServiceError, match="b can't start"):
        parent.startService()
    assert "a can't stop" in caplog.text


@pytest.mark.parametrize(("first", "second"), KINDS)
def test_one_failed_stop_does_not_hide_another(run: Run, first: Any, second: Any) -> None:
    """All are stopped, and the error names each that failed, and why."""
    events: list[str] = []
    parent = tree(first("a", events, "stop"), Slow("b", events), second("c", events, "stop"))

    async def main() -> None:
        await live(parent)
        with pytest.raises(ServiceError) as caught:
            await parent.stopService()
        assert str(caught.value) == (
            "2 services failed to stop: "
            "MultiService.services[2]: ValueError: c can't stop; "
            "MultiService.services[0]: ValueError: a can't stop"
        )

    run(main())
    assert events[-1] == "stop b"


def test_a_failed_stop_deep_in_the_tree(run: Run) -> None:
    """One failure keeps its own path on the way up."""
    parent = tree(tree(Slow("a", [], "stop")))

    async def main() -> None:
        await live(parent)
        with pytest.raises(ServiceError) as caught:
            await parent.stopService()
        assert str(caught.value) == (
            "a service failed to stop: MultiService.services[0].services[0]: "
            "ValueError: a can't stop"
        )

    run(main())


def test_a_service_that_failed_can_be_started_again(run: Run) -> None:
    """A failure leaves the tree as if it had never been started."""
    events, parent = both(Noted, Slow, "start")

    async def main() -> None:
        with pytest.raises(ServiceError):
            await live(parent)
        parent.services[1].failing = ()
        events.clear()
        await live(parent)
        await parent.stopService()

    run(main())
    assert events == ["bind a", "bind b", "start a", "start b", "stop b", "stop a"]


# Cancelling.


@pytest.mark.parametrize("early", [False, True])
def test_a_cancelled_start_releases_what_was_prepared(run: Run, early: bool) -> None:
    """Cancelled in the middle, or before its task had its first turn."""
    events: list[str] = []
    parent = tree(Noted("a", events), Hanging("b", events), Noted("c", events))

    async def main() -> None:
        await parent.privilegedStartService()
        starting = asyncio.ensure_future(parent.startService())
        if not early:
            await until(lambda: "hang" in events)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await until(lambda: events[-1] == "stop a")
        assert not parent.running

    run(main())
    assert [event for event in events if event.startswith("stop")] == ["stop c", "stop b", "stop a"]


@pytest.mark.parametrize("early", [False, True])
def test_a_stop_overtakes_a_start(run: Run, early: bool) -> None:
    """A stop during the start ends it first: nothing starts after the stop."""
    events: list[str] = []
    parent = tree(Noted("a", events), Hanging("b", events), Noted("c", events))

    async def main() -> None:
        starting = asyncio.ensure_future(parent.startService())
        if not early:
            await until(lambda: "hang" in events)
        await parent.stopService()
        with pytest.raises(asyncio.CancelledError):
            await starting

    run(main())
    assert events == ["start a", "hang", "stop a"]
    assert not parent.running
    assert not any(child.running for child in parent)


def test_two_stops_are_one(run: Run) -> None:
    """A second stop waits for the first, and stops nothing twice."""
    events, parent = both(Slow, Slow)

    async def main() -> None:
        await parent.startService()
        first = asyncio.ensure_future(parent.stopService())
        await parent.stopService()
        assert events[-2:] == ["stop b", "stop a"]
        await first

    run(main())
    assert events.count("stop a") == 1


def test_a_cancelled_stop_still_stops_the_others(run: Run) -> None:
    """Cancelling a stop hurries the child it waits for, and skips none."""
    events: list[str] = []

    class HangingStop(Noted):
        async def stopService(self) -> None:
            self.events.append("hang")
            await asyncio.Event().wait()

    parent = tree(Noted("a", events), HangingStop("b", events))

    async def main() -> None:
        await parent.startService()
        stopping = asyncio.ensure_future(parent.stopService())
        await until(lambda: "hang" in events)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping

    run(main())
    assert events[-1] == "stop a"
