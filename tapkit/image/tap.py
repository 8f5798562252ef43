r"""The `.tap` envelope: checked before anything in it is loaded.

    offset  bytes
    0       8      magic: \x89 TAP \r \n \x1a \n. As PNG's: a transfer as text mangles it.
    8       2      format version, big endian
    10      2      0
    12      4      n, the length of the header, at most 1 MiB
    16      n      header: a msgpack map, see `header`
    16+n    32     SHA-256 of all before
    48+n    ...    body: zeros up to a multiple of 64, the payload, then each buffer, zeros
                   before each so that it begins at a multiple of 64
    ...     32*k   SHA-256 of each MiB of the body
    ...     32     SHA-256 of the header's digest and the digests of the body
    ...     8      end: \x89 END \r \n \x1a \n
                   Nothing follows but a signature over all before it, if there is one: see
                   `trailer`. Here it is skipped: `seal` has checked it, before this is read.

The payload is a pickle, raw or compressed as a zstd frame. Its out-of-band buffers are always
raw: they are mapped, not copied, where the file is. Sizes are in the header, so the length of
the file is known once the header is read, and nothing is allocated on the word of a number that
was not checked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from tapkit.errors import ImageError
from tapkit.image import header, trailer
from tapkit.image.digest import sha256, sha256_for
from tapkit.image.foreign import looks_like
from tapkit.image.header import ImageInfo

MAGIC = b"\x89TAP\r\n\x1a\n"
END = b"\x89END\r\n\x1a\n"
FORMAT = 1
ALIGNMENT = 64
BLOCK = 1 << 20
_HEAD = struct.Struct(">8sHHI")
MAX_WINDOW = 1 << 23
"""Bytes that unpacking may keep; what every zstd decoder must be able to (RFC 8878, 3.1.1.1.2)."""
MOST_PACKED, PACKED_FREELY = 512, 1 << 28
"""A payload may unpack to so many bytes a byte, and to so many bytes in any case."""
_DIGEST = 32
_TAIL = _DIGEST + len(END)


def sniff(data: Any) -> bool:
    """Whether these bytes begin as a `.tap`, however damaged they may be after it."""
    return bytes(data[: len(MAGIC)]) == MAGIC


def write(
    payload: bytes, buffers: list[Any], info: ImageInfo, encoding: str = "raw"
) -> list[bytes | memoryview]:
    """An image in chunks, to be written one after the other.

    Parameters:
        payload: the pickle.
        buffers: its out-of-band buffers, contiguous.
        info: what the header says; sizes and encoding are filled in here.
        encoding: `raw` or `zstd`.

    Raises:
        ImageError: zstd is asked for and not installed.
    """
    stored = payload if encoding == "raw" else _zstd().ZstdCompressor(level=3).compress(payload)
    views = [buffer.raw() for buffer in buffers]
    packed = header.pack(
        info._replace(
            encoding=encoding,
            size=len(payload),
            stored=len(stored),
            buffers=tuple((view.nbytes, view.readonly) for view in views),
        )
    )
    head = _HEAD.pack(MAGIC, FORMAT, 0, len(packed)) + packed
    digest = sha256(head).digest()
    body = list(_aligned([memoryview(stored), *views], len(head) + _DIGEST))
    table = b"".join(_digests(body))
    return [head, digest, *body, table, sha256(digest + table).digest(), END]


def _aligned(views: list[memoryview], offset: int) -> Iterator[memoryview]:
    for view in views:
        padding = -offset % ALIGNMENT
        yield memoryview(bytes(padding))
        yield view
        offset += padding + view.nbytes


def _digests(views: list[memoryview]) -> Iterator[bytes]:
    """The digest of each block of what the views are together."""
    new = sha256_for(sum(view.nbytes for view in views))
    digest, room = new(), BLOCK
    for view in views:
        start = 0
        while start < view.nbytes:
            part = view[start : start + room]
            digest.update(part)
            start += len(part)
            room -= len(part)
            if not room:
                yield digest.digest()
                digest, room = new(), BLOCK
    if room < BLOCK:
        yield digest.digest()


def inspect(data: Any, where: str = "the image") -> ImageInfo:
    """What an image says of itself. Only the header is read and checked.

    Raises:
        ImageError: it is no `.tap`, or its beginning is damaged.
    """
    return _read_header(memoryview(data), where)[0]


def read(
    data: Any, where: str = "the image", *, intact: bool = False
) -> tuple[ImageInfo, Any, list[Any]]:
    """Take an image apart, all of it checked: (info, payload, buffers).

    Parameters:
        data: bytes, or a map of the file, which the buffers will share.
        intact: the body's bytes were found to be those that were signed, so its digests, made
            against damage, need not be computed again.

    Raises:
        ImageError: naming what is wrong and the offset.
    """
    view = memoryview(data)
    info, offset = _read_header(view, where)
    body_start = offset
    places = []
    for size in (info.stored, *(size for size, _ in info.buffers)):
        offset += -offset % ALIGNMENT
        places.append((offset, offset + size))
        offset += size
    _check_body(view, body_start, offset, where, intact)
    stored, *buffers = (view[start:stop] for start, stop in places)
    payload = stored if info.encoding == "raw" else _unpacked(stored, info.size, where)
    for index, (_, readonly) in enumerate(info.buffers):
        if buffers[index].readonly and not readonly:
            buffers[index] = memoryview(bytearray(buffers[index]))  # the loader may write to it
    return info, payload, buffers


def _read_header(view: memoryview, where: str) -> tuple[ImageInfo, int]:
    _check_magic(view, where)
    _check_length(view, _HEAD.size, where)
    _, version, zero, length = _HEAD.unpack_from(view)
    if version != FORMAT:
        raise ImageError(
            f"the image is of format version {version}, and this tapkit reads {FORMAT}",
            f"{where}, byte 8",
            "a newer tapkit reads it: upgrade",
        )
    if zero or length > header.MAX_HEADER:
        raise ImageError("the image is damaged", f"{where}, byte 10")
    end = _HEAD.size + length
    _check_length(view, end + _DIGEST, where)
    if sha256(view[:end]).digest() != view[end : end + _DIGEST]:
        raise ImageError("the image's header is damaged", f"{where}, bytes 0 to {end + _DIGEST}")
    return header.unpack(bytes(view[_HEAD.size : end]), where), end + _DIGEST


def _check_magic(view: memoryview, where: str) -> None:
    start = bytes(view[: len(MAGIC)])
    if start == MAGIC:
        return
    if start and MAGIC.startswith(start):
        _check_length(view, _HEAD.size, where)
    if start[1:4] == b"TAP":
        raise ImageError(
            "the image was mangled on its way, as text", where, "copy it again as binary"
        )
    seen = looks_like(bytes(view[:1024]))
    what = "it is empty" if seen == "empty" else f"it is not a tapkit image but looks like {seen}"
    raise ImageError(what, where, "make an image with mktap")


def _check_length(view: memoryview, needed: int, where: str) -> None:
    if view.nbytes < needed:
        raise ImageError(
            f"the image is truncated: it ends at byte {view.nbytes} of {needed} or more",
            where,
            "copy it again, or take a backup",
        )


def _check_body(view: memoryview, start: int, stop: int, where: str, intact: bool) -> None:
    """The digests of the body, the digest of these, and that no more than a signature follows."""
    count = -(-(stop - start) // BLOCK)
    tail = stop + count * _DIGEST
    end = tail + _TAIL
    _check_length(view, end, where)
    if view.nbytes > end and trailer.size(view[end:]) != view.nbytes - end:
        raise ImageError("the image goes on after its end", f"{where}, byte {end}")
    digest = sha256(view[start - _DIGEST : start])
    digest.update(view[stop:tail])
    if digest.digest() != view[tail : tail + _DIGEST] or view[tail + _DIGEST : end] != END:
        raise ImageError("the image's digests are damaged", f"{where}, byte {stop}")
    for number in range(0 if intact else count):
        block = slice(start + number * BLOCK, min(start + (number + 1) * BLOCK, stop))
        place = stop + number * _DIGEST
        if sha256(view[block]).digest() != view[place : place + _DIGEST]:
            raise ImageError(
                "the image is damaged",
                f"{where}, bytes {block.start} to {block.stop}",
                "copy it again, or take a backup",
            )


def _unpacked(stored: memoryview, size: int, where: str) -> bytes:
    """The payload out of its zstd frame, never more than the header says; nothing follows it."""
    if size > PACKED_FREELY and size > MOST_PACKED * stored.nbytes:
        raise ImageError(
            f"the payload claims to unpack to {size} bytes, {MOST_PACKED} times what it takes",
            where,
            "it looks like a bomb; who made it?",
        )
    zstandard = _zstd()
    out = bytearray()
    packed = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
    try:
        with packed.stream_reader(stored, read_across_frames=True) as reader:
            while chunk := reader.read(BLOCK):
                out += chunk
                if len(out) > size:
                    break
    except zstandard.ZstdError as error:
        raise ImageError(f"the payload can't be unpacked ({error})", where) from error
    if len(out) != size:
        raise ImageError(f"the payload unpacks to other than its {size} bytes", where)
    return bytes(out)


def _zstd() -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise ImageError(
            "the payload is packed with zstd", None, "pip install 'tapkit[zstd]'"
        ) from error
    return zstandard
