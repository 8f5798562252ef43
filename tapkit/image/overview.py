"""What is in an image, told from its nodes: services, ports, classes, modules, code by value.

Nothing of the application is imported, so this works where the application is not installed,
and on images nobody should load.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections import Counter
from typing import Any

from tapkit.image.compare import root_name
from tapkit.image.facets import Facets
from tapkit.image.labels import Path, by_value, class_name, dotted, path_text, printable, short
from tapkit.image.nodes import Global, Image, Node, Object, walk

SETTINGS = ("host", "port", "interface", "path", "mode")
"""The attributes of a service that say where it is found."""

SERVES = ("factory", "protocol", "handler")
"""The attributes of a service that say what it does there."""

_BUILTINS = {"builtins", "__builtin__"}


@dataclasses.dataclass(frozen=True)
class Service:
    """A service of the tree.

    Attributes:
        path: `application.services[0]`; depth: 0 for the root.
        class_name: dotted; name: its own, or None.
        settings: those of SETTINGS that it has, numbers or text.
        serves: of each of SERVES that it has, the class or function.
    """

    path: str
    depth: int
    class_name: str
    name: str | None
    settings: dict[str, int | str]
    serves: dict[str, str]


@dataclasses.dataclass(frozen=True)
class Overview:
    """What is in an image.

    Attributes:
        root: what it is an image of: a class, in a few words.
        services: the service tree, each service before those it holds; empty where the root
            holds no services.
        objects: how many there are, containers and values apart.
        classes: how many instances of each class.
        calls: what loading calls to make objects, and how often. It may be a class too.
        names: every module and name loading would look up, as `module.name`.
        modules: top-level names of the modules needed, Python's builtins apart.
        missing: those of them that can't be found here.
        code: the code it carries by value: `function <lambda>`.
    """

    root: str
    services: list[Service]
    objects: int
    classes: dict[str, int]
    calls: dict[str, int]
    names: list[str]
    modules: list[str]
    missing: list[str]
    code: list[str]


def overview(image: Image) -> Overview:
    """What is in an image. Loads and imports nothing."""
    objects = 0
    classes: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    named = {*image.names, *names(image)}
    code: Counter[str] = Counter()
    for node in walk(image.root, *image.discarded):
        if type(node) is Object:
            objects += 1
            (classes if Facets(node).is_class else calls)[class_name(node)] += 1
            carried = by_value(node)
            if carried is not None:
                code[carried] += 1
    modules = sorted({printable(module.partition(".")[0]) for module, _ in named} - _BUILTINS)
    return Overview(
        root=short(image.root),
        services=services(image),
        objects=objects,
        classes=_by_count(classes),
        calls=_by_count(calls),
        names=sorted(dotted(Global(module, name)) for module, name in named),
        modules=modules,
        missing=[name for name in modules if not _is_there(name)],
        code=[what if count == 1 else f"{what} ({count} times)" for what, count in code.items()],
    )


def names(image: Image) -> list[tuple[str, str]]:
    """Every (module, name) that is in the nodes."""
    found = {
        (node.module, node.name)
        for node in walk(image.root, *image.discarded)
        if type(node) is Global
    }
    return sorted(found)


def services(image: Image) -> list[Service]:
    """The service tree: the root and what is in the lists `services`, each service once."""
    if services_of(image.root) is None:
        return []
    found = []
    seen: set[int] = set()
    todo: list[tuple[Path, int, Node]] = [((None, root_name(image.root)), 0, image.root)]
    while todo:
        path, depth, node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        found.append(_service(path, depth, node))
        held = services_of(node) or []
        todo += [
            (((path, ".services"), f"[{number}]"), depth + 1, held[number])
            for number in range(len(held) - 1, -1, -1)
            if type(held[number]) is Object
        ]
    return found


def services_of(node: Node) -> list[Node] | None:
    """The services an object holds; None if it is no holder of services."""
    if type(node) is not Object:
        return None
    held = _attributes(node).get("services")
    return held if type(held) is list else None


def settings_of(node: Object) -> dict[str, int | str]:
    """Where a service is found: its port and the like."""
    known = _attributes(node)
    return {
        name: known[name]
        for name in SETTINGS
        if type(known.get(name)) in (int, str)
        if known[name] != ""
    }


def name_of(node: Object) -> str | None:
    """The attribute `name` of an object, where it is text."""
    name = _attributes(node).get("name")
    return name if type(name) is str else None


def _service(path: Path, depth: int, node: Object) -> Service:
    known = _attributes(node)
    serves = {name: short(known[name]) for name in SERVES if known.get(name) is not None}
    return Service(
        path_text(path), depth, class_name(node), name_of(node), settings_of(node), serves
    )


def _attributes(node: Object) -> dict[str, Any]:
    flat = Facets(node).attributes
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _by_count(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda pair: (-pair[1], pair[0])))


def _is_there(name: str) -> bool:
    """Whether a top-level module can be found; finding one imports nothing."""
    if name in sys.modules or name in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False
