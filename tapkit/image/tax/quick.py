"""What we wrote ourselves, and plain edits of it, read several times faster than with expat.

Theory
------
The writer's own layout is regular, and most edits keep to it: `<` and `>` stand around tags only,
and most tags are few and come often. So a tag is understood once and remembered as a `Plan`.
Elements that are atoms, references, or objects with attributes are made here; all others are
handed to the same builder that the careful reader has, so there is one meaning and not two.
Objects of a class mostly look alike, so a pattern for all their attributes is tried first (`runs`).
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
    END,
    GAPS,
    MADE,
    NONE,
    REF,
    DoubtError,
    Plans,
    is_gap,
    split,
    text_of,
)
from tapkit.image.tax.runs import Runs

_QUOTED = rb"""(?:"%s"|'%s')"""
_PROLOG = re.compile(
    rb"(?:<\?xml version=%s(?: encoding=%s)? *\?>)?[ \t\n]*"
    % (_QUOTED % (rb"1\.0", rb"1\.0"), _QUOTED % (b"(?i:utf-8)", b"(?i:utf-8)"))
)
_COMMENT = re.compile(rb"<!--(?:(?!--).)*-->", re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"<>")
_MAX_CODE = 1 << 24
_MOST_KNOWN = 2000


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
    if reader.elements(fragment, "", reader.text.find("<")) >= 0:
        raise DoubtError
    del builder.stack[-2:]


class _Quick:
    """Reads one text. `node`, `out` and so on are those of the innermost open element."""

    def __init__(self, text: str, builder: Builder):
        self.text = text
        self.builder = builder
        self.plans = Plans()
        self.stack: list[tuple[Any, ...]] = []
        self.node: Any = None
        self.out: list[Any] = []
        self.end = ""
        self.began = 0
        self.holds = ""
        self.runs = Runs(self.plans, builder.ids)
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
            if self.elements(root, f"/{name}", at) >= 0:
                raise DoubtError
        return self.builder.image()

    def elements(self, frame: Frame, end: str, at: int) -> int:  # noqa: C901 - the hot loop
        """Read until this element, or the text, ends. Where the next `<` is, or -1."""
        self.node, self.out, self.holds, self.end = frame, frame.out, frame.holds, end
        text, plans, gaps = self.text, self.plans, GAPS
        find, starts = text.find, text.startswith
        out, holds = self.out, self.holds
        while at >= 0:
            close = find(">", at)
            tag = text[at + 1 : close]
            began, at = at, find("<", close)
            kind, name, key, last, more = plans[tag]
            if kind <= CLASS and (holds is NAMED or (holds is ITEMS and name == "item")):
                if holds is NAMED:
                    out.append(key)
                if kind <= BOOL:
                    out.append(MADE[kind](text[close + 1 : at]))
                    if not starts(last, at + 1):
                        raise DoubtError
                    close = at + 1 + len(last)
                    at = find("<", close)
                    if text[close] != ">":
                        raise DoubtError
                elif kind == NONE:
                    out.append(None)
                elif kind == REF:
                    self.builder.refer(more, out)
                else:
                    at = self._open(more, last, began, close)
                    out, holds = self.out, self.holds
                    continue
                gap = text[close + 1 : at if at >= 0 else None]
                if gap not in gaps and not is_gap(gap):
                    raise DoubtError
            elif kind == END:
                gap = text[close + 1 : at if at >= 0 else None]
                if tag != self.end or (gap not in gaps and not is_gap(gap)):
                    raise DoubtError
                if self._close(began):
                    return at
                out, holds = self.out, self.holds
            else:
                self._other(tag, name, last, text[close + 1 : at if at >= 0 else None], began)
                out, holds = self.out, self.holds
        return at

    def _open(self, more: Any, last: str, began: int, close: int) -> int:
        """An object begins, and perhaps ends: where the next `<` is."""
        call, label = more
        made = Object(NEWOBJ, call)
        self.out.append(made)
        if label is not None:
            if self.builder.is_claimed(label):
                raise DoubtError
            self.builder.claim(label, made)
        run = self.runs.of.get(id(call))
        found = None if run is None else run.pattern.match(self.text, close + 1)
        if run is not None and found is not None:
            out = self.runs.content(run, found)
            if out is not None:
                if run.whole:
                    made.steps = [STATE, out]
                else:
                    self._enter(made, last, began, out)
                return found.end()
        self._enter(made, last, began, Dict())
        at = self.text.find("<", close)
        if not is_gap(self.text[close + 1 : at]):
            raise DoubtError
        return at

    def _enter(self, node: Any, last: str, began: int, out: list[Any]) -> None:
        self.stack.append((self.node, self.out, self.holds, self.end, self.began))
        self.node, self.out, self.holds, self.end, self.began = node, out, NAMED, last, began

    def _close(self, at: int) -> bool:
        """An element ends: whether it was the outermost."""
        node = self.node
        if type(node) is Object:
            self._check_keys(id(node.call), self.out)
            if self.out:
                node.steps = [STATE, self.out]
            self.runs.learn(node.call, self.text, self.began, at)
        else:
            if node.holds is NAMED:
                self._check_keys(0, self.out)
            self.builder.end()
        if not self.stack:
            return True
        self.node, self.out, self.holds, self.end, self.began = self.stack.pop()
        if type(self.node) is Object and type(node) is Frame:
            self.builder.stack.pop()  # what stood for this object there
        elif type(self.node) is Frame:
            self.holds = self.node.holds
        return False

    def _other(self, tag: str, name: str, last: str, text: str, at: int) -> None:
        """An element that the builder makes."""
        builder, node = self.builder, self.node
        _, _, given, alone = split(tag)
        if "tapkit" in given:
            raise DoubtError
        if type(node) is Object:
            proxy = Frame(name, None, {}, 0)
            proxy.out, proxy.holds = self.out, NAMED
            proxy.info = _Unchecked()
            builder.stack.append(proxy)
        builder.start(name, given, 0)
        if alone:
            builder.end()
            if type(node) is Object:
                builder.stack.pop()
            else:
                self.holds = node.holds
            if not is_gap(text):
                raise DoubtError
            return
        frame = builder.stack[-1]
        self._enter(frame, last, at, frame.out)
        self.holds = frame.holds
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
        if kind and len(names) == len(keys) and len(self._known) < _MOST_KNOWN:
            self._known[kind] = keys


class _Unchecked(dict[str, int]):
    """Keys are checked where the object ends."""

    def setdefault(self, key: str, default: int = 0) -> int:
        return default
