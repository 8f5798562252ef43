"""Who could have put a file where it is: an image is code, and so are the keys that vouch for one.

The checks are of what is open (`fstat`), so no later change of the name changes the answer. Only
the directory is looked at by name, before the file is opened in it:

- the file is regular, belongs to this user or root - root trusts only root's - and nobody else
  may write to it; a group may if it is the user's own (umask 002);
- its directory is not writable by everybody, unless it is sticky, as /tmp is: there nobody can
  take a file's place. For root that holds of every directory above it as well;
- where others may add names to the directory, the file has no second name: a hard link lends
  another's file (an older image of root's, say) to whoever chooses the name. Elsewhere a second
  name is harmless: generations that are kept are made as links.
"""

from __future__ import annotations

import os
import stat

from tapkit.errors import ImageError


def check_kind(path: str, status: os.stat_result, what: str = "an image") -> None:
    """Refuse what is no regular file: a FIFO would wait for a writer, a device may do anything.

    Raises:
        ImageError: naming what it is.
    """
    if stat.S_ISREG(status.st_mode):
        return
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
    raise ImageError(f"it is {kind}, not {what}", path, "name a file")


def check_owner(path: str, status: os.stat_result, what: str = "the image") -> None:
    """Refuse what belongs to, or may be written by, anybody but this user and root.

    Raises:
        ImageError: naming whom, and how to say that it is trusted all the same.
    """
    if not hasattr(os, "geteuid"):
        return
    me = os.geteuid()
    if status.st_uid not in (0, me):
        raise ImageError(
            f"{what} belongs to another user (uid {status.st_uid}), and an image is code",
            path,
            f"if you trust it: chown {me} {path}",
        )
    if status.st_mode & _foreign_write(status, me):
        raise ImageError(
            f"others may write to {what} (mode {status.st_mode & 0o777:04o}), and it is code",
            path,
            f"if you trust it: chmod go-w {path}",
        )


def check_links(path: str, status: os.stat_result) -> None:
    """Refuse a file with a second name in a directory where others can give names.

    Raises:
        ImageError: it has one.
    """
    if status.st_nlink > 1 and _others_may_name(os.path.dirname(path) or "."):
        raise ImageError(
            f"the file has {status.st_nlink} names (hard links), and others may have given it this",
            path,
            "copy it to a directory of your own",
        )


def check_directories(path: str) -> None:
    """Refuse a directory in which anybody can put another file in this one's place.

    Parameters:
        path: of a file, links resolved; for root all the directories above it are checked.

    Raises:
        ImageError: naming the directory.
        OSError: it can't be looked at.
    """
    if not hasattr(os, "geteuid"):
        return
    directory = os.path.dirname(os.path.abspath(path))
    while True:
        mode = os.stat(directory).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ImageError(
                f"everybody may write to the directory {directory} (mode {mode & 0o7777:04o}),"
                " and put another file in this one's place",
                path,
                f"chmod o-w {directory}",
            )
        above = os.path.dirname(directory)
        if above == directory or os.geteuid() != 0:
            return
        directory = above


def is_private(status: os.stat_result) -> bool:
    """Whether a file that holds a secret is kept from everybody but its owner."""
    return not status.st_mode & 0o077


def _foreign_write(status: os.stat_result, me: int) -> int:
    """The mode bits that let others write. A group may if it is the user's own."""
    own_group = me != 0 and status.st_gid == me == os.getegid()
    return stat.S_IWOTH if own_group else stat.S_IWGRP | stat.S_IWOTH


def _others_may_name(directory: str) -> bool:
    if not hasattr(os, "geteuid"):
        return False
    me = os.geteuid()
    status = os.stat(directory)
    return status.st_uid not in (0, me) or bool(status.st_mode & _foreign_write(status, me))
