"""The service tree: order, failures, late children, plain methods and coroutines."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tapkit import service as service_module
from tapkit.errors import ServiceError
from tapkit.service import (
    IService,
    IServiceCollection,
    MultiService,
    Service,
    path_of,
    relink,
)
from tapkit.walk import DONE
from tests.loops import NEW_LOOP, Run, runner, until


@pytest.fixture(params=list(NEW_LOOP))
def run(request: pytest.FixtureRequest) -> Run:
    return runner(request.param)


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


# The contracts.


def test_the_protocols_are_checkable() -> None:
    """IService and IServiceCollection tell services from other things at run time."""
    assert isinstance(Service(), IService)
    assert isinstance(MultiService(), IService)
    assert isinstance(MultiService(), IServiceCollection)
    assert not isinstance(Service(), IServiceCollection)
    assert not isinstance([], IServiceCollection)
    assert not isinstance(object(), IService)


def test_a_service_need_not_be_ours() -> None:
    """Anything with the interface is a service, whatever it derives from."""

    class Foreign:
        name = None
        running = False
        parent: Any = None

        def setName(self, name: str) -> None: ...
        def setServiceParent(self, parent: Any) -> Any: ...
        def disownServiceParent(self) -> Any: ...
        def privilegedStartService(self) -> None: ...
        def startService(self) -> None:
            self.running = True

        def stopService(self) -> None:
            self.running = False

    foreign = Foreign()
    assert isinstance(foreign, IService)
    parent = tree(foreign)
    parent.privilegedStartService()
    parent.startService()
    assert foreign.running
    parent.stopService()
    assert not foreign.running


def test_the_lists_of_hooks_are_the_code() -> None:
    """HOOKS and COLLECTION_HOOKS hold exactly the camelCase methods."""

    def camel(cls: type) -> set[str]:
        return {n for n, f in vars(cls).items() if inspect.isfunction(f) and n != n.lower()}

    assert set(service_module.HOOKS) == camel(Service) == camel(IService)
    assert set(service_module.COLLECTION_HOOKS) == camel(IServiceCollection)
    assert camel(MultiService) <= {*service_module.HOOKS, *service_module.COLLECTION_HOOKS}


@pytest.mark.parametrize("hook", service_module.HOOKS + service_module.COLLECTION_HOOKS)
def test_a_misspelt_hook_is_refused(hook: str) -> None:
    """start_service would never be called, so the class is not made."""
    slip = "".join("_" + c.lower() if c.isupper() else c for c in hook)
    with pytest.raises(TypeError, match=f"Echo.{slip} is never called; the hook is spelled {hook}"):
        type("Echo", (MultiService,), {slip: lambda self: None})


# Names and places.


def test_children_are_found_by_name() -> None:
    """Named children are found, anonymous ones are just there; a miss suggests."""
    events: list[str] = []
    web, anonymous = Noted("web", events), Service()
    parent = tree(web, anonymous, Service())
    assert parent.getServiceNamed("web") is web
    assert list(parent)[1] is anonymous
    assert anonymous.parent is parent
    with pytest.raises(ServiceError, match=r"no service is named 'wep'; did you mean web\?"):
        parent.getServiceNamed("wep")


def test_two_children_of_one_name_are_refused() -> None:
    """A duplicate name is an error in words, and nothing has changed."""
    parent = tree(Noted("web", []))
    second = Noted("web", [])
    with pytest.raises(ServiceError, match="named 'web' is there already: MultiService: name it"):
        parent.addService(second)
    assert second.parent is None
    assert len(parent.services) == 1


def test_a_rename_under_a_parent_is_refused() -> None:
    """setName works before there is a parent, and not under one."""
    child = Service()
    child.setName("web")
    parent = tree(child)
    with pytest.raises(ServiceError, match=r"can't be renamed to 'ftp': MultiService\.services"):
        child.setName("ftp")
    assert child.name == "web"
    parent.removeService(child)
    child.setName("ftp")
    assert child.name == "ftp"


def test_removing_a_stranger_is_refused() -> None:
    """What is no child can't be removed, nor leave a parent it has not."""
    with pytest.raises(ServiceError, match="Service 'web' is not a service of: MultiService"):
        tree().removeService(named("web"))
    with pytest.raises(ServiceError, match="has no parent to leave"):
        Service().disownServiceParent()


def named(name: str) -> Service:
    service = Service()
    service.setName(name)
    return service


@pytest.mark.parametrize("thing", [object(), "web", None])
def test_only_services_are_taken(thing: Any) -> None:
    """What is no service is refused with its class and the remedy."""
    with pytest.raises(ServiceError, match=r"is not a service: .*: derive it from tapkit\.service"):
        tree().addService(thing)


def test_only_collections_hold_services() -> None:
    """setServiceParent to a leaf is refused."""
    with pytest.raises(ServiceError, match="Service can't hold services: use a MultiService"):
        Service().setServiceParent(Service())


def test_a_tree_does_not_hold_itself() -> None:
    """Neither directly nor further up."""
    inner = MultiService()
    outer = tree(inner)
    for child in (inner, outer):
        with pytest.raises(ServiceError, match="can't hold itself"):
            inner.addService(child)
    assert inner.services == []


def test_a_service_has_one_parent() -> None:
    """addService refuses one that is elsewhere; setServiceParent moves it."""
    child = named("web")
    first, second = tree(child), tree()
    with pytest.raises(ServiceError, match="is under MultiService already: use setServiceParent"):
        second.addService(child)
    child.setServiceParent(second)
    assert (first.services, second.services) == ([], [child])
    assert child.parent is second
    child.disownServiceParent()
    assert child.parent is None


def test_a_move_that_cannot_be_leaves_it_in_place() -> None:
    """A refused setServiceParent changes nothing."""
    child = named("web")
    first, second = tree(child), tree(named("web"))
    with pytest.raises(ServiceError, match="there already"):
        child.setServiceParent(second)
    assert child.parent is first
    assert first.services == [child]


def test_paths() -> None:
    """A service's path is the way to it through the attributes."""
    leaf = Service()
    parent = tree(Service(), tree(leaf), name="qotd")
    assert path_of(leaf) == "MultiService 'qotd'.services[1].services[0]"
    assert path_of(parent) == "MultiService 'qotd'"


def test_relink_gives_parents_back() -> None:
    """A hand-edited image may leave the parents out."""
    leaf = Service()
    inner = tree(leaf)
    outer = tree(inner)
    leaf.parent = inner.parent = None
    relink(outer)
    assert leaf.parent is inner
    assert inner.parent is outer


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
    with pytest.raises(ServiceError, match=r"no event loop is running: start the tree inside"):
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


# What is saved.


@pytest.mark.parametrize(
    "duplicate", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy]
)
def test_a_duplicate_is_never_running(duplicate: Callable[[Any], Any]) -> None:
    """Loaded or copied, a service does not run, nor do its children, whatever they did."""
    _, parent = both(Noted, Noted)
    parent.startService()
    twin = duplicate(parent)
    assert not twin.running
    assert parent.running
    if twin.services is not parent.services:  # copy.copy shares the children
        assert not any(child.running for child in twin)
        assert all(child.parent is twin for child in twin)
    assert not duplicate(parent.services[0]).running
    parent.stopService()


def test_a_state_that_says_running_is_not_believed() -> None:
    """An older or hand-edited image can't say that something runs."""
    service = Service.__new__(Service)
    service.__setstate__({"running": True, "name": "web"})
    assert not service.running
    assert service.name == "web"


def test_a_tree_is_saved_in_the_middle_of_its_start(run: Run) -> None:
    """A snapshot at any time holds no task."""
    events: list[str] = []
    parent = tree(Noted("a", events), Slow("b", events))

    async def main() -> None:
        await parent.privilegedStartService()
        starting = parent.startService()
        loaded = pickle.loads(pickle.dumps(parent))
        await starting
        assert not loaded.running
        assert vars(loaded).keys() == {"services", "name"}
        await live(loaded)
        await loaded.stopService()
        await parent.stopService()

    run(main())
