"""Readable spellings for objects of standard types: `<at type="datetime">2004-05-01T12:00:00</at>`.

A type has a function that spells a node, or declines, and one that makes the node from the text.
What is spelt is made again and compared before it is written: a spelling that would lose
anything of how the object is made is not used, and the object is written as the call it is.
Nothing is asked of the objects' classes; what these nodes mean was learnt from their pickles.
"""

from __future__ import annotations

import decimal
import pathlib
import re
from collections.abc import Callable, Mapping, Set
from typing import NamedTuple

from tapkit.image.nodes import NEWOBJ, REDUCE, STATE, Dict, Global, Object, difference, walk
from tapkit.image.tax import atoms
from tapkit.image.tax.atoms import Atom
from tapkit.image.tax.moments import (
    make_date,
    make_datetime,
    make_time,
    make_timedelta,
    spell_date,
    spell_datetime,
    spell_time,
    spell_timedelta,
)
from tapkit.image.tax.shapes import call_of, only

_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|Infinity|s?NaN[0-9]*)"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_RATIO = re.compile(r"([+-]?[0-9]{1,4000})/([0-9]{1,4000})")


class Spelling(NamedTuple):
    """How one standard type is spelt.

    Attributes:
        globals: (module, name) of what its objects are made by.
        spell: node -> (attributes, text), or None if it is not the common case.
        atom: how it is read.
    """

    globals: tuple[tuple[str, str], ...]
    spell: Callable[[Object], tuple[str, str] | None]
    atom: Atom


def spelt(node: Object, shared: Set[int]) -> tuple[str, str, str] | None:
    """(type, attributes, text) of an object of a standard type; None if it needs the long form.

    Parameters:
        shared: ids of the nodes met more than once: an inner one cannot hide in text.
    """
    call = node.call
    if type(call) is not Global or node.kwargs is not None:
        return None
    name = NAMES.get((call.module, call.name))
    if name is None:
        return None
    row = SPELLINGS[name]
    found = row.spell(node)
    if found is None:
        return None
    attributes, text = found
    try:
        again = row.atom.make(text, dict(re.findall(r'(\w+)="([^"]*)"', attributes)))
    except (ValueError, KeyError):
        return None
    if difference(again, node):
        return None
    inner = any(part is not node and id(part) in shared for part in walk(node))
    return None if inner else (name, attributes, text)


def _spell_complex(node: Object) -> tuple[str, str] | None:
    return ("", repr(complex(*node.args)).strip("()")) if only(node, float, float) else None


def _make_complex(text: str, attributes: Mapping[str, str]) -> Object:
    value = complex(text.strip())
    return call_of("builtins", "complex", value.real, value.imag)


def _spell_range(node: Object) -> tuple[str, str] | None:
    if not only(node, int, int, int) or max(n.bit_length() for n in node.args) > 64:
        return None
    start, stop, step = node.args
    return f' start="{start}" stop="{stop}" step="{step}"', ""


def _make_range(text: str, attributes: Mapping[str, str]) -> Object:
    if text.strip() or "stop" not in attributes:
        raise ValueError('a range is written with start="0" stop="10" step="1" and no text')
    try:
        bounds = [
            int(attributes.get(*part)) for part in (("start", "0"), ("stop", ""), ("step", "1"))
        ]
    except ValueError:
        raise ValueError("the bounds of a range are ints") from None
    return call_of("builtins", "range", *bounds)


def _spell_decimal(node: Object) -> tuple[str, str] | None:
    return ("", node.args[0]) if only(node, str) else None


def _make_decimal(text: str, attributes: Mapping[str, str]) -> Object:
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        raise KeyError(text)
    try:
        decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"{text} is beyond what a Decimal can hold") from None
    return call_of("decimal", "Decimal", text)


def _spell_uuid(node: Object) -> tuple[str, str] | None:
    if node.how != NEWOBJ or node.args or node.steps[::2] != [STATE]:
        return None
    state = node.steps[1]
    if type(state) is not Dict or len(state) != 2 or type(state[1]) is not int:
        return None
    if not 0 <= state[1] < 1 << 128:
        return None
    digits = f"{state[1]:032x}"
    return "", "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _make_uuid(text: str, attributes: Mapping[str, str]) -> Object:
    text = text.strip()
    if not _UUID.fullmatch(text):
        raise KeyError(text)
    node = Object(NEWOBJ, Global("uuid", "UUID"))
    node.add_step(STATE, Dict(["int", int(text.replace("-", ""), 16)]))
    return node


def _spell_fraction(node: Object) -> tuple[str, str] | None:
    """Since Python 3.12 two ints are pickled, before it a str."""
    if only(node, int, int) and max(n.bit_length() for n in node.args) < atoms.DECIMAL_BITS // 2:
        return "", f"{node.args[0]}/{node.args[1]}"
    return (' given="str"', node.args[0]) if only(node, str) else None


def _make_fraction(text: str, attributes: Mapping[str, str]) -> Object:
    text = text.strip()
    if not _RATIO.fullmatch(text if "/" in text else f"{text}/1"):
        raise KeyError(text)
    if attributes.get("given") == "str":
        return call_of("fractions", "Fraction", text)
    above, _, below = text.partition("/")
    return call_of("fractions", "Fraction", int(above), int(below or "1"))


def _path_spelling(name: str, flavour: type[pathlib.PurePath]) -> Spelling:
    """A kind of path. Python 3.13 pickles them as of a private module."""

    def spell(node: Object) -> tuple[str, str] | None:
        if node.how != REDUCE or node.steps or type(node.args) is not tuple:
            return None
        if any(type(part) is not str for part in node.args):
            return None
        text = str(flavour(*node.args))
        private = node.call.module == "pathlib._local"
        return ' module="pathlib._local"' if private else "", text

    def make(text: str, attributes: Mapping[str, str]) -> Object:
        module = attributes.get("module", "pathlib")
        if (module, name) not in places:
            raise ValueError(f'module="{module}" has no {name}')
        return call_of(module, name, *flavour(text).parts)

    places = (("pathlib", name), ("pathlib._local", name))
    return Spelling(places, spell, Atom(make, f"a {name}", "", ("module", "escape")))


def _row(place: str, spell: Callable[[Object], tuple[str, str] | None], atom: Atom) -> Spelling:
    module, _, name = place.rpartition(".")
    return Spelling(((module, name),), spell, atom)


_PATHS: dict[str, type[pathlib.PurePath]] = {
    "PosixPath": pathlib.PurePosixPath,
    "PurePosixPath": pathlib.PurePosixPath,
    "WindowsPath": pathlib.PureWindowsPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
}

SPELLINGS: dict[str, Spelling] = {
    "complex": _row(
        "builtins.complex", _spell_complex, Atom(_make_complex, "a complex", "write 1.5+2j")
    ),
    "range": _row(
        "builtins.range",
        _spell_range,
        Atom(_make_range, "a range", "", ("start", "stop", "step")),
    ),
    "datetime": _row(
        "datetime.datetime",
        spell_datetime,
        Atom(make_datetime, "a datetime", "write 2004-05-01T12:00:00 or with +02:00 behind it"),
    ),
    "date": _row("datetime.date", spell_date, Atom(make_date, "a date", "write 2004-05-01")),
    "time": _row("datetime.time", spell_time, Atom(make_time, "a time", "write 12:00:00")),
    "timedelta": _row(
        "datetime.timedelta",
        spell_timedelta,
        Atom(make_timedelta, "a timedelta", "write 1:30:00 or 2 days, 0:00:00"),
    ),
    "Decimal": _row(
        "decimal.Decimal", _spell_decimal, Atom(_make_decimal, "a Decimal", "write 1.50")
    ),
    "Fraction": _row(
        "fractions.Fraction",
        _spell_fraction,
        Atom(_make_fraction, "a Fraction", "write 1/3", ("given",)),
    ),
    "UUID": _row(
        "uuid.UUID",
        _spell_uuid,
        Atom(_make_uuid, "a UUID", "write 12345678-1234-5678-1234-567812345678"),
    ),
    **{name: _path_spelling(name, flavour) for name, flavour in _PATHS.items()},
}
"""Every standard type that is spelt as text, by the name `type=` has."""

NAMES = {place: name for name, row in SPELLINGS.items() for place in row.globals}
