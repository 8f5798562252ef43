"""twistd and everything that can be broken around it: one line, the remedy, nothing left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.place import PATIENCE, Place, ask
from tests.test_twistd import QUOTE, add_tap, started

SERVICE = """
import asyncio
from tapkit import service, usage
class Options(usage.Options): pass
class Faulty(service.Service):
    {body}
def makeService(config): return Faulty()
"""


# Of pidfiles: a process that is gone, nothing, and what kill takes for everybody.
SELDOM = [pytest.param(content, marks=pytest.mark.slow) for content in ("999999", "", "-1")]


def fails(place: Place, *arguments: str | Path, status: int = 1, left: list[str]) -> str:
    """Start twistd, which fails in one line; the line. `left` is all that lies there after."""
    done = place.twistd(*arguments)
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith("twistd: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stdout == ""
    assert [name for name in place.file_names() if name != "lib"] == left
    assert place.processes() == []
    return done.stderr


def test_a_busy_port(place: Place) -> None:
    """The address and what to do; the pidfile is gone and nothing runs."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        place.mktap("qotd", "--port", f"tcp:{port}:interface=127.0.0.1")
        said = fails(place, "-f", "qotd.tap", left=["qotd.tap", "twistd.log"])
    assert f"127.0.0.1:{port}" in said
    assert "in use" in said


def test_a_busy_port_leaves_the_winner_alone(place: Place) -> None:
    """A second daemon with a pidfile of its own fails; the first keeps file and port."""
    place.make("qotd", "--port", "0")
    port = started(place, "-f", "qotd.tap")
    place.mktap("-n", "second", "qotd", "--port", f"{port}")
    done = place.twistd("--pidfile", "second.pid", "-l", "second.log", "-f", "second.tap")
    assert done.returncode == 1
    assert not (place.path / "second.pid").exists()
    assert ask(port) == QUOTE
    place.kill()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"garbage" * 100, "not"),
        (b"\x1f\x8b\x08" + bytes(50), "gzip"),
        (b"\x80\x04K\x01.", "pickle"),
    ],
    ids=["empty", "garbage", "gzip", "pickle"],
)
def test_what_is_no_image(place: Place, content: bytes, said: str) -> None:
    """Named for what it is; not even a log is made."""
    (place.path / "bad.tap").write_bytes(content)
    (place.path / "bad.tap").chmod(0o600)
    line = fails(place, "-f", "bad.tap", left=["bad.tap"])
    assert "bad.tap" in line
    assert said in line


def test_a_truncated_image(place: Place) -> None:
    """Cut anywhere, it is refused with the place."""
    place.make("qotd", "--port", "0")
    whole = (place.path / "qotd.tap").read_bytes()
    for cut in (1, 8, 20, len(whole) // 2, len(whole) - 1):
        (place.path / "qotd.tap").write_bytes(whole[:cut])
        line = fails(place, "-f", "qotd.tap", left=["qotd.tap"])
        assert "qotd.tap" in line


def test_a_missing_image(place: Place) -> None:
    """With a suggestion where a name is near."""
    place.make("qotd")
    line = fails(place, "-f", "qodt.tap", left=["qotd.tap"])
    assert "qodt.tap" in line
    assert "qotd.tap" in line


def test_an_image_whose_module_is_gone(place: Place) -> None:
    """The module is named before anything starts."""
    add_tap(place, "gone", SERVICE.format(body="pass"))
    place.mktap("gone")
    for path in sorted((place.path / "lib").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    line = fails(place, "-f", "gone.tap", left=["gone.tap"])
    assert "gone_drop" in line


def test_an_image_of_something_else(place: Place) -> None:
    """A whole image that holds no Application is refused by the name of what it holds."""
    subprocess.run(
        [sys.executable, "-c", "from tapkit import image; image.save([1], 'list.tap')"],
        cwd=place.path,
        env=place.env,
        check=True,
        timeout=PATIENCE,
    )
    assert "not an Application" in fails(place, "-f", "list.tap", left=["list.tap"])


@pytest.mark.parametrize(
    "body",
    [
        "def startService(self): raise RuntimeError('no luck')",
        "async def startService(self): raise RuntimeError('no luck')",
        "async def startService(self): await asyncio.sleep(0); raise RuntimeError('no luck')",
        "def privilegedStartService(self): raise RuntimeError('no luck')",
    ],
    ids=["plain", "coroutine", "later", "privileged"],
)
def test_a_service_that_does_not_start(place: Place, body: str) -> None:
    """Its path and its error reach stderr and the exit status, however it fails."""
    add_tap(place, "faulty", SERVICE.format(body=body))
    place.mktap("faulty")
    line = fails(place, "-f", "faulty.tap", left=["faulty.tap", "twistd.log"])
    assert "RuntimeError: no luck: application.services[0]" in line


def test_a_daemon_that_dies_while_starting(place: Place) -> None:
    """However it dies, the command returns, says how, and cleans up."""
    body = "def startService(self):\n        import os\n        os.kill(os.getpid(), 9)"
    add_tap(place, "faulty", SERVICE.format(body=body))
    place.mktap("faulty")
    line = fails(place, "-f", "faulty.tap", left=["faulty.tap", "twistd.log"])
    assert "died before it was ready (killed by SIGKILL)" in line


def test_a_start_that_hangs(place: Place) -> None:
    """--start-timeout ends it."""
    body = "async def startService(self): await asyncio.Event().wait()"
    add_tap(place, "faulty", SERVICE.format(body=body))
    place.mktap("faulty")
    line = fails(
        place, "--start-timeout", "1", "-f", "faulty.tap", left=["faulty.tap", "twistd.log"]
    )
    assert "not ready after 1 seconds" in line


def test_state_that_could_not_be_saved(place: Place) -> None:
    """Found at the start, before there is state to lose: path and remedy."""
    add_tap(place, "faulty", SERVICE.format(body="def startService(self): self.f = open(__file__)"))
    place.mktap("faulty")
    line = fails(place, "-f", "faulty.tap", left=["faulty.tap", "twistd.log"])
    assert "application.services[0].f" in line
    assert "open file" in line


def test_a_service_that_does_not_stop_cleanly(place: Place) -> None:
    """The failure is in the log; the state is saved and the pidfile removed all the same."""
    body = "def stopService(self): raise RuntimeError('stuck')"
    add_tap(place, "faulty", SERVICE.format(body=body))
    place.mktap("faulty")
    assert place.twistd("-f", "faulty.tap").returncode == 0
    place.kill()
    assert "faulty-shutdown.tap" in place.file_names()
    assert "twistd.pid" not in place.file_names()
    assert "RuntimeError: stuck" in place.log()


def test_an_unwritable_directory(place: Place) -> None:
    """The pidfile's path and what to do."""
    place.make("qotd", "--port", "0")
    line = fails(place, "-d", "/proc", "-f", "qotd.tap", left=["qotd.tap"])
    assert "twistd.pid" in line
    line = fails(place, "-d", "nowhere", "-f", "qotd.tap", left=["qotd.tap"])
    assert "nowhere" in line
    line = fails(place, "-l", "no/such.log", "-f", "qotd.tap", left=["qotd.tap"])
    assert "can't open the log" in line


@pytest.mark.parametrize("content", ["1", "garbage", *SELDOM])
def test_a_stale_pidfile(place: Place, content: str) -> None:
    """Of a process that is gone, of another living program, or garbage: one warning, it starts."""
    place.make("qotd", "--port", "0")
    (place.path / "twistd.pid").write_text(content)
    done = place.twistd("-f", "qotd.tap")
    assert done.returncode == 0
    if content:
        assert done.stderr == (
            f"twistd: warning: replaced a stale pidfile: twistd.pid: it said {content!r}, "
            "nobody held it\n"
        )
    assert ask(place.port()) == QUOTE
    place.kill()
    assert "twistd.pid" not in place.file_names()


def test_the_pidfile_of_a_living_daemon(place: Place) -> None:
    """Refused with its number and the remedy; the daemon goes on."""
    place.make("qotd", "--port", "0")
    port = started(place, "-f", "qotd.tap")
    pid = place.pid()
    done = place.twistd("-f", "qotd.tap")
    assert done.returncode == 1
    assert f"another twistd is running, PID {pid}" in done.stderr
    assert f"kill {pid}" in done.stderr
    assert (place.pid(), ask(port)) == (pid, QUOTE)
    place.kill()


def test_what_cannot_be_a_pidfile(place: Place) -> None:
    """A directory, or a file too large to be one, is left alone."""
    place.make("qotd", "--port", "0")
    (place.path / "folder").mkdir()
    line = fails(place, "--pidfile", "folder", "-f", "qotd.tap", left=["folder", "qotd.tap"])
    assert "it is a directory" in line
    line = fails(place, "--pidfile", "qotd.tap", "-f", "qotd.tap", left=["folder", "qotd.tap"])
    assert "not a pidfile" in line


def test_an_unreadable_pidfile(place: Place) -> None:
    """Said with what to check, and left alone."""
    place.make("qotd", "--port", "0")
    (place.path / "twistd.pid").touch(mode=0)
    done = place.run_bound_by_modes("twistd", "qotd.tap")
    assert (done.returncode, done.stderr) == (
        1,
        "twistd: can't write the pidfile (Permission denied): twistd.pid: check who may write ., "
        "or name another with --pidfile or --rundir\n",
    )
    assert place.file_names() == ["qotd.tap", "twistd.pid"]


def test_a_directory_that_may_not_be_written(place: Place) -> None:
    """Refused at the start, by mode; nothing is left."""
    place.make("qotd", "--port", "0")
    (place.path / "run").mkdir(mode=0o500)
    for more in ([], ["--pidfile", "../twistd.pid", "-l", "../twistd.log"]):
        done = place.run_bound_by_modes("twistd", "-d", "run", *more, "-f", "qotd.tap")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert ("can't write the pidfile" if not more else "not writable") in done.stderr
    assert os.listdir(place.path / "run") == []
    assert "twistd.pid" not in place.file_names()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nodeamon"], "unknown option --nodeamon; did you mean --nodaemon?"),
        (["-f"], "--file needs a value"),
        (["-f", "a.tap", "-y", "b.tac"], "one thing to run"),
        (["a.tap", "b.tap"], "unexpected argument 'b.tap'"),
        (["-r", "uvlop", "a.tap"], "no such reactor: uvlop; did you mean uvloop?"),
        (["-l", "-", "a.tap"], "add --nodaemon"),
        (["--syslog", "-l", "x", "a.tap"], "contradict each other"),
        (["--start-timeout", "soon", "a.tap"], "'soon' is not a number of seconds"),
        (["qotd", "--prot", "1"], "unknown option --prot; did you mean --port?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistyped(place: Place, arguments: list[str], said: str) -> None:
    """One line, exit status 2, nothing touched."""
    assert said in fails(place, *arguments, status=2, left=[])


def test_an_unknown_command(place: Place) -> None:
    """Neither an image by its looks nor a TAP builder: did you mean."""
    assert "no such tap type: qodt; did you mean qotd?" in fails(place, "qodt", status=2, left=[])
