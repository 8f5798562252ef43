"""Settings laid over a loaded application for this run alone: `--set services[0].port=8017`.

A setting is not state, so what is saved holds the value the image had. That value is put back
just before a save and the setting laid again right after; nothing else runs meanwhile, for a
save is one call between two callbacks of the event loop. What the program changed since is its
own, and is saved: a setting counts as changed when it no longer equals what was given. (To save
the given value wherever the program looked at it was rejected: nobody could say which that is.)
"""

from __future__ import annotations

import ast
import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tapkit.application import Application
from tapkit.errors import UsageError
from tapkit.names import qualified_name, suggestion

_OPTION = "--set"
_SWITCHES = {"yes": True, "true": True, "on": True, "1": True} | {
    "no": False,
    "false": False,
    "off": False,
    "0": False,
}
_LITERALS = (list, tuple, dict, set, bytes, complex, type(None))
_ABSENT = object()


class Setting(NamedTuple):
    """One PATH=VALUE: the steps from the application to the value, and the value's text."""

    text: str
    steps: list[Any]
    value: str


class _Attribute(NamedTuple):
    """A step of a path: an attribute. Any other step is an index or a key."""

    name: str


class _Laid(NamedTuple):
    """Where a setting lies: what was there before, what was given, and a copy of that."""

    holder: Any
    step: Any
    before: Any
    given: Any
    as_given: Any


def parse(text: str) -> Setting:
    """Read `PATH=VALUE`, where PATH is written as in Python: `services[0].options["a=b"]`.

    Raises:
        UsageError: it is not that.
    """
    at = text.find("=")
    while at > 0:
        steps = _steps(text[:at].strip().removeprefix("application."))
        if steps:
            return Setting(text, steps, text[at + 1 :])
        at = text.find("=", at + 1)  # it may stand in a key
    raise UsageError(
        f"{text!r} is not PATH=VALUE", _OPTION, "such as services[0].port=8017, without spaces"
    )


def lay(application: Application, settings: Iterable[Setting]) -> None:
    """Lay settings over an application; they are lifted whenever it is saved.

    Raises:
        UsageError: a path leads nowhere, or a value is not of the kind that is there.
    """
    laid: list[_Laid] = []
    for setting in settings:
        new = _lay(application, setting)
        same = [one for one in laid if one.holder is new.holder and one.step == new.step]
        before = same[0].before if same else new.before  # the image's, though it was set twice
        laid = [one for one in laid if not any(one is other for other in same)]
        laid += [new._replace(before=before)]
    if laid:
        application.lifted = lambda: _lifted(laid)


@contextlib.contextmanager
def _lifted(laid: list[_Laid]) -> Iterator[None]:
    put_back = [one for one in laid if _unchanged(one)]
    for one in put_back:
        _put(one.holder, one.step, one.before)
    try:
        yield
    finally:
        for one in put_back:
            _put(one.holder, one.step, one.given)


def _unchanged(one: _Laid) -> bool:
    try:
        now = _own(one.holder, one.step)
    except LookupError:
        return False  # the program took it out
    return type(now) is type(one.as_given) and bool(now == one.as_given)


def _lay(application: Application, setting: Setting) -> _Laid:
    holder: Any = application
    path = "application"
    for step in setting.steps[:-1]:
        holder, path = _get(holder, step, path, setting), path + _spelt(step)
    last = setting.steps[-1]
    present = _get(holder, last, path, setting)
    path += _spelt(last)
    given = _typed(setting.value, present, path)
    if isinstance(holder, list) and isinstance(last, str):
        raise _refused("a service can't be replaced here", path, "set its attributes")
    one = _Laid(holder, last, _own(holder, last), given, copy.deepcopy(given))
    try:
        _put(holder, last, given)
    except Exception as error:  # a property, a tuple, a class that guards its attributes
        raise _refused(f"it can't be set ({error})", path) from error
    return one


# -- paths


def _steps(path: str) -> list[Any] | None:
    """The steps of a path in Python's spelling, or None if it is no path."""
    try:
        node = ast.parse(f"_.{path}", mode="eval").body
        steps: list[Any] = []
        while not isinstance(node, ast.Name):
            if isinstance(node, ast.Attribute):
                steps.append(_Attribute(node.attr))
            elif isinstance(node, ast.Subscript):
                steps.append(_key(node.slice))
            else:
                return None
            node = node.value
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return steps[::-1]


def _key(node: ast.expr) -> Any:
    """An index or a key; a bare word is the name of a service: `services[web]`."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _spelt(step: Any) -> str:
    return f".{step.name}" if isinstance(step, _Attribute) else f"[{step!r}]"


def _get(holder: Any, step: Any, path: str, setting: Setting) -> Any:
    """What is at a step of the path; a list's services are found by name as well."""
    if isinstance(step, _Attribute):
        found = getattr(holder, step.name, _ABSENT)
        known = [name for name in dir(holder) if not name.startswith("_")]
        if found is _ABSENT or callable(found):
            what = "has no attribute" if found is _ABSENT else "is no value but has a method"
            raise _refused(f"{what} {step.name!r}{suggestion(step.name, known)}", path)
        return found
    try:
        if isinstance(holder, list) and isinstance(step, str):
            return next(each for each in holder if getattr(each, "name", None) == step)
        return holder[step]
    except StopIteration:
        names = [name for each in holder if (name := getattr(each, "name", None))]
        raise _refused(f"nothing is named {step!r}{suggestion(step, names)}", path) from None
    except (LookupError, TypeError):
        raise _refused(f"has no [{step!r}]{_extent(holder, step)}", path) from None


def _extent(holder: Any, step: Any) -> str:
    if isinstance(holder, dict):
        return suggestion(str(step), map(str, holder))
    if isinstance(holder, (list, tuple)):
        return f"; it has {len(holder)}, counted from 0"
    return f"; it is a {qualified_name(holder)}"


def _own(holder: Any, step: Any) -> Any:
    """The value the holder itself has, or `_ABSENT` where it is its class's."""
    if not isinstance(step, _Attribute):
        return holder[step]
    own = getattr(holder, "__dict__", None)
    if own is None or _is_data_descriptor(holder, step.name):
        return getattr(holder, step.name)
    return own.get(step.name, _ABSENT)


def _is_data_descriptor(holder: Any, name: str) -> bool:
    return hasattr(getattr(type(holder), name, None), "__set__")


def _put(holder: Any, step: Any, value: Any) -> None:
    if not isinstance(step, _Attribute):
        holder[step] = value
    elif value is _ABSENT:
        delattr(holder, step.name)
    else:
        setattr(holder, step.name, value)


# -- values


def _typed(text: str, present: Any, path: str) -> Any:
    """A value of the kind that is there already.

    Only text stands for itself: a guess that turned `007` into a number, or a mistyped number
    into text, would be found out when the service starts, or never.
    """
    if isinstance(present, bool):
        return _switch(text, path)
    if isinstance(present, str):
        return text
    if isinstance(present, (int, float)):
        return _number(text, present, path)
    if not isinstance(present, _LITERALS):
        raise _refused(f"there is a {qualified_name(present)}", path, "set its attributes")
    literal = _literal(text, path)
    if present is not None and literal is not None and not isinstance(literal, type(present)):
        raise _refused(f"{text} is no {type(present).__name__}, which is what is there", path)
    return literal


def _switch(text: str, path: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise _refused(f"{text!r} is neither yes nor no", path)
    return _SWITCHES[text.lower()]


def _number(text: str, present: float, path: str) -> Any:
    if text == "None":
        return None
    try:
        return int(text, 0) if isinstance(present, int) else float(text)
    except ValueError:
        kind = "whole number" if isinstance(present, int) else "number"
        raise _refused(f"{text!r} is no {kind}, which is what is there", path) from None


def _literal(text: str, path: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError):
        raise _refused(
            f"{text!r} is no Python literal", path, "write text in quotes, such as \"'text'\""
        ) from None


def _refused(what: str, path: str, remedy: str | None = None) -> UsageError:
    return UsageError(f"{_OPTION}: {what}", path, remedy)
