"""What the tags mean that the writer writes, for `quick`."""

from __future__ import annotations

import re
from typing import Any

from tapkit.image.tax import escapes
from tapkit.image.tax.dotted import parsed
from tapkit.image.tax.tags import RESERVED, is_name

_VALUE = r"""(?:"[^"\t\n\r]*"|'[^'\t\n\r]*')"""
_TAG = re.compile(
    rf"(/?)([^\s\"'/=]+)((?:[ \n\t]+[A-Za-z]+[ \n\t]*=[ \n\t]*{_VALUE})*)[ \n\t]*(/?)"
)
_ATTRIBUTE = re.compile(rf"([A-Za-z]+)[ \n\t]*=[ \n\t]*({_VALUE})")
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf|nan)")
_HEX = re.compile(r"0x[0-9a-f]+")
_WHITE = " \t\n"
GAPS = frozenset({"", *("\n" + "  " * depth for depth in range(64))})
"""The layout between tags, as the writer has it."""

_MOST_PLANS = 20_000

# What a tag begins, the most common first
STR, INT, FLOAT, BOOL, NONE, REF, CLASS, END, OTHER = range(9)
_ATOMS = {"int": INT, "float": FLOAT, "bool": BOOL}
BOOLS = {"true": True, "false": False}

Plan = tuple[int, str, str, str, Any]
"""(what it begins, the element's name, the key it stands for, its end tag, more)"""


class DoubtError(Exception):
    """This is not just as the writer writes it."""


class Plans(dict[str, Plan]):
    """What tags mean, found out when they are first met."""

    def __missing__(self, tag: str) -> Plan:
        plan = understood(tag)
        if len(self) < _MOST_PLANS:
            self[tag] = plan
        return plan


def split(tag: str) -> tuple[bool, str, dict[str, str], bool]:
    """(whether it is an end tag, its name, its attributes, whether it is an element alone)"""
    found = _TAG.fullmatch(tag)
    if not found or (not tag.isprintable() and not escapes.legal(tag)):
        raise DoubtError
    slash, name, raw, alone = found.groups()
    pairs = _ATTRIBUTE.findall(raw)
    given = {key: escapes.resolved(value[1:-1]) for key, value in pairs}
    if (not is_name(name) and name not in RESERVED) or len(pairs) != len(given):
        raise DoubtError
    return bool(slash), name, given, bool(alone)


def understood(tag: str) -> Plan:
    """What a tag means."""
    slash, name, given, alone = split(tag)
    if slash:
        if given or alone:
            raise DoubtError
        return END, name, name, tag, None
    key, rest = name, given
    if name == "attr":
        rest = {what: value for what, value in given.items() if what != "name"}
        key = given.get("name", "")
    kind, more = OTHER, None
    if name != "entry" and key:
        kind, more = _common(rest, alone)
    return kind, name, key, f"/{name}", more


def _common(given: dict[str, str], alone: bool) -> tuple[int, Any]:
    """(what a start tag begins, more), if it is one of the most common."""
    if not given and not alone:
        return STR, None
    if len(given) == 2 and "class" in given and "id" in given and not alone:
        return (
            (CLASS, (parsed(given["class"]), given["id"]))
            if is_name(given["id"])
            else (OTHER, None)
        )
    if len(given) != 1:
        return OTHER, None
    [(how, what)] = given.items()
    if how == "type":
        if alone:
            return (NONE if what == "none" else OTHER), None
        return _ATOMS.get(what, OTHER), None
    if how == "ref" and alone:
        return REF, what
    if how == "class" and not alone:
        return CLASS, (parsed(what), None)
    return OTHER, None


def text_of(text: str) -> str:
    """The str in an element."""
    if "&" in text:
        if "\r" in text:
            raise DoubtError
        return escapes.resolved(text)
    if not text.isprintable() and ("\r" in text or not escapes.legal(text)):
        raise DoubtError
    return text


def int_of(text: str) -> int:
    """An int."""
    text = text.strip(_WHITE)
    digits = text[1:] if text[:1] in ("-", "+") else text
    if digits.isdigit() and digits.isascii() and len(digits) <= 4300:
        return int(text)
    if not _HEX.fullmatch(digits):
        raise DoubtError
    return int(text, 16)


def float_of(text: str) -> float:
    """A float."""
    text = text.strip(_WHITE)
    if not _FLOAT.fullmatch(text):
        raise DoubtError
    return float(text)


def bool_of(text: str) -> bool:
    """A bool."""
    return BOOLS[text.strip(_WHITE)]


def is_gap(text: str) -> bool:
    """Whether a text between tags is layout."""
    return text in GAPS or not text.strip(_WHITE)


MADE = {STR: text_of, INT: int_of, FLOAT: float_of, BOOL: bool_of}
"""The values of elements that are text."""
