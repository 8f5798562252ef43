"""What we wrote ourselves, and plain edits of it, read several times faster than with expat.

Theory
------
The writer's own layout is regular, and most edits keep to it: `<` and `>` stand around tags only,
and most tags are few and come often, with the same layout behind them. So the text is cut into
pieces at each `<`, and what a piece means is found out once and remembered as a `Plan`. Elements
that are atoms, references, objects with attributes, dicts or lists are made here; all others are
handed to the same builder that the careful reader has, so there is one meaning and not two.
Comments are cut out before.

It is chosen by looking: CDATA, a carriage return, a `>` in a text, any mistake and whatever else
is not certain is a `DoubtError`, and then the careful reader reads the file from its beginning.
"""

from __future__ import annotations

import re
from typing import Any

from tapkit.image.nodes import NEWOBJ, STATE, Dict, Image, Object
from tapkit.image.tax import code, escapes
from tapkit.image.tax.builder import ITEMS, NAMED, PARTS, TEXT, Builder, FlawError, Frame
from tapkit.image.tax.kinds import enter
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

_QUOTED = rb"""(?:"%s"|'%s')"""
_PROLOG = re.compile(
    rb"(?:<\?xml version=%s(?: encoding=%s)? *\?>)?[ \t\n]*"
    % (_QUOTED % (rb"1\.0", rb"1\.0"), _QUOTED % (b"(?i:utf-8)", b"(?i:utf-8)"))
)
_COMMENT = re.compile(rb"<!--(?:(?!--).)*-->", re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"<>")
_MAX_CODE = 1 << 24
_MOST_KNOWN = 2000
_CHUNK = 1 << 20  # characters that are cut into pieces at a time: the pieces take much memory


def quick(data: bytes) -> Image | None:
    """The image, if a text is written plainly enough; None if it must be read with care."""
    prolog = _PROLOG.match(data)
    try:
        text = _checked(_without_comments(data[prolog.end() if prolog else 0 :]))
        return _Quick(text, Builder(enter, _doubt, _unpack)).image()
    except (DoubtError, FlawError, ValueError, KeyError, IndexError):
        return None


def _without_comments(data: bytes) -> bytes:
    """The text without comments, if all of them stand where a comment may."""
    if b"<!--" not in data:
        return data
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


def _checked(data: bytes) -> str:
    """The text, if `<` and `>` alternate in it and nothing else needs care."""
    brackets = data.translate(None, _NOT_BRACKETS)
    if brackets != b"<>" * (len(brackets) // 2) or b"<!" in data or b"<?" in data or b"\r" in data:
        raise DoubtError
    return data.decode("utf-8")


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
        self.stack: list[tuple[Any, list[Any], str, str]] = []
        self.node: Any = None
        self.out: list[Any] = []
        self.holds = ""
        self.end = ""
        self._at = 0
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
        return self.builder.image()

    def _pieces(self) -> list[str]:
        """The next pieces of the text, without the `<` that each begins with."""
        start = self._at
        if start < 0:
            return []
        end = self.text.find("<", start + _CHUNK)
        self._at = end
        return self.text[start + 1 : end if end >= 0 else None].split("<")

    def elements(self, frame: Frame, end: str, at: int) -> bool:  # noqa: C901 - the hot loop
        """Read from a `<` on until this element ends; whether that and the text's end are one."""
        self.node, self.out, self.holds, self.end = frame, frame.out, frame.holds, end
        self._at = at
        plans = self.plans
        whole, ids = plans.whole, self.builder.ids
        out, holds = self.out, self.holds
        pieces = self._pieces()
        index = 0
        while index < len(pieces):
            piece = pieces[index]
            index += 1
            value = ""
            plan = whole.get(piece)
            if plan is None:
                tag, _, value = piece.partition(">")
                plan = plans.plan(tag, value)
            kind = plan.kind
            if kind == END:
                if plan.last != self.end:
                    raise DoubtError
                if self._close():
                    return index == len(pieces) and self._at < 0
                out, holds = self.out, self.holds
            elif kind <= LIST and (holds is NAMED or (holds is ITEMS and plan.name == "item")):
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
                        pieces = self._pieces()
                        index = 0
                    self._expect(pieces[index], plan.last)
                    index += 1
                elif kind == NONE:
                    out.append(None)
                elif kind == REF:
                    label = plan.label or ""
                    found = ids.get(label)
                    if type(found) is Object:
                        out.append(found)
                    else:
                        self.builder.refer(label, out)
                else:
                    self._open(plan)
                    out, holds = self.out, self.holds
            else:
                self._other(piece, plan)
                out, holds = self.out, self.holds
            if index == len(pieces):
                pieces = self._pieces()
                index = 0
        return not self.stack and not end

    def _expect(self, piece: str, last: str) -> None:
        """See that an element ends."""
        plan = self.plans.whole.get(piece)
        if plan is None:
            tag, _, behind = piece.partition(">")
            plan = self.plans.plan(tag, behind)
        if plan.kind != END or plan.last != last:
            raise DoubtError

    def _open(self, plan: Plan) -> None:
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
            self.stack.append((self.node, self.out, self.holds, self.end))
            self.node, self.out, self.end = made, inner, plan.last
            self.holds = ITEMS if plan.kind == LIST else NAMED

    def _close(self) -> bool:
        """An element ends: whether it was the outermost."""
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
        self.node, self.out, self.holds, self.end = self.stack.pop()
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
        self.stack.append((self.node, self.out, self.holds, self.end))
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
