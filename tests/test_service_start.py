"""The service tree's order: starts, stops, late children, dropped awaitables."""

from __future__ import annotations

from typing import Any

import pytest

from tapkit.errors import ServiceError
from tapkit.service import MultiService, Service
from tapkit.walk import DONE
from tests.loops import Run
from tests.loops import run as run
from tests.trees import KINDS, Noted, Slow, both, live, tree

# Order.


@pytest.mark.parametrize(("first", "second"), KINDS)
def test_start_in_order_stop_in_reverse(run: Run, first: Any, second: Any) -> None:
    """Whether the hooks are plain methods, coroutines, or some of each."""
    events, parent = both(first, second)

    async def main() -> None:
        await live(parent)
        assert parent.running
        assert all(child.running for child in parent)
        await parent.stopService()

    run(main())
    assert events == ["bind a", "bind b", "start a", "start b", "stop b", "stop a"]
    assert not parent.running
    assert not any(child.running for child in parent)


def test_plain_services_need_no_loop() -> None:
    """A tree of plain methods starts and stops at once, without an event loop."""
    events, parent = both(Noted, Noted)
    assert parent.privilegedStartService() is DONE
    assert parent.startService() is DONE
    assert parent.stopService() is DONE
    assert events[-1] == "stop a"


def test_a_coroutine_needs_a_loop() -> None:
    """A coroutine without an event loop is an error in words, and what was started is stopped."""
    events, parent = both(Noted, Slow)
    with pytest.raises(
        ServiceError, match=r"no event loop is running: .*services\[1\]: start the tree inside"
    ):
        parent.startService()
    assert events == ["start a", "stop a"]
    assert not parent.running


def test_a_bound_tree_is_stopped_too(run: Run) -> None:
    """stopService after the privileged start alone reaches every child that was prepared."""
    events, parent = both(Noted, Slow)

    async def main() -> None:
        await parent.privilegedStartService()
        await parent.stopService()
        await parent.stopService()  # nothing is left to do

    run(main())
    assert events == ["bind a", "bind b", "stop b", "stop a"]


def test_a_start_that_calls_no_super_is_stopped(run: Run) -> None:
    """An override that forgets super().startService() is not forgotten at the stop."""
    events: list[str] = []

    class NoSuper(Service):
        def startService(self) -> None:
            events.append("start")

        def stopService(self) -> None:
            events.append("stop")

    async def main() -> None:
        parent = tree(NoSuper())
        await live(parent)
        await parent.stopService()
        await parent.stopService()

    run(main())
    assert events == ["start", "stop"]


# Late children.


@pytest.mark.parametrize("kind", [Noted, Slow])
def test_a_child_added_to_a_running_parent_starts(run: Run, kind: Any) -> None:
    """Both hooks are called; removed, it stops."""
    events: list[str] = []
    parent = tree()
    child = kind("late", events)

    async def main() -> None:
        await parent.startService()
        await parent.addService(child)
        assert child.running
        await parent.removeService(child)
        assert not child.running

    run(main())
    assert events == ["bind late", "start late", "stop late"]


def test_a_child_added_to_a_stopped_parent_waits() -> None:
    """It starts with its parent."""
    events: list[str] = []
    parent = tree(Noted("a", events))
    assert events == []
    parent.startService()
    assert events == ["start a"]


@pytest.mark.parametrize("kind", [Noted, Slow])
@pytest.mark.parametrize("hook", ["bind", "start"])
def test_a_late_child_that_fails_is_alone(run: Run, kind: Any, hook: str) -> None:
    """Its failure has its path; its siblings and its parent run on."""
    events: list[str] = []
    parent = tree(Noted("a", events))

    async def main() -> None:
        await parent.startService()
        late = kind("late", events, hook)
        with pytest.raises(ServiceError, match=f"late can't {hook}") as caught:
            await parent.addService(late)
        assert caught.value.where == "MultiService.services[1]"
        assert not late.running
        assert parent.running
        assert parent.services[0].running
        assert events[-1] == "stop late"  # it may have got hold of something

    run(main())


def test_moving_between_running_parents(run: Run) -> None:
    """setServiceParent stops it here and starts it there, in this order."""
    events: list[str] = []
    child = Slow("a", events)
    first, second = tree(child), tree()

    async def main() -> None:
        await first.startService()
        await second.startService()
        await child.setServiceParent(second)
        assert child.running
        assert child.parent is second

    run(main())
    assert events == ["start a", "stop a", "bind a", "start a"]


def test_a_child_removed_by_a_sibling_does_not_start() -> None:
    """What a hook took out of the tree is not started behind its back."""
    events: list[str] = []
    gone = Noted("gone", events)

    class Remover(Service):
        def startService(self) -> Any:
            gone.disownServiceParent()
            return super().startService()

    parent = tree(Remover(), gone)
    parent.startService()
    assert events == []
    parent.stopService()


def test_a_bound_child_that_is_removed_is_stopped() -> None:
    """A child that holds a port, but does not run yet, releases it when removed."""
    events, parent = both(Noted, Noted)
    parent.privilegedStartService()
    parent.removeService(parent.services[0])
    assert events[-1] == "stop a"


# Dropped awaitables.


class Forgetful(MultiService):
    """Overrides the hooks as newcomers do: it calls super, and drops what it returns."""

    def privilegedStartService(self) -> None:
        super().privilegedStartService()

    def startService(self) -> None:
        super().startService()

    def stopService(self) -> None:
        super().stopService()


def forgetful(*children: Any) -> MultiService:
    parent = Forgetful()
    for child in children:
        parent.addService(child)
    return tree(parent)


def test_a_dropped_awaitable_is_waited_for(run: Run) -> None:
    """The parent of an override that drops super's result waits for its children all the same."""
    events: list[str] = []
    outer = forgetful(Slow("a", events), Slow("b", events))
    outer.addService(Noted("last", events))

    async def main() -> None:
        await live(outer)
        await outer.stopService()

    run(main())
    assert events == [
        *("bind a", "bind b", "bind last", "start a", "start b", "start last"),
        *("stop last", "stop b", "stop a"),
    ]


def test_a_dropped_failure_is_reported(run: Run) -> None:
    """Nor is a failure lost."""
    outer = forgetful(Slow("a", [], "start"))

    async def main() -> None:
        with pytest.raises(ServiceError, match="a can't start") as caught:
            await live(outer)
        assert caught.value.where == "MultiService.services[0].services[0]"

    run(main())
