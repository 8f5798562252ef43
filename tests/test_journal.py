"""The journal: what was acknowledged is there again, and damage is never passed over."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tapkit import journal
from tapkit.errors import JournalError
from tapkit.journal import commit, recovery, segments
from tapkit.styles import Persistent
from tests.faults.ledger import Ledger

Run = Callable[[Ledger, commit.Journal], Any]


def with_journal(folder: Path, use: Run, sequence: int = 0) -> Ledger:
    """A fresh ledger, with what its journal has run again, and then used."""

    async def main() -> Ledger:
        ledger, done = replayed(folder, sequence)
        opened = commit.Journal(str(folder), "x", done.sequence)
        opened.attach("ledger", ledger)
        try:
            await use(ledger, opened)
        finally:
            await opened.close()
        return ledger

    return asyncio.run(main())


def replayed(folder: Path, sequence: int = 0) -> tuple[Ledger, recovery.Recovered]:
    ledger = Ledger()
    return ledger, recovery.replay(str(folder), "x", sequence, {"ledger": ledger})


async def add_three(ledger: Ledger, opened: commit.Journal) -> None:
    for number in (1, 2, 3):
        assert await ledger.add(number) == number


def files_of(folder: Path) -> list[Path]:
    return [Path(segment.path) for segment in segments.find(str(folder), "x")]


def test_what_was_acknowledged_is_run_again(tmp_path: Path) -> None:
    """In order, once, from the number the image has."""
    with_journal(tmp_path, add_three)
    ledger, done = replayed(tmp_path)
    assert ledger.entries == [1, 2, 3]
    assert done == (3, 3, None)
    ledger, done = replayed(tmp_path, 2)
    assert ledger.entries == [3]
    assert done == (3, 1, None)
    assert with_journal(tmp_path, add_three).entries == [1, 2, 3, 1, 2, 3]
    assert replayed(tmp_path)[0].entries == [1, 2, 3, 1, 2, 3]
    assert [file.stat().st_mode & 0o777 for file in files_of(tmp_path)] == [0o600, 0o600]


def test_many_are_made_durable_by_one_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand commands at once: two frames or so, each durable before it is acknowledged."""
    real, synced = segments.files.sync, []
    monkeypatch.setattr(segments.files, "sync", lambda fd: (synced.append(fd), real(fd)))

    async def add_many(ledger: Ledger, opened: commit.Journal) -> None:
        synced.clear()
        first = ledger.add(0)
        await asyncio.sleep(0)
        rest = [ledger.add(number) for number in range(1, 1000)]
        assert not any(each.done() for each in (first, *rest))
        assert await asyncio.gather(first, *rest) == list(range(1000))

    with_journal(tmp_path, add_many)
    assert 1 <= len(synced) <= 3
    assert replayed(tmp_path)[0].entries == list(range(1000))


def test_every_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Cut at any byte, the journal gives the whole frames before it, and says what it left out."""
    with_journal(tmp_path, add_three)
    (path,) = files_of(tmp_path)
    whole = path.read_bytes()
    ends = [frame.offset for frame in frames_of(path)] + [len(whole)]
    for size in range(segments.HEADER, len(whole)):
        path.write_bytes(whole[:size])
        ledger, done = replayed(tmp_path)
        count = sum(end <= size for end in ends[1:])
        assert ledger.entries == [1, 2, 3][:count]
        assert (done.cut is None) == (size in ends)
        if done.cut:
            assert done.cut.startswith(f"{path}, byte {ends[count]}, {size - ends[count]} bytes")


def frames_of(path: Path) -> list[segments.Frame]:
    segment = segments.Segment(str(path), int(path.name.rpartition(".")[2]))
    return list(segments.Reader(segment, {os.geteuid()}).frames())


def test_every_flipped_bit_before_the_end_is_refused(tmp_path: Path) -> None:
    """Damage in what was acknowledged, with more after it: file, offset, remedy; nothing is cut."""
    with_journal(tmp_path, add_three)
    (path,) = files_of(tmp_path)
    whole = path.read_bytes()
    last = frames_of(path)[-1].offset
    for at in range(last):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(JournalError) as caught:
            replayed(tmp_path)
        assert str(caught.value.where).startswith(f"{path}, byte ")
        assert caught.value.remedy
    for at in range(last, len(whole)):  # indistinguishable from a write cut short
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        ledger, done = replayed(tmp_path)
        assert ledger.entries == [1, 2]
        assert done.cut


def test_zeros_at_the_end(tmp_path: Path) -> None:
    """A file system may leave zeros where a write was cut short."""
    with_journal(tmp_path, add_three)
    (path,) = files_of(tmp_path)
    with path.open("ab") as file:
        file.write(bytes(5000))
    ledger, done = replayed(tmp_path)
    assert ledger.entries == [1, 2, 3]
    assert "5000 bytes" in str(done.cut)


def test_a_cut_tail_is_not_met_again(tmp_path: Path) -> None:
    """After a start from a torn journal, a new file goes on, and the next start reads both."""
    with_journal(tmp_path, add_three)
    (path,) = files_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    assert with_journal(tmp_path, add_three).entries == [1, 2, 1, 2, 3]
    ledger, done = replayed(tmp_path)
    assert ledger.entries == [1, 2, 1, 2, 3]
    assert done.cut is None


def test_a_frame_inside_an_argument_is_no_frame(tmp_path: Path) -> None:
    """A client that sends a journal's bytes as data can't make a torn tail look like damage."""
    with_journal(tmp_path, add_three)
    (path,) = files_of(tmp_path)
    frame = path.read_bytes()[frames_of(path)[-1].offset :]
    other = tmp_path / "other"
    other.mkdir()

    class Notes(journal.Journaled, Persistent):
        @journal.command
        def note(self, data: bytes) -> None: ...

    async def main() -> None:
        opened = commit.Journal(str(other), "x", 0)
        notes = Notes()
        opened.attach("notes", notes)
        await notes.note(frame)
        await opened.close()

    asyncio.run(main())
    (torn,) = files_of(other)
    torn.write_bytes(torn.read_bytes()[:-1])
    assert recovery.replay(str(other), "x", 0, {"notes": Notes()}).cut


# -- snapshots


async def add_and_rotate(ledger: Ledger, opened: commit.Journal) -> None:
    await ledger.add(1)
    opened.rotate()
    late = ledger.add(2)
    await late
    await opened.saved(1, 1)


def test_a_snapshot_truncates(tmp_path: Path) -> None:
    """A new file begins with the snapshot; when that is on the disk, the old one goes."""
    with_journal(tmp_path, add_and_rotate)
    assert [file.name for file in files_of(tmp_path)] == ["x.journal.000000000001"]
    assert replayed(tmp_path, 1)[0].entries == [2]


def test_an_image_too_old_is_refused(tmp_path: Path) -> None:
    """Where commands between image and journal are missing, it says which image has them."""
    with_journal(tmp_path, add_and_rotate)
    with pytest.raises(JournalError, match=r"up to 0, .* those after 1.*--resume"):
        replayed(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A gap between two files is damage, however it came about."""
    for _ in range(3):
        with_journal(tmp_path, add_three)
    files = files_of(tmp_path)
    assert len(files) == 3
    files[1].unlink()
    with pytest.raises(JournalError, match=r"damaged before its end.*up to 6 are missing"):
        replayed(tmp_path)


def test_an_image_ahead_of_the_journal(tmp_path: Path) -> None:
    """The image has all of it already: nothing is run again, and numbers go on from there."""
    with_journal(tmp_path, add_three)
    assert replayed(tmp_path, 7)[1] == (7, 0, None)
    assert with_journal(tmp_path, add_three, 7).entries == [1, 2, 3]
    assert replayed(tmp_path, 7)[1].sequence == 10


# -- failures


class FullDisk:
    """Makes writes to a journal fail while `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.full = False
        real = segments.files.sync

        def sync(fd: int) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(fd)

        monkeypatch.setattr(segments.files, "sync", sync)


def test_a_failed_write_is_final_until_an_image_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waited is told, later commands are refused unrun, and a save makes it whole again."""
    disk = FullDisk(monkeypatch)
    told: list[JournalError] = []

    async def use(ledger: Ledger, opened: commit.Journal) -> None:
        opened._on_failure = told.append
        await ledger.add(1)
        disk.full = True
        with pytest.raises(JournalError, match=r"not journaled: .*No space left"):
            await ledger.add(2)
        disk.full = False
        with pytest.raises(JournalError, match="a snapshot mends it"):
            ledger.add(3)
        assert ledger.entries == [1, 2]
        await opened.saved(1, 0)  # an image without the second command does not
        with pytest.raises(JournalError, match="a snapshot mends it"):
            ledger.add(3)
        await opened.saved(opened.sequence, 0)
        await ledger.add(4)

    assert with_journal(tmp_path, use).entries == [1, 2, 4]
    assert len(told) == 1
    assert replayed(tmp_path, 2)[0].entries == [4]


def test_a_cancelled_waiter_disturbs_nobody(tmp_path: Path) -> None:
    """Its command is durable all the same."""

    async def use(ledger: Ledger, opened: commit.Journal) -> None:
        first, second = ledger.add(1), ledger.add(2)
        first.cancel()
        assert await second == 2

    with_journal(tmp_path, use)
    assert replayed(tmp_path)[0].entries == [1, 2]


def test_one_process_writes(tmp_path: Path) -> None:
    """A second writer of the same journal is refused, whatever its pidfile."""

    async def use(ledger: Ledger, opened: commit.Journal) -> None:
        with pytest.raises(JournalError, match="another process writes this journal"):
            commit.Journal(str(tmp_path), "x", 0)

    with_journal(tmp_path, use)


def test_whose_file_it_is(tmp_path: Path) -> None:
    """Another's journal, or one that others may write to, is not believed."""
    with_journal(tmp_path, add_three)
    (path,) = files_of(tmp_path)
    path.chmod(0o666)
    with pytest.raises(JournalError, match=r"mode 0666.*chmod go-w"):
        replayed(tmp_path)
    path.chmod(0o600)
    with pytest.raises(JournalError, match="is not ours"):
        segments.Reader(segments.find(str(tmp_path), "x")[0], {os.geteuid() + 1})
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(JournalError, match="can't be read"):
        replayed(tmp_path)
