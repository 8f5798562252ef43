"""C2SP's test vectors of age, read."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parent / "data" / "vectors"


class Vector(NamedTuple):
    """One of C2SP's test vectors."""

    name: str
    expect: str
    digest: str | None
    identities: list[bytes]
    passphrases: list[str]
    data: bytes


def vectors() -> list[Vector]:
    found = []
    for name, text in json.loads((DATA / "age.json").read_text()).items():
        head, _, data = base64.b64decode(text).partition(b"\n\n")
        lines = [line.partition(": ")[::2] for line in head.decode().split("\n")]
        words = dict(lines)
        if words.get("compressed"):
            data = zlib.decompress(data)
        identities = [value.encode() for word, value in lines if word == "identity"]
        if any(b"-PQ-" in identity for identity in identities):
            continue  # hybrid keys, which pyrage opens through a plug-in alone
        passphrases = [value for word, value in lines if word == "passphrase"]
        found.append(
            Vector(name, words["expect"], words.get("payload"), identities, passphrases, data)
        )
    return found


VECTORS = vectors()


def scrypt_file(work: str) -> bytes:
    """An age file whose passphrase asks for so much work."""
    head = b"age-encryption.org/v1\n-> scrypt " + b"A" * 22 + b" " + work.encode()
    return head + b"\n" + b"B" * 43 + b"\n--- " + b"C" * 43 + b"\n" + bytes(64)
