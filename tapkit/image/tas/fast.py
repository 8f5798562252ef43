"""What our writer wrote, read without Python's parser, at a tenth of the cost.

A reader that trusts a layout has to make sure of it: a block is taken only if a regular
expression matches it from end to end and each value in it is one this module can name. Anything
else - a comment, another layout, arithmetic - is left to `syntax`, which takes any Python. So
the two can't disagree on what they both accept: see tests/test_tas_fast.py.

Instances are matched by *shape*: a class and the names of its attributes. The first instances
of a shape are read by `syntax`, and say how the next ones will look. A name that has to keep its
meaning for that (`instance`, the class) is *fixed*: bound again, all shapes are forgotten.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from keyword import iskeyword, kwlist
from typing import Any

from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Node, Object
from tapkit.image.tas.patterns import ANY, KINDS, NAME, Converter, Shape
from tapkit.image.tas.syntax import SOURCE, Syntax
from tapkit.image.tas.tokens import FLOAT, SHORT_INT, Tokens, UnknownError
from tapkit.image.tas.words import LINKS

_HEAD = re.compile(
    rf"(?:{NAME} = instance\([ \n]*([A-Za-z_]\w*)|complete\([ \n]*{NAME})[,)]", re.ASCII
)
_VALUE = re.compile(rf"({NAME}) = (?=(?:{NAME}(?:\.{NAME})*)?[\[({{])", re.ASCII)
_LINK = re.compile(rf"\n({NAME})\.({NAME}) = ({NAME})", re.ASCII)
_INSTANCE = Global(SOURCE, "instance")
_COMPLETE = Global(SOURCE, "complete")
_WIDEST = 90  # attributes
_SHAPES = 8  # of a class
_MOST = 500  # of a file: a pattern takes its time to be made
_ROW = ",\n    "

_ATOM = rf'"[^"\\\n]*"|{FLOAT}|{SHORT_INT}|True|False|None'
_ATOMS = re.compile(_ATOM)
_FLAT = re.compile(
    rf"\[(?:{_ATOM})(?:, (?:{_ATOM}))*\]"
    rf"|\{{(?:{_ATOM}): (?:{_ATOM})(?:, (?:{_ATOM}): (?:{_ATOM}))*\}}"
)
"""A dict or list of plain atoms on a line, as our writer has it."""
_CONSTANTS = {"True": True, "False": False, "None": None}


def _atom(text: str) -> Node:
    if text[0] == '"':
        return text[1:-1]
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text.lstrip("-").isdigit():
        return int(text)
    return float(text)


class Fast:
    """Reads blocks, for a reader that asks it first."""

    def __init__(self, syntax: Syntax):
        self._syntax = syntax
        self._tokens = Tokens(syntax)
        self._variables = syntax.variables
        # No variable can have these names, so they may be looked up like variables.
        self._variables.update({"True": True, "False": False, "None": None})
        self._converters: dict[str, Converter] = {
            "list": self._words,
            ANY: self._any,
        }
        self.forget()

    def forget(self) -> None:
        """Start anew: a name that had to keep its meaning lost it."""
        self._shape: Shape | None = None  # the last that matched
        self._shapes: dict[str | None, list[Shape]] = {}  # by local name of the class
        self._met: Counter[tuple[Any, ...]] = Counter()
        self._fixed = self._syntax.fixed
        self._fixed.clear()
        self._fixed.update(kwlist)
        self._syntax.rebound = False

    def read(self, blocks: Sequence[str], at: int) -> int:  # noqa: C901  # the hot loop
        """Read statements from a block on; the first that must be read with care."""
        variables, fixed, knots = self._variables, self._fixed, self._syntax.calls.knots
        shape = self._shape
        try:
            while at < len(blocks):
                before, match = shape, None
                if before is not None:
                    shape = before.follower or before
                    match = shape.match(blocks[at])
                if match is None or shape is None:
                    found = self._find(blocks[at])
                    if found is None:
                        shape = before
                        if not self._other(blocks[at]):
                            return at
                        at += 1
                        continue
                    shape, match = found
                    if before is not None:
                        before.follower = shape
                values: list[Any] = list(match.groups())
                name = values.pop(0)
                for place, keys, count in shape.leaves:
                    numbers = keys.copy()
                    numbers[1::2] = [int(text) for text in values[place : place + count]]
                    values[place : place + count] = [Dict(numbers)]
                for place in shape.words:
                    values[place] = variables[values[place]]
                for place in shape.ints:
                    values[place] = int(values[place])
                for place in shape.floats:
                    values[place] = float(values[place])
                for place, convert in shape.converters:
                    values[place] = convert(values[place])
                made = variables.get(name) if shape.cls is None else Object(NEWOBJ, shape.cls)
                if name in fixed or type(made) is not Object:
                    return at
                if values:
                    state = shape.state.copy()
                    state[1::2] = values
                    made.steps += (STATE, Dict(state))
                if shape.cls is None:
                    knots.append(made)
                variables[name] = made
                at += 1
        except (UnknownError, KeyError):
            return at  # and nothing has happened
        finally:
            self._shape = shape
        return at

    def _find(self, block: str) -> tuple[Shape, Any] | None:
        """The shape of a block, and its match."""
        head = _HEAD.match(block)
        if head is None:
            return None
        shapes = self._shapes.get(head[1], ())
        for shape in shapes:
            match = shape.match(block)
            if match is not None:
                return shape, match
        for shape in shapes:
            match = shape.match_any(block)
            if match is not None:
                kinds = [KINDS.kind_of(text) for text in match.groups()[1:]]
                shape.widen(kinds, self._converters)
                match = shape.match(block)
                if match is None:
                    return None
                return shape, match
        return None

    def _any(self, text: Any) -> Node:
        if _FLAT.fullmatch(text) is None:
            made = self._entries(text)
            return self._tokens.read(text) if made is None else made
        atoms = [_atom(found) for found in _ATOMS.findall(text)]
        return Dict(atoms) if text[0] == "{" else atoms

    def _words(self, text: Any) -> list[Node]:
        """A list of variables; None stands for none."""
        get = self._variables.__getitem__
        return list(map(get, text.replace(",", " ").split())) if text else []

    def learn(self, block: str, statement: ast.stmt) -> None:
        """Remember the shape of an instance that `syntax` has read."""
        head = _HEAD.match(block)
        if head is None or not isinstance(statement, (ast.Assign, ast.Expr)):
            return
        call = statement.value
        if isinstance(call, ast.Call) and len(call.args) == 1:
            self._learn(head[1], [str(keyword.arg) for keyword in call.keywords])

    def _learn(self, local: str | None, names: list[str]) -> None:
        if len(set(names)) != len(names) or "None" in names or len(names) > _WIDEST:
            return
        cls = None if local is None else self._variables.get(local)
        word, meaning = ("complete", _COMPLETE) if local is None else ("instance", _INSTANCE)
        if not names if local is None else type(cls) is not Global:
            return
        if self._syntax.lookup(word) != meaning:
            return
        key = (local, *names)
        self._met[key] += 1
        if self._met[key] != 2 or len(self._met) > _MOST:
            return
        shapes = self._shapes.setdefault(local, [])
        shapes.insert(0, Shape(cls, local, names))
        del shapes[_SHAPES:]
        self._fixed.update([word] if local is None else [word, local])

    # -- what is no instance

    def _other(self, block: str) -> bool:
        """A list, links, or anything else that is given a name."""
        if block.startswith(LINKS):
            return self._links(block)
        head = _VALUE.match(block)
        if head is None or head[1] in self._fixed:
            return False
        text = block[head.end() :]
        made: Node = self._row(text)
        if made is None:
            made = self._entries(text)
        if made is None:
            made = self._tokens.read(text)
            instance = _HEAD.match(block)
            if instance is not None and type(made) is Object:
                self._learn(instance[1], made.steps[1][::2] if made.steps else [])
        self._variables[head[1]] = made
        return True

    def _row(self, text: str) -> list[Node] | None:
        """A list of variables, a line each."""
        if not text.startswith("[\n    ") or not text.endswith((",\n]", ",\n]\n")):
            return None
        get = self._variables.get
        items = list(map(get, text[6 : text.rindex(",")].split(_ROW)))
        return None if type(None) in map(type, items) else items

    def _entries(self, text: str) -> Dict | None:
        """A dict of variables under plain strings, a line each."""
        if not text.startswith("{\n"):
            return None
        start = text.find('"')
        end = text.rfind(",")
        if text[1:start].strip(" \n") or text[end + 1 :].strip(" \n") != "}":
            return None
        get = self._variables.get
        made: list[Any] = []
        for line in text[start:end].split("," + text[1:start]):
            key, _, word = line.partition('": ')
            value = get(word)
            if value is None or key[:1] != '"':
                return None
            made.append(key[1:])
            made.append(value)
        keys = "".join(made[::2])
        return None if '"' in keys or "\\" in keys or "\n" in keys else Dict(made)

    def _links(self, block: str) -> bool:
        """`name.attribute = name`, a line each, under their comment."""
        links = _LINK.findall(block)
        size = len(LINKS) + sum(map(len, map("".join, links))) + 5 * len(links)
        if size != len(block.rstrip("\n")):
            return False
        variables, shared = self._variables, self._syntax.calls.shared_states
        found: list[tuple[list[Any], str, Node]] = []
        for owner, name, value in links:
            made = variables.get(owner)
            if type(made) is not Object or iskeyword(name):
                return False
            steps = made.steps
            if len(steps) != 2 or steps[0] != STATE or type(steps[1]) is not Dict:
                return False
            if id(steps[1]) in shared:
                return False
            found.append((steps[1], name, variables[value]))
        knots: dict[int, Node] = {}
        at = 0
        for state, name, node in found:
            if at >= len(state) or state[at] != name:  # it is where the last one was, most often
                at = _place(state, name)
            if at < len(state):
                state[at + 1] = node
            else:
                state += (name, node)
            knots[id(node)] = node
        self._syntax.calls.knots += knots.values()
        return True


def _place(state: list[Any], name: str) -> int:
    """Where an attribute is in a state; behind its end if it is not in it."""
    names = state[::2]
    return 2 * names.index(name) if name in names else len(state)
