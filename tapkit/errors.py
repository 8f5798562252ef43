"""What can go wrong, said in one grammar: what failed, where, what to do about it.

Library code raises these; only `tapkit.scripts` turns them into a line on stderr
(`PROGRAM: what: where: remedy`) and an exit status.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2


class TapkitError(Exception):
    """A fault a user can act on.

    Parameters:
        what: what failed, in words, without a full stop.
        where: the place: `file:line:column`, an attribute path, an option.
        remedy: what the reader can do about it.
    """

    exit_status = EXIT_FAILED

    def __init__(self, what: str, where: str | None = None, remedy: str | None = None):
        super().__init__(what, where, remedy)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        return ": ".join(part for part in (self.what, self.where, self.remedy) if part)


class UsageError(TapkitError):
    """The command line was mistyped."""

    exit_status = EXIT_USAGE


class NotFoundError(TapkitError):
    """A dotted name leads nowhere: the module or the attribute does not exist."""


class BrokenModuleError(TapkitError):
    """A module exists but raised while it was imported."""


class PluginError(TapkitError):
    """A plug-in is unknown, badly registered, or does not do what a plug-in must."""


class UnknownPluginError(PluginError):
    """No plug-in has the name that was typed."""

    exit_status = EXIT_USAGE


class ServiceError(TapkitError):
    """A service cannot be put where it was asked to be, or did not start or stop."""


class ImageError(TapkitError):
    """An image cannot be read or written."""


class JournalError(TapkitError):
    """A journal cannot be written, or not be replayed."""


class DaemonError(TapkitError):
    """A daemon cannot start, or already runs."""


def describe(error: BaseException) -> str:
    """One line about any exception, for messages: our own as they are, others with their type."""
    if isinstance(error, TapkitError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
