"""Checks that start tags of every form have in common."""

from __future__ import annotations

from collections.abc import Iterable

from tapkit.image.nodes import Global
from tapkit.image.tax.builder import FlawError, Frame
from tapkit.image.tax.dotted import parsed
from tapkit.image.tax.tags import is_name
from tapkit.names import suggestion

MAKERS = ("ref", "class", "new", "call")
"""The attributes that say what an element is, beside `type=`."""


def check_attributes(frame: Frame, allowed: Iterable[str]) -> None:
    """Refuse attributes that mean nothing where they are."""
    given = frame.attributes
    known = {*allowed, "id"}
    if frame.name == "attr":
        known.add("name")
    for name in given:
        if name not in known and name != "tapkit":
            if name in MAKERS and "type" in given:
                raise FlawError(f"type= and {name}= exclude each other", "remove one of them", name)
            shown = f"{name}= means nothing here"
            hint = suggestion(name, [*known, "type", *MAKERS])[2:]
            raise FlawError(shown, hint or f"known here: {', '.join(sorted(known))}", name)
    label = given.get("id")
    if label is not None and not is_name(label):
        raise FlawError(f'id="{label}" is no name', "use letters, digits and _", "id")


def named(frame: Frame, attribute: str) -> Global:
    """The global an attribute names."""
    try:
        return parsed(frame.attributes[attribute])
    except ValueError as error:
        raise FlawError(str(error), "", attribute) from None


def needed(frame: Frame, attribute: str) -> str:
    """The value of an attribute that must be there."""
    value = frame.attributes.get(attribute)
    if value is None:
        raise FlawError(f"<{frame.name}> lacks {attribute}=", f'add {attribute}="..."')
    return value
