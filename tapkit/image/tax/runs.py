"""Patterns for the attributes of objects of a class, for `quick`.

Most objects of an image look like another one of their class but for their values. The attributes
that come first and are atoms or references are read by one regular expression, made of an object
that was read element by element. One that looks otherwise is read element by element again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tapkit.image.nodes import Dict, Global, Object
from tapkit.image.tax.plans import BOOL, BOOLS, FLOAT, INT, NONE, REF, STR, Plans, text_of

_MOST = 500
_MOST_OF_A_CLASS = 3
_LONGEST = 40
_GAP = r"[ \t\n]*"
_VALUES: dict[int, tuple[str, Callable[[str], Any]]] = {
    STR: (r"([^<&\r]*)", text_of),
    INT: (r"(-?[0-9]{1,4300})", int),
    FLOAT: (r"(-?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf|nan))", float),
    BOOL: (r"(true|false)", BOOLS.__getitem__),
    NONE: ("()", {"": None}.__getitem__),
}
_LABEL = r"[A-Za-z_][A-Za-z0-9_.-]*"


class Run:
    """What attributes of a class look like.

    Attributes:
        pattern: matches them, each value a group.
        makers: for each group the function that makes the value of it.
        content: keys and values by turns, the values to be filled in.
        whole: whether these are all attributes, and the pattern matches the end tag too.
    """

    __slots__ = ("content", "makers", "pattern", "whole")

    def __init__(self) -> None:
        self.pattern: re.Pattern[str]
        self.makers: list[Callable[[str], Any]] = []
        self.content: list[Any] = []
        self.whole = False


class Runs:
    """The patterns of one text, by the id of the class's node."""

    def __init__(self, plans: Plans, ids: dict[str, Any]):
        self.of: dict[int, Run] = {}
        self._plans = plans
        self._ids = ids
        self._learnt: dict[int, int] = {}

    def content(self, run: Run, found: re.Match[str]) -> Dict | None:
        """The attributes, or None if one refers to what is not made yet."""
        out = Dict(run.content)
        try:
            out[1::2] = [make(text) for make, text in zip(run.makers, found.groups(), strict=True)]
        except LookupError:
            return None
        return out

    def _node(self, label: str) -> Any:
        node = self._ids[label]
        if type(node) is not Object and type(node) is not list:
            raise LookupError  # a promise, which needs to be seen to
        return node

    def learn(self, call: Global, text: str, began: int, end: int) -> None:
        """Make a pattern of an object of a class, unless it has been tried often enough."""
        times = self._learnt.get(id(call), 0)
        if times >= _MOST_OF_A_CLASS or len(self.of) >= _MOST:
            return
        self._learnt[id(call)] = times + 1
        if times == 0:
            return  # one of a kind is not worth it
        run = self._run(text, text.index("<", began + 1), end)
        if run is not None:
            self.of[id(call)] = run

    def _run(self, text: str, at: int, end: int) -> Run | None:
        run = Run()
        pattern: list[str] = []
        make: Callable[[str], Any]
        while at < end and len(run.content) < 2 * _LONGEST:
            close = text.index(">", at)
            tag = text[at + 1 : close]
            kind, _, key, last, _ = self._plans[tag]
            if kind > REF:
                break
            run.content += (key, None)
            if kind == REF:
                start, _, rest = tag.partition(' ref="')
                group, make = f'{re.escape(start)} ref="({_LABEL})"{rest[-1]}', self._node
                pattern.append(f"{_GAP}<{group}>")
            else:
                group, make = _VALUES[kind]
                behind = f"<{re.escape(last)}>" if kind != NONE else ""
                pattern.append(f"{_GAP}<{re.escape(tag)}>{group}{behind}")
            run.makers.append(make)
            if kind <= BOOL:
                close = text.index(">", text.index("<", close))
            at = text.index("<", close)
        if not pattern:
            return None
        run.whole = at == end
        if run.whole:
            pattern.append(f"{_GAP}{re.escape(text[end : text.index('>', end)])}>")
        run.pattern = re.compile(f"{''.join(pattern)}{_GAP}(?=<)")
        return run
