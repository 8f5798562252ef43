"""What we wrote ourselves, and plain edits of it, read several times faster than with expat.

Theory
------
The writer's own layout is regular, and most edits keep to it: `<` and `>` stand around tags only,
and most tags are few and come often, with the same layout behind them. So the text is cut into
pieces at each `<`, and what a piece means is found out once and remembered as a `Plan`. Elements
that are atoms, references, objects with attributes, dicts or lists are made here; all others are
handed to the same builder that the careful reader has, so there is one meaning and not two.
Comments are cut out before. Where many elements are alike, the first are read so, and the others
by a `Pattern` made of them, which matches a whole element.

It is chosen by looking: CDATA, a carriage return, a `>` in a text, any mistake and whatever else
is not certain is a `DoubtError`, and then the careful reader reads the file from its beginning.
"""

from __future__ import annotations

import re
from typing import Any, Final

from tapkit.image.nodes import NEWOBJ, STATE, VALUES, Dict, Image, Object
from tapkit.image.tax import code, escapes
from tapkit.image.tax.builder import ITEMS, NAMED, PARTS, TEXT, Builder, FlawError, Frame, kept
from tapkit.image.tax.dotted import parsed
from tapkit.image.tax.kinds import enter
from tapkit.image.tax.learned import LONGEST, pattern_of
from tapkit.image.tax.patterns import Family, Pattern
from tapkit.image.tax.plans import (
    BOOL,
    CLASS,
    DICT,
    END,
    INT,
    LIST,
    NONE,
    REF,
    STR,
    DoubtError,
    Plan,
    Plans,
    is_gap,
    split,
    text_of,
    value_of,
)
from tapkit.image.tax.taking import taken

_QUOTED = rb"""(?:"%s"|'%s')"""
_PROLOG = re.compile(
    rb"(?:<\?xml version=%s(?: encoding=%s)? *\?>)?[ \t\n]*"
    % (_QUOTED % (rb"1\.0", rb"1\.0"), _QUOTED % (b"(?i:utf-8)", b"(?i:utf-8)"))
)
_COMMENT = re.compile(rb"<!--(?:(?!--).)*-->", re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"<>")
_MAX_CODE = 1 << 24
_MOST_KNOWN = 2000
# Characters that are cut into pieces at a time: one piece behind what a pattern has read, and then
# more and more; but the pieces take much memory
_MORE: Final = 1 << 8
_LAST_CHUNK: Final = 1 << 20

# Elements of which all is known that they name, or hold, by their elements
_HARMLESS = frozenset({"type", "name", "id", "encoding", "escape", "bits", "tapkit"})
_VALUES = frozenset(
    {"str", "none", "bool", "int", "float", "bytes", "bytearray"}
    | {"list", "dict", "tuple", "set", "frozenset"}
)


def quick(data: bytes) -> Image | None:
    """The image, if a text is written plainly enough; None if it must be read with care."""
    prolog = _PROLOG.match(data)
    try:
        start = prolog.end() if prolog else 0
        if b"!" in data and b"<!--" in data:  # the first is quick to find, or to miss
            data, start = _without_comments(data[start:]), 0
        return _Quick(_checked(data, start), Builder(enter, _doubt, _unpack)).image()
    except (DoubtError, FlawError, ValueError, KeyError, IndexError):
        return None


def _without_comments(data: bytes) -> bytes:
    """The text without comments, if all of them stand where a comment may."""
    last, kept = 0, []
    for found in _COMMENT.finditer(data):
        start = found.start()
        if data.rfind(b"<", last, start) > data.rfind(b">", last, start):
            raise DoubtError  # in a tag
        if not escapes.legal(found[0].decode("utf-8")):
            raise DoubtError
        kept.append(data[last:start])
        last = found.end()
    return b"".join([*kept, data[last:]]).strip(b" \t\n")


def _checked(data: bytes, start: int = 0) -> str:
    """The text from a place on, if `<` and `>` alternate in it, as they do before that.

    Of what else needs care, `<!` and `<?` begin no known tag, and a carriage return is found in
    whatever it is in.
    """
    brackets = data.translate(None, _NOT_BRACKETS)
    if brackets != b"<>" * (len(brackets) // 2):
        raise DoubtError
    return str(memoryview(data)[start:], "utf-8")


def _doubt(offset: int, what: str, hint: str, attribute: str | None) -> None:
    raise DoubtError


def _unpack(builder: Builder, packed: Any, frame: Frame) -> None:
    """Read packed code with the same builder."""
    reader = _Quick(_checked(code.unpack(packed, _MAX_CODE)), builder)
    fragment = Frame("code", None, {}, 0)
    fragment.holds, fragment.parts = PARTS, {"data": "once"}
    builder.stack += [frame, fragment]
    if not reader.elements(fragment, "", reader.text.find("<")):
        raise DoubtError
    del builder.stack[-2:]


class _Quick:
    """Reads one text. `node`, `out` and so on are those of the innermost open element."""

    def __init__(self, text: str, builder: Builder):
        self.text = text
        self.builder = builder
        self.plans = Plans()
        self.stack: list[tuple[Any, list[Any], str, str, int, Family | None]] = []
        self.node: Any = None
        self.out: list[Any] = []
        self.holds = ""
        self.end = ""
        self.pattern: Pattern | None = None
        self._chunk: int = 0
        self._is_last = False
        self._met: set[str] = set()
        self._knows_all = True
        self._known: dict[int, list[Any]] = {}

    def image(self) -> Image:
        """The image. The outermost element is the builder's."""
        text = self.text
        close = text.index(">")
        slash, name, given, alone = split(text[1:close])
        if text[0] != "<" or slash or given.get("tapkit") != "1" or name == "attr":
            raise DoubtError
        self.builder.start(name, given, 0)
        if alone:
            self.builder.end()
            if not is_gap(text[close + 1 :]):
                raise DoubtError
        else:
            root = self.builder.stack[-1]
            at = text.index("<", close)
            self._text(root, text[close + 1 : at])
            if not self.elements(root, f"/{name}", at):
                raise DoubtError
        image = self.builder.image()
        image.knots = [kept(node) for node in self.builder.ids.values()]
        self._look_at(given, "class")
        if self._knows_all:
            self._tell(image, given.get("class"))
        return image

    def _look_at(self, given: dict[str, str], *harmless: str) -> None:
        """Note whether an element may refer to, or name, more than shows in its tag."""
        known = _HARMLESS.issuperset(given.keys() - harmless)
        if not known or given.get("type", "str") not in _VALUES:
            self._knows_all = False

    def _tell(self, image: Image, root_class: str | None) -> None:
        """Say what is met more than once and what is named, which to find takes a walk."""
        met = [kept(self.builder.ids[label]) for label in self._met]
        image.shared = {id(node) for node in met if type(node) not in VALUES and node != ()}
        named = [*self.plans.calls, *([parsed(root_class)] if root_class else [])]
        image.names = sorted({(each.module, each.name) for each in named})

    def _pieces(self, start: int) -> list[str]:
        """The next pieces of the text, without the `<` that each begins with."""
        end = self.text.find("<", start + 1 + self._chunk)
        self._chunk = min(4 * self._chunk + _MORE, _LAST_CHUNK)
        self._is_last = end < 0
        return self.text[start + 1 : end if end >= 0 else None].split("<")

    def elements(self, frame: Frame, end: str, at: int) -> bool:  # noqa: C901 - the hot loop
        """Read from a `<` on until this element ends; whether that and the text's end are one."""
        self.node, self.out, self.holds, self.end = frame, frame.out, frame.holds, end
        self.pattern = None
        plans = self.plans
        text, whole, ids, met = self.text, plans.whole, self.builder.ids, self._met
        out, holds = self.out, self.holds
        pieces: list[str] = []
        index = 0
        self._is_last = at < 0
        while True:
            pattern: Pattern | None = self.pattern
            if pattern is not None:
                match = pattern.match(text, at)
                if match is not None:
                    if holds is NAMED and pattern.key is not None:
                        out.append(pattern.key)
                    out += taken(pattern, match.groups(), self.builder, met)
                    at = match.end()
                    pieces, index = [], 0
                    self._chunk, self._is_last = 0, False
                    continue
                self.pattern = None
            if index == len(pieces):
                if self._is_last:
                    return not self.stack and not end
                pieces, index = self._pieces(at), 0
            piece = pieces[index]
            index += 1
            start = at
            at += len(piece) + 1
            value = ""
            plan = whole.get(piece)
            if plan is None:
                tag, _, value = piece.partition(">")
                plan = plans.plan(tag, value)
            kind = plan.kind
            if kind == END:
                if plan.last != self.end:
                    raise DoubtError
                if self._close(at):
                    return index == len(pieces) and self._is_last
                out, holds = self.out, self.holds
            elif kind <= LIST and (holds is NAMED or (holds is ITEMS and plan.name == "item")):
                if kind > REF and plan.family is not None and plan.family.patterns:
                    self.pattern = plan.family.find(text, start)
                    if self.pattern is not None:
                        at = start
                        continue
                if holds is NAMED:
                    out.append(plan.key)
                if kind <= BOOL:
                    if kind == STR and value.isprintable() and "&" not in value:
                        out.append(value)
                    elif kind == INT and len(value) < 19 and value.isdigit() and value.isascii():
                        out.append(int(value))
                    else:
                        out.append(value_of(kind, value))
                    if index == len(pieces):
                        pieces, index = self._pieces(at), 0
                    self._expect(pieces[index], plan.last)
                    at += len(pieces[index]) + 1
                    index += 1
                elif kind == NONE:
                    out.append(None)
                elif kind == REF:
                    label = plan.label or ""
                    met.add(label)
                    found = ids.get(label)
                    if type(found) is Object:
                        out.append(found)
                    else:
                        self.builder.refer(label, out)
                else:
                    self._open(plan, start)
                    out, holds = self.out, self.holds
            else:
                self._other(piece, plan)
                out, holds = self.out, self.holds

    def _expect(self, piece: str, last: str) -> None:
        """See that an element ends."""
        plan = self.plans.whole.get(piece)
        if plan is None:
            tag, _, behind = piece.partition(">")
            plan = self.plans.plan(tag, behind)
        if plan.kind != END or plan.last != last:
            raise DoubtError

    def _open(self, plan: Plan, start: int) -> None:
        """An object, a dict or a list begins."""
        made: Any
        inner: list[Any]
        if plan.kind == CLASS:
            made, inner = Object(NEWOBJ, plan.call), Dict()
        else:
            made = inner = Dict() if plan.kind == DICT else []
        self.out.append(made)
        label = plan.label
        if label is not None:
            if self.builder.is_claimed(label):
                raise DoubtError
            self.builder.claim(label, made)
        if not plan.alone:
            outer = (self.node, self.out, self.holds, self.end, start, plan.family)
            self.stack.append(outer)
            self.node, self.out, self.end = made, inner, plan.last
            self.holds = ITEMS if plan.kind == LIST else NAMED

    def _close(self, end: int) -> bool:
        """An element ends, and the layout behind it: whether it was the outermost."""
        node = self.node
        is_frame = type(node) is Frame
        if type(node) is Object:
            self._check_keys(id(node.call), self.out)
            if self.out:
                node.steps = [STATE, self.out]
        elif not is_frame:
            if self.holds is NAMED:
                self._check_keys(0, self.out)
        else:
            if node.holds is NAMED:
                self._check_keys(0, self.out)
            self.builder.end()
        if not self.stack:
            return True
        self.node, self.out, self.holds, self.end, start, family = self.stack.pop()
        if family is not None and family.wants() and end - start <= LONGEST:
            family.learn(pattern_of(self.text[start:end], self.plans))
        if type(self.node) is Frame:
            self.holds = self.node.holds
        elif is_frame:
            self.builder.stack.pop()  # what stood for this node there
        return False

    def _other(self, piece: str, plan: Plan) -> None:
        """An element that the builder makes."""
        tag, _, text = piece.partition(">")
        builder, node = self.builder, self.node
        _, name, given, alone = split(tag)
        if "tapkit" in given:
            raise DoubtError
        self._look_at(given)
        is_frame = type(node) is Frame
        if not is_frame:
            proxy = Frame(name, None, {}, 0)
            proxy.out, proxy.holds = self.out, self.holds
            proxy.info = _Unchecked()
            builder.stack.append(proxy)
        builder.start(name, given, 0)
        if alone:
            builder.end()
            if is_frame:
                self.holds = node.holds
            else:
                builder.stack.pop()
            if not is_gap(text):
                raise DoubtError
            return
        frame = builder.stack[-1]
        self.stack.append((self.node, self.out, self.holds, self.end, 0, None))
        self.node, self.out, self.holds, self.end = frame, frame.out, frame.holds, plan.last
        self._text(frame, text)

    def _text(self, frame: Frame, text: str) -> None:
        """Text behind the start tag of an element that the builder has opened."""
        if frame.holds is TEXT:
            self.builder.text(text_of(text))
        elif not is_gap(text):
            raise DoubtError

    def _check_keys(self, kind: int, out: list[Any]) -> None:
        """Refuse a key that comes twice. Objects of a class mostly have the same keys."""
        keys = out[::2]
        if self._known.get(kind) == keys:
            return
        names = [key for key in keys if type(key) is str]
        if len(set(names)) != len(names):
            raise DoubtError
        if len(names) == len(keys) and len(self._known) < _MOST_KNOWN:
            self._known[kind] = keys


class _Unchecked(dict[str, int]):
    """Keys are checked where the object ends."""

    def setdefault(self, key: str, default: int = 0) -> int:
        return default
