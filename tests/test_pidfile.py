"""The pidfile, with real processes that hold it, die, and race for it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapkit.errors import DaemonError
from tapkit.run.process.pidfile import PidFile
from tests.place import ROOT

HOLD = """
import sys
from tapkit.run.process.pidfile import PidFile
pidfile = PidFile(sys.argv[1])
pidfile.acquire()
pidfile.write()
print("held", flush=True)
sys.stdin.read()
pidfile.remove()
"""


@contextlib.contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the pidfile until its stdin closes."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def taken(path: Path) -> str | None:
    """Acquire and remove; what the file had said."""
    pidfile = PidFile(str(path))
    said = pidfile.acquire()
    pidfile.remove()
    return said


def test_it_is_the_bare_number_and_gone_at_the_end(tmp_path: Path) -> None:
    """The file is this process's number while it is held, and does not exist after."""
    path = tmp_path / "twistd.pid"
    pidfile = PidFile(str(path))
    assert pidfile.acquire() is None
    pidfile.write()
    assert int(path.read_text()) == os.getpid()
    assert path.stat().st_mode & 0o777 == 0o644
    pidfile.remove()
    assert not path.exists()
    pidfile.remove()  # a second time is nothing


def test_a_held_one_refuses_and_explains(tmp_path: Path) -> None:
    """A second start is refused, with the number, the command and what to do."""
    path = tmp_path / "twistd.pid"
    with holder(path) as process:
        with pytest.raises(DaemonError) as refused:
            PidFile(str(path)).acquire()
        assert f"another twistd is running, PID {process.pid} (-c" in str(refused.value)
        assert f"kill {process.pid}" in str(refused.value)
        assert int(path.read_text()) == process.pid


def test_one_whose_holder_was_killed_is_stale(tmp_path: Path) -> None:
    """kill -9 leaves a file that the next start takes over."""
    path = tmp_path / "twistd.pid"
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert taken(path) == str(process.pid)
    assert not path.exists()


def test_one_still_starting_says_so(tmp_path: Path) -> None:
    """Between lock and number, the other one is starting."""
    path = str(tmp_path / "twistd.pid")
    first = PidFile(path)
    first.acquire()
    with pytest.raises(DaemonError, match="another twistd is starting"):
        PidFile(path).acquire()
    first.remove()


THIS = b"%d" % os.getpid()  # a living program that is no daemon


@pytest.mark.parametrize(
    "content",
    [b"", b"1", b"0", b"-1", b"hello", b"\xff\xfe", b"9" * 60, b"12 34\n", THIS],
    ids=["empty", "init", "zero", "minus", "word", "binary", "long", "two", "this process"],
)
def test_one_nobody_holds_is_stale_whatever_it_says(tmp_path: Path, content: bytes) -> None:
    """Living programs' numbers, no numbers, garbage: the lock alone decides."""
    path = tmp_path / "twistd.pid"
    path.write_bytes(content)
    assert taken(path) == (content.decode("ascii", "replace").strip() or None)
    assert not path.exists()


def test_a_longer_shorter_number_leaves_no_rest(tmp_path: Path) -> None:
    """Writing in place cuts what was there."""
    path = tmp_path / "twistd.pid"
    path.write_bytes(b"9" * 50)
    pidfile = PidFile(str(path))
    pidfile.acquire()
    pidfile.write()
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.remove()


def test_what_cannot_be_a_pidfile_is_left_alone(tmp_path: Path) -> None:
    """A larger file, a directory, a FIFO, a symbolic link are refused and untouched."""
    precious = tmp_path / "thesis.txt"
    precious.write_text("x" * 65)
    with pytest.raises(DaemonError, match=r"not a pidfile.*thesis.txt.*--pidfile"):
        PidFile(str(precious)).acquire()
    assert precious.read_text() == "x" * 65

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(DaemonError, match="not a pidfile"):
        PidFile(str(fifo)).acquire()

    with pytest.raises(DaemonError, match="it is a directory"):
        PidFile(str(tmp_path)).acquire()

    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DaemonError, match="symbolic link"):
        PidFile(str(link)).acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_a_missing_directory_is_said_with_the_remedy(tmp_path: Path) -> None:
    """The message names the directory to make."""
    with pytest.raises(DaemonError, match=r"make the directory .*nowhere"):
        PidFile(str(tmp_path / "nowhere" / "twistd.pid")).acquire()


def test_anothers_file_is_never_removed(tmp_path: Path) -> None:
    """If the name now stands for another file, removing ours leaves that one."""
    path = tmp_path / "twistd.pid"
    first = PidFile(str(path))
    first.acquire()
    path.unlink()
    second = PidFile(str(path))
    second.acquire()
    second.write()
    first.remove()
    assert path.exists()
    second.remove()


def test_many_at_once_have_one_winner(tmp_path: Path) -> None:
    """Of eight simultaneous starts exactly one holds the file."""
    path = tmp_path / "twistd.pid"
    race = HOLD.replace('print("held"', 'print("held", os.getpid()').replace(
        "import sys", "import os, sys; sys.stdin.readline()"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", race, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    try:
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        losers = [r for r in racers if _loses(r)]
        assert len(losers) == 7
        (winner,) = set(racers) - set(losers)
        assert int(path.read_text()) == winner.pid
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()


def _loses(racer: subprocess.Popen[str]) -> bool:
    assert racer.stdout is not None
    return racer.stdout.readline() == ""
