"""Any .tax, by expat: every freedom XML gives a person who edits, and every mistake told.

The document type, and with it entities and anything external, is refused where it begins.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from tapkit.image.nodes import Image
from tapkit.image.tax import code
from tapkit.image.tax.builder import Builder, FlawError, Frame
from tapkit.image.tax.faults import MOST, Lines, Mistake, TaxError
from tapkit.image.tax.kinds import enter

MAX_BYTES = 1 << 30
MAX_DEPTH = 3_000_000
MAX_ATTRIBUTES = 16
MAX_CODE = 1 << 24

_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")
_ENCODINGS = {"utf-8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16"}
_VERSIONS = ("1",)


class RefusalError(Exception):
    """Ends the reading: what, and the offset."""

    def __init__(self, what: str, hint: str, offset: int):
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.offset = offset


class Reader:
    """Reads one file.

    Parameters:
        data: the file.
        where: how messages name it.
        trace: remember where references are, for `homes`.
    """

    def __init__(self, data: bytes, where: str, trace: bool = False):
        self.data = utf8(data, where)
        self.lines = Lines(self.data, where)
        self.mistakes: list[Mistake] = []
        self.more = 0
        self.builder = Builder(enter, self._note, self._unpack)
        if trace:
            self.builder.references = set()
        self._base = 0
        self._parser: Any = None

    def image(self) -> Image:
        """The image.

        Raises:
            TaxError: there are mistakes: all of them.
        """
        try:
            self._parse(self.data, 0)
        except RefusalError as refusal:
            self._note(refusal.offset, refusal.what, refusal.hint, None)
            raise self._error() from None
        image = self.builder.image()
        if self.mistakes:
            raise self._error()
        return image

    def _error(self) -> TaxError:
        order = sorted(self.mistakes, key=lambda each: [int(n) for n in each.where.split(":")[-2:]])
        return TaxError(order, self.more)

    def _parse(self, data: bytes, base: int) -> None:
        """Hand elements to the builder. `base`: the offset of packed text, or 0."""
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        outer, self._parser, self._base = (self._parser, self._base), parser, base
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self.builder.text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise self._broken(parser, error, data) from None
        finally:
            # The first of these may hand over text that waits, so it is still this parser's
            parser.CharacterDataHandler = None
            parser.StartElementHandler = parser.EndElementHandler = None
            parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = None
            self._parser, self._base = outer

    def _offset(self) -> int:
        return self._base or self._parser.CurrentByteIndex

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        builder = self.builder
        offset = self._base or self._parser.CurrentByteIndex
        if len(attributes) > MAX_ATTRIBUTES or len(builder.stack) > MAX_DEPTH:
            what = "attributes" if len(attributes) > MAX_ATTRIBUTES else "levels of elements"
            limit = MAX_ATTRIBUTES if what == "attributes" else MAX_DEPTH
            raise RefusalError(f"more than {limit} {what}", "no image needs so many", offset)
        if not builder.stack:
            self._check_version(attributes, offset)
        builder.start(name, attributes, offset)

    def _end(self, name: str) -> None:
        self.builder.end()

    def _check_version(self, attributes: Mapping[str, str], offset: int) -> None:
        version = attributes.get("tapkit")
        if version is None:
            raise RefusalError(
                "this is no image: the outermost element has no tapkit=",
                'an image begins <application tapkit="1" class="...">',
                offset,
            )
        if version not in _VERSIONS:
            raise RefusalError(f'tapkit="{version}": an unknown version', "there is 1", offset)

    def _doctype(self, *declared: Any) -> None:
        offset = max(self.data.rfind(b"<!DOCTYPE", 0, self._offset() + 1), 0)
        raise RefusalError("an image has no document type", "remove <!DOCTYPE", offset)

    def _instruction(self, target: str, data: str) -> None:
        self._note(self._offset(), f"<?{target}?> means nothing here", "remove it", None)

    def _note(self, offset: int, what: str, hint: str, attribute: str | None) -> None:
        """Take a mistake; `attribute` says where in the start tag, `>` means behind it."""
        if len(self.mistakes) >= MOST:
            self.more += 1
            return
        if self._base:
            what = f"in the packed code: {what}"
        elif attribute is not None:
            offset = self._inside(offset, attribute)
        self.mistakes.append(self.lines.mistake(offset, what, hint))

    def _inside(self, offset: int, attribute: str) -> int:
        """The offset of a part of an element: an attribute, or text."""
        if attribute.startswith("text "):
            end = self._parser.CurrentByteIndex
            return max(offset, self.data.rfind(attribute[5:].encode("utf-8"), offset, end))
        tag = _TAG.match(self.data, offset)
        if tag is None:
            return offset
        if attribute == ">":
            text = _SPACE.match(self.data, tag.end())
            return text.end() if text else tag.end()
        pattern = re.compile(rb"\s(" + re.escape(attribute.encode()) + rb")\s*=")
        found = pattern.search(self.data, offset, tag.end())
        return found.start(1) if found else offset

    def _unpack(self, builder: Builder, packed: Any, frame: Frame) -> None:
        """Read packed code: its elements come as if they stood in the place of the code."""
        try:
            xml = code.unpack(packed, MAX_CODE)
        except ValueError as error:
            raise FlawError(str(error), "take it from the original") from None
        fragment = Frame("code", None, {}, frame.offset)
        fragment.holds, fragment.parts = "parts", {"data": "once"}
        builder.stack.append(frame)
        builder.stack.append(fragment)
        try:
            self._parse(xml, max(frame.offset, 1))
        except RefusalError as refusal:
            raise FlawError(f"the packed code is damaged: {refusal.what}") from None
        finally:
            while builder.stack.pop() is not frame:
                pass

    def _broken(self, parser: Any, error: expat.ExpatError, data: bytes) -> RefusalError:
        """What is wrong with the XML itself."""
        offset = max(parser.ErrorByteIndex, 0)
        what = expat.ErrorString(error.code)
        open_ = self.builder.stack[-1] if self.builder.stack else None
        if self._base or open_ is None:
            return RefusalError(what, _hint(data, offset), offset)
        line, column = self.lines.place(open_.offset)
        opened = f"<{open_.name}> opened at line {line}, column {column}"
        if what == expat.errors.XML_ERROR_TAG_MISMATCH:
            found = _CLOSING.search(data, max(0, offset - 2))
            name = found[1].decode("utf-8", "replace") if found else "?"
            return RefusalError(
                f"</{name}> closes {opened}",
                f"write </{open_.name}> first",
                found.start() if found else offset,
            )
        ampersand = _AMPERSAND.search(data, max(0, offset - 64), offset + 1)
        if ampersand and ampersand.start() < offset:
            return RefusalError("an & that begins no reference", _hint(b"&", 0), ampersand.start())
        if offset >= len(data.rstrip()) or what in _ENDS:
            offset = len(data.rstrip())
            return RefusalError(
                f"the file ends inside {opened}", f"</{open_.name}> is missing", offset
            )
        return RefusalError(what, _hint(data, offset), offset)


_ENDS = (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN)
_TAG = re.compile(rb"""<[^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*>""")
_CLOSING = re.compile(rb"</([^\s>]*)")
_AMPERSAND = re.compile(rb"&[^\s<>;&]*(?=[\s<&]?\Z)")
_SPACE = re.compile(rb"\s*")


def _hint(data: bytes, offset: int) -> str:
    """What to do about XML that is not well-formed, by what stands there."""
    around = data[max(0, offset - 1) : offset + 1]
    if b"&" in around or data[offset : offset + 1] == b"&":
        return "write &amp; for &; beside it there are &lt; &gt; &quot; &apos; and &#8364;"
    if b"<" in around:
        return "write &lt; for <"
    if data[offset : offset + 1] < b" ":
        return 'a control character needs escape="backslash" and \\xHH'
    return 'attributes are written name="value"'


def utf8(data: bytes, where: str) -> bytes:
    """The file in UTF-8, whatever it says it is in.

    Raises:
        TaxError: it is too large, or no such text.
    """
    lines = Lines(data, where)
    if len(data) > MAX_BYTES:
        raise TaxError([lines.mistake(0, f"the file has more than {MAX_BYTES} bytes")])
    declared = _DECLARED.match(data.removeprefix(codecs.BOM_UTF8)[:200])
    name = declared[1].decode("ascii").lower() if declared else "utf-8"
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        name = "utf-16"
    if name not in _ENCODINGS:
        hint = "save the file as UTF-8"
        raise TaxError([lines.mistake(0, f"the encoding {name} is not supported", hint)])
    try:
        text = data.decode("utf-8-sig" if name == "utf-8" else name)
    except UnicodeDecodeError as error:
        what = f"byte {data[error.start]:#04x} is no {name.upper()}"
        raise TaxError([lines.mistake(error.start, what, "save the file as UTF-8")]) from None
    return data if name == "utf-8" and text[:1] == data[:1].decode("latin-1") else text.encode()
