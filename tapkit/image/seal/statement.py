"""A signature: what somebody states of an image's bytes, and the proof that it was they.

    tapkit signature 1
    key: R4r1...                      the signer's Ed25519 public key
    application: "qotd"               as JSON, so that any name is one line
    generation: 1795333010            grows with every image that is signed
    signed: 2026-11-22T11:40:00+00:00
    sha256: 9f86...                   of all the bytes of the image
    size: 2412                        how many they are
    host: 5c1d...                     only a daemon's own: the machine it is good on
    signature: 3045...                over all lines before this one

It is outermost: it speaks of the bytes of the file, compressed and encrypted as they are, and is
checked before any of them is parsed. In a `.tap` it is the file's end (`image.trailer`). All other
forms have it in a file of its own, `qotd.tax.sig`: a text's comments are its author's, and an age
file with something after its end would be none to other programs. Such a file may hold several
signatures; the one counts that speaks of the bytes at hand. So a new one can be put there before
the image is replaced, and there is no moment at which an image is without.

The digest is signed and not the bytes, for Ed25519 goes over its message twice (RFC 8032, 5.1.6)
and 100 MB would be hashed three times.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, NamedTuple

from tapkit.image.seal import words

TITLE = "tapkit signature 1"
_CONTEXT = b"tapkit image signature\0"  # no other use of a key can be taken for this one
_WORDS = ("key", "application", "generation", "signed", "sha256", "size", "host", "signature")
_MAX_GENERATION = 1 << 62


class Statement(NamedTuple):
    """What is stated of an image; not yet known to be true, nor by whom.

    Attributes:
        key: the public key, 32 bytes; signature: 64 bytes, b"" while it is not signed.
        application: the name of the application in it.
        generation: older images have lower ones.
        signed: when, ISO 8601, for people.
        sha256, size: of the image's bytes; the digest in hex.
        host: the machine a daemon's own key is good on, or None.
    """

    key: bytes
    application: str
    generation: int
    signed: str
    sha256: str
    size: int
    host: str | None
    signature: bytes = b""

    def message(self) -> bytes:
        """The bytes that are signed."""
        return _CONTEXT + self._spelt({}).encode("ascii")

    def text(self) -> bytes:
        """The whole signature, as it is kept."""
        return self._spelt({"signature": words.encoded(self.signature)}).encode("ascii")

    def fits(self, data: Any) -> bool:
        """Whether it speaks of these bytes."""
        return len(data) == self.size and hashlib.sha256(data).hexdigest() == self.sha256

    def _spelt(self, more: dict[str, str]) -> str:
        known = {
            "key": words.encoded(self.key),
            "application": json.dumps(self.application),
            "generation": str(self.generation),
            "signed": self.signed,
            "sha256": self.sha256,
            "size": str(self.size),
        }
        if self.host is not None:
            known["host"] = self.host
        return words.spell(TITLE, known | more)


def about(data: Any, key: bytes, application: str, generation: int, host: str | None) -> Statement:
    """The statement of an image's bytes, to be signed."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    digest = hashlib.sha256(data).hexdigest()
    return Statement(key, application, generation, now, digest, len(data), host)


def next_generation(after: int) -> int:
    """The generation of an image that replaces one of generation `after`.

    Seconds since 1970, so that images signed on different machines have an order; and always
    more than the one before, whatever the clock says.
    """
    return max(after + 1, int(time.time()))


def read(text: bytes) -> Statement:
    """A statement out of its text.

    Raises:
        ValueError: in words, it is none. It must be spelt as we spell it, to the byte: one
            signature has one text.
    """
    try:
        found = words.parse(text.decode("ascii"), TITLE, _WORDS, set(_WORDS) - {"host"})
        name = json.loads(found["application"])
        numbers = [int(found["generation"]), int(found["size"])]
    except RecursionError as error:
        raise ValueError("its application is no name") from error
    if not isinstance(name, str) or min(numbers) < 0 or max(numbers) > _MAX_GENERATION:
        raise ValueError("its application, generation or size makes no sense")
    made = Statement(
        words.decoded(found["key"], 32),
        name,
        numbers[0],
        found["signed"],
        found["sha256"],
        numbers[1],
        found.get("host"),
        words.decoded(found["signature"], 64),
    )
    if made.text() != text:
        raise ValueError("it is not spelt as signatures are")
    return made


def read_one(text: bytes) -> list[Statement]:
    """The statement that a text is, alone."""
    return [read(text)]


def read_all(text: bytes) -> list[Statement]:
    """The statements in a `.sig` file, newest first.

    Raises:
        ValueError: one of them is none.
    """
    title = TITLE.encode("ascii")
    parts = text.split(title + b"\n")
    if parts[0].strip() or len(parts) < 2:
        raise ValueError(f"it does not begin with {TITLE!r}")
    return [read(title + b"\n" + part) for part in parts[1:]]
