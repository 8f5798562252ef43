"""The `.tap` envelope: what is checked, and that nothing damaged gets through."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest

from tapkit import image
from tapkit.errors import ImageError
from tapkit.image import dumping, header, tap

zstandard = pytest.importorskip("zstandard")


class Raw:
    """Holds a buffer that travels out of band."""

    def __init__(self, data: Any):
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Raw, (pickle.PickleBuffer(self.data),)


OBJECT = {"name": "qotd", "quotes": ["An apple a day"] * 3, "numbers": list(range(300))}


def images() -> dict[str, bytes]:
    """One image of each kind."""
    return {
        "raw": image.dumps(OBJECT, name="qotd", tap_type="qotd", options={"port": "8007"}),
        "zstd": image.dumps(OBJECT, encoding="zstd"),
        "buffers": image.dumps([Raw(b"x" * 100), Raw(bytearray(b"y" * 65))]),
    }


KINDS = ("raw", "zstd", "buffers")


def refused(data: Any) -> str:
    with pytest.raises(ImageError) as caught:
        image.loads(data)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_anywhere(kind: str) -> None:
    """Cut at any byte: an ImageError that says so, and where it ends."""
    data = images()[kind]
    for length in range(len(data)):
        said = refused(data[:length])
        assert "empty" in said if length == 0 else f"truncated: it ends at byte {length}" in said


@pytest.mark.parametrize("kind", KINDS)
def test_any_bit_flipped(kind: str) -> None:
    """A flipped bit in any byte is an ImageError with a place, before anything is loaded."""
    data = images()[kind]
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        said = refused(damaged)
        assert "the image" in said
        assert "Error" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_may_follow(kind: str) -> None:
    """An image that goes on after its end is refused."""
    data = images()[kind]
    assert f"goes on after its end: the image, byte {len(data)}" in refused(data + b"\0")
    assert "goes on" in refused(data + data)


def test_damage_is_located() -> None:
    """The block of a MiB that is damaged is named by its offsets."""
    data = bytearray(image.dumps(b"z" * (3 << 20)))
    data[2 << 20] ^= 1
    said = refused(data)
    start, stop = (int(word.strip(",:")) for word in said.split("bytes ")[1].split()[0:3:2])
    assert start <= 2 << 20 < stop
    assert stop - start == 1 << 20


def test_format() -> None:
    """The layout that the module's documentation promises, byte by byte."""
    data = images()["buffers"]
    assert data[:8] == b"\x89TAP\r\n\x1a\n"
    version, zero, length = struct.unpack(">HHI", data[8:16])
    assert (version, zero) == (1, 0)
    known = msgpack.unpackb(data[16 : 16 + length])
    assert known["buffers"] == [[100, True], [65, False]]
    body = 16 + length + 32
    assert data[16 + length : body] == hashlib.sha256(data[: 16 + length]).digest()
    start = -(-body // 64) * 64
    assert data[start : start + 2] == b"\x80\x05"
    first = -(-(start + known["stored"]) // 64) * 64
    second = -(-(first + 100) // 64) * 64
    assert data[first : first + 100] == b"x" * 100
    assert data[second : second + 65] == b"y" * 65
    end = second + 65
    table = data[end:-40]
    assert table == hashlib.sha256(data[body:end]).digest()
    assert data[-40:-8] == hashlib.sha256(data[body - 32 : body] + table).digest()
    assert data[-8:] == b"\x89END\r\n\x1a\n"


def test_what_the_header_says() -> None:
    """Who made it, of what and when; what it needs; options as text where they must be."""
    options = {"port": "8007", "big": 1 << 70, "list": [1, Path("x")], 5: None, "bad": "\udc80"}
    data = image.dumps([dataclasses.field, Raw], name="qotd", tap_type="qotd", options=options)
    info = image.inspect(data)
    assert (info.name, info.tap_type) == ("qotd", "qotd")
    assert info.options["port"] == "8007"
    assert info.options["big"] == str(1 << 70)
    assert info.options["list"] == [1, "x"]
    assert info.options["5"] is None
    assert info.python.split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert info.implementation == sys.implementation.name
    assert {"tests", "dataclasses"} <= set(info.modules)
    assert info.created.endswith("+00:00")
    assert not info.by_value
    assert image.inspect(image.dumps(lambda: 1)).by_value
    assert image.inspect(image.dumps(lambda: 1)).modules["cloudpickle"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty: the image: make an image with mktap"),
        (gzip.compress(b"x", mtime=0), "a gzip file"),
        (b"PK\x03\x04abc", "a zip file"),
        (pickle.dumps([1]), "a plain pickle"),
        (b"\x80\x02ctwisted.application.service\nApplication\n", "a .tap of Twisted"),
        (b"(itwisted.internet.app\nApplication\np1\n", "a .tap of Twisted"),
        ("Grüße\n".encode(), "text"),
        (bytes(5000), "zeros"),
        (b"\xff\xfe\x00garbage", "no known format"),
        (b"\x89TAP\n\x1a\n" + bytes(50), "mangled on its way, as text"),
        (b"\x09TAP\r\n\x1a\n" + bytes(50), "mangled on its way, as text"),
    ],
)
def test_foreign_files(content: bytes, said: str) -> None:
    """What it is instead, in words."""
    assert said in refused(content)


def header_of(**changes: Any) -> bytes:
    """An image of None whose header is changed; its digests are right."""
    pickled = dumping.dumps(None)
    info = header.made_here([])
    known = {key: getattr(info, key) for key in header._TYPES}
    known |= {"size": len(pickled.payload), "stored": len(pickled.payload), "options": {}} | changes
    return packed_as(msgpack.packb({k: v for k, v in known.items() if v is not ...}))


def packed_as(packed: bytes, payload: bytes = pickle.dumps(None, 5)) -> bytes:
    head = struct.pack(">8sHHI", tap.MAGIC, 1, 0, len(packed)) + packed
    digest = hashlib.sha256(head).digest()
    body = bytes(-(len(head) + 32) % 64) + payload
    table = hashlib.sha256(body).digest()
    return head + digest + body + table + hashlib.sha256(digest + table).digest() + tap.END


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 5}, "'name' is a int"),
        ({"size": ...}, "no 'size'"),
        ({"size": True}, "'size' is a bool"),
        ({"size": -1}, "its sizes make no sense"),
        ({"size": 1 << 60}, "its sizes make no sense"),
        ({"size": 1 << 60, "stored": 1 << 60}, "truncated"),
        ({"buffers": [[1 << 62, True]]}, "truncated"),
        ({"buffers": [[5]]}, "its sizes make no sense"),
        ({"buffers": [5]}, "its sizes make no sense"),
        ({"encoding": "brotli"}, "a newer tapkit reads it"),
        ({"!sealed": 1}, "a newer tapkit reads it"),
        ({5: 1}, "the header is damaged"),
        ({"modules": {"no_such_module": None, "os": None}}, "it needs 'no_such_module'"),
    ],
)
def test_strange_headers(changes: dict[Any, Any], said: str) -> None:
    """A header that is whole and makes no sense is refused, and costs no memory."""
    assert (
        said in refused(header_of(**changes))
        if all(isinstance(key, str) for key in changes)
        else said in refused(packed_as(msgpack.packb(changes)))
    )


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x93\x01\x02\x03",
        b"\x82\xa4name\xc0\xa4name\xc0",
        b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\x00\x00\x00\x01\x05x",
        msgpack.packb({"name": None}) + b"\x00",
        b"\x81\xa4name\xa1\xff",
    ],
    ids=["empty", "array", "twice", "deep", "huge", "extension", "trailing", "no utf-8"],
)
def test_hostile_headers(packed: bytes) -> None:
    """msgpack that lies, repeats itself or nests without end is an ImageError."""
    assert "the header is damaged" in refused(packed_as(packed))


def test_unknown_keys_are_skipped() -> None:
    """A newer tapkit may say more, as long as it can be done without."""
    assert image.loads(header_of(weather="fine")) is None


def test_unknown_format_version() -> None:
    """Another version of the format is named, and what reads it."""
    data = bytearray(images()["raw"])
    data[9] = 7
    assert "of format version 7, and this tapkit reads 1" in refused(data)


def test_code_of_another_python() -> None:
    """Compiled code of another Python would crash this one: refused first, in words."""
    data = header_of(by_value=True, python="3.9.1")
    assert "it carries compiled code of cpython 3.9, and this is cpython 3." in refused(data)
    assert "compiled code of pypy" in refused(header_of(by_value=True, implementation="pypy"))
    assert image.loads(header_of(by_value=False, python="3.9.1")) is None


def test_missing_modules_at_once() -> None:
    """All that is missing in one message, before anything is loaded."""
    said = refused(header_of(modules={"os": None, "gone_one": "1.0", "gone_two": None}))
    assert "it needs 'gone_one', 'gone_two', which can't be found here" in said
    assert "pip install gone_one gone_two, or put it on PYTHONPATH" in said


def test_zstd() -> None:
    """A packed payload is smaller and loads the same; one that lies about its size does not."""
    data = images()["zstd"]
    assert image.loads(data) == OBJECT
    assert image.inspect(data).stored < image.inspect(data).size
    bomb = zstandard.ZstdCompressor().compress(bytes(50 << 20))
    for size in (10, 60 << 20):
        lying = header_of(encoding="zstd", size=size, stored=len(bomb))
        packed = lying[16 : 16 + struct.unpack(">I", lying[12:16])[0]]
        assert "unpacks to other than its" in refused(packed_as(packed, bomb))
    broken = packed_as(packed, b"x" * len(bomb)) if len(bomb) < 1 << 20 else b""
    assert "can't be unpacked" in refused(broken)


def test_zstd_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install is named."""
    data = images()["zstd"]
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert "pip install 'tapkit[zstd]'" in refused(data)


def test_buffers_are_not_copied(tmp_path: Path) -> None:
    """Buffers come back as they were; out of a file they are parts of its map."""
    one, other = image.loads(images()["buffers"])
    assert bytes(one.data) == b"x" * 100
    assert one.data.readonly
    other.data[0] = 0
    path = tmp_path / "x.tap"
    image.save([Raw(bytearray(b"q") * (20 << 20)), 5], str(path))
    loaded, _ = image.load(str(path))
    assert type(loaded.data.obj).__name__ == "mmap"
    assert not loaded.data.readonly
    loaded.data[0] = 0
    assert bytes(image.load(str(path))[0].data[:1]) == b"q"


def test_any_bytes_like() -> None:
    """bytes, bytearray and memoryview are all read."""
    data = images()["raw"]
    for kind in (bytes, bytearray, memoryview):
        assert image.loads(kind(data)) == OBJECT
    assert io.BytesIO(data).getbuffer() == data
