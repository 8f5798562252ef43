"""SHA-256 for images: OpenSSL's for large ones, for others the one Python has without it.

To load OpenSSL's digests takes 2.5 ms, the 20th part of a daemon's start; it is three times as
fast, which 1 MiB does not make up for. (The standard library's `random` does the same.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LARGE = 1 << 20
"""Bytes from which on the faster one is worth its loading."""


def sha256_for(size: int) -> Callable[..., Any]:
    """The `sha256` to use where so many bytes are hashed in all; as `hashlib.sha256`."""
    made: Callable[..., Any]
    if size < LARGE:
        try:
            from _sha2 import sha256 as made  # type: ignore[import-not-found,unused-ignore,no-redef]
        except ImportError:
            try:  # before Python 3.12
                from _sha256 import sha256 as made  # type: ignore[import-not-found,unused-ignore,no-redef]
            except ImportError:
                from hashlib import sha256 as made
    else:
        from hashlib import sha256 as made
    return made


def sha256(data: Any) -> Any:
    """The `sha256` object of some bytes."""
    return sha256_for(len(data))(data)
