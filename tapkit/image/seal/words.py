"""Small text files of ours: a first line that says what it is, then `word: value` lines.

Public keys and signatures are kept so: read by people, copied in a mail, and parsed strictly -
a word that is not known, twice or missing is a mistake and no reason to believe less or more.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

MAX_VALUE = 1024


def parse(text: str, title: str, known: Iterable[str], needed: Iterable[str]) -> dict[str, str]:
    """The words of a text; lines that begin with `#` are comments.

    Raises:
        ValueError: in words, it is not such a text.
    """
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if not lines or lines[0].strip() != title:
        raise ValueError(f"it does not begin with {title!r}")
    allowed = set(known)
    found: dict[str, str] = {}
    for line in lines[1:]:
        word, colon, value = line.partition(":")
        good = len(value) <= MAX_VALUE and value.isprintable()
        if not colon or word not in allowed or word in found or not good:
            raise ValueError(f"{line[:40]!r} is none of its lines, or there twice")
        found[word] = value.strip()
    missing = [word for word in needed if word not in found]
    if missing:
        raise ValueError(f"it has no {missing[0]!r}")
    return found


def spell(title: str, words: dict[str, str]) -> str:
    """The text that `parse` reads."""
    return "\n".join([title, *(f"{word}: {value}" for word, value in words.items()), ""])


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decoded(text: str, length: int) -> bytes:
    """Bytes out of base64, which must be so many.

    Raises:
        ValueError: they are not.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text[:20]!r} is no base64") from error
    if len(data) != length:
        raise ValueError(f"{text[:20]!r} is not {length} bytes")
    return data
