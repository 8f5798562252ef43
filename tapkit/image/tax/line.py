"""Elements that fit on one line: atoms, and short runs of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapkit.image.tax import atoms, escapes
from tapkit.image.tax.parts import Entry, Moment

PLAIN = frozenset({str, int, float, bool, type(None)})
"""The types `atom` spells."""


def atom(head: str, name: str, value: Any) -> str:
    """The element for an atom that is no bytes."""
    kind = type(value)
    if kind is str:
        attributes, text = escapes.content(value)
        return f"<{head}{attributes}>{text}</{name}>"
    if kind is bool:
        return f'<{head} type="bool">{"true" if value else "false"}</{name}>'
    if value is None:
        return f'<{head} type="none"/>'
    if kind is int:
        return f'<{head} type="int">{atoms.int_text(value)}</{name}>'
    attributes, text = atoms.float_text(value)
    return f'<{head} type="float"{attributes}>{text}</{name}>'


def on_one_line(start: str, name: str, children: Sequence[tuple[str, str, Any]]) -> str | None:
    """An element and its content on one line; None if there is more in it than atoms."""
    pieces = [f"<{start}>"]
    for head, label, value in children:
        kind = type(value)
        if kind in PLAIN:
            pieces.append(atom(head, label, value))
        elif kind is Moment:
            pieces.append(f"<{head}>{value.text}</{label}>")
        elif kind is Entry and type(value.key) in PLAIN and type(value.value) in PLAIN:
            key, content = atom("key", "key", value.key), atom("value", "value", value.value)
            pieces.append(f"<{head}>{key}{content}</{label}>")
        else:
            return None
    line = f"{''.join(pieces)}</{name}>"
    return None if "\n" in line else line
