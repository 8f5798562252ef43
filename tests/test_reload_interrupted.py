"""Reloads that a signal, or a death, meets at their most delicate moments."""

from __future__ import annotations

import os
import signal
import socket

import psutil
import pytest

from tests.place import PATIENCE, Place, has_ended, wait_for
from tests.reloads import LINES, count_at, reload
from tests.stoppers import log_says
from tests.test_reload_failures import GOES_ON, moody, settled, write_mood
from tests.test_snapshot import open_files
from tests.test_twistd import add_tap, started

# Its connections stay open when the service stops.
HELD = LINES.replace(
    "class Factory",
    "    def service_stopping(self):\n        print('holding', flush=True)\n\nclass Factory",
)


class Line:
    """A conversation that goes on for as long as it may."""

    def __init__(self, port: int):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.file = self.socket.makefile("rb")

    def ask(self) -> int:
        self.socket.sendall(b"x\r\n")
        return int(self.file.readline())

    def ends(self) -> bool:
        return self.file.readline() == b""

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def held(place: Place, *options: str) -> int:
    add_tap(place, "held", HELD)
    assert place.mktap("held").returncode == 0
    return started(place, "--drain-timeout", "3600", *options, "-f", "held.tap")


def edit(place: Place) -> None:
    """As if the image had been edited: the new process begins beside the old one."""
    os.utime(place.path / "held.tap", (1, 1))


def wait_until_left(pid: int) -> None:
    """That process has left the pidfile to another: from here on that is the service."""
    old = psutil.Process(pid)
    wait_for("it to agree", lambda: not any("twistd.pid" in path for path in open_files(old)))


def wait_until_asleep(process: psutil.Process) -> None:
    wait_for("it to sleep", lambda: process.status() == psutil.STATUS_SLEEPING)


@pytest.mark.slow
def test_a_long_conversation_ends_where_state_is_carried(place: Place) -> None:
    """It is closed, not reset, and not forgotten: state has one owner, and that serves."""
    add_tap(place, "lines", LINES)
    place.mktap("lines")
    port = started(place, "-f", "lines.tap")
    line = Line(port)
    assert line.ask() == 1
    reload(place)
    assert line.ends()
    line.close()
    new = Line(port)
    assert new.ask() == 2
    new.close()
    place.kill()


@pytest.mark.slow
@pytest.mark.parametrize("reactor", ["asyncio", "uvloop"])
def test_a_second_wish_cuts_the_wait_for_connections(place: Place, reactor: str) -> None:
    """Taken over, the old process waits for its connections; TERM ends that, for it alone."""
    port = held(place, "-r", reactor)
    line = Line(port)
    assert line.ask() == 1
    old = psutil.Process(place.pid())
    edit(place)
    reload(place)
    wait_until_left(old.pid)
    assert line.ask() == 2, "the old one still serves who was there"
    old.send_signal(signal.SIGTERM)
    wait_for("a second wish", lambda: old.send_signal(signal.SIGTERM) or has_ended(old))
    assert line.ends()
    line.close()
    new = Line(port)
    assert new.ask() == 1
    new.close()
    place.kill()


@pytest.mark.slow
def test_a_quit_in_the_foreground_is_passed_on_as_one(place: Place) -> None:
    """While the first process still waits for connections: the first is for the service, the
    second cuts them."""
    add_tap(place, "held", HELD)
    place.mktap("held")
    with place.foreground("-n", "--drain-timeout", "3600", "-f", "held.tap") as process:
        line = Line(place.port("foreground.log"))
        assert line.ask() == 1
        edit(place)
        new = psutil.Process(reload(place))
        wait_until_left(process.pid)
        assert line.ask() == 2
        process.send_signal(signal.SIGQUIT)
        log_says(place, "received QUIT: the state of held is not saved")
        wait_for("the service to end", lambda: has_ended(new))
        assert line.ask() == 3
        wait_for(
            "it to hurry", lambda: process.send_signal(signal.SIGQUIT) or process.poll() is not None
        )
        assert process.returncode == 0, place.log("foreground.log")
        assert line.ends()
        line.close()
    assert place.processes() == []
    assert place.file_names() == ["foreground.log", "held.tap", "lib"]


@pytest.mark.slow
def test_other_signals_are_for_the_service(place: Place) -> None:
    """HUP to the first process, which still waits for connections, reloads what took over."""
    add_tap(place, "held", HELD)
    place.mktap("held")
    with place.foreground("-n", "--drain-timeout", "3600", "-f", "held.tap") as process:
        line = Line(place.port("foreground.log"))
        assert line.ask() == 1
        edit(place)
        second = reload(place)
        wait_until_left(process.pid)
        process.send_signal(signal.SIGHUP)
        wait_for("a third", lambda: place.log("foreground.log").count("has taken over\n") == 2)
        assert place.pid() not in (second, process.pid)
        line.close()
        log_says(place, "stands in for")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert "held-shutdown.tap" in place.file_names()


@pytest.mark.slow
def test_a_stop_while_connections_are_seen_off(place: Place) -> None:
    """TERM in the pause, before the state is sent: the reload is given up, and it is saved."""
    line = Line(held(place))
    assert line.ask() == 1
    old = psutil.Process(place.pid())
    old.send_signal(signal.SIGHUP)
    wait_for("the pause", lambda: "holding" in place.log())
    old.send_signal(signal.SIGTERM)
    wait_for("the stop", lambda: "received SIGTERM, stopping" in place.log())
    assert line.ask() == 2
    line.close()
    wait_for("it to end", lambda: has_ended(old))
    assert place.processes() == []
    assert "held stopped" in place.log()
    assert place.file_names() == ["held-shutdown.tap", "held.tap", "lib", "twistd.log"]
    again = Line(started(place, "-f", "held-shutdown.tap"))
    assert again.ask() == 3
    again.close()
    place.kill()


def hangs_in_start(place: Place, act: str) -> tuple[int, psutil.Process]:
    """A counter at 2, whose successor does something in startService; its port, and process."""
    port = moody(place)
    assert count_at(port) == 1
    assert count_at(port) == 2
    old = psutil.Process(place.pid())
    write_mood(place, f"startService if os.getpid() != {old.pid}: {act}")
    old.send_signal(signal.SIGHUP)
    return port, old


@pytest.mark.slow
def test_a_stop_when_the_state_is_sent(place: Place) -> None:
    """TERM while the new process starts with it: that is ended, and the old one saves it."""
    _, old = hangs_in_start(place, "open('begun', 'w').close(); time.sleep(600)")
    wait_for("the new one to start", lambda: (place.path / "begun").exists())
    old.send_signal(signal.SIGTERM)
    wait_for("it to end", lambda: has_ended(old))
    assert place.processes() == []
    assert "moody stopped" in place.log()
    assert "twistd.pid" not in place.file_names()
    (place.path / "lib" / "moody_drop" / "mood").unlink()
    assert count_at(started(place, "-f", "moody-shutdown.tap")) == 3
    place.kill()


def between_ready_and_agreed(place: Place) -> tuple[int, psutil.Process, psutil.Process]:
    """The old process is stopped in its tracks; the new one has said that it is ready."""
    port, old = hangs_in_start(place, "os.kill(os.getppid(), signal.SIGSTOP)")
    wait_for("it to be ready", lambda: place.log().count("moody runs on") == 2)
    wait_for("the old one to stand still", lambda: old.status() == psutil.STATUS_STOPPED)
    (new,) = old.children()
    wait_until_asleep(new)
    return port, old, new


def old_goes_on(place: Place, port: int, old: psutil.Process) -> None:
    """It says so, serves with its state, is the pidfile's, and stops when asked."""
    wait_for("the failure", lambda: GOES_ON in place.log())
    assert count_at(port) == 3
    assert place.pid() == old.pid
    settled(place, old.pid)
    place.kill()


@pytest.mark.slow
def test_the_old_one_dies_before_it_agrees(place: Place) -> None:
    """The new one, which is ready, takes over by itself, with the state it was sent."""
    port, old, new = between_ready_and_agreed(place)
    old.kill()
    wait_for("it to take over", lambda: f"PID {new.pid} has taken over" in place.log())
    assert "the old process died before it handed over" in place.log()
    assert count_at(port) == 3
    assert place.pid() == new.pid
    (place.path / "lib" / "moody_drop" / "mood").unlink()
    place.kill()
    assert "moody-shutdown.tap" in place.file_names()


@pytest.mark.slow
def test_the_new_one_dies_before_the_old_agrees(place: Place) -> None:
    """Ready is not enough: the old one finds it gone, starts its services again, and goes on."""
    port, old, new = between_ready_and_agreed(place)
    new.kill()
    old.send_signal(signal.SIGCONT)
    old_goes_on(place, port, old)
    assert "the new process died before it took over (signal 9)" in place.log()
    assert "moody-shutdown.tap" in place.file_names()


@pytest.mark.slow
def test_the_new_one_dies_when_the_old_has_agreed(place: Place) -> None:
    """But has let nobody in yet: the old one goes on, and its number is in the pidfile again."""
    port, old, new = between_ready_and_agreed(place)
    new.suspend()
    old.send_signal(signal.SIGCONT)
    wait_until_asleep(old)
    new.kill()
    old_goes_on(place, port, old)
