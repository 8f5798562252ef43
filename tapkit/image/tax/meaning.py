"""Whether two spellings of an element mean the same."""

from __future__ import annotations

import re

from tapkit.image.nodes import difference
from tapkit.image.tax.atoms import ATOMS
from tapkit.image.tax.builder import FlawError, Frame
from tapkit.image.tax.dotted import dotted, parsed
from tapkit.image.tax.layout import Element
from tapkit.image.tax.standard import SPELLINGS
from tapkit.image.tax.texts import made

_GLOBALS = ("class", "new", "call", "factory", "function")
_DEFAULTS = {("type", "str"), ("encoding", "ascii"), ("state", "attributes")}


def start_tag(old: Element, new: Element, old_text: str, new_text: str, outermost: bool) -> str:
    """The start tag of an element that is in both texts: the old one, if it means the same."""
    mine, theirs = _normal(old), _normal(new)
    before = old_text[old.start : old.inner]
    label = theirs.get("id")
    if "id" in mine and label is None:
        label = theirs["id"] = mine["id"]  # an id nobody refers to is the administrator's
    if mine == theirs:
        return before
    if {**mine, "id": label} == theirs and label is not None and "id" not in mine:
        at = before.rindex("/>") if before.endswith("/>") else before.rindex(">")
        return f'{before[:at].rstrip()} id="{label}"{before[at:]}'
    after = new_text[new.start : new.inner]
    if outermost:
        after = re.sub(r"^<[^\s>/]+", "<" + old.name, after)
    if "id" in mine and "id" not in _normal(new):
        after = re.sub(r"^(<[^\s>/]+)", rf'\1 id="{label}"', after)
    return after


def _normal(element: Element) -> dict[str, str]:
    """An element's attributes without what says nothing new."""
    given = {name: value for name, value in element.attributes.items()
             if (name, value) not in _DEFAULTS}  # fmt: skip
    for name in _GLOBALS:
        if name in given:
            given[name] = dotted(parsed(given[name])) or given[name]
    return given


def same_text(old: Element, new: Element, old_text: str, new_text: str) -> bool:
    """Whether two elements without elements in them have a text of the same meaning."""
    one, other = old.meaning(old_text), new.meaning(new_text)
    if one == other and old.attributes.get("escape") == new.attributes.get("escape"):
        return True
    kind = new.attributes.get("type", "str")
    atom = ATOMS.get(kind) or (SPELLINGS[kind].atom if kind in SPELLINGS else None)
    if atom is None:
        return one.split() == other.split()
    values = []
    for element, text in ((old, one), (new, other)):
        frame = Frame(element.name, None, element.attributes, 0)
        frame.text = [text]
        try:
            values.append(made(atom, frame))
        except FlawError:
            return False
    return difference(*values) is None
