"""The state of a daemon, saved: whether, where, and proof beforehand that it can be."""

from __future__ import annotations

import logging
import os

from tapkit import application as applications
from tapkit.application import Application
from tapkit.errors import DaemonError
from tapkit.records import Record

log = logging.getLogger("tapkit.snapshot")

KEEP = 3
"""How many generations of each file are kept, the newest among them."""

SHUTDOWN, SNAPSHOT = "shutdown", "snapshot"
"""What a saved state's file is called after: the stop, or a moment while it ran."""


class Saved(Record):
    """One save of a daemon's state, or the attempt.

    Attributes:
        why: who asked for it.
        path: the file.
        generation: how many saves of this process succeeded, this one among them.
        at: when it was begun, UTC, ISO 8601.
        seconds: from the request to the disk.
        pause: seconds that the event loop stood still for it.
        size: of the file, in bytes.
        journaled: the last command of the journal that it has; 0 without a journal.
        forked: whether a child did it.
        error: why it failed, or None.
    """

    why: str
    path: str
    generation: int
    at: str
    seconds: float = 0.0
    pause: float = 0.0
    size: int = 0
    journaled: int = 0
    forked: bool = False
    error: str | None = None


class SavePolicy:
    """Where an application's state goes when it stops, and while it runs.

    Parameters:
        folder: the directory it is saved in; None: it is not saved.
        reason: why it is not saved, for the log.
        keep: how many generations of each file are kept, the newest among them.
        every: seconds between snapshots; None: only when asked.
        notes: what the log should know of how the state was found.
    """

    def __init__(
        self,
        folder: str | None,
        reason: str = "",
        *,
        keep: int = KEEP,
        every: float | None = None,
        notes: tuple[str, ...] = (),
    ):
        self.folder = folder and os.path.abspath(folder)
        self.shown = self.folder  # what it is called outside a chroot
        self.reason = reason
        self.keep = keep
        self.every = every
        self.notes = notes

    def describe(self, application: Application) -> str:
        """One clause for the log: what happens to the state."""
        if self.folder is None:
            return f"its state is not saved at stop ({self.reason})"
        told = f"at stop its state is saved as {application.file_name(SHUTDOWN)}"
        if self.every is not None:
            told += f", and every {self.every:g} s as {application.file_name(SNAPSHOT)}"
        return told

    def rehearse(self, application: Application) -> None:
        """Make sure, before there is state to lose, that it can be saved.

        Raises:
            ImageError: something in it can't be saved; all of it is named.
            DaemonError: the directory can't be written by what this process now is.
        """
        if self.folder is None:
            return
        applications.rehearse(application)
        self.check_folder()

    def check_folder(self) -> None:
        """Make sure that the directory can be written by what this process now is.

        Raises:
            DaemonError: it can't.
        """
        if self.folder is None:
            return
        effective = os.access in os.supports_effective_ids  # others are what --euid leaves
        if not os.access(self.folder, os.W_OK | os.X_OK, effective_ids=effective):
            raise DaemonError(
                "the state could not be saved at stop: the directory is not writable for uid "
                f"{os.geteuid()}",
                self.shown,
                f"chown {os.geteuid()} it, choose another with --rundir, or do not save with "
                "--no_save",
            )

    def path(self, application: Application, tag: str) -> str:
        """The file that a save goes to.

        Raises:
            DaemonError: the state is not saved.
        """
        if self.folder is None:
            raise DaemonError("the state is not saved", None, self.reason)
        return os.path.join(self.folder, application.file_name(tag))

    def write(self, application: Application, path: str) -> int:
        """Save the state, keeping the files it replaces; the size in bytes.

        Raises:
            ImageError: it could not be saved; what was there before is whole.
        """
        applications.save(application, path, keep=self.keep - 1)
        return os.stat(path).st_size

    def save(self, application: Application) -> None:
        """Save the state of a stopped application, keeping the files it replaces.

        Raises:
            ImageError: it could not be saved; what was there before is whole.
        """
        if self.folder is None:
            return
        path = self.path(application, SHUTDOWN)
        log.info("saving %s application to %s...", application.name, os.path.basename(path))
        self.write(application, path)
        log.info("saved")


def now() -> str:
    """The time, UTC, ISO 8601."""
    import datetime

    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
