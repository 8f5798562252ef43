"""Loading what is not trusted: exact names, no code by value, no calls but of classes, limits.

What is loaded is not the image's own pickle but one assembled anew from its nodes, so that what
was checked is what is loaded, whatever two readers of pickles may disagree about; and each name
is looked up by `Permitted.find` once more. What is promised, and what is not - the methods of
the classes that are permitted do run, with any state - is in docs/security.md.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter
from typing import Any, NoReturn

from tapkit.errors import ImageError
from tapkit.image import collector, header, live, pickled, tap
from tapkit.image.audit.called import called
from tapkit.image.audit.linear import check_limits
from tapkit.image.audit.places import Places
from tapkit.image.audit.survey import Name, Survey, Use
from tapkit.image.forms import Form
from tapkit.image.nodes import (
    ATOMS,
    EFFECT,
    ENTRIES,
    MEMBERS,
    REDUCE,
    STATE,
    Dict,
    Global,
    Image,
    Node,
    Object,
)
from tapkit.image.permitted import FUNCTIONS, Permitted, refused
from tapkit.image.rows import Loaded

MOST_TOLD = 5
"""How many refusals one message tells."""

MOST_COLLIDING = 200
"""How many keys of a dict or set may have the same hash."""


def load(row: Form, data: Any, where: str, permitted: Permitted) -> Loaded:
    """The object of an image, under restrictions.

    Raises:
        ImageError: it is damaged, goes beyond what is permitted - naming what, at which attribute
            path, and what would permit it - or its code failed.
    """
    if tap.sniff(data):
        payload = bytes(tap.read(data, where)[1])
        try:
            check_limits(payload)
        except ImageError as error:
            raise live.placed(error, where) from error
    image, info = row.decode(data, where)
    check(image, permitted, where)
    header.check_needs(info, where)
    with collector.no_collector():
        stream = io.BytesIO(pickled.assemble(image))
    del image
    return Loaded(live.upgraded(lambda: _Unpickler(stream, permitted).load(), where), info)


def weight(data: Any, where: str) -> int:
    """How large an image is, in bytes, once it is unpacked; what limits are measured by.

    Its header says so, and is believed within reason: 64 times the file.

    Raises:
        ImageError: its header is damaged.
    """
    packed = len(data)
    if not tap.sniff(data):
        return packed
    return max(packed, min(tap.inspect(data, where).size, 64 * packed))


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, permitted: Permitted):
        super().__init__(stream)
        self._permitted = permitted

    def find_class(self, module: str, name: str) -> Any:
        return self._permitted.find(module, name)

    def persistent_load(self, pid: Any) -> NoReturn:
        raise refused("a persistent id")


def check(image: Image, permitted: Permitted, where: str) -> None:
    """Refuse an image that goes beyond what is permitted, as far as its nodes tell.

    Raises:
        ImageError: naming what, the attribute paths, and the options that would permit it.
    """
    with collector.no_collector():
        survey = Survey(image)
        found = _Refusals(image, survey, permitted)
    if not found.told:
        return
    told = found.told[:MOST_TOLD]
    more = len(found.told) - len(told)
    what = "; ".join(told) + (f"; and {more} more" if more else "")
    remedies = " ".join(dict.fromkeys(found.remedies))
    if not remedies:
        remedy = "no --allow permits it"
    elif found.hopeless:
        remedy = f"{remedies} would not be enough"
    else:
        remedy = f"{remedies} would permit it, as far as it is classes"
    raise ImageError(f"refused by --restricted: {what}", where, remedy)


class _Refusals:
    """All that is refused in an image.

    Attributes:
        told: in words, each with its path; remedies: options; hopeless: whether there is
            something that no option permits.
    """

    def __init__(self, image: Image, survey: Survey, permitted: Permitted):
        self.told: list[str] = []
        self.remedies: list[str] = []
        self.hopeless = False
        wrong = _wrong_objects(image, survey)
        names = _wrong_names(survey, permitted)
        used = [name for name in names if survey.uses[name] != Use()]
        places = Places(image, used, [node for node, _ in wrong])
        for name, why in names.items():
            self._add(f"{name[0]}.{name[1]} {why}", places.of_name(name))
            remedy = permitted.remedy(*name)
            if remedy is None:
                self.hopeless = True
            else:
                self.remedies.append(remedy)
        for node, why in wrong:
            self._add(why, places.of_object(node))
            self.hopeless = True
        for why in _overfull(survey):
            self._add(why, None)
            self.hopeless = True

    def _add(self, what: str, place: str | None) -> None:
        from tapkit.image.labels import printable

        self.told.append(printable(what) + (f", at {place}" if place else ""))


def _wrong_names(survey: Survey, permitted: Permitted) -> dict[Name, str]:
    """Names that are not permitted, or not where they stand, with the reason."""
    methods = _methods_bound(survey)
    found = {}
    for name, use in survey.uses.items():
        why = permitted.refusal(*name)
        if why is None and name in FUNCTIONS and (use.referred or use.built):
            why = "may only be called, to make " + FUNCTIONS[name][1]
        if why is None and name in methods and (use.called or use.built):
            why = "is a method, and is called"
        if why is not None:
            found[name] = why
    permitted.bindable = methods - found.keys()
    return found


def _methods_bound(survey: Survey) -> set[Name]:
    """Names that are the function of a bound method."""
    return {
        (node.args[0].module, node.args[0].name)
        for node in survey.others
        if called(node) == Global("types", "MethodType")
        if type(node.args) is tuple and node.args and type(node.args[0]) is Global
    }


def _wrong_objects(image: Image, survey: Survey) -> list[tuple[Object, str]]:
    found: list[tuple[Object, str]] = []
    for node in survey.others:
        why = _why_wrong(node)
        if why is not None:
            found.append((node, why))
            if len(found) > MOST_TOLD:
                break
    discarded = [node for node in image.discarded if type(node) is Object]
    return found + [(node, "a call whose result is thrown away") for node in discarded[:1]]


def _why_wrong(node: Object) -> str | None:
    call = called(node)
    if call is None:
        return "what a call makes is called"
    if node.steps and EFFECT in node.steps[::2]:
        return "a call made for its effect"
    if (call.module, call.name) in FUNCTIONS:
        makes, what = FUNCTIONS[call.module, call.name]
        plain = node.how == REDUCE and type(node.args) is tuple and makes(node.args)
        if not plain or (STATE in node.steps and call.module != "copyreg"):
            return f"{call.module}.{call.name} is called otherwise than to make {what}"
    for verb, value in node.each_step():
        if verb == STATE and type(value) is tuple and _has_dunder(value):
            return "a state that sets what is Python's own"
    return None


def _has_dunder(state: tuple[Node, ...]) -> bool:
    """Whether a state of slots, which are set by `setattr`, names `__class__` or its like."""
    for part in state:
        keys = part[::2] if type(part) is Dict else []
        if any(type(key) is not str or key.startswith("__") for key in keys):
            return True
    return False


def _overfull(survey: Survey) -> list[str]:
    """Dicts and sets made to be slow: many keys with one hash."""
    containers: list[Any] = list(survey.large)
    for node in survey.others:
        containers += (
            value
            for verb, value in node.each_step()
            if verb in (ENTRIES, MEMBERS) and len(value) > MOST_COLLIDING
        )
    worst = max(map(_colliding, containers), default=0)
    return [f"{worst} keys with the same hash"] if worst > MOST_COLLIDING else []


def _colliding(container: list[Node]) -> int:
    keys = container[::2] if type(container) is Dict else container
    hashes = Counter(hash(key) for key in keys if _is_value(key))
    return max(hashes.values(), default=0)


def _is_value(key: Node) -> bool:
    return type(key) in ATOMS or (type(key) is tuple and ATOMS.issuperset(map(type, key)))
