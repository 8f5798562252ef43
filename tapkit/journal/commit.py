"""An open journal: commands are run, written down together, and acknowledged when on the disk.

    append, append, append --one frame, one fsync--> acknowledged, all three

While a frame is on its way to the disk the next one gathers: under load there are as many
commands in it as came meanwhile. Writing is done in one thread of the journal's own, because an
fsync takes milliseconds in which the event loop has other things to do.

A write that failed is final: after a failed fsync a second one would say that all is well. The
commands that waited fail, none is accepted any more, and the state is as it is: ahead of the
journal. Only an image of that state mends it: then a new file begins.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import itertools
import os
from collections.abc import Awaitable, Callable
from typing import Any

from tapkit.errors import JournalError, describe
from tapkit.image import files
from tapkit.journal import Journaled, segments

MAX_COMMAND = 1 << 26
"""Bytes of one command's arguments: what is larger belongs into a file."""


class _Frame:
    """Commands that wait to become durable together, each with who waits for it."""

    def __init__(self, first: int):
        self.first = first
        self.commands: list[bytes] = []
        self.room = segments.MAX_FRAME
        self.waiting: list[tuple[asyncio.Future[Any], Any]] = []


class Journal:
    """The journal `NAME.journal` in a folder, open for writing. For the event loop's thread.

    Parameters:
        sequence: the number of the last command in the state.
        on_progress: told the number of each command as it is run.
        on_failure: told, once, when it can't be written any more.

    Raises:
        JournalError: it can't be written.
    """

    def __init__(
        self,
        folder: str,
        name: str,
        sequence: int,
        on_progress: Callable[[int], None] = lambda sequence: None,
        on_failure: Callable[[JournalError], None] = lambda error: None,
    ):
        self.folder = folder
        self.name = name
        self.sequence = sequence
        self.failure: JournalError | None = None
        self._on_progress = on_progress
        self._on_failure = on_failure
        self._running = False  # a command
        self._jobs: list[_Frame | int] = []  # a number: the next file begins after that command
        self._flushing: asyncio.Task[None] | None = None
        self._closed = False
        segments.refuse_second_writer(folder, name)
        self._writer = segments.Writer(folder, name, sequence)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, f"journal-{name}")
        self._thread.submit(int)  # the thread is there from now on: later it may not be had

    def attach(self, name: str, service: Journaled) -> None:
        """Journal the commands of `service`, which the journal knows as `name`."""
        service._run_journaled = functools.partial(self._run, name, service)

    def rotate(self) -> None:
        """Begin a new file after the last command so far: the state up to there is being saved."""
        if self.failure is None:
            self._jobs.append(self.sequence)
            self._begin_flush()

    async def saved(self, sequence: int, needed: int) -> None:
        """An image with the commands up to `sequence` is on the disk.

        Mends a journal that failed, if that is all of the state, and removes the files that end
        at command `needed` or before.

        Raises:
            JournalError: it can't be written.
        """
        await self.flushed()
        if self.failure is not None and sequence == self.sequence:
            await self._in_thread(self._begin_file, sequence)
            self.failure = None
        await self._in_thread(remove_covered, self.folder, self.name, needed)

    async def flushed(self) -> None:
        """Wait until what was appended is on the disk, or has failed."""
        while self._flushing is not None and not self._flushing.done():
            await asyncio.wait({self._flushing})

    async def close(self) -> None:
        """Write what is left, and let go of the file. Commands are refused from here on."""
        self._closed = True
        await self.flushed()
        self._thread.shutdown()
        self._writer.close()

    # -- commands

    def _run(
        self,
        name: str,
        service: Journaled,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Awaitable[Any]:
        where = f"{name}.{function.__name__}"
        self._refuse_if_unable(where)
        packed = _packed(name, function.__name__, args, kwargs, where)
        self._running = True
        try:
            result = function(service, *args, **kwargs)
        finally:
            self._running = False
        return self._append(packed, result)

    def _refuse_if_unable(self, where: str) -> None:
        if self._running:
            raise JournalError(
                "a command called a command, and it would be run twice",
                where,
                "put what they share into a plain method",
            )
        if self._closed:
            raise JournalError("the journal is closed", where, "the daemon has stopped")
        if self.failure is not None:
            raise JournalError(
                f"the journal failed ({self.failure.what})", where, "a snapshot mends it"
            )

    def _append(self, packed: bytes, result: Any) -> asyncio.Future[Any]:
        self.sequence += 1
        self._on_progress(self.sequence)
        last = self._jobs[-1] if self._jobs else None
        if not isinstance(last, _Frame) or last.room < len(packed):
            last = _Frame(self.sequence)
            self._jobs.append(last)
        durable = asyncio.get_running_loop().create_future()
        last.commands.append(packed)
        last.room -= len(packed)
        last.waiting.append((durable, result))
        self._begin_flush()
        return durable

    # -- onto the disk

    def _begin_flush(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    async def _flush(self) -> None:
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            try:
                await self._in_thread(self._write, jobs)
            except Exception as error:  # whatever it is, those who wait must be told
                self._fail(_as_ours(error), [*jobs, *self._jobs])
                return
            for job in jobs:
                if isinstance(job, _Frame):
                    for durable, result in job.waiting:
                        if not durable.done():  # its waiter may have been cancelled
                            durable.set_result(result)

    async def _in_thread(self, work: Callable[..., None], *args: Any) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        except (OSError, RuntimeError) as error:  # the latter: no thread can be started
            why = getattr(error, "strerror", None) or error
            raise JournalError(
                f"the journal can't be written ({why})", self._writer.path
            ) from error

    def _fail(self, error: JournalError, jobs: list[_Frame | int]) -> None:
        self.failure, self._jobs = error, []
        for job in jobs:
            if isinstance(job, _Frame):
                for durable, _ in job.waiting:
                    if not durable.done():
                        durable.set_exception(
                            JournalError("not journaled: " + error.what, error.where, error.remedy)
                        )
        self._on_failure(error)

    # -- in the thread

    def _write(self, jobs: list[_Frame | int]) -> None:
        for job in jobs:
            if isinstance(job, _Frame):
                self._writer.append(job.first, job.commands)
            else:
                self._begin_file(job)

    def _begin_file(self, base: int) -> None:
        new = segments.Writer(self.folder, self.name, base)
        self._writer.close()
        self._writer = new


def _as_ours(error: Exception) -> JournalError:
    if isinstance(error, JournalError):
        return error
    return JournalError(f"the journal can't be written ({describe(error)})")


def remove_covered(folder: str, name: str, needed: int) -> None:
    """Remove the files of a journal whose every command is `needed` or before it.

    The last file stays: it says where the journal is.
    """
    found = segments.find(folder, name)
    covered = [one for one, after in itertools.pairwise(found) if after.base <= needed]
    if covered:
        # Oldest first: a crash between two leaves no gap.
        for segment in covered:
            os.unlink(segment.path)
        files.sync_directory(folder)


def _packed(
    name: str, command: str, args: tuple[Any, ...], kwargs: dict[str, Any], where: str
) -> bytes:
    import msgpack  # type: ignore[import-untyped,unused-ignore]

    try:
        packed: bytes = msgpack.packb(
            [name, command, list(args), kwargs], strict_types=True, unicode_errors="surrogatepass"
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise JournalError(
            f"an argument is no plain data ({describe(error)})",
            where,
            "give None, bool, int, float, str, bytes, and lists and dicts of these",
        ) from error
    if len(packed) > MAX_COMMAND:
        raise JournalError(
            f"a command of {len(packed)} bytes is too large", where, "keep the data in a file"
        )
    return packed
