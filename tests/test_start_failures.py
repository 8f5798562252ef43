"""Every way a start fails, as a table, with real processes: status, one line, nothing left."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.place import PATIENCE, Place, wait_for
from tests.test_twistd import add_tap

# Besides the service that fails, one that has bound a port by then. It must be free afterwards.
FAULTY = """
import asyncio, os, signal, time
from tapkit import internet, protocol, service, usage

class Options(usage.Options):
    optParameters = [["port", "p", 0, "The port.", int]]

class Faulty(service.Service):
    pass
    {body}

def makeService(config):
    both = service.MultiService()
    port, factory = config["port"], protocol.ServerFactory()
    internet.TCPServer(port, factory, interface="127.0.0.1").setServiceParent(both)
    Faulty().setServiceParent(both)
    return both
"""
RAISE = "raise RuntimeError('no luck')"
LONG = 200_000  # more than any pipe's buffer holds


class Start(NamedTuple):
    """A place prepared to fail, and how the start is called there."""

    place: Place
    port: int

    def make(self, body: str = "") -> None:
        """An image `faulty.tap`, whose service does what `body` says."""
        add_tap(self.place, "faulty", FAULTY.format(body=body))
        assert self.place.mktap("faulty", "--port", str(self.port)).returncode == 0

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.place.twistd(*arguments, "-f", "faulty.tap")


@pytest.fixture
def start(place: Place) -> Start:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return Start(place, probe.getsockname()[1])


def free_port_below_1024() -> int:
    for port in range(600, 1024):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all ports below 1024 are taken")


def hook(definition: str) -> Callable[[Start], subprocess.CompletedProcess[str]]:
    """A failure inside one of the hooks."""

    def fail(start: Start) -> subprocess.CompletedProcess[str]:
        start.make(definition)
        return start.run("--start-timeout", "1" if "hang" in definition else "60")

    return fail


def without(start: Start, capabilities: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start it without some of root's rights, even where the tests are run by root."""
    command = start.place.command("twistd", *arguments, "-f", "faulty.tap")
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("run by root, and setpriv is not here to take rights from root")
        command = ["setpriv", "--bounding-set", capabilities, *command]
    return subprocess.run(
        command,
        cwd=start.place.path,
        env=start.place.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def busy_port(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    with socket.create_server(("127.0.0.1", start.port)):
        return start.run()


def forbidden_port(start: Start) -> subprocess.CompletedProcess[str]:
    reserved = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not reserved.exists() or int(reserved.read_text()) < 1024:
        pytest.skip("here everybody may bind every port")
    start.make()
    return without(start, "-net_bind_service", "--set", f"{PORT}={free_port_below_1024()}")


PORT = "services[0].services[0].port"


def unwritable_rundir(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    (start.place.path / "run").mkdir(mode=0o500)
    return start.place.run_bound_by_modes("twistd", "-d", "run", "-f", "faulty.tap")


def unwritable_pidfile(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    (start.place.path / "run").mkdir(mode=0o500)
    return start.place.run_bound_by_modes("twistd", "--pidfile", "run/x.pid", "-f", "faulty.tap")


def unwritable_log(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    (start.place.path / "run").mkdir(mode=0o500)
    return start.place.run_bound_by_modes("twistd", "-l", "run/x.log", "-f", "faulty.tap")


def symlinked_pidfile(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    (start.place.path / "run").symlink_to("elsewhere")
    return start.run("--pidfile", "run")


def unknown_user(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    return start.run("-u", "nobdy")


def forbidden_user(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    return without(start, "-setuid,-setgid", "-u", "12345")


def broken_image(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    path = start.place.path / "faulty.tap"
    path.write_bytes(path.read_bytes()[:-40])
    return start.run()


def full_disk(start: Start) -> subprocess.CompletedProcess[str]:
    """A directory on a file system with no room for a pidfile's one block."""
    start.make()
    run = start.place.path / "run"
    run.mkdir()
    with full_file_system(run):
        done = start.run("-d", "run")
        assert set(os.listdir(run)) <= {"ballast", "twistd.log"}
    return done


@contextlib.contextmanager
def full_file_system(folder: Path) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with open(folder / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def full_log(start: Start) -> subprocess.CompletedProcess[str]:
    start.make(f"def startService(self): {RAISE}")
    return start.run("-l", "/dev/full")


def no_chroot(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    return start.run("--chroot", "nowhere")


def mistyped_setting(start: Start) -> subprocess.CompletedProcess[str]:
    start.make()
    return start.run("--set", "services[0].services[0].prot=1")


FAILURES = [
    (busy_port, 1, "Address already in use", "choose another port"),
    (forbidden_port, 1, "Permission denied", "a port below 1024 needs root"),
    (unwritable_rundir, 1, "can't write the pidfile (Permission denied)", "--rundir"),
    (unwritable_pidfile, 1, "can't write the pidfile (Permission denied)", "--pidfile"),
    (unwritable_log, 1, "can't open the log (Permission denied)", "--logfile"),
    (symlinked_pidfile, 1, "can't write the pidfile", "name the real file"),
    (unknown_user, 2, "no such user: nobdy", "did you mean nobody?"),
    (forbidden_user, 1, "can't become uid 12345", "gid"),
    (broken_image, 1, "faulty.tap", ""),
    (full_disk, 1, "can't write the pidfile (No space left on device)", "free some space"),
    (full_log, 1, "RuntimeError: no luck", "application.services[0]"),
    (no_chroot, 1, "no directory to chroot to", "make it"),
    (mistyped_setting, 2, "has no attribute 'prot'", "did you mean port?"),
    (hook(f"def privilegedStartService(self): {RAISE}"), 1, "no luck", "services[1]"),
    (hook(f"def startService(self): {RAISE}"), 1, "no luck", "services[1]"),
    (hook(f"async def startService(self): {RAISE}"), 1, "no luck", "services[1]"),
    (
        hook(f"async def startService(self): await asyncio.sleep(0); {RAISE}"),
        1,
        "no luck",
        "services[1]",
    ),
    (
        hook(f"def startService(self): raise RuntimeError('x' * {LONG})"),
        1,
        "x" * LONG,
        "services[1]",
    ),
    (hook("def startService(self): os._exit(3)"), 1, "exit status 3", "see its log"),
    (hook("def startService(self): raise SystemExit('no luck')"), 1, "no luck", ""),
    (
        hook("async def startService(self): await asyncio.Event().wait()  # hangs"),
        1,
        "not ready after 1 seconds",
        "see its log",
    ),
]
IDS = [
    *("busy port", "forbidden port", "rundir", "pidfile", "log", "symlink", "unknown user"),
    *("forbidden user", "broken image", "full disk", "full log", "no chroot", "mistyped --set"),
    *("privileged hook", "plain hook", "coroutine", "later", "long message", "dies", "exits"),
    "hangs",
]


# The others are slow only together.
QUICK = {"busy port", "full disk", "privileged hook"}
CASES = [
    pytest.param(*row, id=name, marks=[] if name in QUICK else [pytest.mark.slow])
    for row, name in zip(FAILURES, IDS, strict=True)
]


@pytest.mark.parametrize(("failure", "status", "said", "remedy"), CASES)
def test_a_start_that_fails(
    start: Start,
    failure: Callable[[Start], subprocess.CompletedProcess[str]],
    status: int,
    said: str,
    remedy: str,
) -> None:
    """The status, one line with cause and remedy; no pidfile, no process, no port."""
    done = failure(start)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr[-2000:]
    assert done.stderr.startswith("twistd: ")
    assert done.stderr.count("\n") == 1, done.stderr[-2000:]
    assert said in done.stderr
    assert remedy in done.stderr
    left = set(start.place.file_names()) - {"lib", "faulty.tap", "twistd.log", "run"}
    assert left == set()
    assert start.place.processes() == []
    with socket.create_server(("127.0.0.1", start.port)):
        pass  # nobody holds it, not even half


@pytest.mark.slow
def test_a_start_that_hangs_deaf(start: Start) -> None:
    """A hook that never gives control back is killed: TERM first, then KILL."""
    start.make("def startService(self): time.sleep(1e6)")
    done = start.run("--start-timeout", "1")
    assert done.returncode == 1
    assert "not ready after 1 seconds, so it was stopped" in done.stderr
    assert "twistd.pid" not in start.place.file_names()
    assert start.place.processes() == []


def test_a_start_in_the_foreground_that_fails(start: Start) -> None:
    """The same without a daemon: status, line, no pidfile."""
    start.make(f"async def startService(self): {RAISE}")
    done = start.run("-n")
    assert done.returncode == 1
    assert done.stderr.startswith("twistd: a service did not start: RuntimeError: no luck: ")
    assert start.place.file_names() == ["faulty.tap", "lib"]


@pytest.mark.slow
def test_a_start_in_the_foreground_that_hangs(start: Start) -> None:
    """--start-timeout holds there too."""
    start.make("async def startService(self): await asyncio.Event().wait()")
    done = start.run("-n", "--start-timeout", "1")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "stopped by --start-timeout (1 seconds) before it was ready" in done.stderr
    assert start.place.file_names() == ["faulty.tap", "lib"]


@pytest.mark.slow
def test_an_interrupted_start_leaves_nothing(start: Start) -> None:
    """Ctrl-C while the command waits stops the daemon; the shell's status for it is told."""
    start.make("async def startService(self): open('here', 'w'); await asyncio.Event().wait()")
    with subprocess.Popen(
        start.place.command("twistd", "-f", "faulty.tap"),
        cwd=start.place.path,
        env=start.place.env,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        wait_for("the hook to hang", (start.place.path / "here").exists)
        command.send_signal(2)
        _, said = command.communicate(timeout=PATIENCE)
    assert (command.returncode, said) == (130, "twistd: interrupted\n")
    assert "twistd.pid" not in start.place.file_names()
    assert start.place.processes() == []
