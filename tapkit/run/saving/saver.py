"""Who saves the state of a running daemon: one save at a time, its journal beside it.

A snapshot is asked for and awaited; meanwhile the service goes on. Of those asked for while one
is under way a single one is made after it: it has in it all that any of them was to save.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tapkit.application import Application
from tapkit.errors import DaemonError, JournalError, TapkitError, describe
from tapkit.run.saving import journaling
from tapkit.run.saving.policy import SHUTDOWN, SNAPSHOT, Saved, SavePolicy, now
from tapkit.run.saving.sweeping import sweep

if TYPE_CHECKING:
    from tapkit.journal.commit import Journal

log = logging.getLogger("tapkit.snapshot")

LIMIT = 900.0
"""Seconds a child may take: it is killed then, and what it began is removed."""


class Saver:
    """Saves an application while it runs and when it has stopped, as a policy says.

    Attributes:
        last: the last save, or attempt at one; None before the first.
    """

    def __init__(self, application: Application, policy: SavePolicy):
        self.application = application
        self.policy = policy
        self.last: Saved | None = None
        self.tell: Callable[[str], None] = lambda said: None  # a supervisor, in a line
        self._journal: Journal | None = None
        self._needed = 0  # the command that the image before the next one has
        self._generation = 0
        self._current: asyncio.Task[Saved] | None = None
        self._next: asyncio.Task[Saved] | None = None
        self._clock: asyncio.Task[None] | None = None
        self._open = False  # to snapshots: not while the services start or stop

    # -- the life of a daemon, in order

    def recover(self) -> None:
        """Before anything starts: run again what the journal has beyond the image.

        Raises:
            JournalError: it can't be; nothing was changed on the disk.
        """
        application, folder = self.application, self.policy.folder
        for note in self.policy.notes:
            log.warning("%s", note)
        services = journaling.services_of(application)
        self._needed = application.journaled
        if not services or folder is None:
            if services:
                log.warning("commands are not journaled: the state is not saved")
            return
        from tapkit.journal import recovery  # most applications have none

        owners = {uid for uid in (application.uid,) if uid is not None}
        name = str(application.name)
        done = recovery.replay(folder, name, application.journaled, services, owners)
        application.journaled = done.sequence
        if done.cut:
            log.warning(
                "the journal ended in a write that was cut short; it was never acknowledged,"
                " and is left out: %s",
                done.cut,
            )
        log.info("%d commands of the journal were run again", done.replayed)

    def begin(self) -> None:
        """When the process is who it will be: open the journal, sweep up after a crash.

        Raises:
            JournalError: the journal can't be written.
        """
        if self.policy.folder is None:
            return
        sweep(self.policy.folder, str(self.application.name), journal=True)
        services = journaling.services_of(self.application)
        if services:
            from tapkit.journal.commit import Journal

            folder, name = self.policy.folder, str(self.application.name)
            self._journal = Journal(
                folder, name, self.application.journaled, self._progress, self._on_journal_failure
            )
            for known_as, service in services.items():
                self._journal.attach(known_as, service)

    def start_clock(self) -> None:
        """From now on snapshots are taken: when asked, and every so often if the policy says so."""
        self._open = True
        if self.policy.every is not None and self.policy.folder is not None:
            self._clock = asyncio.get_running_loop().create_task(self._tick(self.policy.every))

    def snapshot(self, why: str) -> Awaitable[Saved]:
        """Save the state as it is when this is called or a little later; the service goes on.

        To be awaited, or dropped: a failure is logged and noted in `last` in either case.

        Raises:
            TapkitError: when awaited: it could not be saved; what was there before is whole.
        """
        loop = asyncio.get_running_loop()
        if self._current is None or self._current.done():
            task = self._current = loop.create_task(self._take(why))
        else:
            if self._next is None:
                self._next = loop.create_task(self._after(self._current, why))
            task = self._next
        asked = asyncio.shield(task)  # who asked may be cancelled; the snapshot goes on
        for future in (task, asked):
            future.add_done_callback(_retrieve)
        return asked

    async def halt(self) -> None:
        """Before the services stop: no snapshot any more; one under way is given up."""
        self._open = False
        tasks = [task for task in (self._clock, self._current, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def finish(self) -> None:
        """When the services have stopped: save, if the policy says so, and close the journal.

        Raises:
            TapkitError: it could not be saved; what was there before, and the journal, is whole.
        """
        if self.policy.folder is not None:
            await self._flush()
            await self._save(self._begun("the stop", SHUTDOWN), self._here)
        await self.close()

    async def hand_on(self) -> None:
        """When the services have stopped, and another process goes on with their state: close
        the journal, without a save."""
        if self._journal is not None:
            await self._flush()
            self.application.journaled = self._journal.sequence
        await self.close()

    def resume(self) -> None:
        """After `halt` and `hand_on`: nobody took over, so it goes on here.

        Raises:
            JournalError: the journal can't be written.
        """
        self.begin()
        self.start_clock()

    async def close(self) -> None:
        """Let go of the journal, at the end of a process that saves nothing (more)."""
        journal, self._journal = self._journal, None
        if journal is not None:
            await journal.close()

    # -- one save

    async def _tick(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            with contextlib.suppress(Exception):  # said already; the next one may succeed
                await self.snapshot(f"every {every:g} seconds")

    async def _after(self, current: asyncio.Task[Saved], why: str) -> Saved:
        await asyncio.wait({current})
        me, self._next = self._next, None
        self._current = me
        return await self._take(why)

    async def _take(self, why: str) -> Saved:
        if not self._open or self.policy.folder is None:
            reason = self.policy.reason if self.policy.folder is None else "it starts or stops"
            log.error("no snapshot is taken (%s): %s", why, reason)
            raise DaemonError("no snapshot is taken", None, reason)
        return await self._save(self._begun(why, SNAPSHOT), self._beside)

    def _begun(self, why: str, tag: str) -> Saved:
        path = self.policy.path(self.application, tag)
        journaled = self._journal.sequence if self._journal is not None else 0
        return Saved(why, path, self._generation, now(), journaled=journaled)

    async def _save(self, begun: Saved, how: Callable[[Saved], Awaitable[Saved]]) -> Saved:
        began = time.perf_counter()
        log.info("saving %s to %s (%s)...", self.application.name, begun.path, begun.why)
        try:
            saved = await how(begun)
        except BaseException as error:
            self._failed(begun, error)
            raise
        self._generation += 1
        saved = saved._replace(generation=self._generation, seconds=time.perf_counter() - began)
        await self._note(saved)
        return saved

    async def _beside(self, begun: Saved) -> Saved:
        """In a forked child, while the service goes on; here, where there is no memory for one."""
        from tapkit.run.saving import forking

        short = forking.memory_is_short()
        if short is None:
            return await self._in_child(begun)
        self._warn_of_standing_still(short)
        return await self._here(begun)

    async def _in_child(self, begun: Saved) -> Saved:
        from tapkit.run.saving import forking

        def work() -> int:
            return self.policy.write(self.application, begun.path)

        try:
            done = await forking.in_child(work, LIMIT, self._rotate)
        except OSError as error:
            if error.errno not in (errno.ENOMEM, errno.EAGAIN):
                raise
            self._warn_of_standing_still(f"it can't be forked: {describe(error)}")
            return await self._here(begun)
        return begun._replace(pause=done.pause, size=done.result, forked=True)

    def _warn_of_standing_still(self, why: str) -> None:
        log.warning("the snapshot is taken in the event loop, which stands still: %s", why)

    async def _here(self, begun: Saved) -> Saved:
        began = time.perf_counter()
        size = self.policy.write(self.application, begun.path)
        pause = time.perf_counter() - began
        self._rotate()
        return begun._replace(pause=pause, size=size)

    async def _note(self, saved: Saved) -> None:
        self.last = saved
        self.tell(f"saved {os.path.basename(saved.path)} at {saved.at}")
        log.info(
            "saved %s: %d bytes in %.3f s, of which the event loop stood still %.1f ms",
            os.path.basename(saved.path),
            saved.size,
            saved.seconds,
            1000 * saved.pause,
        )
        await self._truncate(saved.journaled)

    async def _truncate(self, journaled: int) -> None:
        """Remove what neither this image nor the one before it needs of the journal: should the
        newest file rot on the disk, nothing is lost."""
        needed, self._needed = self._needed, journaled
        if self._journal is not None:
            try:
                await self._journal.saved(journaled, needed if self.policy.keep > 1 else journaled)
            except JournalError as error:
                log.error("%s", error)  # the image is saved; what is too much does no harm

    def _failed(self, begun: Saved, error: BaseException) -> None:
        """Say it, note it, and leave nothing half done behind."""
        cancelled = isinstance(error, asyncio.CancelledError)
        said = "given up: the daemon stops" if cancelled else describe(error)
        self.last = begun._replace(error=said)
        ours = isinstance(error, (TapkitError, OSError, asyncio.CancelledError))
        log.error("the state was not saved (%s): %s", begun.why, said, exc_info=not ours)
        self.tell(f"the state was not saved ({begun.why}): {said}")
        if self.policy.folder is not None:
            try:
                sweep(self.policy.folder, str(self.application.name))
            except OSError as failure:  # it went wrong because nothing works; the next start sweeps
                log.debug("a temporary file may be left: %s", describe(failure))

    # -- beside it

    def _rotate(self) -> None:
        if self._journal is not None:
            self._journal.rotate()

    async def _flush(self) -> None:
        if self._journal is not None:
            await self._journal.flushed()

    def _progress(self, sequence: int) -> None:
        self.application.journaled = sequence  # it is saved with the state it belongs to

    def _on_journal_failure(self, error: JournalError) -> None:
        log.error("commands are refused until a snapshot succeeds: %s", error)
        if self._open:
            self.snapshot("the journal failed")


def _retrieve(future: asyncio.Future[Any]) -> None:
    """Nobody need wait for it: then asyncio is not to complain of a failure nobody looked at."""
    if not future.cancelled():
        future.exception()
