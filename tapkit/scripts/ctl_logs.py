"""tapctl logs: the end of a daemon's log, and what is added to it."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import sys
import time

from tapkit.errors import EXIT_OK, DaemonError, UsageError
from tapkit.scripts.console import complain
from tapkit.scripts.daemons import WHERE, running

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, BinaryIO

USAGE = f"""
Show the end of a daemon's log.

Usage:
  tapctl logs [options] [WHERE]
  tapctl logs (-h | --help)
{WHERE}

Options:
  -f, --follow     Go on showing what is added, until Ctrl-C; also in the new file when the log
                   is rotated.
  -n, --lines=NUM  Show NUM lines, 0 for none of what is there [default: 10].
  -h, --help       Show this.

The daemon says where its log is. Of one that is stopped it is twistd.log beside the pidfile.

Exit status: 0 it is done, 1 it failed, 2 the command line is mistyped.
"""

PROGRAM = "tapctl logs"
_USUAL_LOG = "twistd.log"
_PAUSE = 0.2  # seconds between two looks at a file that is followed
_BLOCK = 64 * 1024
_OBEYED = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]")  # control characters


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    lines = arguments["--lines"]
    if not (lines.isascii() and lines.isdigit()):
        raise UsageError(f"{lines!r} is not a number of lines", "--lines")
    path = _path(arguments["WHERE"])
    try:
        with open(path, "rb") as file:
            file.seek(start_of_last(file, int(lines)))
            _show(iter(lambda: file.read(_BLOCK), b""))
            if arguments["--follow"]:
                _show(follow(path, file))
    except OSError as error:
        raise DaemonError(f"can't read the log ({error.strerror})", path) from error
    return EXIT_OK


def start_of_last(file: BinaryIO, lines: int) -> int:
    """Where in a file its last `lines` lines begin; reads no more than these."""
    place = end = file.seek(0, os.SEEK_END)
    if not lines:
        return end
    while place:
        begin = max(0, place - _BLOCK)
        file.seek(begin)
        block = file.read(place - begin)
        if place == end:
            block = block[:-1]  # the last line's own end
        found = block.count(b"\n")
        if found >= lines:
            for _ in range(lines):
                place = block.rindex(b"\n")
                block = block[:place]
            return begin + place + 1
        lines -= found
        place = begin
    return 0


def follow(path: str, file: BinaryIO) -> Iterator[bytes]:
    """What is added to a file, for ever; in the next file of its name, once it is rotated."""
    with contextlib.ExitStack() as opened:
        while True:
            next_one = _successor(path, file)
            yield from iter(lambda: file.read(_BLOCK), b"")  # noqa: B023  # read at once
            if next_one is not None:
                file = opened.enter_context(next_one)
                continue
            if os.fstat(file.fileno()).st_size < file.tell():
                file.seek(0)  # it was truncated
                continue
            time.sleep(_PAUSE)


def _successor(path: str, file: BinaryIO) -> BinaryIO | None:
    """The file that has taken the place of `file`, open; what comes to `file` after that is
    not missed: it is read once more."""
    try:
        if os.path.samestat(os.stat(path), os.fstat(file.fileno())):
            return None
        return open(path, "rb")
    except FileNotFoundError:
        return None  # moved away, and the new one is not made yet


def _show(blocks: Iterable[bytes]) -> None:
    """Bytes as they are; to a terminal, without what it would obey."""
    if sys.stdout.isatty():
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        for block in blocks:
            text = decode(block)
            print(_OBEYED.sub(lambda found: ascii(found[0])[1:-1], text), end="", flush=True)
        return
    for block in blocks:
        sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()


def _path(where: str | None) -> str:
    """Where the log is."""
    from tapkit.run.control.finding import NoDaemonError

    try:
        pidfile, status = running(where)
    except NoDaemonError as error:
        return _of_stopped(error)
    log = status["log"]
    if log is None or not os.path.isabs(log):
        raise DaemonError(f"its log goes to {log or 'nowhere'}", pidfile, "look there")
    return str(log)


def _of_stopped(error: DaemonError) -> str:
    path = os.path.join(os.path.dirname(error.where or ""), _USUAL_LOG)
    if not os.path.isabs(path) or not os.path.exists(path):
        raise error
    complain(PROGRAM, f"warning: no daemon runs: this is what it left: {path}")
    return path
