"""tapctl stop: when it returns the daemon is gone, saved or not as it was told."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time

import psutil
import pytest

from tapkit.run.control.waiting import Ending
from tests.place import PATIENCE, Place, ask, has_ended, wait_for
from tests.test_twistd import add_tap


@pytest.fixture
def qotd(place: Place) -> Place:
    place.make("qotd", "--port", "0")
    assert place.twistd("qotd.tap").returncode == 0
    return place


def test_gone_and_saved(qotd: Place) -> None:
    """The process has ended, its files are removed, and it says where the state is."""
    process = psutil.Process(qotd.pid())
    shown = qotd.run("tapctl", "stop")
    assert has_ended(process)
    where = qotd.path / "qotd-shutdown.tap"
    assert shown.stdout == f"qotd (PID {process.pid}) has stopped; its state is in {where}.\n"
    assert (shown.returncode, shown.stderr) == (0, "")
    assert qotd.file_names() == ["qotd-shutdown.tap", "qotd.tap", "twistd.log"]
    assert "received tapctl stop, stopping qotd" in qotd.log()


def test_without_a_save(qotd: Place) -> None:
    """--no-save leaves nothing but the log."""
    shown = qotd.run("tapctl", "stop", "--no-save", "qotd.tap")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.endswith(" has stopped.\n")
    assert qotd.file_names() == ["qotd.tap", "twistd.log"]


def test_none_there(place: Place) -> None:
    """Nothing to stop is what was wanted: status 0, and it is said."""
    shown = place.run("tapctl", "stop")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Nothing to stop: no daemon runs: ")


STUBBORN = """
import asyncio
from tapkit import service, usage

class Options(usage.Options):
    optParameters = [["mode", "m", "slow"]]

class Stubborn(service.Service):
    def __init__(self, mode):
        self.mode = mode

    async def stopService(self):
        super().stopService()
        if self.mode == "raises":
            raise ValueError("it will not")
        await asyncio.sleep(600)

def makeService(config):
    return Stubborn(config["mode"])
"""


def stubborn(place: Place, mode: str) -> None:
    add_tap(place, "stubborn", STUBBORN)
    place.mktap("stubborn", "--mode", mode)
    done = place.twistd("-f", "stubborn.tap")
    assert (done.returncode, done.stderr) == (0, "")


def test_not_cleanly(place: Place) -> None:
    """A service that fails to stop: the daemon is gone, saved, and the fault is told: status 1."""
    stubborn(place, "raises")
    shown = place.run("tapctl", "stop")
    assert shown.returncode == 1
    assert "stopped, but not cleanly" in shown.stderr
    assert "it will not" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1
    assert place.processes() == []
    assert "stubborn-shutdown.tap" in place.file_names()


@pytest.mark.slow
def test_it_takes_too_long(place: Place) -> None:
    """After --timeout: status 1 and what to do. Once more hurries it; it is gone, and saved."""
    stubborn(place, "slow")
    began = time.monotonic()
    shown = place.run("tapctl", "stop", "--timeout", "0.3")
    assert shown.returncode == 1
    assert time.monotonic() - began < PATIENCE
    pid = place.pid()
    assert f"process {pid} is still there after 0.3 seconds: ask once more" in shown.stderr
    assert psutil.pid_exists(pid)
    hurried = place.run("tapctl", "stop")
    assert hurried.returncode == 1
    assert "not cleanly" in hurried.stderr
    assert place.processes() == []
    assert "stubborn-shutdown.tap" in place.file_names()


@pytest.mark.slow
@pytest.mark.parametrize(("option", "signal"), [(None, "TERM"), ("--no-save", "QUIT")])
def test_one_that_can_not_be_asked(place: Place, option: str | None, signal: str) -> None:
    """Without a control socket it is stopped by a signal, and that is said."""
    place.make("qotd", "--port", "0")
    (place.path / ".twistd.pid.ctl").mkdir()
    assert place.twistd("qotd.tap").returncode == 0
    pid = place.pid()
    shown = place.run("tapctl", "stop", *([option] if option else []))
    assert (shown.returncode, shown.stdout) == (0, f"Process {pid} has stopped.\n")
    assert f"sending SIG{signal} to process {pid}" in shown.stderr
    assert place.processes() == []
    assert ("qotd-shutdown.tap" in place.file_names()) == (option is None)


def test_a_number_proves_nothing(place: Place) -> None:
    """A held pidfile with somebody else's number: that process is left alone."""
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with (place.path / "twistd.pid").open("w") as file:
            file.write(f"{victim.pid}\n")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX)
            shown = place.run("tapctl", "stop")
        assert shown.returncode == 1
        assert "has no control socket" in shown.stderr
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.communicate()


@pytest.mark.slow
def test_two_at_once(qotd: Place) -> None:
    """Both are told that it is gone."""
    both = [
        subprocess.Popen(
            qotd.command("tapctl", "stop"),
            cwd=qotd.path,
            env=qotd.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        shown, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, shown
    assert qotd.processes() == []


@pytest.mark.parametrize("limit", ["soon", "-1", "0", "inf", "nan"])
def test_mistyped(place: Place, limit: str) -> None:
    """A time limit is a number of seconds."""
    shown = place.run("tapctl", "stop", "--timeout", limit)
    assert shown.returncode == 2
    assert f"{limit!r} is not a number of seconds: --timeout" in shown.stderr


# -- waiting for an end


@pytest.mark.parametrize("pidfd", [True, False])
def test_the_end_of_a_process(pidfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the limit, or not; a zombie has ended. With the kernel's help, and without."""
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with Ending(process.pid) as ending:
            assert not ending.wait(0.05)
            process.kill()
            assert ending.wait(PATIENCE)  # nobody has reaped it
    finally:
        process.kill()
        process.communicate()
    with Ending(process.pid) as ending:
        assert ending.wait(PATIENCE)


def test_a_reload_and_a_stop(qotd: Place) -> None:
    """The process that took over is the one that is stopped; the socket went with it."""
    old, port = qotd.pid(), qotd.port()
    shown = qotd.run("tapctl", "reload")
    assert (shown.returncode, shown.stderr) == (0, "")
    new = qotd.pid()
    assert shown.stdout == f"Reloaded: process {new} serves now.\n"
    assert new != old
    wait_for("the old process to end", lambda: not psutil.pid_exists(old) or has_ended_pid(old))
    assert ask(port)
    assert f"PID {new}" in qotd.run("tapctl", "status").stdout
    assert qotd.run("tapctl", "stop").returncode == 0
    assert qotd.processes() == []
    assert ".twistd.pid.ctl" not in qotd.file_names()


def has_ended_pid(pid: int) -> bool:
    try:
        return has_ended(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True
