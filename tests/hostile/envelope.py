"""Damage and lies in the envelope of a `.tap`: digests fit where the case needs them to."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from tapkit import image
from tapkit.image import header, tap
from tests.hostile.case import Case, bomb, flipped, large

HEADER_FLIPS, BODY_FLIPS, CUTS = 200, 40, 40


def cases() -> Iterator[Case]:
    yield from flips()
    yield from cuts()
    yield from swaps()
    yield from tails()
    yield from heads()
    yield from headers()
    yield from packed_payloads()
    yield from texts()


def header_end(data: bytes) -> int:
    return 16 + struct.unpack(">I", data[12:16])[0] + 32


def flips() -> Iterator[Case]:
    """A bit in every other byte of the header, and here and there in the body."""

    def in_header(number: int) -> bytes:
        return flipped(bomb(), number * header_end(bomb()) // HEADER_FLIPS, number % 8)

    def in_body(number: int) -> bytes:
        end = header_end(large())
        return flipped(large(), end + number * (len(large()) - end) // BODY_FLIPS, number % 8)

    for number in range(HEADER_FLIPS):
        yield Case(f"header bit {number}", lambda folder, n=number: in_header(n), "image|XML")
    for number in range(BODY_FLIPS):
        yield Case(f"body bit {number}", lambda folder, n=number: in_body(n), "damaged")


def cuts() -> Iterator[Case]:
    """Cut at the ends of its parts and blocks, and between."""

    def cut(number: int) -> bytes:
        return large()[: 1 + number * (len(large()) - 1) // CUTS]

    def at_block(number: int) -> bytes:
        return large()[: header_end(large()) + (number << 20)]

    for number in range(CUTS):
        yield Case(f"cut {number}", lambda folder, n=number: cut(n), "truncated")
    for number in range(4):
        yield Case(f"cut at block {number}", lambda folder, n=number: at_block(n), "truncated")
    yield Case("cut before the end", lambda folder: bomb()[:-8], "truncated")
    yield Case("cut in the end", lambda folder: bomb()[:-1], "truncated")
    yield Case("empty", lambda folder: b"", "it is empty")


def swaps() -> Iterator[Case]:
    """Every part is whole, and not where it belongs."""

    def blocks(folder: Path) -> bytes:
        data, start = large(), header_end(large())
        one, two = (data[start + n * (1 << 20) : start + (n + 1) * (1 << 20)] for n in (0, 2))
        return (
            data[:start]
            + two
            + data[start + (1 << 20) : start + (2 << 20)]
            + one
            + data[start + (3 << 20) :]
        )

    def bodies(folder: Path) -> bytes:
        other = image.dumps([1, "y" * 3000], name="qotd")
        return other[: header_end(other)] + bomb()[header_end(bomb()) :]

    def digests(folder: Path) -> bytes:
        data = large()
        table = data[-40 - 4 * 32 : -40]
        return data[: -40 - 4 * 32] + table[32:64] + table[:32] + table[64:] + data[-40:]

    yield Case("blocks swapped", blocks, "damaged")
    yield Case("another's header", bodies, "truncated|damaged|goes on")
    yield Case("digests swapped", digests, "digests are damaged")
    yield Case("header twice", lambda f: bomb()[: header_end(bomb())] + bomb(), "damaged|goes on")


def tails() -> Iterator[Case]:
    for name, tail in {
        "a zero": b"\0",
        "a newline": b"\n",
        "a pickle": b"\x80\x05N.",
        "itself": bomb(),
        "a MiB": bytes(1 << 20),
        "an end": tap.END,
        "half a signature": b"\0\0\0\x10\x89SIG\r\n\x1a\n",
        "a signature too long": bytes(1 << 15) + b"\0\0\x80\0\x89SIG\r\n\x1a\n",
    }.items():
        said = "goes on after its end|the signature is damaged"
        yield Case(f"tail: {name}", lambda folder, tail=tail: bomb() + tail, said)


def heads() -> Iterator[Case]:
    """The first sixteen bytes."""

    def head(**changes: int) -> bytes:
        known = {"version": 1, "zero": 0, "length": header_end(bomb()) - 48} | changes
        return tap.MAGIC + struct.pack(">HHI", *known.values()) + bomb()[16:]

    for version in (0, 2, 7, 65535):
        yield Case(f"version {version}", lambda f, v=version: head(version=v), f"version {version}")
    yield Case("a reserved bit", lambda folder: head(zero=1), "damaged")
    for length in (0, 1, (1 << 20) - 1, (1 << 20) + 1, (1 << 31), (1 << 32) - 1):
        yield Case(f"header of {length}", lambda f, n=length: head(length=n), "damaged|truncated")
    yield Case(
        "as text", lambda f: bomb().replace(b"\r\n", b"\n", 1), "mangled on its way, as text"
    )
    yield Case("as 7 bits", lambda f: bytes([bomb()[0] & 127]) + bomb()[1:], "mangled on its way")


# -- headers that lie, in an envelope that is whole


def known() -> dict[str, Any]:
    _, payload, _ = tap.read(bomb())
    info = image.inspect(bomb())
    keys = {key: getattr(info, key) for key in header._TYPES}
    return keys | {"buffers": list(keys["buffers"]), "size": len(payload)}


def whole(packed: bytes, body: bytes | None = None) -> bytes:
    """An image whose digests are right, whatever its header says."""
    payload = bytes(tap.read(bomb())[1]) if body is None else body
    head = struct.pack(">8sHHI", tap.MAGIC, 1, 0, len(packed)) + packed
    digest = hashlib.sha256(head).digest()
    stored = bytes(-(len(head) + 32) % 64) + payload
    table = b"".join(
        hashlib.sha256(stored[at : at + tap.BLOCK]).digest()
        for at in range(0, len(stored), tap.BLOCK)
    )
    return head + digest + stored + table + hashlib.sha256(digest + table).digest() + tap.END


def saying(body: bytes | None = None, **changes: Any) -> bytes:
    said = {key: value for key, value in (known() | changes).items() if value is not ...}
    return whole(msgpack.packb(said), body)


def headers() -> Iterator[Case]:
    for key in header._TYPES:
        yield Case(f"no {key}", lambda folder, k=key: saying(**{k: ...}), f"no '{key}'")
        yield Case(
            f"{key} of another type",
            lambda folder, k=key: saying(**{k: 1.5}),
            f"'{key}' is a float",
        )
    yield from oversize()
    yield from packings()
    for name in ("tests.hostile.case", "os.path", ".", "", ".x"):
        yield Case(
            f"module {name!r}",
            lambda folder, n=name: saying(modules={n: None}),
            "its modules make no sense",
        )
    yield Case(
        "missing modules",
        lambda folder: saying(modules={"no_such_module": None}),
        "it needs 'no_such_module'",
    )
    yield Case(
        "code of another Python",
        lambda folder: saying(by_value=True, python="3.9.1"),
        "compiled code of cpython 3.9",
    )
    yield Case("critical key", lambda f: saying(**{"!seal": 1}), "a newer tapkit reads it")
    yield Case("encoding", lambda f: saying(encoding="brotli"), "a newer tapkit reads it")


def oversize() -> Iterator[Case]:
    for name, changes in {
        "size": {"size": 1 << 62},
        "stored": {"stored": 1 << 62, "size": 1 << 62},
        "stored of 2**64-1": {"stored": (1 << 64) - 1, "size": (1 << 64) - 1},
        "negative": {"stored": -1, "size": -1},
        "buffers": {"buffers": [[1 << 40, True]]},
        "negative buffers": {"buffers": [[-1, True]]},
        "many buffers": {"buffers": [[0, True]] * ((1 << 16) + 1)},
        "buffers that sum up": {"buffers": [[1 << 30, True]] * 60000},
        "stored one more": {"stored": known()["size"] + 1, "size": known()["size"] + 1},
        "stored one less": {"stored": known()["size"] - 1, "size": known()["size"] - 1},
    }.items():
        said = "truncated|make no sense|damaged|goes on"
        yield Case(f"oversize: {name}", lambda folder, c=changes: saying(**c), said)


def packings() -> Iterator[Case]:
    """msgpack that lies about itself, or is none."""
    twice = msgpack.packb({"name": "x"})[1:]
    for name, packed in {
        "nothing": b"",
        "nil": b"\xc0",
        "an array": b"\x93\x01\x02\x03",
        "a key twice": b"\x82" + twice + twice,
        "a number for a key": b"\x81\x05\x05",
        "an array for a key": b"\x81\x90\x05",
        "bytes for a key": b"\x81\xc4\x01x\x05",
        "deep": b"\x91" * 100_000,
        "deep maps": b"\x81\xa1x" * 100_000,
        "4 billion keys": b"\xdf\xff\xff\xff\xff",
        "4 billion items": b"\xdd\xff\xff\xff\xff",
        "a long text": b"\xdb\xff\xff\xff\xffx",
        "an extension": b"\xc9\x00\x00\x00\x01\x05x",
        "a time stamp": b"\xd6\xff\x00\x00\x00\x00",
        "no utf-8": b"\x81\xa4name\xa1\xff",
        "more after it": msgpack.packb({"name": None}) + b"\0",
        "a MiB of empty maps": b"\xdd\x00\x0f\xff\x00" + b"\x80" * 0xFFF00,
    }.items():
        yield Case(f"msgpack: {name}", lambda folder, p=packed: whole(p), "the header is damaged")


def packed_payloads() -> Iterator[Case]:
    """zstd: frames that lie, hide something, or want all the memory."""
    try:
        import zstandard
    except ImportError:
        return

    def frame(content: bytes, **how: Any) -> bytes:
        made: bytes = zstandard.ZstdCompressor(level=3, **how).compress(content)
        return made

    def zstd(packed: bytes, size: int) -> bytes:
        return saying(packed, encoding="zstd", size=size, stored=len(packed))

    payload = bytes(tap.read(bomb())[1])
    zeros = frame(bytes(64 << 20))
    window = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    wide = zstandard.ZstdCompressor(compression_params=window).compressobj()
    wide_frame = wide.compress(bytes(1 << 20)) + wide.flush()
    for name, packed, size, said in (
        ("more than it says", zeros, 1000, "unpacks to other than"),
        ("less than it says", frame(payload), len(payload) + 1, "unpacks to other than"),
        ("an honest bomb", zeros, 1 << 40, "looks like a bomb"),
        ("a bomb of bombs", zeros * 20, 20 * (64 << 20), "looks like a bomb"),
        ("a second frame", frame(payload) * 2, len(payload), "unpacks to other than"),
        ("junk after it", frame(payload) + b"junk", len(payload), "can't be unpacked"),
        ("cut", frame(payload)[:-5], len(payload), "unpacks to other than|can't be unpacked"),
        ("no frame", payload, len(payload), "can't be unpacked"),
        ("a flipped bit", flipped(frame(payload), 0), len(payload), "unpack"),
        ("a wide window", wide_frame, 1 << 20, "can't be unpacked"),
    ):
        yield Case(f"zstd: {name}", lambda f, p=packed, s=size: zstd(p, s), said)


def texts() -> Iterator[Case]:
    """XML that reads other files, grows without end, or is as deep as it is long."""
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 30))
    for name, text, said in (
        ("DOCTYPE", "<!DOCTYPE application><application/>", "DOCTYPE|document type"),
        ("entities", f'<!DOCTYPE x [<!ENTITY a0 "x">{laughs}]><x>&a29;</x>', "DOCTYPE|document"),
        ("a file", '<!DOCTYPE x [<!ENTITY a SYSTEM "/etc/passwd">]><x>&a;</x>', "DOCTYPE|document"),
        ("an unknown entity", '<application tapkit="1">&a;</application>', "entit"),
        ("deep", '<application tapkit="1">' + "<a>" * 50_000, "ends inside"),
    ):
        yield Case(f"XML: {name}", lambda folder, t=text: t.encode(), said, extension=".tax")
    yield Case("a zip", lambda folder: b"PK\x03\x04" + bytes(100), "a zip file")
    yield Case("a plain pickle", lambda f: bytes(tap.read(bomb())[1]), "a plain pickle")
