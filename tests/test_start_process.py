"""What a started process is to the others: its name, its files, its pidfile, one of its kind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tapkit.run.process import titles
from tapkit.run.process.privileges import Identity
from tapkit.scripts.running import daemons_of
from tests.place import PATIENCE, Place, ask, has_ended, wait_for
from tests.test_twistd import COUNTER, QUOTE, add_tap, started

# Its start asks a child process about the environment that it has inherited.
ENVIRONMENT = """
import json, os, subprocess, sys
from tapkit import service, usage
class Options(usage.Options): pass
ASK = "import json, os, sys; print(json.dumps([sys.prefix, dict(os.environ)]))"
class Asking(service.Service):
    def startService(self):
        child = subprocess.run([sys.executable, "-c", ASK], stdout=subprocess.PIPE, check=True)
        with open("told.json", "wb") as file:
            file.write(child.stdout)
        return super().startService()
def makeService(config): return Asking()
"""


def test_the_name_is_the_applications(place: Place) -> None:
    """To ps -e and pgrep `qotd`; to ps -f also the command, by which tapctl finds it."""
    pytest.importorskip("setproctitle")
    place.mktap("-n", "quotes", "qotd", "--port", "0")
    started(place, "-f", "quotes.tap")
    process = psutil.Process(place.pid())
    assert Path(f"/proc/{process.pid}/comm").read_text() == "quotes\n"
    assert process.cmdline()[0] == "quotes: twistd -f quotes.tap"
    assert process.environ()["TAPKIT_TEST_MARK"] == place.mark
    assert "SPT_NOENV" not in process.environ()
    assert daemons_of(str(place.path / "quotes.tap")) == [process.pid]
    place.kill()


@pytest.mark.slow
def test_originalname(place: Place) -> None:
    """--originalname leaves it."""
    place.make("qotd", "--port", "0")
    started(place, "--originalname", "-f", "qotd.tap")
    assert psutil.Process(place.pid()).cmdline()[-3:] == ["--originalname", "-f", "qotd.tap"]
    place.kill()


def test_a_name_keeps_the_virtual_environment(place: Place) -> None:
    """Named or not, children are of the same environment: nothing is executed anew or lost."""
    add_tap(place, "asking", ENVIRONMENT)
    place.mktap("asking")
    place.env["LONG"] = "x" * 5000
    done = place.twistd("-f", "asking.tap")
    assert (done.returncode, done.stderr) == (0, "")
    prefix, environment = json.loads((place.path / "told.json").read_text())
    assert prefix == sys.prefix
    assert "SPT_NOENV" not in environment
    assert {name: environment[name] for name in place.env} == place.env
    place.kill()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["qotd: twistd -f qotd.tap", "", ""], ["twistd", "-f", "qotd.tap"]),
        (["qotd: twistd -f 'my qotd.tap'"], ["twistd", "-f", "my qotd.tap"]),
        (["qotd: twistd -f 'my qo"], ["twistd", "-f", "'my", "qo"]),  # cut by its memory's size
        (["python3", "bin/twistd", "a: b"], ["python3", "bin/twistd", "a: b"]),
        (["-bash"], ["-bash"]),
        ([], []),
    ],
)
def test_the_command_in_a_name(words: list[str], meant: list[str]) -> None:
    """What tapctl finds a daemon by is in its name, whole as far as it goes."""
    assert titles.command_line(words) == meant


@pytest.mark.parametrize(
    ("given", "image", "becomes"),
    [
        (Identity(), (1, 2), (1, 2)),
        (Identity(uid=5), (1, 2), (5, None)),  # not the group of another user
        (Identity(gid=6), (1, 2), (1, 6)),
        (Identity(5, 6), (1, 2), (5, 6)),
        (Identity(), (None, None), (None, None)),
    ],
)
def test_what_is_given_goes_before_the_images(
    given: Identity, image: tuple[int, int], becomes: tuple[int, int]
) -> None:
    """-u and -g override the image; without a group it is the user's own, found out later."""
    found = given.over(*image)
    assert (found.uid, found.gid) == becomes


def test_the_callers_descriptors_are_let_go(place: Place) -> None:
    """`x=$(twistd ...)` returns, whichever descriptors the caller has open."""
    place.make("qotd", "--port", "0")
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            place.command("twistd", "-f", "qotd.tap"),
            cwd=place.path,
            env=place.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writer,),
            timeout=PATIENCE,
        )
        os.close(writer)
        assert (done.returncode, done.stdout) == (0, b"")
        os.set_blocking(reader, False)
        assert os.read(reader, 1) == b""  # the end: nobody can write any more
    finally:
        os.close(reader)
    place.kill()


def test_descriptors_that_are_announced_are_kept(place: Place) -> None:
    """Socket activation's are ours: from 3 on, as many as LISTEN_FDS says, if LISTEN_PID is us."""
    code = (
        "import os; from tapkit.run.process import descriptors\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2')\n"
        "for fd in (3, 4, 5): os.dup2(0, fd, inheritable=True)\n"
        "os.dup2(0, 6, inheritable=False)\n"
        "descriptors.close(keep=descriptors.announced())\n"
        "alive = []\n"
        "for fd in range(3, 7):\n"
        "    try: os.fstat(fd); alive.append(fd)\n"
        "    except OSError: pass\n"
        "os.environ['LISTEN_PID'] = '1'\n"
        "print(alive, list(descriptors.announced()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=place.env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[3, 4, 6] []\n"


@pytest.mark.parametrize(
    ("option", "umask", "mode"),
    [
        ([], "0077", 0o600),
        pytest.param(["--umask", "027"], "0027", 0o640, marks=pytest.mark.slow),
    ],
)
def test_the_umask_holds_from_the_first_file_on(
    place: Place, option: list[str], umask: str, mode: int
) -> None:
    """Log and pidfile are made under it; without the option it is 077."""
    place.make("qotd", "--port", "0")
    started(place, *option, "-f", "qotd.tap")
    assert (place.path / "twistd.log").stat().st_mode & 0o777 == mode
    assert (place.path / "twistd.pid").stat().st_mode & 0o777 == mode
    assert f"Umask:\t{umask}\n" in Path(f"/proc/{place.pid()}/status").read_text()
    place.kill()


def test_one_pidfile_one_daemon(place: Place) -> None:
    """Another port, the same pidfile: refused; the file still names the one that runs."""
    place.make("qotd", "--port", "0")
    port = started(place, "-f", "qotd.tap")
    pid = place.pid()
    place.mktap("-n", "second", "qotd", "--port", "0")
    done = place.twistd("-f", "second.tap")
    assert done.returncode == 1
    assert f"another twistd is running, PID {pid} (-f qotd.tap)" in done.stderr
    assert (place.pid(), ask(port)) == (pid, QUOTE)
    place.kill()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"0\n", "'0'"), (b"9" * 60, "'99999"), (b"\xff\xfe\n", "it said"), (b"-1\n", "'-1'")],
)
@pytest.mark.slow
def test_a_number_that_is_none(place: Place, content: bytes, says: str) -> None:
    """One warning, and it starts."""
    place.make("qotd", "--port", "0")
    (place.path / "twistd.pid").write_bytes(content)
    done = place.twistd("-f", "qotd.tap")
    assert done.returncode == 0
    assert done.stderr.startswith("twistd: warning: replaced a stale pidfile: twistd.pid: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    place.kill()


@pytest.mark.slow
def test_the_number_of_another_program_or_of_a_zombie(place: Place) -> None:
    """A living program that is no daemon of ours, or a dead one: stale, and left in peace."""
    place.make("qotd", "--port", "0")
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            for state in ("alive", "zombie"):
                (place.path / "twistd.pid").write_text(f"{other.pid}\n")
                done = place.twistd("-f", "qotd.tap")
                assert done.returncode == 0
                assert f"it said '{other.pid}', nobody held it" in done.stderr
                assert place.pid() != other.pid
                place.kill()
                assert psutil.pid_exists(other.pid)
                assert has_ended(psutil.Process(other.pid)) == (state == "zombie")
                os.kill(other.pid, signal.SIGKILL)
                wait_for("a zombie", lambda: has_ended(psutil.Process(other.pid)))
        finally:
            other.kill()


def test_a_pidfile_that_is_a_link_leads_nowhere(place: Place) -> None:
    """Refused; what it leads to is untouched."""
    place.make("qotd", "--port", "0")
    precious = place.path / "precious"
    precious.write_text("12")
    (place.path / "twistd.pid").symlink_to(precious)
    done = place.twistd("-f", "qotd.tap")
    assert done.returncode == 1
    assert "it is a symbolic link" in done.stderr
    assert precious.read_text() == "12"
    assert (place.path / "twistd.pid").is_symlink()


def begin(place: Place, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        place.command("twistd", *arguments),
        cwd=place.path,
        env=place.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_fifty_simultaneous_starts_have_one_winner(place: Place) -> None:
    """Exactly one runs, the pidfile names it, and 49 say in one line that another one does."""
    place.make("qotd", "--port", "0")
    starts = [begin(place, "-f", "qotd.tap") for _ in range(50)]
    said = [start.communicate(timeout=4 * PATIENCE)[1] for start in starts]
    assert sorted(start.returncode for start in starts) == [0] + [1] * 49
    losers = [line for line in said if line]
    assert len(losers) == 49
    assert all(line.startswith("twistd: another twistd is ") for line in losers)
    assert all(line.count("\n") == 1 for line in losers)
    (running,) = place.processes()
    assert running.pid == place.pid()
    assert ask(place.port()) == QUOTE
    place.kill()
    assert "twistd.pid" not in place.file_names()


@pytest.mark.slow
def test_a_kill_right_after_the_start_never_loses_the_state(place: Place) -> None:
    """`twistd ...; kill $(cat twistd.pid)`, twenty times in a row: the state is always there."""
    add_tap(place, "counter", COUNTER)
    place.mktap("counter")
    line = f"{' '.join(place.command('twistd', '-f', 'counter.tap'))} && kill $(cat twistd.pid)"
    for _ in range(20):
        subprocess.run(
            ["sh", "-c", line], cwd=place.path, env=place.env, check=True, timeout=4 * PATIENCE
        )
        wait_for("the daemon to end", lambda: not place.processes())
        (place.path / "counter-shutdown.tap").unlink()
        assert "twistd.pid" not in place.file_names()


@pytest.mark.slow
def test_an_error_longer_than_a_pipes_buffer(place: Place) -> None:
    """Standard error, a pipe that nobody empties for a while, gets all of it."""
    text = (
        "from tapkit import service, usage\n"
        "class Options(usage.Options): pass\n"
        "class Faulty(service.Service):\n"
        "    def startService(self): raise RuntimeError('x' * 1_000_000)\n"
        "def makeService(config): return Faulty()\n"
    )
    add_tap(place, "faulty", text)
    place.mktap("faulty")
    start = begin(place, "-f", "faulty.tap")
    wait_for("the pidfile to go", lambda: "twistd.log" in place.file_names())
    _, said = start.communicate(timeout=PATIENCE)
    assert start.returncode == 1
    assert "x" * 1_000_000 in said
    assert said.endswith("application.services[0]\n")
