"""The new process of a hot restart, seen from the old one: started, spoken to, ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from typing import Any

from tapkit.errors import DaemonError
from tapkit.run.reload.channel import LoopChannel
from tapkit.run.reload.command_line import VARIABLE, CommandLine

END_LIMIT = 2.0  # seconds for a new process that failed to end, before it is killed


class Heir:
    """The new process, seen from the old one."""

    def __init__(self, line: CommandLine, own_session: bool):
        self.ends = False  # it does already, by itself
        ours, theirs = socket.socketpair()
        with theirs:
            self.channel = LoopChannel(ours)
            try:
                self.process = subprocess.Popen(
                    line.words,
                    cwd=line.folder,
                    env={**line.environment, VARIABLE: str(theirs.fileno())},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=own_session,
                )
            except OSError as error:
                ours.close()
                raise DaemonError(
                    f"can't start the new process ({error.strerror})", error.filename
                ) from error

    def greet(self, fds: list[int], **hello: Any) -> None:
        self.channel.greet(fds, hello)

    async def expect(self, word: str) -> None:
        """Wait until it says `word`.

        Raises:
            DaemonError: it says something else, or dies.
        """
        self.ends = True
        try:
            told = await self.channel.hear()
        except asyncio.CancelledError:
            self.ends = False  # it only takes too long
            raise
        except (EOFError, OSError):
            raise DaemonError(
                f"the new process ended before it was ready ({await self.end()})",
                None,
                "see the log",
            ) from None
        if word not in told:
            raise DaemonError(f"the new process did not start: {told.get('failed')}")
        self.ends = False

    async def take_over(self, kept_paths: list[str]) -> None:
        """Agree, and wait until the pidfile is its, which it says before it lets anybody in.

        Raises:
            DaemonError: it died before that.
        """
        try:
            await self.channel.tell(yours=True, kept_paths=kept_paths)
            await self.channel.hear()
        except (EOFError, OSError):
            raise DaemonError(
                f"the new process died before it took over ({await self.end()})"
            ) from None

    async def end(self) -> str:
        """See it end, by itself or by force; says how."""
        for force in (None, self.process.terminate, self.process.kill):
            if force is not None:
                force()
            elif not self.ends:
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended(), END_LIMIT)
                break
        status = self.process.returncode
        return f"exit status {status}" if status is None or status >= 0 else f"signal {-status}"

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def _ended(self) -> None:
        while self.process.poll() is None:
            await asyncio.sleep(0.01)
