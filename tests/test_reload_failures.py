"""Reloads that fail: the old process goes on serving, and the reason is told."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tapkit.application import Application
from tapkit.errors import DaemonError
from tapkit.run.process.pidfile import PidFile
from tapkit.run.reload.command_line import CommandLine
from tapkit.run.reload.handover import Handover
from tapkit.run.systemd.notify import Notifier
from tests.place import PATIENCE, Place, wait_for
from tests.reloads import COUNTER, Clients, count_at, reload
from tests.test_twistd import add_tap, started

slow = functools.partial(pytest.param, marks=pytest.mark.slow)

FAILED = "the reload failed: "
GOES_ON = "goes on as it is"

# A service that starts well the first time it is loaded, and as `mood` says after that.
MOODY = (
    COUNTER
    + """
import asyncio, signal, time

class Moody(service.Service):
    def privilegedStartService(self):
        self.act("privilegedStartService")
        return super().privilegedStartService()
    async def startService(self):
        await super().startService()
        self.act("startService")
    def act(self, hook):
        try:
            mood = open(os.path.join(os.path.dirname(__file__), "mood")).read()
        except FileNotFoundError:
            return
        if mood.startswith(hook):
            exec(mood.partition(" ")[2])

def makeService(config, inner=makeService):
    both = inner(config)
    Moody().setServiceParent(both)
    return both
"""
)


def moody(place: Place, *options: str, image: tuple[str, ...] = ()) -> int:
    add_tap(place, "moody", MOODY)
    made = place.mktap("moody", *image)
    assert made.returncode == 0, made.stderr
    return started(place, *options, "-f", "moody.tap")


def hup(place: Place) -> str:
    """Reload in vain; what the log says is the reason."""
    pid = place.pid()
    told = place.log().count(GOES_ON)
    os.kill(pid, signal.SIGHUP)
    wait_for("the reload to fail", lambda: place.log().count(GOES_ON) > told)
    assert place.pid() == pid, "the old process still is the daemon"
    lines = [line for line in place.log().splitlines() if FAILED in line]
    return lines[-1].partition(FAILED)[2]


def settled(place: Place, pid: int) -> None:
    """Nothing but the daemon is left running."""
    wait_for("what failed to end", lambda: [p.pid for p in place.processes()] == [pid])


def write_mood(place: Place, text: str) -> None:
    (place.path / "lib" / "moody_drop" / "mood").write_text(text)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("def broken(:\n", "SyntaxError"),
        slow("import no_such_module_at_all\n", "no_such_module_at_all"),
        slow("raise RuntimeError('a bad day')\n", "a bad day"),
        slow("import os; os._exit(7)\n", "exit status 7"),
        slow("import os; os.kill(os.getpid(), 9)\n", "signal 9"),
    ],
)
def test_broken_code(place: Place, module: str, reason: str) -> None:
    """Code that does not load, or ends the process, changes nothing for anybody."""
    port = moody(place)
    (place.path / "lib" / "moody_drop" / "tap.py").write_text(module)
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        assert reason in hup(place)
        clients.more()
    assert clients.faults == []
    assert count_at(port) == clients.answers + 1
    settled(place, place.pid())
    add_tap(place, "moody", MOODY)
    reload(place)  # and mended, it works
    assert count_at(port) == clients.answers + 2
    place.kill()


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        slow("privilegedStartService raise OSError('no device')", "no device"),
        ("startService raise OSError('no device')", "no device"),
        slow("startService os.kill(os.getpid(), 9)", "signal 9"),
    ],
)
def test_a_hook_that_fails(place: Place, mood: str, reason: str, tmp_path: Path) -> None:
    """The services were stopped by then: they start again, on the same sockets, all counted."""
    path = str(tmp_path / "sock")
    port = moody(place, image=("--path", path))
    write_mood(place, "")
    mood_file = place.path / "lib" / "moody_drop" / "mood"
    pid = place.pid()
    # Only in the new process: the old one must be able to start its services again.
    hook, _, act = mood.partition(" ")
    mood_file.write_text(f"{hook} if os.getpid() != {pid}: {act}")
    with Clients(("127.0.0.1", port)) as clients, Clients(path, count=1) as unix:
        clients.more()
        assert reason in hup(place)
        clients.more()
        unix.more()
    assert clients.faults == unix.faults == []
    assert count_at(port) == clients.answers + unix.answers + 1
    settled(place, pid)
    mood_file.unlink()
    reload(place)
    assert count_at(port) == clients.answers + unix.answers + 2
    place.kill()
    assert not os.path.exists(path)


@pytest.mark.parametrize("hook", ["startService", "module"])
@pytest.mark.slow
def test_a_start_that_hangs(place: Place, hook: str) -> None:
    """After --start-timeout the new process is ended, and the old one goes on."""
    port = moody(place, "--start-timeout", "3")
    pid = place.pid()
    if hook == "module":
        (place.path / "lib" / "moody_drop" / "tap.py").write_text("import time; time.sleep(600)\n")
    else:
        write_mood(place, f"startService if os.getpid() != {pid}: time.sleep(600)")
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        assert "within 3 seconds" in hup(place)
        clients.more()
    assert clients.faults == []
    settled(place, pid)
    place.kill()


@pytest.mark.parametrize("content", [b"", b"no image at all", None])
@pytest.mark.slow
def test_a_broken_image(place: Place, content: bytes | None) -> None:
    """An image damaged by an edit is refused by name; the old one keeps state and clients."""
    port = moody(place)
    image = place.path / "moody.tap"
    whole = image.read_bytes()
    image.write_bytes(whole[:-20] if content is None else content)
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        assert "moody.tap" in hup(place)
        clients.more()
    assert clients.faults == []
    image.write_bytes(whole)
    assert count_at(port) == clients.answers + 1
    place.kill()


@pytest.mark.slow
def test_a_busy_port_of_an_edited_image(place: Place) -> None:
    """An edited image that wants a port somebody else has is refused, with the port's number."""
    place.mktap("-t", "source", "qotd", "--port", "tcp:0:interface=127.0.0.1")
    started(place, "qotd.tas")
    image = place.path / "qotd.tas"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        image.write_text(image.read_text().replace("port=0", f"port={taken}", 1))
        assert str(taken) in hup(place)
    settled(place, place.pid())
    place.kill()


@pytest.mark.slow
def test_two_at_once_are_one(place: Place) -> None:
    """HUP during a reload is the same reload: one new process takes over."""
    moody(place)
    pid = place.pid()
    for _ in range(3):
        os.kill(pid, signal.SIGHUP)
    wait_for("another to take over", lambda: "has taken over" in place.log())
    wait_for("the old one to end", lambda: not psutil.pid_exists(pid))
    assert place.log().count("has taken over\n") == 1, "one new process"
    settled(place, place.pid())
    place.kill()


@pytest.mark.slow
def test_the_old_one_dies_meanwhile(place: Place) -> None:
    """A process killed while its successor loads leaves no half of it behind."""
    moody(place)
    module = place.path / "lib" / "moody_drop" / "tap.py"
    module.write_text(
        "import os, time\nopen('loading', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n" + MOODY
    )
    pid = place.pid()
    os.kill(pid, signal.SIGHUP)
    wait_for("the new process to load", lambda: (place.path / "loading").exists())
    os.kill(pid, signal.SIGKILL)
    (place.path / "go").touch()
    wait_for("all to end", lambda: place.processes() == [], PATIENCE)
    module.write_text(MOODY)
    again = place.twistd("-f", "moody.tap")
    assert again.returncode == 0, again.stderr
    place.kill()


def test_an_obstacle_is_told() -> None:
    """Where there can be no successor (a chroot), the reload says so and touches nothing."""
    pidfile, notifier = PidFile("nowhere.pid"), Notifier()
    line = CommandLine.of_this_process()
    handover = Handover(line, pidfile, notifier, None, False, "it runs in a chroot")
    with pytest.raises(DaemonError, match="can't be reloaded: it runs in a chroot"):
        asyncio.run(handover.pass_on(None))  # type: ignore[arg-type]  # it asks nothing of it


@pytest.mark.parametrize("source", ["file", "IMAGE"])
def test_an_unknown_source(source: str) -> None:
    """What to reload from is one of two words."""
    handover = Handover(CommandLine.of_this_process(), PidFile("x"), Notifier(), None, False)
    daemon = SimpleNamespace(application=Application("x"), owns_state=True)
    with pytest.raises(DaemonError, match="can't reload from"):
        asyncio.run(handover.pass_on(daemon, source))  # type: ignore[arg-type]
