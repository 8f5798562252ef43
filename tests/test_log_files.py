"""A log file that is moved, cut, removed, full, or due: no line is lost that could be kept."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapkit.run.logs.files import FileLog
from tapkit.run.logs.sinks import Failures
from tests.test_logs import logging_process

Open = Callable[..., FileLog]


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Open]:
    """Opens logs of this test; they are closed at its end."""
    opened: list[FileLog] = []

    def opens(path: Path | str, size: int = 0, keep: int = 2, movable: bool = True) -> FileLog:
        log = FileLog(str(path), size, keep, movable)
        opened.append(log)
        return log

    yield opens
    for log in opened:
        os.close(log.fd)
        log.close()


def say(log: FileLog, *lines: str) -> None:
    for line in lines:
        log.handle(logging.LogRecord("app", logging.INFO, "a.py", 1, line, None, None))


def test_it_is_rotated_by_its_size(tmp_path: Path, open_log: Open) -> None:
    """The newest old file is .1; as many are kept as told; what is kept is whole."""
    log = open_log(tmp_path / "a.log", size=20, keep=2)
    say(log, *(f"line {number}" for number in range(14)))  # 7 bytes each, 21 a file
    names = {path.name: path.read_text().split() for path in tmp_path.iterdir()}
    numbers = {name: words[1::2] for name, words in names.items()}
    assert {name: n for name, n in numbers.items() if name != "a.log"} == {
        "a.log.1": ["9", "10", "11"],
        "a.log.2": ["6", "7", "8"],
    }
    assert numbers["a.log"] == ["12", "13"]
    assert log.failures.count == 0


def test_no_old_file_is_kept(tmp_path: Path, open_log: Open) -> None:
    """--log-keep 0 begins the same file anew."""
    log = open_log(tmp_path / "a.log", size=10, keep=0)
    say(log, "a long line", "next")
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]
    assert (tmp_path / "a.log").read_text() == "next\n"


def test_a_rotation_that_fails_loses_no_line(tmp_path: Path, open_log: Open) -> None:
    """The old file is written on; it is counted, told, and not tried again at every line."""
    (tmp_path / "a.log.1").mkdir()
    log = open_log(tmp_path / "a.log", size=1000, keep=1)
    say(log, *("x" * 600 for _ in range(3)), "short")
    text = (tmp_path / "a.log").read_text()
    assert text.count("x" * 600) == 3
    assert text.count("logging failed 1 times since ") == 1
    assert log.failures.count == 1
    assert "Is a directory" in (log.failures.reason or "")


def test_a_rotated_file_keeps_its_mode(tmp_path: Path, open_log: Open) -> None:
    """What an administrator made readable for a group stays so."""
    log = open_log(tmp_path / "a.log", size=5)
    (tmp_path / "a.log").chmod(0o640)
    say(log, "the first", "the second")
    assert (tmp_path / "a.log").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "a.log").read_text() == "the second\n"


def test_copytruncate(tmp_path: Path, open_log: Open) -> None:
    """A file cut under our hands is written from its beginning, without a hole."""
    log = open_log(tmp_path / "a.log")
    say(log, "before")
    os.truncate(tmp_path / "a.log", 0)
    say(log, "after")
    assert (tmp_path / "a.log").read_bytes() == b"after\n"


def test_a_move_is_noticed_without_a_signal(tmp_path: Path, open_log: Open) -> None:
    """With or without a new file in its place (logrotate's create)."""
    log = open_log(tmp_path / "a.log")
    say(log, "one")
    os.rename(tmp_path / "a.log", tmp_path / "a.log.1")
    say(log, "two")
    os.rename(tmp_path / "a.log", tmp_path / "a.log.2")
    (tmp_path / "a.log").touch(mode=0o604)
    say(log, "three")
    texts = [(tmp_path / name).read_text() for name in ("a.log.1", "a.log.2", "a.log")]
    assert texts == ["one\n", "two\n", "three\n"]


def test_reopen_after_a_move_does_not_rotate(tmp_path: Path, open_log: Open) -> None:
    """A rotator's signal, before or after the next line was logged, leaves its files alone."""
    log = open_log(tmp_path / "a.log", size=1000)
    for early in (True, False):
        os.rename(tmp_path / "a.log", tmp_path / "moved")
        if not early:
            say(log, "in between")
        log.reopen()
        assert (tmp_path / "a.log").exists()
        assert not (tmp_path / "a.log.1").exists()


def test_reopen_rotates_what_is_ours_to_rotate(tmp_path: Path, open_log: Open) -> None:
    """Not without a size: then somebody else moves the files."""
    log, other = open_log(tmp_path / "a.log", size=1000), open_log(tmp_path / "b.log")
    for each in (log, other):
        say(each, "one")
        each.reopen()
        say(each, "two")
    assert (tmp_path / "a.log.1").read_text() == "one\n"
    assert (tmp_path / "a.log").read_text() == "two\n"
    assert (tmp_path / "b.log").read_text() == "one\ntwo\n"


def test_the_directory_is_gone(tmp_path: Path, open_log: Open) -> None:
    """Nothing is raised, all is counted, and told once when it is back."""
    folder = tmp_path / "logs"
    folder.mkdir()
    log = open_log(folder / "a.log")
    shutil.rmtree(folder)
    say(log, "lost", "lost", "lost")
    assert log.failures.count == 3
    folder.mkdir()
    say(log, "found", "again")
    found, told, again = (folder / "a.log").read_text().splitlines()
    assert (found, again) == ("found", "again")
    assert told.startswith("logging failed 3 times since ")
    assert told.endswith(f"(No such file or directory: {folder / 'a.log'}), and works again")


def test_a_path_that_will_mean_something_else_is_left_alone(tmp_path: Path, open_log: Open) -> None:
    """In a chroot the file that is open is the log, whatever happens to its name."""
    log = open_log(tmp_path / "a.log", size=5, movable=False)
    os.rename(tmp_path / "a.log", tmp_path / "b.log")
    say(log, "a long line", "another")
    log.reopen()
    assert (tmp_path / "b.log").read_text() == "a long line\nanother\n"
    assert not (tmp_path / "a.log").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk(open_log: Open) -> None:
    """Each line is counted; nothing is raised, nothing piles up."""
    log = open_log("/dev/full", size=10)
    say(log, "one", "two")
    assert log.failures == Failures(2, "No space left on device")


def test_a_line_cut_short_by_a_full_disk(tmp_path: Path) -> None:
    """When there is room again the next line begins a line of its own."""
    code = (
        "import resource\n"
        "logs.to_file('a.log', 20); log = logging.getLogger('app')\n"
        "log.warning('one'); full = os.stat('a.log').st_size + 10\n"
        "_, most = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (full, most)); log.warning('two')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)); log.warning('three')\n"
        "print(logs.failures())"
    )
    done = logging_process(tmp_path, code)
    one, torn, three, told = (tmp_path / "a.log").read_text().splitlines()
    assert one.endswith("one")
    assert len(torn) == 10
    assert three.endswith("] WARNING: three")
    assert "logging failed 1 times" in told
    assert done.stdout == "Failures(count=1, reason='File too large')\n"


def test_what_is_printed_follows_the_log(tmp_path: Path) -> None:
    """Standard output and error, and a crash's trace, go where the log goes; nothing else does."""
    code = (
        "import sys\n"
        "fd = logs.to_file('a.log', 20); os.dup2(fd, 2)\n"
        "os.rename('a.log', 'moved'); logs.reopen()\n"
        "print('kept apart'); print('complaint', file=sys.stderr); os.abort()"
    )
    done = logging_process(tmp_path, code)
    assert done.stdout == "kept apart\n"
    assert (tmp_path / "moved").read_text() == ""
    text = (tmp_path / "a.log").read_text()
    assert text.startswith("complaint\nFatal Python error: Aborted\n")
