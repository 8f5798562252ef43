"""tapctl logs: the end of the right file, and what comes after it, rotated or not."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapkit.scripts import ctl_logs
from tests.place import PATIENCE, Place, wait_for
from tests.running_daemon import running_qotd
from tests.terminal import in_terminal


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running_qotd(tmp_path_factory.mktemp("logs")) as place:
        yield place


def test_the_end_of_the_log(quotes: Place) -> None:
    """Ten lines, or as many as are wanted, to the byte."""
    lines = quotes.log().splitlines(keepends=True)
    shown = quotes.run("tapctl", "logs")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout == "".join(lines[-10:])
    assert quotes.run("tapctl", "logs", "-n", "2").stdout == "".join(lines[-2:])
    assert quotes.run("tapctl", "logs", "-n", "0").stdout == ""


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "²"])
def test_mistyped(quotes: Place, number: str) -> None:
    """A number of lines is a number."""
    shown = quotes.run("tapctl", "logs", f"--lines={number}")
    assert shown.returncode == 2
    assert "is not a number of lines: --lines" in shown.stderr


@pytest.mark.slow
def test_another_log(place: Place) -> None:
    """The daemon says where it is, wherever that is."""
    place.make("qotd", "--port", "0")
    assert place.twistd("-l", "logs.txt", "-f", "qotd.tap").returncode == 0
    shown = place.run("tapctl", "logs", "qotd.tap")
    assert shown.stdout == place.log("logs.txt")


def test_of_a_stopped_daemon(place: Place) -> None:
    """What it left beside the pidfile, with a word on it; where it left nothing, an error."""
    shown = place.run("tapctl", "logs")
    assert shown.returncode == 1
    assert "no daemon runs" in shown.stderr
    (place.path / "twistd.log").write_text("the end\n")
    shown = place.run("tapctl", "logs")
    assert (shown.returncode, shown.stdout) == (0, "the end\n")
    assert "no daemon runs: this is what it left" in shown.stderr


@pytest.mark.slow
def test_no_file(place: Place) -> None:
    """A log that is no file can't be shown, and it is said where it goes."""
    place.make("qotd", "--port", "0")
    with place.foreground("-n", "-f", "qotd.tap"):
        place.port("foreground.log")
        wait_for("it to be ready", lambda: "qotd runs on" in place.log("foreground.log"))
        shown = place.run("tapctl", "logs")
    assert shown.returncode == 1
    assert "its log goes to standard output" in shown.stderr


@contextlib.contextmanager
def following(place: Place, *arguments: str) -> Iterator[Path]:
    """`tapctl logs -f`, writing into a file."""
    target = place.path / "shown.txt"
    with target.open("wb") as output:
        process = subprocess.Popen(
            place.command("tapctl", "logs", "-f", *arguments),
            cwd=place.path,
            env=place.env,
            stdout=output,
            stderr=subprocess.PIPE,
        )
    try:
        yield target
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def test_following(place: Place) -> None:
    """What is added, through a rotation and a truncation, each line once."""
    log = place.path / "twistd.log"
    log.write_text("old\nfirst\n")
    with following(place, "-n", "1") as shown:
        wait_for("the end", lambda: shown.read_text() == "first\n")
        with log.open("a") as before:
            before.write("second\n")
            before.flush()
            wait_for("more", lambda: shown.read_text() == "first\nsecond\n")
            log.rename(place.path / "twistd.log.1")
            before.write("third, into the file that was moved away\n")
        log.write_text("fourth, into the new one\n")
        wait_for("the new file", lambda: "fourth" in shown.read_text())
        os.truncate(log, 0)
        wait_for("nothing more", lambda: log.stat().st_size == 0)
        with log.open("a") as after:
            after.write("5\n")
        wait_for("what comes after", lambda: shown.read_text().endswith("5\n"))
    lines = shown.read_text().splitlines()
    assert lines == [
        "first",
        "second",
        "third, into the file that was moved away",
        "fourth, into the new one",
        "5",
    ]


def test_a_terminal_is_not_played_with(place: Place) -> None:
    """Control characters are shown as escapes to a person; Ctrl-C ends it."""
    (place.path / "twistd.log").write_bytes(b"a\x1b]0;title\x07b \xff \xc3\xa4\tc\n")
    with in_terminal(place.command("tapctl", "logs", "-f"), place.path, place.env) as terminal:
        terminal.expect("a\\x1b]0;title\\x07b \ufffd \xe4")
        terminal.type("\x03")
        assert terminal.end() == 130


@pytest.mark.parametrize("lines", [1, 2, 3, 9, 10, 11, 1000])
@pytest.mark.parametrize("text", [b"", b"\n", b"one", b"one\n", b"one\ntwo", b"a\n\n\nb\n" * 3])
def test_the_last_lines(
    tmp_path: Path, text: bytes, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tail(1) counts them, whatever the last line ends with, in blocks of any size."""
    path = tmp_path / "x"
    path.write_bytes(text)
    for block in (1, 2, 3, 64):
        monkeypatch.setattr(ctl_logs, "_BLOCK", block)
        with path.open("rb") as file:
            file.seek(ctl_logs.start_of_last(file, lines))
            assert file.read() == b"".join(text.splitlines(keepends=True)[-lines:])
