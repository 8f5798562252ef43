"""The log of a real daemon: rotated, full, gone - and what it says of a crash."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess

import pytest

from tests.place import PATIENCE, Place, wait_for
from tests.stoppers import ended, image_of, running
from tests.test_twistd import QUOTE, ask, started


def talk(port: int, words: bytes) -> None:
    """Have the server print `words`; it has when this returns."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc here")
def test_logrotate(place: Place) -> None:
    """After its move and USR1, the log and all that is printed go into the new file."""
    image_of(place, "Connected")
    port = started(place, "--log-size", "0", "-f", "stop.tap")
    talk(port, b"early")
    rotate(place)
    wait_for("the new log to be open", lambda: is_open(place.pid(), place.path / "twistd.log"))
    talk(port, b"late")
    place.kill()
    moved, log = place.log("twistd.log.1"), place.log()
    assert ("early" in moved, "late" in moved) == (True, False)
    assert ("early" in log, "late" in log) == (False, True)
    assert "stop stopped" in log
    assert [name for name in place.file_names() if "log" in name] == ["twistd.log", "twistd.log.1"]


def rotate(place: Place) -> None:
    """What logrotate does with `create` and a postrotate script: itself, or the same by hand."""
    log = place.path / "twistd.log"
    program = shutil.which("logrotate") or "/usr/sbin/logrotate"
    if not os.path.exists(program):
        log.rename(place.path / "twistd.log.1")
        log.touch(mode=0o640)
        os.kill(place.pid(), signal.SIGUSR1)
        return
    rules = place.path / "rules"
    rules.write_text(
        f"{log} {{\n rotate 3\n create 0640\n postrotate\n"
        f"  kill -USR1 $(cat {place.path}/twistd.pid)\n endscript\n}}\n"
    )
    state = place.path / "state"
    subprocess.run([program, "--force", "--state", state, rules], check=True, timeout=PATIENCE)


def is_open(pid: int, path: os.PathLike[str]) -> bool:
    """Whether standard output, standard error and the log of a process are that file."""
    folder, wanted = f"/proc/{pid}/fd", os.stat(path)
    found = [os.stat(f"{folder}/{fd}") for fd in os.listdir(folder) if fd != "0"]
    return [(f.st_dev, f.st_ino) for f in found].count((wanted.st_dev, wanted.st_ino)) == 3


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_log_that_can_not_be_written(place: Place) -> None:
    """The service starts, serves, stops and saves all the same."""
    place.mktap("qotd", "--port", "unix:quote")
    done = place.twistd("-l", "/dev/full", "-f", "qotd.tap")
    assert (done.returncode, done.stderr) == (0, "")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(place.path / "quote"))
        assert connection.recv(1000) == QUOTE
    place.kill()
    assert "qotd-shutdown.tap" in place.file_names()


@pytest.mark.slow
def test_a_log_directory_that_goes(place: Place) -> None:
    """The service goes on; when the directory is back, so is the log."""
    place.make("qotd", "--port", "0")
    (place.path / "logs").mkdir()
    assert place.twistd("-l", "logs/a.log", "-f", "qotd.tap").returncode == 0
    port = place.port("logs/a.log")
    shutil.rmtree(place.path / "logs")
    os.kill(place.pid(), signal.SIGUSR1)
    assert ask(port) == QUOTE
    (place.path / "logs").mkdir()
    place.kill()
    log = place.log("logs/a.log")
    assert "qotd stopped" in log
    assert "qotd-shutdown.tap" in place.file_names()


@pytest.mark.slow
def test_rotation_when_asked(place: Place) -> None:
    """USR1 begins a new file, where no rotator did; --log-keep says how many old ones stay."""
    image_of(place, "Connected")
    port = started(place, "--log-size", "1K", "--log-keep", "2", "-f", "stop.tap")
    for number in range(4):
        talk(port, b"%d" % number * 1000)
        os.kill(place.pid(), signal.SIGUSR1)
        wait_for("a new log", lambda said=f"{number}" * 1000: said not in place.log())
    place.kill()
    names = [name for name in place.file_names() if name.startswith("twistd.log")]
    assert names == ["twistd.log", "twistd.log.1", "twistd.log.2"]
    assert "3" * 1000 in place.log("twistd.log.1")
    assert "2" * 1000 in place.log("twistd.log.2")


@pytest.mark.slow
def test_json(place: Place) -> None:
    """Every line that is logged, from the first to the last, is an object."""
    image_of(place, "Raising")
    with running(place, "--log-format", "json") as process:
        process.terminate()
        assert ended(process) == 1
    *logged, complaint = place.log("foreground.log").splitlines()
    lines = [json.loads(line) for line in logged]
    assert lines[0]["message"].startswith("starting stop, PID ")
    assert lines[-1]["message"] == "stop stopped"
    (error,) = [line for line in lines if line["level"] == "ERROR"]
    assert error["exception"].endswith("ValueError: no luck")
    assert complaint.startswith("twistd: the stop was not clean: ")


def test_what_nobody_caught_is_logged_and_the_service_goes_on(place: Place) -> None:
    """A callback's, a thread's and a task's exception, each with its traceback and context."""
    image_of(place, "Task")
    with running(place) as process:
        process.terminate()
        assert ended(process) == 0
    log = place.log("foreground.log")
    assert "KeyError: 'nobody' (handle: <" in log
    assert "[tapkit.uncaught] ERROR: worker ended by an exception: KeyError: 'nobody'" in log
    assert "Task exception was never retrieved: ValueError: a task's own fault" in log
    assert log.count("Traceback (most recent call last):") == 3


def test_a_crash_is_in_the_log(place: Place) -> None:
    """The daemon dies by a signal: where each thread was."""
    image_of(place, "Aborting")
    started_as = place.twistd("-f", "stop.tap")
    assert started_as.returncode == 0
    place.kill()
    log = place.log()
    assert "Fatal Python error: Aborted" in log
    assert "in stopService" in log


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--log-size=1.5M", "'1.5M' is no size: --log-size"),
        ("--log-keep=-1", "'-1' is not a number of files: --log-keep"),
        ("--log-format=xml", "no such log format: xml: --log-format"),
        ("--drain-timeout=soon", "'soon' is not a number of seconds: --drain-timeout"),
        ("--stop-timeout=-1", "'-1' is not a number of seconds: --stop-timeout"),
    ],
)
def test_mistyped(place: Place, option: str, said: str) -> None:
    """Status 2, one line, nothing touched."""
    done = place.twistd(option, "a.tap")
    assert done.returncode == 2
    assert done.stderr.startswith(f"twistd: {said}")
    assert place.file_names() == []
