"""The service tree: its contracts, names, places, and what is saved of it."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tapkit import service as service_module
from tapkit.errors import ServiceError
from tapkit.service import IService, IServiceCollection, MultiService, Service, path_of, relink
from tests.loops import Run
from tests.loops import run as run
from tests.trees import Noted, Slow, both, live, tree

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
