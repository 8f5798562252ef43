"""twistd, as a real daemon: every way to start it, its life, and the state it saves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from tapkit import application
from tests.place import PATIENCE, ROOT, Place, ask, wait_for

QUOTE = b"An apple a day keeps the doctor away.\r\n"

# A service whose state counts its connections, for what must go on counting.
COUNTER = """
from tapkit import internet, protocol, service, usage

class Options(usage.Options):
    pass

class Counting(protocol.Protocol):
    def connectionMade(self):
        self.factory.count += 1
        self.transport.write(b"%d" % self.factory.count)
        self.transport.loseConnection()

class Factory(protocol.ServerFactory):
    protocol = Counting
    count = 0

def makeService(config):
    return internet.TCPServer(0, Factory(), interface="127.0.0.1")
"""


def add_tap(place: Place, name: str, text: str) -> None:
    """A drop-in of one TAP builder."""
    place.add_module(f"{name}_drop/__init__.py", "")
    place.add_module(
        f"{name}_drop/plugins.tml",
        f'register("X", "{name}_drop.tap", type="tap", tapname="{name}")',
    )
    place.add_module(f"{name}_drop/tap.py", text)


def started(place: Place, *arguments: str | Path) -> int:
    """Start a daemon; the port it says it listens on."""
    done = place.twistd(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return place.port()


def test_the_whole_life(place: Place) -> None:
    """Start, serve over TCP and UDP, stop, and only the image, its state and the log are left."""
    place.mktap("qotd", "--port", "0")
    port = started(place, "-f", "qotd.tap")
    assert ask(port) == QUOTE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(PATIENCE)
        udp.sendto(b"?", ("127.0.0.1", place.port(kind="udp ")))
        assert udp.recv(1000).rstrip() == QUOTE.rstrip()
    place.kill()
    assert place.file_names() == ["qotd-shutdown.tap", "qotd.tap", "twistd.log"]
    assert place.processes() == []


def test_the_daemon_is_a_daemon(place: Place) -> None:
    """Its own session without leading it, no terminal, nothing of ours open, a quiet umask."""
    place.make("qotd", "--port", "0")
    started(place, "-f", "qotd.tap")
    process = psutil.Process(place.pid())
    assert os.getsid(process.pid) not in (process.pid, os.getsid(0))
    assert process.terminal() is None
    assert os.readlink(f"/proc/{process.pid}/fd/0") == "/dev/null"
    assert os.readlink(f"/proc/{process.pid}/fd/1") == str(place.path / "twistd.log")
    assert (place.path / "twistd.log").stat().st_mode & 0o077 == 0
    place.kill()


def test_a_stop_right_after_the_start_saves(place: Place) -> None:
    """When twistd has returned, the signals are heard: an immediate kill loses nothing."""
    place.make("qotd", "--port", "0")
    for _ in range(5):
        assert place.twistd("-f", "qotd.tap").returncode == 0
        place.kill()
        assert "qotd-shutdown.tap" in place.file_names()
        (place.path / "qotd-shutdown.tap").unlink()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground(place: Place, number: int) -> None:
    """-n stays, logs to stdout, keeps a pidfile, and a signal stops it with status 0."""
    place.make("qotd", "--port", "0")
    with place.foreground("-n", "-f", "qotd.tap") as process:
        assert ask(place.port("foreground.log")) == QUOTE
        assert place.pid() == process.pid
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    assert place.file_names() == ["foreground.log", "qotd-shutdown.tap", "qotd.tap"]
    assert f"received {signal.Signals(number).name}" in place.log("foreground.log")


def test_a_positional_image(place: Place) -> None:
    """`twistd qotd.tap` is `twistd -f qotd.tap`."""
    place.make("qotd", "--port", "0")
    assert ask(started(place, "qotd.tap")) == QUOTE
    place.kill()
    assert "qotd-shutdown.tap" in place.file_names()


def test_the_default_image(place: Place) -> None:
    """`twistd` alone runs twistd.tap, or says that there is none."""
    alone = place.twistd()
    assert alone.returncode == 1
    assert "twistd.tap" in alone.stderr
    assert place.file_names() == []
    place.mktap("-n", "twistd", "qotd", "--port", "0")
    assert ask(started(place)) == QUOTE
    place.kill()


def test_a_builder_without_a_file_between(place: Place) -> None:
    """`twistd -n qotd --port 0` serves at once, and saves nothing, as its log says."""
    with place.foreground("-n", "qotd", "--port", "0") as process:
        assert ask(place.port("foreground.log")) == QUOTE
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert place.file_names() == ["foreground.log"]
    assert "not saved at stop (it comes from no image" in place.log("foreground.log")


def test_a_builder_in_the_background(place: Place) -> None:
    """The same, as a daemon."""
    assert ask(started(place, "qotd", "--port", "0", "--static", "Hi")) == b"Hi\r\n"
    place.kill()
    assert place.file_names() == ["twistd.log"]


def test_a_script(place: Place) -> None:
    """-y runs the variable `application` of a script; it is never saved."""
    script = place.path / "hello.tac"
    script.write_text(
        "from tapkit.application import Application\n"
        "from tapkit import internet\n"
        "from helper import factory\n"
        "application = Application('hello')\n"
        "internet.TCPServer(0, factory).setServiceParent(application)\n"
    )
    # Beside the script, as Python finds what a script imports.
    (place.path / "helper.py").write_text(
        "from tapkit.protocol import Protocol, ServerFactory\n"
        "class Hello(Protocol):\n"
        "    def connectionMade(self):\n"
        "        self.transport.write(b'hello')\n"
        "        self.transport.loseConnection()\n"
        "factory = ServerFactory()\nfactory.protocol = Hello\n"
    )
    assert ask(started(place, "-y", "hello.tac")) == b"hello"
    place.kill()
    names = [name for name in place.file_names() if name != "__pycache__"]
    assert names == ["hello.tac", "helper.py", "twistd.log"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "makes no variable `application`"),
        ("application = 42\n", "makes no variable `application`"),
        ("x = = 1\n", "not Python"),
        ("x = 1\nraise ValueError('no luck')\n", "ValueError: no luck: bad.tac:2"),
    ],
)
def test_a_broken_script(place: Place, text: str, said: str) -> None:
    """The file, the line and the cause; nothing starts."""
    (place.path / "bad.tac").write_text(text)
    done = place.twistd("-y", "bad.tac")
    assert done.returncode == 1
    assert said in done.stderr
    assert "bad.tac" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert place.file_names() == ["bad.tac"]


def test_state_lives_on(place: Place) -> None:
    """A counter on a factory goes on counting after kill and a start from the saved state."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    port = started(place, "-f", "counter.tap")
    assert [ask(port) for _ in range(3)] == [b"1", b"2", b"3"]
    place.kill()
    for expected in (b"4", b"5"):
        (place.path / "twistd.log").unlink()
        port = started(place, "-f", "counter-shutdown.tap")
        assert ask(port) == expected
        place.kill()
    # Each save keeps the generation before it.
    assert set(place.file_names()) >= {"counter-shutdown.tap", "counter-shutdown.tap.1"}


def test_no_save(place: Place) -> None:
    """-o, in either spelling, leaves no state behind."""
    place.make("qotd", "--port", "0")
    for option in ("-o", "--no_save"):
        started(place, option, "-f", "qotd.tap")
        place.kill()
        assert place.file_names() == ["qotd.tap", "twistd.log"]


def test_rundir_pidfile_and_logfile(place: Place) -> None:
    """What it writes goes into --rundir; the image is named from where twistd is typed."""
    place.make("qotd", "--port", "0")
    (place.path / "run").mkdir()
    done = place.twistd("-f", "qotd.tap", "-d", "run", "--pidfile", "q.pid", "-l", "q.log")
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(place.port("run/q.log")) == QUOTE
    place.kill("run/q.pid")
    assert place.file_names() == ["qotd.tap", "run"]
    assert sorted(os.listdir(place.path / "run")) == ["q.log", "qotd-shutdown.tap"]


@pytest.mark.parametrize("reactor", ["asyncio", "uvloop"])
def test_reactors(place: Place, reactor: str) -> None:
    """-r chooses the loop; the log says which one runs."""
    if reactor == "uvloop":
        pytest.importorskip("uvloop")
    place.make("qotd", "--port", "0")
    assert ask(started(place, "-r", reactor, "-f", "qotd.tap")) == QUOTE
    place.kill()
    assert f"qotd runs on {reactor};" in place.log()


def test_help_version_and_reactors(place: Place) -> None:
    """All on stdout, with status 0."""
    shown = place.twistd("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "--nodaemon" in shown.stdout
    assert "  qotd  Example of a TAP builder module.\n" in shown.stdout
    assert place.twistd("--version").stdout.startswith("twistd (tapkit) 0.1.0, Python 3.")
    reactors = place.twistd("--help-reactors").stdout
    assert "asyncio" in reactors
    assert "uvloop" in reactors
    assert "--static" in place.twistd("qotd", "--help").stdout


def test_quiet_and_syslog(place: Place) -> None:
    """-q logs no chatter; --syslog without a syslog daemon is refused in words."""
    place.make("qotd", "--port", "0")
    assert place.twistd("-q", "-f", "qotd.tap").returncode == 0
    place.kill()
    assert place.log() == ""
    if not os.path.exists("/dev/log"):
        refused = place.twistd("--syslog", "-f", "qotd.tap")
        assert refused.returncode == 1
        assert "can't reach the syslog daemon" in refused.stderr
        assert not (place.path / "twistd.pid").exists()


def test_samples_win_the_name(place: Place) -> None:
    """With samples/ on PYTHONPATH, qotd is the tutorial's drop-in."""
    place.env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "samples"), str(ROOT)])
    assert place.mktap("qotd", "--port", "0").returncode == 0
    assert b"TwistedQuotes" in (place.path / "qotd.tap").read_bytes()
    assert ask(started(place, "-f", "qotd.tap")) == QUOTE
    place.kill()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can shed privileges")
def test_privileges_are_shed(place: Place) -> None:
    """Started by root with a uid in the image, it binds first and then is that user."""
    place.path.chmod(0o755)
    place.path.parent.chmod(0o755)
    place.mktap("-u", "nobody", "qotd", "--port", "0")
    with place.foreground("-n", "-r", "asyncio", "-o", "-f", "qotd.tap") as process:
        assert ask(place.port("foreground.log")) == QUOTE
        assert set(psutil.Process(process.pid).uids()) == {65534}
        process.terminate()
        process.wait(PATIENCE)


def test_kill_9_at_any_time_leaves_an_image_that_starts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it starts, serves, stops or saves: the image and any saved state are whole."""
    add_tap(place, "counter", COUNTER)
    monkeypatch.syspath_prepend(str(place.path / "lib"))
    place.mktap("counter")
    for attempt in (1, 3, 5, 7, 10):
        process = subprocess.Popen(
            place.command("twistd", "-n", "-f", "counter.tap"),
            cwd=place.path,
            env=place.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        line = process.stdout.readline  # kill after this many lines of the log: a fact, no clock
        for _ in range(attempt % 4):
            line()
        if attempt >= 4:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            for _ in range(attempt // 4):
                line()
        process.kill()
        process.communicate()
        for name in ("counter.tap", "counter-shutdown.tap"):
            if (place.path / name).exists():
                assert application.load(str(place.path / name)).name == "counter"
    (place.path / "twistd.pid").unlink(missing_ok=True)
    assert ask(started(place, "-f", "counter.tap")) == b"1"
    place.kill()


def test_two_simultaneous_starts_have_one_winner(place: Place) -> None:
    """Exactly one daemon runs; the other start says so and touches nothing."""
    place.make("qotd", "--port", "0")
    starts = [
        subprocess.Popen(
            place.command("twistd", "-f", "qotd.tap"),
            cwd=place.path,
            env=place.env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    errors = [start.communicate(timeout=PATIENCE)[1] for start in starts]
    assert sorted(start.returncode for start in starts) == [0, 1]
    (said,) = [text for text in errors if text]
    assert said.startswith("twistd: another twistd is ")
    assert len(said.splitlines()) == 1
    running = wait_for("one daemon", lambda: [p for p in place.processes() if _is_daemon(p)])
    assert [p.pid for p in running] == [place.pid()]
    assert ask(place.port()) == QUOTE
    place.kill()
    assert place.processes() == []


def _is_daemon(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running()
    return False


def test_the_collector_is_on_again(place: Place) -> None:
    """A start does without the garbage collector; the daemon that serves has it."""
    (place.path / "app.tac").write_text(
        "import gc, logging\n"
        "from tapkit import application, internet\n"
        "def tell():\n"
        "    logging.getLogger('app').info('the collector is %s', gc.isenabled())\n"
        "application = application.new('app', internet.TimerService(0.05, tell))\n"
    )
    with place.foreground("-n", "-y", "app.tac"):
        wait_for("it to be on", lambda: "the collector is True" in place.log("foreground.log"))
