"""What the tags mean that the writer writes, for `quick`."""

from __future__ import annotations

import re
from typing import Any, Final

from tapkit.image.nodes import Global
from tapkit.image.tax import escapes
from tapkit.image.tax.dotted import parsed
from tapkit.image.tax.patterns import Family
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
ATTR = 'attr name="'
_ANY_ATTR = 'attr name="_"'
_LABELS = ((' id="', '"'), (' ref="', '"/'))

# What a tag begins. Up to BOOL it has a value, up to REF it is complete, up to LIST a node begins
STR: Final = 0
INT: Final = 1
FLOAT: Final = 2
BOOL: Final = 3
NONE: Final = 4
REF: Final = 5
CLASS: Final = 6
DICT: Final = 7
LIST: Final = 8
END: Final = 9
OTHER: Final = 10
_ATOMS = {"int": INT, "float": FLOAT, "bool": BOOL}
_HOLDERS = {"dict": DICT, "list": LIST}
BOOLS = {"true": True, "false": False}


class Plan:
    """What a tag means.

    Attributes:
        kind: what it begins.
        name: the element's.
        key: what it stands for in an object or dict.
        last: its end tag.
        call: with CLASS the class, else None.
        label: its id, or with REF that of another.
        alone: whether it has no end tag.
        family: of an object, a dict or a list: the patterns of those with such a tag.
    """

    __slots__ = ("alone", "call", "family", "key", "kind", "label", "last", "name")

    def __init__(
        self,
        kind: int,
        name: str,
        key: str,
        last: str,
        call: Global | None = None,
        label: str | None = None,
        alone: bool = False,
        family: Family | None = None,
    ):
        self.kind = kind
        self.name = name
        self.key = key
        self.last = last
        self.call = call
        self.label = label
        self.alone = alone
        self.family = family

    def like(self, key: str, label: str | None) -> Plan:
        """The plan of a tag that differs in its key and its id alone."""
        return Plan(self.kind, self.name, key, self.last, self.call, label, self.alone, self.family)


class DoubtError(Exception):
    """This is not just as the writer writes it."""


class Plans:
    """What tags mean, found out when they are first met.

    Attributes:
        whole: of tags with the layout behind them, but for tags whose element has a value.
        calls: the classes that tags name.
    """

    def __init__(self) -> None:
        self.whole: dict[str, Plan] = {}
        self.calls: list[Global] = []
        self._of: dict[str, Plan] = {}

    def plan(self, tag: str, behind: str) -> Plan:
        """What a tag means, and that there is only layout behind it, if there is no value."""
        plan = self._of.get(tag)
        is_new = plan is None
        if plan is None:
            plan = self._variant(tag)
            is_new = plan is None
        if plan is None:
            plan = self._understood(tag)
            if len(self._of) < _MOST_PLANS:
                self._of[tag] = plan
        if plan.kind > BOOL and plan.kind != OTHER:
            if not is_gap(behind):
                raise DoubtError
            if not is_new and len(self.whole) < _MOST_PLANS:
                self.whole[f"{tag}>{behind}"] = plan
        return plan

    def _understood(self, tag: str) -> Plan:
        plan = understood(tag)
        if plan.call is not None:
            self.calls.append(plan.call)
        return plan

    def _variant(self, tag: str) -> Plan | None:
        """The plan of a tag that is like others but for a key, or a name it gives or refers to."""
        if tag.startswith(ATTR) and not tag.startswith(_ANY_ATTR):
            end = tag.find('"', len(ATTR))
            key = tag[len(ATTR) : end]
            if end < 0 or not key or not key.isprintable() or "&" in key:
                return None
            like = self._like(f"{ATTR}_{tag[end:]}")
            return like.like(key, like.label)
        for start, last in _LABELS:
            at = tag.rfind(start)
            if at > 0 and tag.endswith(last):
                label = tag[at + len(start) : -len(last)]
                if label == "_" or not is_name(label):
                    return None
                like = self._like(f"{tag[: at + len(start)]}_{last}")
                if like.label is None:
                    return None
                return like.like(like.key, label)
        return None

    def _like(self, tag: str) -> Plan:
        plan = self._of.get(tag) or self._variant(tag) or self._understood(tag)
        if len(self._of) < _MOST_PLANS:
            self._of[tag] = plan
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
        return Plan(END, name, name, tag)
    key, rest = name, given
    if name == "attr":
        rest = {what: value for what, value in given.items() if what != "name"}
        key = given.get("name", "")
    kind, call, label = OTHER, None, None
    if name != "entry" and key:
        kind, call, label = _common(rest, alone)
    family = Family() if CLASS <= kind <= LIST else None
    return Plan(kind, name, key, f"/{name}", call, label, alone, family)


def _common(given: dict[str, str], alone: bool) -> tuple[int, Global | None, str | None]:
    """(what a start tag begins, the class, the id), if it is one of the most common."""
    if not given and not alone:
        return STR, None, None
    label = given.get("id")
    if len(given) != (1 if label is None else 2) or (label is not None and not is_name(label)):
        return OTHER, None, None
    if "type" in given:
        what = given["type"]
        if what in _HOLDERS:
            return _HOLDERS[what], None, label
        if label is None and alone == (what == "none"):
            return (NONE if alone else _ATOMS.get(what, OTHER)), None, None
    elif "ref" in given and alone and label is None:
        return REF, None, given["ref"]
    elif "class" in given and not alone:
        return CLASS, parsed(given["class"]), label
    return OTHER, None, None


def text_of(text: str) -> str:
    """The str in an element."""
    if "&" in text:
        if "\r" in text:
            raise DoubtError
        return escapes.resolved(text)
    if not text.isprintable() and ("\r" in text or not escapes.legal(text)):
        raise DoubtError
    return text


def value_of(kind: int, text: str) -> Any:
    """The value of an element that is an atom."""
    if kind == STR:
        return text_of(text)
    if kind == INT:
        return int_of(text)
    if kind == FLOAT:
        return float_of(text)
    return bool_of(text)


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
