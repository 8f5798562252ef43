r"""A journal's files: `NAME.journal.BASE`, the commands after number BASE, one after the other.

    offset  bytes
    0       8      magic: \x89 TAJ \r \n \x1a \n
    8       2      format version, big endian as all that follows
    10      2      0
    12      8      BASE, the number of the last command before this file
    20      8      salt, random
    28      4      CRC-32 of all before

and then frames, each what was made durable by one fsync:

    0       4      \x89 CMD
    4       4      n, the length of the commands
    8       8      the number of the first of them
    16      4      CRC-32 of salt, bytes 4 to 16, and the commands
    20      n      commands: msgpack arrays (service, command, arguments, keyword arguments)

A frame is begun when the one before is on the disk, and not earlier. So what is damaged and has
no whole frame after it is a write that was cut short, which nobody was told had succeeded; what
is damaged and has one was acknowledged, and is a fault. The salt keeps both what an old file left
on the disk and what a client sent as an argument from looking like a frame.

Nothing is ever appended to a file another process began: each start begins the next file.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from tapkit.errors import ImageError, JournalError
from tapkit.image import files

MAGIC = b"\x89TAJ\r\n\x1a\n"
FORMAT = 1
MARK = b"\x89CMD"
MAX_FRAME = (1 << 32) - 1
_HEAD = struct.Struct(">8sHHQ8s")
_CRC = struct.Struct(">I")
_FRAME = struct.Struct(">4sIQI")
HEADER = _HEAD.size + _CRC.size


class Frame(NamedTuple):
    """What one fsync made durable: `first` is the number of the first command in `commands`."""

    offset: int
    first: int
    commands: list[Any]


class Segment(NamedTuple):
    """One file of a journal."""

    path: str
    base: int


def path_of(folder: str, name: str, base: int) -> str:
    """What the file is called that holds the commands after number `base`."""
    return os.path.join(folder, f"{name}.journal.{base:012d}")


def find(folder: str, name: str) -> list[Segment]:
    """The files of a journal, in order."""
    pattern = re.compile(re.escape(name) + r"\.journal\.(\d{12,20})")
    found = [(pattern.fullmatch(entry), entry) for entry in os.listdir(folder)]
    return sorted(
        (Segment(os.path.join(folder, entry), int(match[1])) for match, entry in found if match),
        key=lambda segment: segment.base,
    )


def refuse_second_writer(folder: str, name: str) -> None:
    """Make sure that no other process writes this journal: each holds a lock on its file.

    Raises:
        JournalError: one does.
    """
    for segment in find(folder, name):
        fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(
                "another process writes this journal", segment.path, "stop it first"
            ) from None
        finally:
            os.close(fd)


class Writer:
    """A new file of a journal, open for appending. What it does blocks: it runs in a thread.

    Raises:
        JournalError, OSError: from each method; it can't be written, and after that is of no
            more use.
    """

    def __init__(self, folder: str, name: str, base: int):
        self.path = path_of(folder, name, base)
        salt = os.urandom(8)
        head = _HEAD.pack(MAGIC, FORMAT, 0, base, salt)
        # A file of this name holds no whole frame, or `base` would be higher.
        try:
            files.write_atomic(self.path, head + _CRC.pack(zlib.crc32(head)), mode=0o600)
        except ImageError as error:
            what = error.what.replace("the image", "the journal")
            raise JournalError(what, error.where, error.remedy) from error
        self._salt = salt
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def append(self, first: int, commands: list[bytes]) -> None:
        """Write commands, packed, as one frame, and make them durable."""
        packed = b"".join(commands)
        head = struct.pack(">IQ", len(packed), first)
        crc = zlib.crc32(packed, zlib.crc32(self._salt + head))
        left = memoryview(MARK + head + _CRC.pack(crc) + packed)
        while left:
            left = left[os.write(self._fd, left) :]
        files.sync(self._fd)

    def close(self) -> None:
        """Let go of the file; all that was appended is on the disk."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class Reader:
    """A file of a journal, read with every check.

    Parameters:
        owners: the users whose file it may be.

    Raises:
        JournalError: it can't be read, is another's, or its header is damaged.
    """

    def __init__(self, segment: Segment, owners: set[int]):
        self.path = segment.path
        self._data = _read(segment.path, owners)
        self.base = segment.base
        self._salt = self._check_header()

    def _check_header(self) -> bytes:
        if len(self._data) < HEADER or not self._data.startswith(MAGIC):
            raise _damaged("it is no journal of tapkit's", self.path, 0)
        _, version, _, base, salt = _HEAD.unpack_from(self._data)
        if version != FORMAT:
            raise JournalError(
                f"the journal is of format version {version}, and this tapkit reads {FORMAT}",
                f"{self.path}, byte 8",
                "a newer tapkit reads it: upgrade",
            )
        (crc,) = _CRC.unpack_from(self._data, _HEAD.size)
        if crc != zlib.crc32(self._data[: _HEAD.size]) or base != self.base:
            raise _damaged("the journal's header is damaged", self.path, 0)
        return bytes(salt)

    def frames(self) -> Iterator[Frame]:
        """The whole frames from the start, up to the end or the first that is damaged.

        Afterwards `end` is where that is, and `size` how long the file is.
        """
        self.end, self.size = HEADER, len(self._data)
        expected = self.base + 1
        while (frame := self._frame_at(self.end)) is not None and frame.first == expected:
            expected += len(frame.commands)
            length = _FRAME.unpack_from(self._data, self.end)[1]
            yield frame
            self.end += _FRAME.size + length

    def refuse_damage(self) -> None:
        """Make sure that what follows the last whole frame is a write that was cut short.

        Raises:
            JournalError: a whole frame comes after it.
        """
        at = self.end
        while (at := self._data.find(MARK, at + 1)) >= 0:
            if self._frame_at(at) is not None:
                raise _damaged("the journal is damaged before its end", self.path, self.end)

    def _frame_at(self, offset: int) -> Frame | None:
        if len(self._data) < offset + _FRAME.size:
            return None
        mark, length, first, crc = _FRAME.unpack_from(self._data, offset)
        start = offset + _FRAME.size
        packed = memoryview(self._data)[start : start + length]
        head = self._data[offset + 4 : offset + 16]
        if mark != MARK or len(packed) != length:
            return None
        if zlib.crc32(packed, zlib.crc32(self._salt + head)) != crc:
            return None
        return Frame(offset, first, _unpacked(packed, self.path, offset))


def _unpacked(packed: Any, path: str, offset: int) -> list[Any]:
    import msgpack  # type: ignore[import-untyped,unused-ignore]

    unpacker = msgpack.Unpacker(
        strict_map_key=False, unicode_errors="surrogatepass", max_buffer_size=MAX_FRAME
    )
    unpacker.feed(packed)
    try:
        return list(unpacker)
    except Exception as error:  # msgpack documents no common base of what it raises
        raise _damaged(f"the journal holds no commands ({error})", path, offset) from error


def _damaged(what: str, path: str, offset: int) -> JournalError:
    return JournalError(
        what,
        f"{path}, byte {offset}",
        "restore the file; or, to give up the commands from there on, move it away",
    )


def _read(path: str, owners: set[int]) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_uid not in owners:
                raise JournalError(
                    f"the journal is not ours (uid {status.st_uid})",
                    path,
                    f"if you trust it: chown {os.geteuid()} {path}",
                )
            if status.st_mode & 0o022:
                raise JournalError(
                    f"others may write to the journal (mode {status.st_mode & 0o777:04o})",
                    path,
                    f"if you trust it: chmod go-w {path}",
                )
            return file.read()
    except OSError as error:
        raise JournalError(f"the journal can't be read ({error.strerror})", path) from error
