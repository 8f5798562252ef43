"""Users and groups by number or name, and giving up what the process no longer needs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from tapkit.errors import DaemonError, UsageError
from tapkit.names import suggestion
from tapkit.records import Record


def user_id(text: str) -> int:
    """The uid that a number or a user's name stands for.

    Raises:
        UsageError: there is no such user.
    """
    if text.isdigit():
        return int(text)
    import pwd

    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        names = (entry.pw_name for entry in pwd.getpwall())
        raise UsageError(f"no such user: {text}{suggestion(text, names)}", "--uid") from None


def group_id(text: str) -> int:
    """The gid that a number or a group's name stands for.

    Raises:
        UsageError: there is no such group.
    """
    if text.isdigit():
        return int(text)
    import grp

    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        names = (entry.gr_name for entry in grp.getgrall())
        raise UsageError(f"no such group: {text}{suggestion(text, names)}", "--gid") from None


class Identity(Record):
    """Whom a process becomes. None: it stays what it is.

    Attributes:
        effective_only: keep the right to become root again: of the user and the group only the
            effective ids change. A process that is taken over is root's then.
    """

    uid: int | None = None
    gid: int | None = None
    effective_only: bool = False

    def over(self, uid: int | None, gid: int | None) -> Identity:
        """This identity, with an image's own where it says nothing.

        With a uid of its own the image's gid is not taken: it belongs to another user.
        """
        if self.gid is None and self.uid is None:
            return self._replace(uid=uid, gid=gid)
        return self._replace(uid=uid if self.uid is None else self.uid)


def shed(uid: int | None, gid: int | None, effective_only: bool = False) -> None:
    """Become `uid` and `gid` for good; groups first, while there is still the right to.

    With a uid and no gid, the user's own group is taken: keeping root's would be a surprise.
    Does nothing where that is what the process already is.

    Parameters:
        effective_only: see `Identity`.

    Raises:
        DaemonError: the process may not do that.
    """
    check(uid, gid)
    if os.geteuid() != 0:
        return  # it was found to be that already
    gid = own_group(uid) if gid is None else gid
    try:
        if gid is not None:
            os.setgroups(_supplementary_groups(uid, gid))
            (os.setegid if effective_only else os.setgid)(gid)
        if uid is not None:
            (os.seteuid if effective_only else os.setuid)(uid)
    except (OSError, OverflowError) as error:  # inside a container root may not become everyone
        raise _impossible(uid, gid, error) from error


@contextlib.contextmanager
def borrowed(uid: int, gid: int) -> Iterator[None]:
    """Be that user for a moment, to find out what it may; root's other groups stay.

    Raises:
        DaemonError: the process may not do that.
    """
    try:
        os.setegid(gid)
        os.seteuid(uid)
    except (OSError, OverflowError) as error:
        os.setegid(0)
        raise _impossible(uid, gid, error) from error
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _impossible(uid: int | None, gid: int | None, error: Exception) -> DaemonError:
    reason = getattr(error, "strerror", None) or error
    return DaemonError(f"can't become uid {uid}, gid {gid} ({reason})")


def check(uid: int | None, gid: int | None) -> None:
    """Whether the process may become that, as far as it can be told without doing it.

    Raises:
        DaemonError: it may not, or it is no number.
    """
    for attribute, number in (("uid", uid), ("gid", gid)):
        if number is not None and type(number) is not int:  # an image edited by hand
            raise DaemonError(f"{number!r} is no number", f"application.{attribute}")
    if os.geteuid() == 0 or (uid in (None, os.getuid()) and gid in (None, os.getgid())):
        return
    raise DaemonError(
        f"can't become uid {uid}, gid {gid}: only root may",
        None,
        "start it as root, or without --uid and --gid, here and in mktap",
    )


def own_group(uid: int | None) -> int | None:
    """The group a user has without being told another; None for no user."""
    import pwd

    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_gid
    except (KeyError, OverflowError):
        return uid  # a number without a name: the convention is a group of the same number


def _supplementary_groups(uid: int | None, gid: int) -> list[int]:
    import pwd

    if uid is None:
        return [gid]
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except (KeyError, OverflowError):
        return [gid]
