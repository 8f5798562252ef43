"""Power loss: every state that a file system may legally leave, from the calls a process made.

strace records what a life does to its folder (`scenario`). After each call the power may fail.
What POSIX then promises is little: the data of a file up to its last fsync, the names in a
directory up to its last fsync. Of what came later any part may be there. So the states are, for
each call: every choice of the later changes of names that can be made one after the other, and
of each file's later data nothing, all, a torn part, or its length with zeros in it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.faults.injecting import Outcome, Subject, check, new_place

Names = dict[str, int]
"""A folder: each name's file, by a number; files made later have larger ones."""

State = tuple[tuple[str, int, bytes], ...]
"""A folder: name, number and data of each file."""

_CALLS = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "close"),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"),
)
_LINE = re.compile(rb"(\d+) +(\w+)\((.*)\) += (-?\d+)(<.*>)?")
_TIME = 1_700_000_000_000_000_000  # nanoseconds; any
_STRING = re.compile(rb'"((?:\\x..)*)"')
_MANY = 6
"""Changes of names between two fsyncs of the folder of which all choices are tried; of more,
those that lose a run of them."""


class Change(NamedTuple):
    """A change of names: `link` (also a rename's second half), `unlink`, `rename`."""

    verb: str
    source: str
    target: str
    file: int


class Recording:
    """What calls did, up to some moment: what is on the disk for sure, and what may be."""

    def __init__(self, folder: Path):
        self.folder = str(folder).encode()
        self.names: Names = {}
        self.durable_names: Names = {}
        self.changes: list[Change] = []
        self.data: dict[int, bytes] = {}
        self.durable_data: dict[int, bytes] = {}
        self.acked: list[int] = []
        self._open: dict[bytes, int] = {}  # by the temporary name that strace shows for it

    @classmethod
    def of_existing(cls, folder: Path) -> Recording:
        """What is there, all of it durable."""
        made = cls(folder)
        oldest_first = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for number, path in enumerate(oldest_first):
            made.names[path.name] = number
            made.data[number] = made.durable_data[number] = path.read_bytes()
        made.durable_names = dict(made.names)
        return made

    def apply(self, line: bytes) -> bool:
        """Take in a line of strace's; whether it changed anything."""
        match = _LINE.match(line)
        if match is None or int(match[4]) < 0:
            return False
        verb, arguments, result = match[2].decode(), match[3], int(match[4])
        shown = re.match(rb"\d+<((?:\\x..)*)>", arguments)
        described = _bytes(shown[1]) if shown else b""
        if verb == "openat":
            return self._created(*self._paths(arguments), arguments)
        if verb in ("write", "pwrite64"):
            return self._written(described, arguments, result)
        if verb in ("fsync", "fdatasync"):
            return self._synced(described)
        if verb in ("rename", "renameat", "renameat2", "link", "linkat"):
            return self._renamed(verb, *self._paths(arguments))
        if verb in ("unlink", "unlinkat"):
            return self._change(Change("unlink", *self._paths(arguments), "", -1))
        assert verb != "ftruncate", "no save truncates"
        return False

    def _paths(self, arguments: bytes) -> list[str]:
        """Those in a call's arguments, as names in the folder where they are in it."""
        paths = [_bytes(quoted) for quoted in _STRING.findall(arguments)]
        return [path.removeprefix(self.folder + b"/").decode() for path in paths]

    def _created(self, name: str, arguments: bytes) -> bool:
        if b"O_CREAT" not in arguments:
            return False
        number = len(self.data)
        self.data[number] = self.durable_data[number] = b""
        return self._change(Change("link", "", name, number))

    def _file(self, described: bytes) -> int | None:
        """The file that a descriptor stands for, by the path it has at that moment."""
        if not described.startswith(self.folder + b"/"):
            return None
        name = described.removeprefix(self.folder + b"/").decode()
        assert name in self.names, f"an open file without a name: {name}"
        return self.names[name]

    def _written(self, described: bytes, arguments: bytes, size: int) -> bool:
        data = b"".join(map(_bytes, _STRING.findall(arguments)))
        number = self._file(described)
        if number is None:
            if data.startswith(b"ack "):
                self.acked.append(int(data[4:]))
                return True
            return False
        self.data[number] += data[:size]  # all files are written from the start to the end
        return True

    def _synced(self, described: bytes) -> bool:
        if described == self.folder:
            self.durable_names, self.changes = dict(self.names), []
            return True
        number = self._file(described)
        if number is not None:
            self.durable_data[number] = self.data[number]
        return number is not None

    def _renamed(self, verb: str, source: str, target: str) -> bool:
        if source not in self.names:
            return False
        kind = "link" if verb.startswith("link") else "rename"
        return self._change(Change(kind, source, target, self.names[source]))

    def _change(self, change: Change) -> bool:
        if change.verb == "unlink" and change.source not in self.names:
            return False
        self.changes.append(change)
        changed = _changed(self.names, [change])
        assert changed is not None
        self.names = changed
        return True

    # -- what may be left

    def states(self) -> Iterator[State]:
        """Every folder that may be found after a loss of power now."""
        for kept in _choices(self.changes):
            names = _changed(self.durable_names, kept)
            if names is None:
                continue
            variants = [
                [(name, number, data) for data in self._data(number)]
                for name, number in sorted(names.items())
            ]
            yield from itertools.product(*variants)

    def _data(self, number: int) -> list[bytes]:
        durable, written = self.durable_data[number], self.data[number]
        late = written[len(durable) :]
        if not late:
            return [durable]
        torn = late[: len(late) // 2]
        return [
            durable,
            written,
            durable + torn,
            durable + bytes(len(late)),
            durable + torn + bytes(len(late) - len(torn)),
            durable + bytes(len(torn)) + late[len(torn) :],
        ]


def _bytes(quoted: bytes) -> bytes:
    return bytes.fromhex(quoted.decode().replace("\\x", ""))


def _changed(names: Names, changes: Iterable[Change]) -> Names | None:
    """A folder after some changes; None where they can't be made without the others."""
    names = dict(names)
    for verb, source, target, number in changes:
        if verb == "link" and not source:
            names[target] = number  # a new file
            continue
        if source not in names or (verb != "unlink" and names[source] != number):
            return None
        if verb != "unlink":
            names[target] = number
        if verb != "link":
            del names[source]
    return names


def _choices(changes: list[Change]) -> Iterator[list[Change]]:
    if len(changes) <= _MANY:
        for size in range(len(changes) + 1):
            yield from map(list, itertools.combinations(changes, size))
        return
    for start in range(len(changes) + 1):
        for stop in range(start, len(changes) + 1):
            yield changes[:start] + changes[stop:]


def campaign(folder: Path, mode: str = "fork", ignored: bytes | None = None) -> str:
    """Record a life, and find out whether one can go on from each state that a loss of power may
    leave. Says how many there are.

    Parameters:
        ignored: a system call taken as if it had not been made. `fsync`, and states are lost:
            that shows that the checks would find what they look for.
    """
    place = new_place(folder / "life")
    log = folder / "strace.log"
    subject = Subject()
    try:
        subject.live(mode, place, ["-e", "trace=none", "-o", "/dev/null"])
        recording = Recording.of_existing(place)
        trace = f"trace={','.join(_CALLS)}"
        outcome = subject.live(
            mode, place, ["-y", "-xx", "-s", "1000000", "-e", trace, "-o", str(log)]
        )
    finally:
        subject.close()
    assert outcome == (list(range(9, 17)), 0), outcome
    calls = 0
    seen: set[tuple[State, int]] = set()
    for line in _whole_lines(log.read_bytes()):
        if (ignored is None or ignored not in line) and recording.apply(line):
            calls += 1
            for state in recording.states():
                if (state, len(recording.acked)) not in seen:
                    seen.add((state, len(recording.acked)))
                    _check_state(folder / f"state{len(seen)}", state, recording.acked)
    assert recording.acked == outcome.acked
    real = {path.name: path.read_bytes() for path in place.iterdir()}
    known = {name: recording.data[number] for name, number in recording.names.items()}
    assert known == real, "the recording differs from what was done"
    return f"power loss, saves by {mode}: {calls} calls, {len(seen)} states"


def _check_state(place: Path, state: State, acked: list[int]) -> None:
    place.mkdir()
    for name, number, data in state:
        path = place / name
        path.write_bytes(data)
        path.chmod(0o600)
        # A file's time is in its inode, as the length is; made later, it has the later time.
        os.utime(path, ns=(_TIME + number, _TIME + number))
    try:
        check(place, Outcome(acked, 0))
    except Exception as error:
        raise AssertionError(f"in {place}, after {acked}: {error}") from error
    shutil.rmtree(place)


def _whole_lines(log: bytes) -> Iterator[bytes]:
    """strace's lines, those it broke off for another process's put together where they end."""
    begun: dict[bytes, bytes] = {}
    for line in log.splitlines():
        pid = line.split(b" ", 1)[0]
        if line.endswith(b" <unfinished ...>"):
            begun[pid] = line.removesuffix(b" <unfinished ...>")
        elif match := re.match(rb"\d+ +<\.\.\. \w+ resumed>", line):
            yield begun.pop(pid) + line[match.end() :]
        else:
            yield line
