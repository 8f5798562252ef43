"""Giving up root, and the root directory, in real daemons; what is written afterwards is said."""

from __future__ import annotations

import ast
import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tapkit import application
from tests.place import ROOT, Place, ask
from tests.test_twistd import COUNTER, QUOTE, add_tap, started

NOBODY = 65534
NOT_IN_A_DAEMON = {"docopt"}


def slow(*values: str) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.slow)


pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root")


@pytest.fixture
def place(open_place: Place) -> Place:
    """Where whoever root becomes can work."""
    return open_place


def free_port_below_1024() -> int:
    for port in range(700, 1024):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all ports below 1024 are taken")


def opened(place: Place) -> Place:
    """The way to the place, for any user: pytest keeps it to itself."""
    for folder in (place.path, *place.path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    return place


def status_of(pid: int) -> dict[str, list[str]]:
    """What the kernel says of a process: /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}


def own(place: Place, *names: str) -> None:
    for name in names:
        os.chown(place.path / name, NOBODY, NOBODY)


def test_a_port_of_root_and_then_nobody(place: Place) -> None:
    """Bound below 1024, then all uids and gids are nobody's, and no group of root's is left."""
    port = free_port_below_1024()
    opened(place).mktap("-u", "daemon", "-g", "daemon", "qotd", "--port", f"{port}")
    (place.path / "run").mkdir()
    own(place, "run")
    done = place.twistd("-u", "nobody", "-d", "run", "--pidfile", "../twistd.pid", "qotd.tap")
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(port) == QUOTE
    status = status_of(place.pid())
    assert status["Uid"] == [str(NOBODY)] * 4
    assert status["Gid"] == [str(NOBODY)] * 4
    assert status["Groups"] == [str(NOBODY)]
    assert {int(status[name][0], 16) for name in ("CapEff", "CapPrm", "CapInh")} == {0}
    place.kill()
    state = place.path / "run" / "qotd-shutdown.tap"
    os.chown(state, 0, 0)  # root loads only what is root's
    assert application.load(str(state)).uid == 1  # the image's own: -u is for this run


@pytest.mark.slow
def test_the_log_is_the_users(place: Place) -> None:
    """A new log belongs to whom the process becomes: it can be opened anew after rotation."""
    opened(place).mktap("qotd", "--port", "0")
    own(place, ".")
    started(place, "-u", "nobody", "-g", "daemon", "-f", "qotd.tap")
    log = (place.path / "twistd.log").stat()
    assert (log.st_uid, log.st_gid, log.st_mode & 0o777) == (NOBODY, 1, 0o600)
    assert status_of(place.pid())["Gid"] == ["1"] * 4
    place.kill()


@pytest.mark.parametrize("kind", ["symlink", "hard link", "not new"])
@pytest.mark.slow
def test_a_log_that_may_be_a_trap_is_not_given_away(place: Place, kind: str) -> None:
    """A link laid for root, or a file with content, keeps its owner."""
    opened(place).mktap("qotd", "--port", "0")
    own(place, ".")
    precious = place.path / "precious"
    precious.write_text("" if kind != "not new" else "x")
    log = place.path / "twistd.log"
    if kind == "symlink":
        log.symlink_to(precious)
    elif kind == "hard link":
        log.hardlink_to(precious)
    else:
        precious.rename(log)
        precious = log
    started(place, "-u", "nobody", "-f", "qotd.tap")
    assert precious.stat().st_uid == 0
    place.kill()


def test_a_state_that_could_not_be_saved_is_told_at_the_start(place: Place) -> None:
    """In a directory of root's: refused, with the user and what to do; nothing is left."""
    opened(place).mktap("qotd", "--port", "0")
    done = place.twistd("-u", "nobody", "-f", "qotd.tap")
    assert done.returncode == 1
    assert done.stderr == (
        "twistd: the state could not be saved at stop: the directory is not writable for uid "
        f"{NOBODY}: {place.path}: chown {NOBODY} it, choose another with --rundir, or do not "
        "save with --no_save\n"
    )
    assert place.file_names() == ["qotd.tap", "twistd.log"]
    checked = place.twistd("--check", "-u", "nobody", "-f", "qotd.tap")
    assert (checked.returncode, checked.stderr) == (1, done.stderr)
    own(place, ".")
    checked = place.twistd("--check", "-u", "nobody", "-f", "qotd.tap")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_pidfile_that_cannot_be_removed_is_emptied(place: Place) -> None:
    """In a directory of root's: the log says so, and the next start has nothing to warn of."""
    opened(place).mktap("qotd", "--port", "0")
    for _ in range(2):
        started(place, "-o", "-u", "nobody", "-f", "qotd.tap")
        place.kill()
        assert (place.path / "twistd.pid").read_text() == ""
    assert "the pidfile could not be removed, so it was emptied: twistd.pid" in place.log()


def test_effective_only(place: Place) -> None:
    """--euid: the effective ids are nobody's, the real ones stay root's, groups go."""
    opened(place).mktap("qotd", "--port", "0")
    own(place, ".")
    started(place, "--euid", "-u", "nobody", "-f", "qotd.tap")
    status = status_of(place.pid())
    assert status["Uid"][:2] == ["0", str(NOBODY)]
    assert status["Gid"][:2] == ["0", str(NOBODY)]
    assert status["Groups"] == [str(NOBODY)]
    place.kill()
    assert (place.path / "qotd-shutdown.tap").stat().st_uid == NOBODY


@pytest.mark.slow
def test_effective_only_looks_at_the_effective_rights(place: Place) -> None:
    """--euid in a directory of root's: what could not be saved is told at the start as well."""
    opened(place).mktap("qotd", "--port", "0")
    done = place.twistd("--euid", "-u", "nobody", "-f", "qotd.tap")
    assert done.returncode == 1
    assert f"not writable for uid {NOBODY}" in done.stderr


# Its hooks and its protocol import what nothing has imported yet.
LATE = """
from tapkit import internet, protocol, service, usage

class Options(usage.Options):
    pass

class Late(protocol.Protocol):
    def connectionMade(self):
        try:
            import tabnanny
        except ImportError as error:
            self.transport.write(str(error).encode())
        import asyncio, os
        asyncio.ensure_future(self.resolve())

    async def resolve(self):
        import asyncio, os
        await asyncio.get_running_loop().run_in_executor(None, sum, [1, 2])
        "faß.de".encode("idna")
        self.factory.seen = os.listdir("/")
        self.transport.write(repr((os.getcwd(), sorted(os.listdir("/")))).encode())
        self.transport.loseConnection()

class Factory(protocol.ServerFactory):
    protocol = Late

def makeService(config):
    return internet.TCPServer(0, Factory(), interface="127.0.0.1")
"""


@pytest.mark.parametrize(
    ("form", "reactor"),
    [("pickle", "uvloop"), *(slow(form, "asyncio") for form in ("pickle", "xml", "source"))],
)
def test_an_empty_chroot(place: Place, form: str, reactor: str) -> None:
    """It serves, stops and saves in an empty directory; a late import is told why it failed."""
    if reactor == "uvloop":
        pytest.importorskip("uvloop")
    add_tap(opened(place), "late", LATE)
    place.mktap("-t", form, "late")
    (image,) = place.path.glob("late.t*")
    jail = place.path / "jail"
    jail.mkdir()
    own(place, "jail")
    port = started(place, "-r", reactor, "--chroot", "jail", "-u", "nobody", "-f", image)
    assert os.readlink(f"/proc/{place.pid()}/root") == str(jail)
    answer = ask(port).decode()
    assert "'tabnanny' can be reached inside the chroot" in answer
    assert answer.endswith("('/', [])")
    place.kill()
    assert os.listdir(jail) == [f"late-shutdown{image.suffix}"]
    assert "late stopped" in place.log()
    assert "saved in" not in place.log() or str(jail) in place.log()
    assert (place.path / "twistd.pid").read_text() == ""


def test_a_chroot_around_the_run_directory(place: Place) -> None:
    """Inside names are renamed: the state is in --rundir, the pidfile is removed."""
    add_tap(opened(place), "counter", COUNTER)
    place.mktap("counter")
    run = place.path / "jail" / "var" / "run"
    run.mkdir(parents=True)
    done = place.twistd("--chroot", "jail", "-d", run, "counter.tap")
    assert (done.returncode, done.stderr) == (0, "")
    assert ask(place.port("jail/var/run/twistd.log")) == b"1"
    assert os.readlink(f"/proc/{place.pid('jail/var/run/twistd.pid')}/cwd") == str(run)
    place.kill("jail/var/run/twistd.pid")
    assert sorted(os.listdir(run)) == ["counter-shutdown.tap", "twistd.log"]


def late_imports() -> set[str]:
    """What tapkit's functions import when they run, but for the commands."""
    found = set()
    for path in (ROOT / "tapkit").rglob("*.py"):
        if "scripts" in path.parts:
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found.add(node.module)
    return found


@pytest.mark.slow
def test_what_may_be_needed_is_imported_before(place: Place) -> None:
    """Whatever tapkit's functions import is there before the root directory is not."""
    wanted = sorted(late_imports() - NOT_IN_A_DAEMON)
    assert {"tapkit.image.tax.merge", "pwd", "difflib", "cloudpickle"} <= set(wanted)
    code = (
        "import importlib.util, sys\n"
        "from tapkit.run.process import preload\n"
        "preload.all_that_may_be_needed()\n"
        f"absent = [name for name in {wanted} if name not in sys.modules]\n"
        "def installed(name): return importlib.util.find_spec(name.partition('.')[0])\n"
        "print([name for name in absent if installed(name)])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=place.env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_comments_survive_a_chroot(place: Place) -> None:
    """The text an image was loaded from is out of reach, and its comments are kept all the same."""
    opened(place).mktap("-t", "xml", "qotd", "--port", "0")
    image = place.path / "qotd.tax"
    image.write_text(image.read_text().replace("<services", "<!-- mine --><services", 1))
    (place.path / "jail").mkdir()
    started(place, "--chroot", "jail", "-f", "qotd.tax")
    place.kill()
    assert "<!-- mine -->" in (place.path / "jail" / "qotd-shutdown.tax").read_text()


@pytest.mark.slow
def test_nothing_outside_is_open_in_a_chroot(place: Place) -> None:
    """No directory outside is kept open: it would be a way out."""
    opened(place).mktap("qotd", "--port", "0")
    (place.path / "jail").mkdir()
    started(place, "--chroot", "jail", "-f", "qotd.tap")
    folder = f"/proc/{place.pid()}/fd"
    targets = [os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)]
    assert [target for target in targets if os.path.isdir(target)] == []
    assert os.readlink(f"/proc/{place.pid()}/cwd") == str(place.path / "jail")
    place.kill()
