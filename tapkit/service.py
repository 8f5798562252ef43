"""The service tree: what starts and stops, in which order, and who holds whom.

The three hooks (`privilegedStartService`, `startService`, `stopService`) may be plain methods
or coroutines; a `MultiService` walks its children (`tapkit.walk`), at once as far as none of
them makes it wait. What a walk returns may be awaited or dropped: an override
`def startService(self): super().startService()` that forgets to pass it on loses nothing,
because the parent waits for the child's unfinished walk as well.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterator
from typing import Any, ClassVar, Protocol, runtime_checkable

from tapkit import limits
from tapkit.errors import ServiceError, TapkitError, describe
from tapkit.names import qualified_name, refuse_misspelt_hooks, suggestion
from tapkit.styles import Persistent
from tapkit.walk import DONE, Steps, after, is_awaitable, one_after_another, walk

logger = logging.getLogger("tapkit.service")

HOOKS = (
    "setName",
    "setServiceParent",
    "disownServiceParent",
    "privilegedStartService",
    "startService",
    "stopService",
)
COLLECTION_HOOKS = ("addService", "removeService", "getServiceNamed")


@runtime_checkable
class IService(Protocol):
    """Something that can be started and stopped, under a parent."""

    name: str | None
    running: bool
    parent: Any

    def setName(self, name: str) -> None: ...
    def setServiceParent(self, parent: Any) -> Awaitable[None]: ...
    def disownServiceParent(self) -> Awaitable[None]: ...
    def privilegedStartService(self) -> Awaitable[None] | None: ...
    def startService(self) -> Awaitable[None] | None: ...
    def stopService(self) -> Awaitable[None] | None: ...


@runtime_checkable
class IServiceCollection(Protocol):
    """Something that holds services."""

    def __iter__(self) -> Iterator[Any]: ...
    def addService(self, service: Any) -> Awaitable[None]: ...
    def removeService(self, service: Any) -> Awaitable[None]: ...
    def getServiceNamed(self, name: str) -> Any: ...


class Service(Persistent):
    """A leaf of the tree. Override the hooks; call `super()` in them.

    A service that was loaded, or copied, is never running, whatever it was before.

    Attributes:
        stop_timeout: seconds its stop may take in a daemon; None: those of `--stop-timeout`.
    """

    volatile: ClassVar[tuple[str, ...]] = ("running", "_unfinished", "_stopping")

    name: str | None = None
    running: bool = False
    parent: Any = None
    stop_timeout: float | None = None
    _unfinished: Awaitable[None] | None = None
    _stopping: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_misspelt_hooks(cls, HOOKS + COLLECTION_HOOKS)

    def setName(self, name: str) -> None:
        """Name the service, before it has a parent.

        Raises:
            ServiceError: it is under a parent, which knows it by its present name.
        """
        if self.parent is not None:
            raise ServiceError(
                f"a service under a parent can't be renamed to {name!r}",
                path_of(self),
                "disown it first, or name it before adding it",
            )
        self.name = name

    def setServiceParent(self, parent: Any) -> Awaitable[None]:
        """Go under `parent`, leaving the present one. Starts if `parent` runs."""
        if not isinstance(parent, IServiceCollection):
            raise ServiceError(f"{_kind(parent)} can't hold services", None, "use a MultiService")
        if self.parent is None:
            return parent.addService(self)
        _refuse_under(self, parent)  # while it still has its place
        return walk(one_after_another(self.disownServiceParent, lambda: parent.addService(self)))

    def disownServiceParent(self) -> Awaitable[None]:
        """Leave the parent, stopping if running."""
        if self.parent is None:
            raise ServiceError("the service has no parent to leave", path_of(self))
        left: Awaitable[None] = self.parent.removeService(self)
        return left

    def privilegedStartService(self) -> Awaitable[None] | None:
        """What needs the privileges the process starts with: binding ports, opening devices."""
        return DONE

    def startService(self) -> Awaitable[None] | None:
        """Begin to serve."""
        self.running = True
        return DONE

    def stopService(self) -> Awaitable[None] | None:
        """Stop serving and release what is held, also when only the privileged start was done."""
        self.running = False
        return DONE

    def _begin(self, steps: Steps) -> Awaitable[None]:
        """Walk the steps of a start, noting it while unfinished: its awaitable may be dropped."""
        self._stopping = False
        return self._note(walk(steps))

    def _end(self, steps: Steps) -> Awaitable[None]:
        """Walk the steps of a stop, when an unfinished start has undone what it did.

        A start that went on behind the stop's back would leave a stopped tree half running.
        """
        unfinished, cancel = self._unfinished, not self._stopping
        self._stopping = True
        return self._note(walk(after(unfinished, steps, cancel)))

    def _note(self, begun: Awaitable[None]) -> Awaitable[None]:
        self._unfinished = None if begun is DONE else begun
        return begun


class MultiService(Service):
    """A service that holds services; starts them in order, stops them in reverse."""

    volatile: ClassVar[tuple[str, ...]] = ("_to_release",)

    def __init__(self) -> None:
        self.services: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return iter(self.services)

    def getServiceNamed(self, name: str) -> Any:
        """The child of that name.

        Raises:
            ServiceError: no child has it.
        """
        for service in self.services:
            if service.name == name:
                return service
        names = [service.name for service in self.services if service.name is not None]
        raise ServiceError(f"no service is named {name!r}{suggestion(name, names)}", path_of(self))

    def addService(self, service: Any) -> Awaitable[None]:
        """Take a service in; it starts if this one runs.

        Returns an awaitable of its start; one that is dropped reports a failure to the
        event loop's exception handler.

        Raises:
            ServiceError: not a service, a second one of that name, under a parent already, or
                a tree that would hold itself.
        """
        _refuse_under(service, self)
        if service.parent is not None:
            raise ServiceError(
                f"{_kind(service)} is under {path_of(service.parent)} already",
                None,
                "use setServiceParent to move it",
            )
        self.services.append(service)
        service.parent = self
        return walk(self._start_late(service)) if self.running else DONE

    def removeService(self, service: Any) -> Awaitable[None]:
        """Let a child go; it stops if it runs.

        Raises:
            ServiceError: it is not a child of this one.
        """
        if not any(child is service for child in self.services):
            raise ServiceError(f"{_kind(service)} is not a service of", path_of(self))
        path = path_of(service)
        self.services[:] = [child for child in self.services if child is not service]
        service.parent = None
        held = id(service) in self._held()
        self._held().discard(id(service))
        if service.running or held:
            return walk(_stop_all([(path, service)]))
        return DONE

    def privilegedStartService(self) -> Awaitable[None]:
        """Prepare every child; if one fails, those that hold something are stopped in reverse."""
        return self._begin(self._prepare_children())

    def startService(self) -> Awaitable[None]:
        """Start every child in order; if one fails, those already started stop in reverse.

        Raises:
            ServiceError: a child did not start; `where` is its path.
        """
        super().startService()
        return self._begin(self._start_children())

    def stopService(self) -> Awaitable[None]:
        """Stop every running child in reverse, each waited for, all of them whatever fails.

        Raises:
            ServiceError: naming each child that failed to stop, and why.
        """
        super().stopService()
        return self._end(self._stop_children())

    def _held(self) -> set[int]:
        """The ids of the children to stop though they do not run: they may hold a port."""
        held: set[int] = vars(self).setdefault("_to_release", set())
        return held

    def _prepare_children(self) -> Steps:
        for service in list(self.services):
            if service.parent is self:  # a sibling's hook may have removed it meanwhile
                yield from self._attempt(service, "privilegedStartService")

    def _start_children(self) -> Steps:
        for service in list(self.services):
            if service.parent is self:
                yield from self._attempt(service, "startService")

    def _start_late(self, service: Any) -> Steps:
        for hook in ("privilegedStartService", "startService"):
            yield from self._attempt(service, hook, late=True)

    def _attempt(self, service: Any, hook: str, late: bool = False) -> Steps:
        """Call a child's hook; if it fails, stop it and, unless it came late, its siblings."""
        try:
            yield from self._call_child(service, hook)
        except BaseException as error:
            # BaseException: a cancelled start must release its ports like a failed one.
            failure = _not_started(path_of(service), error)
            service.running = False  # its own start may have set this before it failed
            yield from _undo_start(self, [service] if late else self.services)
            if not late:
                self.running = False
            if failure is error or not isinstance(error, Exception):
                raise
            raise failure from error

    def _call_child(self, service: Any, hook: str) -> Steps:
        if hook == "privilegedStartService" and _overrides(service, hook):
            self._held().add(id(service))
        yield from _call(service, hook)
        if hook == "startService" and not service.running:
            self._held().add(id(service))  # its override calls no super(); stop it all the same

    def _stop_children(self) -> Steps:
        yield from _stop_all(self._take_active(self.services))

    def _take_active(self, services: list[Any]) -> list[tuple[str, Any]]:
        """Those of `services` that run or hold something, with their paths, to be stopped."""
        active = [s for s in services if s.running or id(s) in self._held()]
        self._held().difference_update(map(id, active))
        return [(path_of(service), service) for service in active]


def path_of(service: Any) -> str:
    """Where a service is in its tree, as an attribute path: `application.services[0]`."""
    parent = getattr(service, "parent", None)
    if parent is None:
        return getattr(type(service), "path_root", None) or _kind(service)
    siblings = list(parent)
    index = next((i for i, sibling in enumerate(siblings) if sibling is service), "?")
    return f"{path_of(parent)}.services[{index}]"


def relink(collection: Any) -> None:
    """Give every service below `collection` its parent: a hand-edited image may leave it out.

    Raises:
        ServiceError: what is there is no service, or is there twice; no tree would start.
    """
    met = {id(collection)}
    todo = [collection]
    while todo:
        parent = todo.pop()
        for index, service in enumerate(parent):
            path = f"{path_of(parent)}.services[{index}]"
            if not isinstance(service, IService):
                raise ServiceError(f"{qualified_name(service)} is not a service", path)
            if id(service) in met:
                raise ServiceError(f"{_kind(service)} is in the tree already", path)
            met.add(id(service))
            service.parent = parent
            if isinstance(service, IServiceCollection):
                todo.append(service)


def _kind(service: Any) -> str:
    name = getattr(service, "name", None)
    kind = type(service).__name__
    return f"{kind} {name!r}" if isinstance(name, str) else kind


def _overrides(service: Any, hook: str) -> bool:
    return getattr(type(service), hook, None) is not getattr(Service, hook)


def _refuse_under(service: Any, parent: Any) -> None:
    if not isinstance(service, IService):
        raise ServiceError(
            f"{qualified_name(service)} is not a service",
            path_of(parent),
            "derive it from tapkit.service.Service",
        )
    ancestor = parent
    while ancestor is not None:
        if ancestor is service:
            raise ServiceError(f"{_kind(service)} can't hold itself", path_of(parent))
        ancestor = getattr(ancestor, "parent", None)
    if service.name is not None and any(
        s.name == service.name and s is not service for s in parent
    ):
        raise ServiceError(
            f"a service named {service.name!r} is there already", path_of(parent), "name it anew"
        )


def _call(service: Any, hook: str) -> Steps:
    result = getattr(service, hook)()
    if result is not DONE and is_awaitable(result):
        yield result
    unfinished = getattr(service, "_unfinished", None)
    if unfinished is not None and unfinished is not result:
        yield unfinished
    if unfinished is not None:
        service._unfinished = None


def _not_started(path: str, error: BaseException) -> ServiceError:
    if isinstance(error, ServiceError) and error.where and error.where.startswith(path):
        return error  # it comes from deeper in the tree and says where
    if not isinstance(error, TapkitError):
        return ServiceError(f"a service did not start: {describe(error)}", path)
    what = ": ".join(part for part in (error.what, error.where) if part)
    return ServiceError(f"a service did not start: {what}", path, error.remedy)


def _undo_start(parent: MultiService, services: list[Any]) -> Steps:
    """Undo a failed start. What fails here is logged: the start's own failure leads."""
    try:
        yield from _stop_all(parent._take_active(services))
    except ServiceError as error:
        logger.error("while undoing a failed start: %s", error, exc_info=error)


def _stop_all(services: list[tuple[str, Any]]) -> Steps:
    failures: list[tuple[str, Exception]] = []
    cancelled: BaseException | None = None
    for path, service in reversed(services):
        try:
            steps = _call(service, "stopService")
            yield from limits.CURRENT.get().steps(path, service, steps)
        except Exception as error:
            failures.append((path, error))
        except BaseException as error:  # a cancelled stop hurries one child, it skips none
            cancelled = error
    if cancelled is not None:
        raise cancelled
    if len(failures) == 1 and isinstance(failures[0][1], ServiceError):
        raise failures[0][1]
    if failures:
        told = "; ".join(f"{path}: {describe(error)}" for path, error in failures)
        count = "a service" if len(failures) == 1 else f"{len(failures)} services"
        raise ServiceError(f"{count} failed to stop: {told}") from failures[0][1]
