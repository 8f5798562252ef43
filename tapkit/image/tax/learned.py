"""Makes the pattern of an element that was read tag by tag."""

from __future__ import annotations

import re
from typing import Any, Final

from tapkit.image.tax.patterns import Part, Pattern
from tapkit.image.tax.plans import (
    ATTR,
    BOOL,
    BOOLS,
    CLASS,
    END,
    FLOAT,
    INT,
    LIST,
    NONE,
    OTHER,
    REF,
    STR,
    Plan,
    Plans,
)

LONGEST: Final = 4000
"""Characters of an element that may have a pattern."""
_WIDEST: Final = 60  # values

_GAP = "[ \t\n]*"
_NEW_LINE = re.compile("\n *")
_LABEL = '((?![xX][mM][lL]|(?:attr|entry)")[A-Za-z_][A-Za-z0-9_.-]*)'
_KEY = r'([^"<>&\x00-\x1f\ud800-\udfff\ufffe\uffff]+)'
_VALUES = {
    STR: r"([^<>&\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]*)",
    INT: "(-?[0-9]{1,18})",
    FLOAT: r"(-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf|nan))",
    BOOL: "(true|false)",
}
_CONVERTERS: dict[int, Any] = {INT: int, FLOAT: float, BOOL: BOOLS.__getitem__}


def pattern_of(text: str, plans: Plans) -> Pattern | None:
    """The pattern of an element.

    Parameters:
        text: from its `<` to the next one behind it.

    Returns:
        None if there is anything in it that is no atom, reference, object, dict or list.
    """
    return _Lesson(plans).pattern(text)


class _Lesson:
    """Collects what a pattern consists of."""

    def __init__(self, plans: Plans):
        self._plans = plans
        self._regex: list[str] = []
        self._groups = 0
        self._changes: list[tuple[int, Any]] = []
        self._nones: list[int] = []
        self._references: list[int] = []
        self._parts: list[Part] = []
        self._open: list[Part] = []
        self._is_value_open = False

    def pattern(self, text: str) -> Pattern | None:
        """The pattern of an element; None if it can have none."""
        pieces = text[1:].split("<")
        tag, _, behind = pieces[0].partition(">")
        first = self._plans.plan(tag, "")
        key: str | None = first.key
        if tag.startswith(ATTR):
            key = None
            self._group(f"<{ATTR}", _KEY)
            known = self._begin(tag[tag.index('"', len(ATTR)) :], behind, first)
        else:
            known = self._begin(f"<{tag}", behind, first)
        for piece in pieces[1:]:
            known = known and self._groups <= _WIDEST and self._piece(piece)
        if not known or self._open:
            return None
        regex = f"{''.join(self._regex)}(?=<)"
        return Pattern(regex, key, self._changes, self._nones, self._references, self._parts)

    def _group(self, before: str, group: str) -> int:
        """Add a text and a group; the number of the group."""
        self._regex += (re.escape(before), group)
        self._groups += 1
        return self._groups - 1

    def _gap(self, before: str, layout: str) -> None:
        """Add a text, and layout like this: the writer's own is quicker to match than any."""
        self._regex.append(re.escape(before))
        if layout:
            self._regex.append("\n *" if _NEW_LINE.fullmatch(layout) else _GAP)

    def _begin(self, tag: str, behind: str, plan: Plan) -> bool:
        """The start tag of an object, dict or list."""
        last = "/>" if plan.alone else ">"
        if plan.label is not None:
            end = f' id="{plan.label}"{last[:-1]}'
            if not tag.endswith(end):
                return False
            self._group(f'{tag[: -len(end)]} id="', _LABEL)
            tag = f'"{last[:-1]}'
        self._gap(f"{tag}>", behind)
        keys: list[Any] | None = None if plan.kind == LIST else []
        call = plan.call if plan.kind == CLASS else None
        part = Part(self._groups, keys, call, plan.label is not None)
        self._parts.append(part)
        if not plan.alone:
            self._open.append(part)
        return True

    def _piece(self, piece: str) -> bool:
        """What is behind a `<`."""
        tag, _, behind = piece.partition(">")
        plan = self._plans.plan(tag, behind)
        kind = plan.kind
        if kind == END:
            self._gap(f"<{tag}>", behind)
            if self._is_value_open:
                self._is_value_open = False
            else:
                self._open.pop()
            return True
        if kind == OTHER or not self._open:
            return False
        part = self._open[-1]
        part.size += 1
        if part.keys is not None:
            part.keys += (plan.key, None)
        elif plan.name != "item":
            return False
        return self._child(tag, behind, plan)

    def _child(self, tag: str, behind: str, plan: Plan) -> bool:
        """The start tag of an element within."""
        kind = plan.kind
        if kind <= BOOL:
            number = self._group(f"<{tag}>", _VALUES[kind])
            if kind != STR:
                self._changes.append((number, _CONVERTERS[kind]))
            self._is_value_open = True
            return True
        if kind == NONE:
            self._nones.append(self._group(f"<{tag}>", "()"))
            self._gap("", behind)
            return True
        if kind != REF:
            return self._begin(f"<{tag}", behind, plan)
        end = f' ref="{plan.label}"/'
        if not tag.endswith(end):
            return False
        self._references.append(self._group(f'<{tag[: -len(end)]} ref="', _LABEL))
        self._gap('"/>', behind)
        return True
