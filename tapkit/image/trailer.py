r"""Where a `.tap` keeps its signature: after its end, so that one file is all there is to copy.

    offset  bytes
    0       n      the signature, as `seal.statement` spells it
    n       4      n, big endian, at most 16 KiB
    n+4     8      \x89 SIG \r \n \x1a \n

It is found from the end of the file, without reading what is before it. Any other image has its
signatures in a file beside it.
"""

from __future__ import annotations

import struct
from typing import Any

SIGNED = b"\x89SIG\r\n\x1a\n"
MAX_SIGNATURE = 1 << 14
SIDECAR = ".sig"
_FOOT = struct.Struct(">I8s")


def size(data: Any) -> int:
    """How many bytes at the end of these are a signature; 0: none are."""
    if len(data) < _FOOT.size:
        return 0
    length, mark = _FOOT.unpack(data[len(data) - _FOOT.size :])
    whole: int = length + _FOOT.size
    return whole if mark == SIGNED and length <= MAX_SIGNATURE and whole <= len(data) else 0


def split(data: Any) -> tuple[Any, bytes | None]:
    """What is signed, without a copy, and its signature; None where there is none."""
    view = memoryview(data)
    tail = size(view)
    if not tail:
        return data, None
    end = view.nbytes - tail
    return view[:end], bytes(view[end : view.nbytes - _FOOT.size])


def joined(data: bytes, signature: bytes) -> bytes:
    """The bytes of a signed image."""
    return b"".join([data, signature, _FOOT.pack(len(signature), SIGNED)])


def sidecars(path: str) -> list[str]:
    """Where the signatures of a file may be: beside it, and for a kept `qotd.tax.1` beside the
    `qotd.tax` that it was."""
    stem, _, number = path.rpartition(".")
    return [path + SIDECAR, *([stem + SIDECAR] if number.isdecimal() else [])]
