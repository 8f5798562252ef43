"""A command in a pseudo-terminal, as a person at a keyboard has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from tests.place import PATIENCE

# What a program sends to a terminal besides text: cursor, colours, titles.
_CONTROL = re.compile(
    rb"\x1b\[[0-9;?>]*[ -/]*[@-~]|\x1b[()][0-9A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>78MNZ]"
)


class Terminal:
    """What a person sees and types."""

    def __init__(self, process: subprocess.Popen, master: int):
        self.process = process
        self._master = master
        self.shown = ""

    def expect(self, text: str) -> None:
        """Wait until this text is shown; what was shown before it is forgotten."""
        deadline = time.monotonic() + PATIENCE
        raw = b""
        while text not in self.shown:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._master], [], [], max(left, 0))
            assert ready, f"waited in vain for {text!r}; on the screen: {self.shown[-3000:]!r}"
            try:
                raw += os.read(self._master, 65536)
            except OSError:  # Linux: the other side is closed
                raise AssertionError(f"it ended without {text!r}: {self.shown[-3000:]!r}") from None
            self.shown += _CONTROL.sub(b"", raw).decode("utf-8", "replace")
            raw = b""
        self.shown = self.shown.partition(text)[2]

    def await_hidden(self) -> None:
        """Wait until what is typed is not shown."""
        deadline = time.monotonic() + PATIENCE
        while termios.tcgetattr(self._master)[3] & termios.ECHO:
            assert time.monotonic() < deadline, "what is typed would be shown"
            select.select([], [], [], 0.005)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Wait for the command to end, reading on; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while True:
            ready, _, _ = select.select([self._master], [], [], 0.02)
            try:
                data = os.read(self._master, 65536) if ready else b""
            except OSError:
                break
            self.shown += _CONTROL.sub(b"", data).decode("utf-8", "replace")
            if not data and self.process.poll() is not None:
                break
            assert time.monotonic() < deadline, f"it does not end: {self.shown[-3000:]!r}"
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def in_terminal(command: list[str], cwd: Path, env: dict[str, str]) -> Iterator[Terminal]:
    """A command with a pseudo-terminal of its own; it is killed at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=env | {"TERM": "vt100"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=take_terminal,
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        os.close(master)
