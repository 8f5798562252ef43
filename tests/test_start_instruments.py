"""--check, --debug, --spew and --profile: what a developer straps to a start."""

from __future__ import annotations

import os
import pstats
import subprocess
from pathlib import Path

import pytest

from tests.place import PATIENCE, Place, ask, wait_for
from tests.test_twistd import QUOTE, add_tap, started
from tests.test_twistd_faults import SERVICE, fails

# A protocol whose hook raises, with a local variable to look at.
RAISING = """
from tapkit import internet, protocol, usage
class Options(usage.Options): pass
class Raising(protocol.Protocol):
    def connectionMade(self):
        precious = 40 + 2
        raise RuntimeError("no luck")
class Factory(protocol.ServerFactory):
    protocol = Raising
def makeService(config): return internet.TCPServer(0, Factory(), interface="127.0.0.1")
"""


def test_check_says_what_it_found_and_touches_nothing(place: Place) -> None:
    """Status 0 and one line; no port, no pidfile, no log, though the pidfile may be held."""
    place.make("qotd", "--port", "0")
    started(place, "-f", "qotd.tap")
    before = place.file_names()
    done = place.twistd("--check", "-f", "qotd.tap")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("qotd: 3 services; its state can be saved (pickle, ")
    assert done.stdout.endswith(" bytes); nothing was started\n")
    assert place.file_names() == before
    place.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["-f", "gone.tap"], 1, "no such file"),
        (["-f", "cut.tap"], 1, "cut.tap"),
        (["-d", "nowhere", "-f", "qotd.tap"], 1, "nowhere"),
        (["--set", "nmae=x", "-f", "qotd.tap"], 2, "did you mean name?"),
        (["--chroot", "nowhere", "-f", "qotd.tap"], 1, "no directory to chroot to"),
        (["-u", "nobdy", "-f", "qotd.tap"], 2, "no such user"),
        (["-y", "unsaved.tac"], 1, "makes no variable"),
    ],
)
def test_check_finds_what_would_fail(
    place: Place, arguments: list[str], status: int, said: str
) -> None:
    """The exit status tells, and the line is that of the start."""
    place.make("qotd", "--port", "0")
    (place.path / "cut.tap").write_bytes((place.path / "qotd.tap").read_bytes()[:100])
    (place.path / "cut.tap").chmod(0o600)
    (place.path / "unsaved.tac").write_text("x = 1\n")
    left = ["cut.tap", "qotd.tap", "unsaved.tac"]
    assert said in fails(place, "--check", *arguments, status=status, left=left)


def test_check_tries_to_save(place: Place) -> None:
    """State that can be loaded and not saved again is found; the path is named."""
    body = "def __setstate__(self, state): self.__dict__ = {**state, 'f': open(__file__)}"
    add_tap(place, "faulty", SERVICE.format(body=body))
    place.mktap("faulty")
    line = fails(place, "--check", "-f", "faulty.tap", left=["faulty.tap"])
    assert "application.services[0].f" in line


@pytest.mark.slow
def test_check_of_what_is_not_saved_says_so(place: Place) -> None:
    """A builder's application is loaded, and not saved."""
    done = place.twistd("--check", "qotd", "--port", "0")
    assert done.returncode == 0
    assert "its state is not saved at stop (it comes from no image" in done.stdout


@pytest.mark.parametrize("profiler", ["cProfile", pytest.param("profile", marks=pytest.mark.slow)])
def test_a_profile_as_text(place: Place, profiler: str) -> None:
    """Written at the end, in the run directory, in the background too."""
    place.make("qotd", "--port", "0")
    port = started(place, "--profile", "p.txt", "--profiler", profiler, "-f", "qotd.tap")
    assert ask(port) == QUOTE
    place.kill()
    text = (place.path / "p.txt").read_text()
    assert "function calls" in text
    assert "(connectionMade)" in text
    assert "qotd-shutdown.tap" in place.file_names()


@pytest.mark.slow
def test_a_profile_as_data(place: Place) -> None:
    """--savestats writes what pstats reads."""
    place.make("qotd", "--port", "0")
    ask(started(place, "-r", "asyncio", "-p", "p.data", "--savestats", "-f", "qotd.tap"))
    place.kill()
    stats = pstats.Stats(str(place.path / "p.data"))
    called = {name for _, _, name in stats.stats}  # type: ignore[attr-defined]
    assert "connectionMade" in called


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["-p", "no/such/file"], 1, "can't write the profile (No such file or directory)"),
        (["-p", "p", "--profiler", "cprofle"], 2, "no such profiler: cprofle; did you mean cprof"),
        (["--savestats"], 2, "add --profile FILE"),
        (["--spew", "-p", "p"], 2, "--profile does not go together with"),
        (["--umask", "9"], 2, "'9' is not octal"),
        (["--umask", "-1"], 2, "'-1' is not octal"),
        (["-l", "-", "qotd.tap"], 2, "add --nodaemon"),
    ],
)
def test_mistakes(place: Place, arguments: list[str], status: int, said: str) -> None:
    """In words, before anything is left behind."""
    place.make("qotd", "--port", "0")
    done = place.twistd(*arguments, *(["-f", "qotd.tap"] if "qotd.tap" not in arguments else []))
    assert (done.returncode, done.stderr.count("\n")) == (status, 1), done.stderr
    assert said in done.stderr
    assert "twistd.pid" not in place.file_names()
    assert place.processes() == []


@pytest.mark.slow
def test_spew(place: Place) -> None:
    """Every call is a line on stderr, with its file; it stays in the foreground."""
    place.make("qotd", "--port", "0")
    with place.foreground("--spew", "-f", "qotd.tap") as process:
        assert ask(place.port("foreground.log")) == QUOTE
        wait_for("it to be ready", lambda: "qotd runs on" in place.log("foreground.log"))
        process.terminate()
        assert process.wait(PATIENCE) == 0
    calls = place.log("foreground.log")
    assert "connection.py:" in calls
    assert "connectionMade" in calls
    assert ": asyncio." in calls


class Debugged:
    """twistd under --debug, its terminal a pair of pipes."""

    def __init__(self, place: Place, *arguments: str | Path):
        self.place = place
        self.log = open(place.path / "foreground.log", "w")  # noqa: SIM115
        self.process = subprocess.Popen(
            place.command("twistd", "--debug", *arguments),
            cwd=place.path,
            env=place.env,
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Debugged:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def wait_for(self, text: str, times: int = 1) -> None:
        wait_for(repr(text), lambda: self.place.log("foreground.log").count(text) >= times)

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


def test_the_debugger_on_interrupt(place: Place) -> None:
    """INT enters pdb, c goes on serving, q stops in order: the state is saved."""
    place.make("qotd", "--port", "0")
    with Debugged(place, "-f", "qotd.tap") as debugged:
        port = place.port("foreground.log")
        debugged.wait_for("qotd runs on asyncio")
        debugged.process.send_signal(2)
        debugged.wait_for("c goes on, q stops the daemon")
        debugged.wait_for("(Pdb)")
        debugged.type("p 6 * 7")
        debugged.wait_for("42")
        debugged.type("c")
        assert ask(port) == QUOTE
        debugged.process.send_signal(2)
        debugged.wait_for("c goes on, q stops the daemon", times=2)
        debugged.type("q")
        assert debugged.process.wait(PATIENCE) == 0
    assert place.file_names() == ["foreground.log", "qotd-shutdown.tap", "qotd.tap"]


@pytest.mark.slow
def test_the_debugger_in_a_loop_without_end(place: Place) -> None:
    """A start that spins is looked at where it spins."""
    body = (
        "def startService(self):\n"
        "        spinning = True\n"
        "        open('spins', 'w').close()\n"
        "        while spinning: pass"
    )
    add_tap(place, "faulty", SERVICE.format(body=body))
    place.mktap("faulty")
    with Debugged(place, "-f", "faulty.tap") as debugged:
        wait_for("it to spin", (place.path / "spins").exists)
        debugged.process.send_signal(2)
        debugged.wait_for("(Pdb)")
        debugged.type("spinning = False")
        debugged.type("c")
        debugged.wait_for("faulty runs on")
        debugged.process.terminate()
        assert debugged.process.wait(PATIENCE) == 0


def test_the_debugger_on_a_failing_start(place: Place) -> None:
    """Post mortem where it was raised; then it fails as it would have."""
    body = (
        "def startService(self):\n        precious = 40 + 2\n        raise RuntimeError('no luck')"
    )
    add_tap(place, "faulty", SERVICE.format(body=body))
    place.mktap("faulty")
    with Debugged(place, "-f", "faulty.tap") as debugged:
        debugged.wait_for("twistd: debugger: RuntimeError: no luck")
        debugged.type("p precious")
        debugged.wait_for("42")
        debugged.type("q")
        assert debugged.process.wait(PATIENCE) == 1
    assert "twistd: a service did not start: RuntimeError: no luck" in place.log("foreground.log")
    assert "twistd.pid" not in place.file_names()


@pytest.mark.slow
def test_the_debugger_on_a_hook_that_raises(place: Place) -> None:
    """What a protocol's hook raises is looked at where it was raised; the daemon goes on."""
    add_tap(place, "raising", RAISING)
    place.mktap("raising")
    with Debugged(place, "-f", "raising.tap") as debugged:
        port = place.port("foreground.log")
        debugged.wait_for("raising runs on asyncio")
        client = subprocess.Popen(
            ["python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"],
            env={"PATH": os.environ["PATH"], "TAPKIT_TEST_MARK": place.mark},
        )
        debugged.wait_for("twistd: debugger: RuntimeError: no luck")
        debugged.type("p precious")
        debugged.wait_for("42")
        debugged.type("q")
        debugged.process.terminate()
        assert debugged.process.wait(PATIENCE) == 0
        assert client.wait(PATIENCE) == 0
    assert "raising-shutdown.tap" in place.file_names()
