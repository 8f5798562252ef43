"""Hot restart: a new process takes over, and nobody is refused, reset or forgotten."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from tests.place import PATIENCE, ROOT, Place, ask, has_ended, wait_for
from tests.reloads import COUNTER, LINES, Clients, count_at, reload
from tests.test_twistd import add_tap, started

TAKEN = "has taken over\n"
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def counting(place: Place, *options: str, image: tuple[str, ...] = ()) -> int:
    """A daemon that counts; its port."""
    add_tap(place, "counter", COUNTER)
    made = place.mktap("counter", *image)
    assert made.returncode == 0, made.stderr
    return started(place, *options, "-f", "counter.tap")


@pytest.mark.parametrize("loop", [pytest.param("asyncio", marks=pytest.mark.slow), "uvloop"])
def test_a_reload_keeps_state_and_clients(place: Place, loop: str) -> None:
    """Under constant connections: a new process, the count goes on, nobody is refused."""
    port = counting(place, "-r", loop)
    first = place.pid()
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        second = reload(place)
        clients.more()
        third = reload(place)
        clients.more()
    assert clients.faults == []
    assert len({first, second, third}) == 3
    assert count_at(port) == clients.answers + 1
    place.kill()
    assert place.file_names() == ["counter-shutdown.tap", "counter.tap", "lib", "twistd.log"]
    assert place.twistd("-f", "counter-shutdown.tap").returncode == 0
    assert count_at(place.port()) == clients.answers + 2
    place.kill()


def test_unix_sockets_and_datagrams(place: Place) -> None:
    """A UNIX socket's path and a UDP port go over as well; the path is removed at the end."""
    path = str(place.path / "sock")
    counting(place, image=("--path", path))
    port = place.port(kind="udp ")
    with Clients(path) as clients:
        clients.more()
        reload(place)
        clients.more()
    assert clients.faults == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(PATIENCE)
        udp.sendto(b"?", ("127.0.0.1", port))
        count, pid = udp.recv(100).split()
    assert int(count) == clients.answers + 1
    assert int(pid) == place.pid()
    place.kill()
    assert not os.path.exists(path)


@pytest.mark.slow
def test_conversations_are_finished(place: Place) -> None:
    """Who has said something is answered, by the old process or the new one."""
    add_tap(place, "lines", LINES)
    place.mktap("lines")
    port = started(place, "-f", "lines.tap")
    with Clients(("127.0.0.1", port), say=b"hello\r\n", half_close=True) as clients:
        for _ in range(3):
            clients.more()
            reload(place)
    assert clients.faults == []
    assert int(ask(port, say=b"x\r\n", half_close=True)) == clients.answers + 1


def test_an_edited_image_is_taken(place: Place) -> None:
    """A file that changed since it was loaded is what the new process runs."""
    place.mktap("-t", "source", "qotd", "--port", "0", "--static", "Old")
    port = started(place, "qotd.tas")
    assert ask(port) == b"Old\r\n"
    image = place.path / "qotd.tas"
    image.write_text(image.read_text().replace("Old", "New"))
    old = psutil.Process(place.pid())
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        reload(place)
        clients.more()
    assert clients.faults == []
    wait_for("the old one to leave", lambda: has_ended(old))  # it serves until it has
    assert ask(port) == b"New\r\n"
    place.kill()


@pytest.mark.slow
def test_an_edit_of_the_saved_state_is_not_overwritten(place: Place) -> None:
    """Running from the very file a stop would write, a reload leaves the edit alone."""
    place.mktap("-t", "source", "qotd", "--port", "0", "--static", "Old")
    image = place.path / "qotd-shutdown.tas"
    (place.path / "qotd.tas").rename(image)
    port = started(place, "-f", "qotd-shutdown.tas")
    image.write_text(image.read_text().replace("Old", "New"))
    old = psutil.Process(place.pid())
    reload(place)
    wait_for("the old process to end", lambda: has_ended(old))
    assert '"New"' in image.read_text()
    assert ask(port) == b"New\r\n"
    place.kill()


@pytest.mark.slow
def test_a_script_is_run_anew(place: Place) -> None:
    """What `-y` runs is run again: new code, and no state."""
    script = place.path / "hello.tac"
    text = (
        "from tapkit.application import Application\n"
        "from tapkit import internet\n"
        "async def hello(reader, writer):\n"
        "    writer.write(b'one\\r\\n')\n"
        "application = Application('hello')\n"
        "application.addService(internet.StreamServer(0, hello, interface='127.0.0.1'))\n"
    )
    script.write_text(text)
    port = started(place, "-y", "hello.tac")
    old = psutil.Process(place.pid())
    with Clients(("127.0.0.1", port)) as clients:
        clients.more()
        script.write_text(text.replace("one", "two"))
        reload(place)
        clients.more()
    assert clients.faults == []
    wait_for("the old one to leave", lambda: has_ended(old))  # it serves until it has
    assert ask(port) == b"two\r\n"
    place.kill()


@pytest.mark.slow
def test_new_code_is_taken(place: Place) -> None:
    """The state of the old code goes on in the new."""
    port = counting(place)
    assert count_at(port) == 1
    add_tap(
        place, "counter", COUNTER.replace("self.factory.count += 1", "self.factory.count += 10")
    )
    reload(place)
    assert count_at(port) == 11
    place.kill()


@pytest.mark.slow
def test_the_log_and_the_directory_go_on(place: Place) -> None:
    """Named relative to where twistd was typed and to --rundir, all is found again."""
    (place.path / "run").mkdir()
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    done = place.twistd("-d", "run", "-l", "my.log", "-f", "counter.tap")
    assert done.returncode == 0, done.stderr
    port = place.port("run/my.log")
    assert count_at(port) == 1
    pid = reload(place, "run/twistd.pid")
    assert count_at(port) == 2
    assert f"PID {pid} has taken over" in place.log("run/my.log")
    place.kill("run/twistd.pid")
    assert (place.path / "run" / "counter-shutdown.tap").exists()


@pytest.mark.slow
def test_settings_are_laid_again(place: Place) -> None:
    """What --set says holds in the new process, and is not saved by it."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    option = "services[0].services[0].factory.count=100"
    port = started(place, "--set", option, "-f", "counter.tap")
    reload(place)
    assert count_at(port) == 101
    place.kill()


@pytest.mark.slow
def test_the_lock_is_never_free(place: Place) -> None:
    """While reloads go on, no second daemon can start there."""
    counting(place)
    for _ in range(2):
        pid = place.pid()
        os.kill(pid, signal.SIGHUP)
        while place.pid() == pid:
            refused = place.twistd("-f", "counter.tap")
            assert refused.returncode == 1
            assert "another twistd is" in refused.stderr
    place.kill()


@pytest.mark.slow
def test_a_stop_during_a_reload(place: Place) -> None:
    """TERM while the new process loads: it is ended, the state is saved, nothing is left."""
    port = counting(place)
    assert count_at(port) == 1
    module = place.path / "lib" / "counter_drop" / "tap.py"
    module.write_text("import time; open('loading', 'w').close(); time.sleep(600)\n")
    pid = place.pid()
    os.kill(pid, signal.SIGHUP)
    wait_for("the new process to load", lambda: (place.path / "loading").exists())
    place.kill()
    assert place.processes() == []
    assert (place.path / "counter-shutdown.tap").exists()
    assert not (place.path / "twistd.pid").exists()


@pytest.mark.slow
@LOOPS
def test_many_reloads(place: Place, loop: str, tmp_path: Path) -> None:
    """Twenty reloads under constant connections: none refused, none reset, all counted."""
    path = str(tmp_path / "sock")
    port = counting(place, "-r", loop, image=("--path", path))
    with Clients(("127.0.0.1", port)) as tcp, Clients(path, count=2) as unix:
        for _ in range(20):
            tcp.more()
            unix.more()
            reload(place)
    assert tcp.faults == unix.faults == []
    assert count_at(port) == tcp.answers + unix.answers + 1
    place.kill()


@pytest.mark.slow
def test_in_the_foreground(place: Place) -> None:
    """The process that was started stays, passes on signals, and ends as the daemon does."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    with place.foreground("-n", "-f", "counter.tap") as process:
        port = place.port("foreground.log")
        assert count_at(port) == 1
        second = reload(place)
        assert count_at(port) == 2
        wait_for("the first to stand in", lambda: "stands in" in place.log("foreground.log"))
        process.send_signal(signal.SIGHUP)
        wait_for("a third to take over", lambda: place.log("foreground.log").count(TAKEN) == 2)
        assert place.pid() != second
        assert count_at(port) == 3
        wait_for("the second to leave", lambda: len(place.processes()) == 2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    assert place.processes() == []
    assert "counter-shutdown.tap" in place.file_names()
    assert "twistd.pid" not in place.file_names()


@pytest.mark.slow
def test_a_foreground_service_that_dies(place: Place) -> None:
    """Killed after a reload, it is missed: the first process ends as well, not with 0."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    with place.foreground("-n", "-f", "counter.tap") as process:
        place.port("foreground.log")
        second = reload(place)
        wait_for("the first to stand in", lambda: "stands in" in place.log("foreground.log"))
        os.kill(second, signal.SIGKILL)
        assert process.wait(PATIENCE) == 128 + signal.SIGKILL
    assert place.processes() == []


def reachable(path: Path) -> bool:
    """Whether any user may get there."""
    return all(part.stat().st_mode & 0o005 == 0o005 for part in (path, *path.parents))


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give it up")
@pytest.mark.skipif(
    not all(map(reachable, (Path(sys.executable).resolve(), ROOT))),
    reason="this Python is where other users can't run it",
)
def test_after_privileges_are_shed(open_place: Place) -> None:
    """The state and a port of root's go over to a process that may neither read the image nor
    bind the port; an edited image, which it would have to read, is refused."""
    place = open_place
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (place.path / "run").mkdir()
    os.chown(place.path / "run", 65534, 65534)
    place.mktap("qotd", "--port", f"tcp:{port}:interface=127.0.0.1")
    done = place.twistd("-u", "nobody", "-d", "run", "-f", "qotd.tap")
    assert (done.returncode, done.stderr) == (0, "")
    second = reload(place, "run/twistd.pid")
    assert psutil.Process(second).uids().real == 65534
    assert ask(port)
    (place.path / "qotd.tap").touch()
    os.kill(second, signal.SIGHUP)
    wait_for("the reason", lambda: "can't be read" in place.log("run/twistd.log"))
    wait_for("the end", lambda: "goes on as it is" in place.log("run/twistd.log"))
    assert ask(port)
    place.kill("run/twistd.pid")
