"""The state of a daemon, saved: whether, where, and proof beforehand that it can be."""

from __future__ import annotations

import logging
import os

from tapkit import application as applications
from tapkit.application import Application
from tapkit.errors import DaemonError

log = logging.getLogger("tapkit.snapshot")


class SavePolicy:
    """Where an application's state goes when it stops.

    Parameters:
        folder: the directory it is saved in; None: it is not saved.
        reason: why it is not saved, for the log.
    """

    def __init__(self, folder: str | None, reason: str = ""):
        self.folder = folder and os.path.abspath(folder)
        self.reason = reason

    def describe(self, application: Application) -> str:
        """One clause for the log: what happens to the state."""
        if self.folder is None:
            return f"its state is not saved at stop ({self.reason})"
        return f"at stop its state is saved as {application.file_name('shutdown')}"

    def rehearse(self, application: Application) -> None:
        """Make sure, before there is state to lose, that it can be saved.

        Raises:
            ImageError: something in it can't be saved; all of it is named.
            DaemonError: the directory can't be written by what this process now is.
        """
        if self.folder is None:
            return
        applications.dumps(application)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise DaemonError(
                "the state could not be saved at stop: the directory is not writable",
                self.folder,
                "choose another with --rundir, or do not save with --no_save",
            )

    def save(self, application: Application) -> None:
        """Save the state of a stopped application, keeping the file it replaces.

        Raises:
            ImageError: it could not be saved; what was there before is whole.
        """
        if self.folder is None:
            return
        path = os.path.join(self.folder, application.file_name("shutdown"))
        log.info("saving %s application to %s...", application.name, os.path.basename(path))
        applications.save(application, path, keep=1)
        log.info("saved")
