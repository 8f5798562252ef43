r"""Characters: how any string becomes XML text and back.

XML holds most characters as they are; `&`, `<` and `>` as entities, a carriage return as `&#13;`
(raw, XML turns it into a newline). What XML cannot hold at all - other controls, lone surrogates,
U+FFFE and U+FFFF - makes the element carry `escape="backslash"`, and in its text every backslash
then begins one of

    \\        a backslash            \xHH        a character up to U+00FF
    \n \r \t  as in Python           \uHHHH      a character up to U+FFFF
                                     \UHHHHHHHH  any character

White space is text like any other: in an element that holds text all of it counts.
"""

from __future__ import annotations

import re

LEGAL = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
"""Matches a string whole if XML can hold it."""

SPECIAL = re.compile("[<>&\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
"""Finds what cannot stand in the text of an element as it is."""

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff\\\\]")
_ENTITY = re.compile("[<>&\r]")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\r": "&#13;"}
_IN_ATTRIBUTE = re.compile('[<>&"\t\n\r]')
_ATTRIBUTE_ENTITIES = {**_ENTITIES, '"': "&quot;", "\t": "&#9;", "\n": "&#10;"}
_REFERENCE = re.compile(r"&(?:#([0-9]+)|#x([0-9A-Fa-f]+)|(lt|gt|amp|quot|apos));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_BACKSLASH = re.compile(
    r"\\(?:(\\)|([nrt])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.?))", re.DOTALL
)
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}


def legal(text: str) -> bool:
    """Whether XML can hold every character of a string."""
    return LEGAL.fullmatch(text) is not None


def content(text: str) -> tuple[str, str]:
    """(attributes, text) of the element that holds a string: the attributes are "" mostly."""
    if SPECIAL.search(text) is None:
        return "", text
    if legal(text):
        return "", _ENTITY.sub(_entity, text)
    return ' escape="backslash"', _ENTITY.sub(_entity, _ILLEGAL.sub(_escaped, text))


def attribute(value: str) -> str:
    """A legal string as the value of an attribute, without its quotes."""
    return _IN_ATTRIBUTE.sub(lambda found: _ATTRIBUTE_ENTITIES[found[0]], value)


def resolved(text: str) -> str:
    """Text or an attribute's value with its references to characters resolved.

    Raises:
        ValueError: an `&` begins none, or one that is no character of XML.
    """
    if text.count("&") != len(_REFERENCE.findall(text)):
        raise ValueError("an & that begins no reference")
    plain = _REFERENCE.sub(_character, text)
    if not legal(plain):
        raise ValueError("a reference to what is no character of XML")
    return plain


def unescaped(text: str) -> str:
    """The string that stands in an element with `escape="backslash"`.

    Raises:
        ValueError: a backslash begins no escape.
    """
    return _BACKSLASH.sub(_unescape, text)


def _entity(found: re.Match[str]) -> str:
    return _ENTITIES[found[0]]


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char == "\\":
        return "\\\\"
    return f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return _NAMED[name]
    digits = decimal or hexadecimal
    code = int(digits, 10 if decimal else 16) if len(digits) < 20 else 0
    return chr(code) if code <= 0x10FFFF else "\0"


def _unescape(found: re.Match[str]) -> str:
    backslash, letter, two, four, eight, other = found.groups()
    if backslash:
        return backslash
    if letter:
        return _LETTERS[letter]
    digits = two or four or eight
    if digits is None or int(digits, 16) > 0x10FFFF:
        raise ValueError(f"\\{other or 'U' + str(digits)} is no escape; a backslash is \\\\")
    return chr(int(digits, 16))
