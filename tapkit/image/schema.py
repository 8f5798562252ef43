"""The classes of an image as a table, and that table held against the code that is here.

The table is made from the nodes alone. Holding it against the code imports the modules of the
classes, but builds none of the image's objects.
"""

from __future__ import annotations

import dataclasses
import dis
import types
from collections import Counter
from collections.abc import Iterable, Iterator

from tapkit import aliases, styles
from tapkit.errors import TapkitError
from tapkit.image import classes
from tapkit.image.facets import Facets
from tapkit.image.labels import printable
from tapkit.image.nodes import Global, Image, Object, walk
from tapkit.names import named_object, qualified_name

VERSION = ".persistenceVersion"
"""The end of the keys under which `styles.Versioned` saves versions."""


@dataclasses.dataclass
class SavedClass:
    """A class in an image.

    Attributes:
        name: dotted.
        count: how many instances there are.
        versions: of each key that ends in VERSION, the versions saved, and 0 if not all have it.
        attributes: the names of all attributes saved, versions apart.
    """

    name: str
    count: int = 0
    versions: dict[str, set[int]] = dataclasses.field(default_factory=dict)
    attributes: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(frozen=True)
class Problem:
    """Where an image and the code that is here do not fit.

    Attributes:
        kind: "missing class", "missing upgrade step", "newer than the code" or "unknown
            attribute".
        what: dotted: the class, the class and the step's or attribute's name; why: in words.
    """

    kind: str
    what: str
    why: str


def table(image: Image) -> list[SavedClass]:
    """The classes of an image, the most frequent first. Imports nothing."""
    found: dict[tuple[str, str], SavedClass] = {}
    keyed: Counter[tuple[str, str, str]] = Counter()
    for node in walk(image.root, *image.discarded):
        facets = Facets(node) if type(node) is Object else None
        if facets is None or not facets.is_class or type(facets.maker) is not Global:
            continue
        module, cls = facets.maker.module, facets.maker.name
        row = found.setdefault((module, cls), SavedClass(f"{module}.{cls}"))
        row.count += 1
        for name, value in zip(facets.attributes[::2], facets.attributes[1::2], strict=True):
            if name.endswith(VERSION) and type(value) is int:
                row.versions.setdefault(name, set()).add(value)
                keyed[module, cls, name] += 1
            else:
                row.attributes.add(name)
    for (module, cls, name), count in keyed.items():
        if count < found[module, cls].count:
            found[module, cls].versions[name].add(0)
    return sorted(found.values(), key=lambda row: (-row.count, row.name))


def for_header(image: Image) -> dict[str, classes.ClassSummary]:
    """The table as a `.tap`'s header has it."""
    met = ((row.name, row.count, _version(row), row.attributes) for row in table(image))
    return classes.told(met)


def _version(row: SavedClass) -> int | None:
    return max(row.versions.get(row.name + VERSION, ()), default=None)


def problems(rows: Iterable[SavedClass]) -> list[Problem]:
    """What does not fit the code that is here. Imports the modules of the classes."""
    found: list[Problem] = []
    for row in rows:
        try:
            cls = _named(row.name)
        except TapkitError as error:
            found.append(Problem("missing class", printable(row.name), str(error)))
            continue
        if isinstance(cls, type):
            upgrades = list(_upgrades(cls, row))
            found += upgrades
            if not upgrades and not _is_outdated(cls, row):
                found += _unknown(cls, row)
    return found


def _named(name: str) -> object:
    try:
        return named_object(name)
    except TapkitError:
        moved = aliases.resolve(name)
        if moved is None:
            raise
        return named_object(moved)


def _upgrades(cls: type, row: SavedClass) -> Iterator[Problem]:
    """Steps that are missing between what was saved and the code, for each base that counts."""
    for base, saved in _versions(cls, row):
        now = vars(base)["persistenceVersion"]
        if max(saved) > now:
            why = f"saved as version {max(saved)}, the code is {now}"
            yield Problem("newer than the code", qualified_name(base), why)
        for step in range(min(saved) + 1, now + 1):
            if not callable(vars(base).get(f"upgradeToVersion{step}")):
                name = f"{qualified_name(base)}.upgradeToVersion{step}"
                why = f"saved as version {min(saved)}, the code is {now}"
                yield Problem("missing upgrade step", name, why)


def _versions(cls: type, row: SavedClass) -> Iterator[tuple[type, set[int]]]:
    """Each class that has a version of its own, with the versions saved."""
    for base in reversed(cls.__mro__):
        if base is styles.Versioned or not issubclass(base, styles.Versioned):
            continue
        if "persistenceVersion" in vars(base):
            now = qualified_name(base)
            keys = [name + VERSION for name in (now, *aliases.former(now))]
            saved = [row.versions[key] for key in keys if key in row.versions]
            yield base, saved[0] if saved else {0}


def _is_outdated(cls: type, row: SavedClass) -> bool:
    """Whether upgrades will run, which may do as they like with old attributes."""
    return any(saved != {vars(base)["persistenceVersion"]} for base, saved in _versions(cls, row))


def _unknown(cls: type, row: SavedClass) -> Iterator[Problem]:
    """Attributes that nothing in the class speaks of, as far as its code tells."""
    known = known_attributes(cls)
    if known is None:
        return
    for name in sorted(row.attributes - known):
        what = printable(f"{row.name}.{name}")
        yield Problem("unknown attribute", what, "nothing in the class speaks of it")


def known_attributes(cls: type) -> set[str] | None:
    """The attributes a class speaks of: annotated, in slots, of the class, or set by a method.

    None where that can't be told: it has a `__setstate__` or `__setattr__` of its own, or no
    code to read.
    """
    own = [getattr(cls, name, None) for name in ("__setstate__", "__setattr__", "__getattr__")]
    usual = (
        styles.Persistent.__setstate__,
        styles.Versioned.__setstate__,
        object.__setattr__,
        None,
    )
    if any(method not in usual for method in own):
        return None
    known: set[str] = set()
    read = False
    for base in cls.__mro__[:-1]:
        known.update(vars(base), vars(base).get("__annotations__", ()))
        for thing in vars(base).values():
            function = getattr(thing, "__func__", thing)
            if isinstance(function, types.FunctionType):
                read = True
                known.update(_set_in(function.__code__))
    return known if read else None


def _set_in(code: types.CodeType) -> Iterator[str]:
    """The names of attributes that code sets, on whatever object, and of those that it names."""
    for step in dis.get_instructions(code):
        if step.opname == "STORE_ATTR":
            yield str(step.argval)
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _set_in(part)
        elif isinstance(part, str) and part.isidentifier():
            yield part  # setattr(self, "name", ...), vars(self)["name"]
