"""A directory in which a test runs mktap and twistd as a user would, as real processes."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0  # seconds; a deadline for what takes milliseconds, so that nothing hangs

T = TypeVar("T")


def wait_for(what: str, fact: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Wait until `fact` returns something true, and return it; fail after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (value := fact()):
        assert time.monotonic() < deadline, f"waited {patience:g} s in vain for {what}"
        time.sleep(0.005)  # between two looks at a fact, not instead of one
    return value


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or only waits for its parent to notice."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Place:
    """Where commands are run; every process started here carries its mark, and is reaped."""

    def __init__(self, path: Path):
        path.mkdir()
        self.path = path
        self.mark = uuid.uuid4().hex
        self.env = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
        self.env |= {"TAPKIT_TEST_MARK": self.mark, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}

    def command(self, name: str, *arguments: str | Path) -> list[str]:
        """The command line of one of the scripts in bin/."""
        return [sys.executable, str(ROOT / "bin" / name), *map(str, arguments)]

    def run(self, name: str, *arguments: str | Path, **more: object) -> subprocess.CompletedProcess:
        """Run a script to its end."""
        options = {"cwd": self.path, "env": self.env, "stdin": subprocess.DEVNULL} | more
        return subprocess.run(
            self.command(name, *arguments), capture_output=True, text=True, timeout=60, **options
        )

    def run_bound_by_modes(
        self, name: str, *arguments: str | Path
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, bound by file modes even where the tests are run by root."""
        command = self.command(name, *arguments)
        if os.getuid() == 0:
            if shutil.which("setpriv") is None:
                pytest.skip("run by root, and setpriv is not here to bind root by file modes")
            command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
        return subprocess.run(
            command, cwd=self.path, env=self.env, capture_output=True, text=True, timeout=PATIENCE
        )

    def mktap(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        return self.run("mktap", *arguments)

    def make(self, *arguments: str) -> None:
        """The file that `mktap ARGUMENTS` makes, for tests of something else: mktap ran once.

        It ran without this place's modules and environment.
        """
        for name, data in _made(*arguments).items():
            self.put(name, data)

    def twistd(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        return self.run("twistd", *arguments)

    @contextlib.contextmanager
    def foreground(self, *arguments: str | Path) -> Iterator[subprocess.Popen]:
        """twistd in the foreground, its log going to `foreground.log`."""
        with open(self.path / "foreground.log", "w") as log:
            process = subprocess.Popen(
                self.command("twistd", *arguments),
                cwd=self.path,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def file_names(self) -> list[str]:
        return sorted(os.listdir(self.path))

    def add_module(self, name: str, text: str) -> None:
        """A module or package file that the commands can import."""
        path = self.path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.env["PYTHONPATH"] = os.pathsep.join([str(self.path / "lib"), str(ROOT)])

    def put(self, name: str, data: bytes) -> None:
        """A file as the commands save images: its owner's alone."""
        path = self.path / name
        path.write_bytes(data)
        path.chmod(0o600)

    def log(self, name: str = "twistd.log") -> str:
        path = self.path / name
        return path.read_text() if path.exists() else ""

    def port(self, log: str = "twistd.log", kind: str = "") -> int:
        """The port the log says a service listens on (the last one it says).

        `kind` is what the log puts before the address: nothing for TCP, `udp ` for UDP.
        """

        def said() -> str | None:
            ports = re.findall(rf"listening on {kind}\S+:(\d+)", self.log(log))
            return ports[-1] if ports else None

        return int(wait_for(f"a port in {log}", said))

    def pid(self, pidfile: str = "twistd.pid") -> int:
        return int((self.path / pidfile).read_text())

    def kill(self, pidfile: str = "twistd.pid", signal: int = 15) -> None:
        """Signal the daemon and wait until it is gone."""
        process = psutil.Process(self.pid(pidfile))
        process.send_signal(signal)
        wait_for("the daemon to end", lambda: has_ended(process))

    def processes(self) -> list[psutil.Process]:
        """What runs with this place's mark."""
        return marked(self.mark)

    def reap(self) -> None:
        reap(self.mark)


@functools.cache
def _made(*arguments: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        here = Place(Path(folder) / "place")
        made = here.mktap(*arguments)
        assert (made.returncode, made.stderr) == (0, "")
        return {name: (here.path / name).read_bytes() for name in here.file_names()}


def marked(mark: str) -> list[psutil.Process]:
    """Every process that was started with TAPKIT_TEST_MARK=mark, and its children."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TAPKIT_TEST_MARK") == mark and not has_ended(process):
                found.append(process)
    return found


def reap(mark: str) -> None:
    """Kill all that is marked."""
    for process in marked(mark):
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_for("what was killed to end", lambda: not marked(mark))


def ask(port: int, host: str = "127.0.0.1", say: bytes = b"", half_close: bool = False) -> bytes:
    """Connect, say something, and read until the other side closes.

    With `half_close` the other side is told that nothing more will be said.
    """
    with socket.create_connection((host, port), timeout=PATIENCE) as connection:
        if say:
            connection.sendall(say)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer
