"""The header of an age file, read before any key is tried and any work is done for it.

The library would do what a passphrase's stanza asks for: scrypt with 2**N steps of 1 KiB each,
N from the file. Here a file that asks for too much is refused first.

Source: https://age-encryption.org/v1 (C2SP age.md).
"""

from __future__ import annotations

from typing import Any

from tapkit.errors import ImageError
from tapkit.records import Record

MAX_WORK = 21
"""log2 of the scrypt steps: 2 GiB and some seconds. age writes 18, pyrage what takes a second."""

MAX_HEADER = 1 << 16
VERSION = b"age-encryption.org/v1"
ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_STEM = b"age-encryption.org/"
_STANZA = b"-> "
_LINE = 64
_END = b"--- "


class AgeHeader(Record):
    """What a file says of the keys that open it.

    Attributes:
        kinds: of its stanzas: `scrypt` for a passphrase, `X25519`, `ssh-ed25519` ...
        work: log2 of the scrypt steps its passphrase asks for; None if it has none.
    """

    kinds: tuple[str, ...]
    work: int | None


def sniff(data: Any) -> bool:
    """Whether these bytes are, or were meant to be, an age file, binary or armored."""
    start = bytes(data[:200])
    return start.startswith(_STEM) or start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(ARMOR)


def read(data: Any, where: str) -> AgeHeader:
    """Read and check the header.

    Raises:
        ImageError: it is damaged, of a version not known, or asks for too much work.
    """
    start = bytes(data[: 2 * MAX_HEADER])
    if not start.startswith(_STEM):
        start = _unarmored(start, where)
    lines = start[:MAX_HEADER].split(b"\n")
    if lines[0] != VERSION:
        if lines[0].startswith(_STEM) and len(lines) > 1 and lines[0].isascii():
            raise ImageError(
                f"it is encrypted as {lines[0][:60].decode(errors='replace')!r}",
                where,
                f"this tapkit reads {VERSION.decode()}",
            )
        raise damaged(where, "its first line")
    stanzas = _stanzas(lines[1:], where)
    return AgeHeader(tuple(words[0] for words in stanzas), _work(stanzas, where))


def _stanzas(lines: list[bytes], where: str) -> list[list[str]]:
    """The words of each stanza's first line; what follows it are lines of 64 and a shorter one.

    The library takes a stanza without the shorter one, as early files had; others do not.
    """
    stanzas: list[list[str]] = []
    last = _LINE
    for line in lines:
        ends = line.startswith(_END)
        if ends or line.startswith(_STANZA):
            if stanzas and last >= _LINE:
                raise damaged(where, "a stanza of its header has no end")
            if ends:
                break
            stanzas.append(line[len(_STANZA) :].decode("ascii", "replace").split(" "))
            last = _LINE
        elif last < _LINE:
            raise damaged(where, "its header has a line too many")
        else:
            last = len(line)
    else:
        raise damaged(where, "its header has no end")
    if not stanzas:
        raise damaged(where, "its header names no key")
    return stanzas


def binary_or_tidy(data: Any) -> bytes:
    """An age file as the library takes it: white space around an armored one is allowed, and
    there it is not."""
    held = bytes(data)
    return held if held.startswith(_STEM) else held.strip(b"\xef\xbb\xbf \t\r\n") + b"\n"


def damaged(where: str, what: str) -> ImageError:
    """The error for an encrypted file that is not whole."""
    return ImageError(
        f"the encrypted image is damaged ({what})", where, "copy it again, or take a backup"
    )


def _work(stanzas: list[list[str]], where: str) -> int | None:
    mine = [words for words in stanzas if words[0] == "scrypt"]
    if not mine:
        return None
    if len(stanzas) > 1:
        raise damaged(where, "a passphrase stands alone, and it has other keys as well")
    words = mine[0]
    if len(words) != 3 or not words[2].isascii() or not words[2].isdigit() or words[2][0] == "0":
        raise damaged(where, "its work factor")
    if len(words[2]) > 3 or int(words[2]) > MAX_WORK:
        raise ImageError(
            f"its passphrase asks for 2**{words[2][:20]} steps of work, and 2**{MAX_WORK}"
            " is the most that is done for a file",
            where,
            "if you trust it: decrypt it with age, and encrypt it again",
        )
    return int(words[2])


def _unarmored(start: bytes, where: str) -> bytes:
    import base64
    import binascii

    lines = start.lstrip(b"\xef\xbb\xbf \t\r\n").splitlines()
    found = b""
    for line in lines[1:]:
        if line.startswith(b"-----") or len(line) > 64:
            break
        try:
            found += base64.b64decode(line, validate=True)
        except binascii.Error:
            break
    if not found:
        raise damaged(where, "its armor")
    return found
