"""Users and groups by number or name, and giving up what the process no longer needs."""

from __future__ import annotations

import os

from tapkit.errors import DaemonError, UsageError
from tapkit.names import suggestion


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


def shed(uid: int | None, gid: int | None) -> None:
    """Become `uid` and `gid` for good; groups first, while there is still the right to.

    With a uid and no gid, the user's own group is taken: keeping root's would be a surprise.
    Does nothing where that is what the process already is.

    Raises:
        DaemonError: the process may not do that.
    """
    if uid is None and gid is None:
        return
    for attribute, number in (("uid", uid), ("gid", gid)):
        if number is not None and type(number) is not int:  # an image edited by hand
            raise DaemonError(f"{number!r} is no number", f"application.{attribute}")
    if os.geteuid() != 0:
        if uid in (None, os.getuid()) and gid in (None, os.getgid()):
            return
        raise DaemonError(
            f"can't become uid {uid}, gid {gid}: only root may",
            None,
            "start it as root, or make the image without --uid and --gid",
        )
    if gid is None:
        gid = _own_group(uid)
    if gid is not None:
        os.setgroups(_supplementary_groups(uid, gid))
        os.setgid(gid)
    if uid is not None:
        os.setuid(uid)


def _own_group(uid: int | None) -> int | None:
    import pwd

    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid  # a number without a name: the convention is a group of the same number


def _supplementary_groups(uid: int | None, gid: int) -> list[int]:
    import pwd

    if uid is None:
        return [gid]
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]
