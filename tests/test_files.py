"""Files of images: whole or not at all, and only from whom they can be trusted."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tapkit.errors import ImageError
from tapkit.image import custody, files
from tests.place import ROOT

OLD, NEW = b"old" * 1000, b"new" * 2000
ROOT_USER = os.geteuid() == 0


class FaultyOS:
    """The module `os`, but the call of a given number fails, after it did its work or before."""

    def __init__(self, fail_at: int, error: BaseException | None = None, late: bool = False):
        self.calls: list[str] = []
        self._fail_at = fail_at
        self._error = error
        self._late = late

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if not callable(real) or name in ("fspath", "geteuid") or isinstance(real, type):
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            fails = len(self.calls) == self._fail_at and self._error is not None
            if fails and not (self._late or name == "close"):
                raise self._error
            result = real(*args, **kwargs)
            if fails:
                raise self._error
            return result

        return call


def calls_of_a_write(path: Path, keep: int = 1) -> list[str]:
    """The system calls one save makes, in order."""
    with pytest.MonkeyPatch.context() as patch:
        counting = FaultyOS(0)
        patch.setattr(files, "os", counting)
        files.write_atomic(str(path), NEW, keep=keep)
    return counting.calls


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that is there already."""
    path = tmp_path / "qotd.tap"
    path.write_bytes(OLD)
    path.chmod(0o640)
    return path


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))


def test_a_new_file_is_private(tmp_path: Path) -> None:
    """Images hold code and secrets: a new one is for its owner alone, and nothing else is left."""
    path = tmp_path / "qotd.tap"
    files.write_atomic(str(path), NEW)
    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(path) == ["qotd.tap"]


def test_an_old_file_keeps_its_mode(old: Path) -> None:
    """What an administrator set stays, unless another mode is asked for."""
    files.write_atomic(str(old), NEW)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    files.write_atomic(str(old), NEW, mode=0o600)
    assert stat.S_IMODE(old.stat().st_mode) == 0o600


@pytest.mark.skipif(not ROOT_USER, reason="only root gives files away")
def test_an_old_file_keeps_its_owner(old: Path) -> None:
    """A save by root does not take the daemon's image away from it."""
    os.chown(old, 12345, 12346)
    files.write_atomic(str(old), NEW)
    assert (old.stat().st_uid, old.stat().st_gid) == (12345, 12346)


def test_another_group_gets_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the owner can't be kept, what the old group was allowed is allowed to nobody."""

    def refuse(*args: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(files.os, "fchown", refuse)
    status = os.stat(old)
    others = os.stat_result((status.st_mode, 0, 0, 1, status.st_uid + 1, 77, 3000, 0, 0, 0))
    monkeypatch.setattr(files, "_status", lambda path: others if path == str(old) else None)
    files.write_atomic(str(old), NEW)
    assert stat.S_IMODE(os.stat(old).st_mode) == 0o600


def test_generations(old: Path) -> None:
    """`.1` is the newest replaced file; as many as asked for are kept."""
    for number in range(4):
        files.write_atomic(str(old), b"%d" % number, keep=2)
    assert old.read_bytes() == b"3"
    assert (old.parent / "qotd.tap.1").read_bytes() == b"2"
    assert (old.parent / "qotd.tap.2").read_bytes() == b"1"
    assert names(old) == ["qotd.tap", "qotd.tap.1", "qotd.tap.2"]


def test_short_writes(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes seven bytes at a time gets them all."""
    real = os.write
    monkeypatch.setattr(files.os, "write", lambda fd, data: real(fd, data[:7]))
    files.write_atomic(str(old), NEW)
    assert old.read_bytes() == NEW


@pytest.mark.parametrize("late", [False, True], ids=["refused", "done and failed"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EINTR, errno.EROFS])
def test_every_call_may_fail(tmp_path: Path, number: int, late: bool) -> None:
    """Whichever system call fails: an ImageError, one whole file, no temporary."""
    spare = tmp_path / "spare"
    spare.mkdir()
    (spare / "x.tap").write_bytes(OLD)
    calls = calls_of_a_write(spare / "x.tap")
    assert {"open", "write", "fchmod", "fsync", "close", "link", "replace"} <= set(calls)
    refused = 0
    for fail_at in range(1, len(calls) + 1):
        place = tmp_path / f"{fail_at}"
        place.mkdir()
        path = place / "x.tap"
        path.write_bytes(OLD)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                files, "os", FaultyOS(fail_at, OSError(number, os.strerror(number)), late)
            )
            try:
                files.write_atomic(str(path), NEW, keep=1)
            except ImageError as error:
                refused += 1
                assert str(error).startswith("the image can't be written (")
                assert str(path) in str(error)
        assert path.read_bytes() in (OLD, NEW), calls[fail_at - 1]
        assert [name for name in os.listdir(place) if name.startswith(".")] == []
    assert refused >= len(set(calls)) - 2


def test_fsync_is_never_repeated(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync a second one would say all is well: there is none."""
    synced: list[int] = []

    def fail(fd: int) -> None:
        synced.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(ImageError, match="Input/output error"):
        files.write_atomic(str(old), NEW)
    assert len(synced) == 1
    assert old.read_bytes() == OLD


def test_a_name_that_may_be_lost(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is on the disk before it gets the name, and the directory after it."""
    order: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            files.os, name, lambda *a, real=real, name=name: (order.append(name), real(*a))[1]
        )
    files.write_atomic(str(old), NEW)
    assert order == ["fsync", "replace", "fsync"]


KILLER = """
import os, signal, sys
from tapkit.image import custody, files
from tests.test_files import FaultyOS

class Kill(FaultyOS):
    def __getattr__(self, name):
        call = super().__getattr__(name)
        if not callable(call) or isinstance(call, type):
            return call
        def killing(*args, **kwargs):
            if len(self.calls) + 1 == self._fail_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)
        return killing

path, last = sys.argv[1], int(sys.argv[2])
for fail_at in range(1, last + 1):
    child = os.fork()
    if not child:
        files.os = Kill(fail_at)
        files.write_atomic(path, b"new%d" % fail_at * 1000, keep=1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    with open(path, "rb") as file:
        found = file.read()
    print(os.WTERMSIG(status), found[:5].decode(), len(found), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_at_every_call(old: Path, tmp_path: Path) -> None:
    """SIGKILL before any system call of a save leaves one whole file under the name."""
    (tmp_path / "count").mkdir()
    (tmp_path / "count" / "x.tap").write_bytes(OLD)
    count = len(calls_of_a_write(tmp_path / "count" / "x.tap"))
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(old), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == count
    for number, start, length in lines:
        assert int(number) in (0, signal.SIGKILL)
        assert start.startswith(("old", "new"))
        assert length in ("3000", "4000", "5000")
    assert {int(number) for number, *_ in lines} == {signal.SIGKILL}
    files.write_atomic(str(old), NEW)
    assert old.read_bytes() == NEW


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no/such/x.tap", "make the directory first"),
        ("folder", "name a file"),
        ("x" * 300, "choose a shorter name"),
        ("old.tap/x.tap", "a part of the path is a file"),
    ],
)
def test_where_nothing_can_be_written(tmp_path: Path, name: str, said: str) -> None:
    """The reason, the path as it was given, and the remedy."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "old.tap").write_bytes(OLD)
    with pytest.raises(ImageError) as caught:
        files.write_atomic(str(tmp_path / name), NEW)
    assert caught.value.where == str(tmp_path / name)
    assert said in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["folder", "old.tap"]


def test_own_links_are_followed(tmp_path: Path) -> None:
    """A link of one's own stays; the file it leads to is replaced, and read."""
    real = tmp_path / "releases" / "qotd-2.tap"
    real.parent.mkdir()
    files.write_atomic(str(real), OLD)
    link = tmp_path / "qotd.tap"
    link.symlink_to(real)
    files.write_atomic(str(link), NEW)
    assert link.is_symlink()
    assert real.read_bytes() == NEW == files.read_guarded(str(link))


@pytest.mark.skipif(not ROOT_USER, reason="only root makes others' links")
def test_other_users_links_are_refused(tmp_path: Path) -> None:
    """Anybody else's link could lead root anywhere."""
    real, link = tmp_path / "real.tap", tmp_path / "link.tap"
    files.write_atomic(str(real), OLD)
    link.symlink_to(real)
    os.chown(link, 12345, 12345, follow_symlinks=False)
    with pytest.raises(ImageError, match="another user's symbolic link"):
        files.write_atomic(str(link), NEW)
    with pytest.raises(ImageError, match="another user's symbolic link"):
        files.read_guarded(str(link))
    assert real.read_bytes() == OLD


def test_reading(tmp_path: Path) -> None:
    """Small files are bytes; large ones are pages of the reader's own, which it may write to."""
    path = tmp_path / "x.tap"
    files.write_atomic(str(path), NEW)
    assert files.read_guarded(str(path)) == NEW
    with open(path, "r+b") as file:
        file.truncate(files.MAP_ABOVE + 1)
    found = files.read_guarded(str(path))
    assert isinstance(found, mmap.mmap)
    assert found[: len(NEW)] == NEW
    found[0] = 0
    assert path.read_bytes()[:1] == b"n"
    found.close()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_write(old: Path, mode: int) -> None:
    """An image is code: what others may write to is refused, and the remedy named."""
    old.chmod(mode)
    with pytest.raises(ImageError) as caught:
        files.read_guarded(str(old))
    assert f"mode {mode:04o}" in str(caught.value)
    assert "chmod go-w" in str(caught.value)


@pytest.mark.parametrize(
    ("user", "owner", "group", "mode", "trusted"),
    [
        (1000, 1000, 1000, 0o664, True),
        (1000, 1000, 50, 0o664, False),
        (1000, 1000, 1000, 0o666, False),
        (1000, 0, 0, 0o644, True),
        (1000, 0, 0, 0o664, False),
        (1000, 1001, 1001, 0o600, False),
        (0, 0, 0, 0o600, True),
        (0, 1000, 1000, 0o600, False),
        (0, 0, 0, 0o660, False),
    ],
)
def test_whom_to_trust(
    monkeypatch: pytest.MonkeyPatch, user: int, owner: int, group: int, mode: int, trusted: bool
) -> None:
    """One's own and root's files; one's own group with umask 002; root trusts only root."""
    monkeypatch.setattr(files.os, "geteuid", lambda: user)
    monkeypatch.setattr(files.os, "getegid", lambda: user)
    status = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, group, 10, 0, 0, 0))
    if trusted:
        custody.check_owner("x.tap", status)
        return
    with pytest.raises(ImageError, match="if you trust it"):
        custody.check_owner("x.tap", status)


def test_missing_with_a_suggestion(old: Path) -> None:
    """A name nearly right is told; a missing directory is no second error."""
    with pytest.raises(ImageError, match=r"no such file; did you mean qotd\.tap"):
        files.read_guarded(str(old.parent / "qodt.tap"))
    with pytest.raises(ImageError, match="no such file: "):
        files.read_guarded(str(old.parent / "no" / "x.tap"))


def test_no_regular_file(tmp_path: Path) -> None:
    """Directories and FIFOs are named as such, and nobody waits for a FIFO's writer."""
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ImageError, match="it is a FIFO"):
        files.read_guarded(str(tmp_path / "fifo"))
    with pytest.raises(ImageError, match="it is a directory"):
        files.read_guarded(str(tmp_path))
    with pytest.raises(ImageError, match="it is a device"):
        files.read_guarded("/dev/null")


def test_too_large(old: Path) -> None:
    """A limit is a limit."""
    with pytest.raises(ImageError, match="larger than 10 bytes"):
        files.read_guarded(str(old), limit=10)


def test_interrupted(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C in the middle goes through, and leaves the old file and no temporary."""
    faulty = FaultyOS(4, KeyboardInterrupt())
    monkeypatch.setattr(files, "os", faulty)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(str(old), NEW)
    monkeypatch.undo()
    assert old.read_bytes() == OLD
    assert names(old) == ["qotd.tap"]
