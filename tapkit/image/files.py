"""Files of images: written whole or not at all, and read only from whom they can be trusted.

Writing goes to a temporary file in the same directory, which then takes the name. A symbolic link
as the target is followed once, if it is ours or root's: the file it leads to is replaced, the
link stays. Reading follows such a link as well; anybody else's is refused, for it could lead
root to a file of its maker's choice.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator
from typing import Any

from tapkit.errors import ImageError
from tapkit.image import custody
from tapkit.names import suggestion

MAX_FILE = 1 << 36
MAP_ABOVE = 1 << 24
"""Bytes: larger files are read into pages of their own, so that their buffers are not copied."""
MAX_READ = 1 << 30

NEW_MODE = 0o600  # an image holds code and secrets

_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space: the quota is used up",
    errno.EACCES: "allow this user to, or choose another directory",
    errno.EPERM: "allow this user to, or choose another directory",
    errno.EROFS: "choose a directory that is not mounted read-only",
    errno.ENOENT: "make the directory first",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EISDIR: "name a file",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "look at the system's log: the disk may be failing",
    errno.ELOOP: "name the file itself, not a link",
}

_one_saver = threading.Lock()


def _new_lock() -> None:
    """In a forked child: the lock may be held by a thread that does not exist here."""
    global _one_saver
    _one_saver = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


# -- writing


def write_atomic(path: str, data: Any, *, mode: int | None = None, keep: int = 0) -> None:
    """Replace a file, durably: after it returns the new file is on the disk.

    Parameters:
        data: bytes.
        mode: permission bits; None: the replaced file's, 0600 for a new one.
        keep: how many replaced files are kept: `path.1` is the newest.

    Raises:
        ImageError: the old file is whole, and no temporary is left. (Only if the very last step
            failed, making the name durable, the new file is in place.)
    """
    with _one_saver:
        try:
            _write(_followed(path), data, mode, keep)
        except OSError as error:
            raise _unwritable(path, error) from error


def _write(path: str, data: Any, mode: int | None, keep: int) -> None:
    directory, name = os.path.split(path)
    old = _status(path)
    if old is not None and not stat.S_ISREG(old.st_mode):
        kind = errno.EISDIR if stat.S_ISDIR(old.st_mode) else errno.EINVAL
        raise OSError(kind, "not a regular file")
    temporary = os.path.join(directory, f".{name}.{os.urandom(8).hex()}.tmp")
    try:
        fd = os.open(
            temporary, _flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_BINARY"), NEW_MODE
        )
        try:
            _write_all(fd, data)
            _dress(fd, old, mode)
            sync(fd)
        finally:
            os.close(fd)
        _keep_generations(path, keep if old is not None else 0)
        os.replace(temporary, path)
    except FileExistsError:
        raise  # the temporary is somebody else's
    except BaseException:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            os.unlink(temporary)
        raise
    sync_directory(directory or ".")


def _write_all(fd: int, data: Any) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left[: 1 << 30]) :]


def _dress(fd: int, old: os.stat_result | None, mode: int | None) -> None:
    """Give the new file the owner and the mode of the old one."""
    if not hasattr(os, "fchown"):
        return
    wanted = mode if mode is not None else NEW_MODE if old is None else old.st_mode & 0o777
    if old is not None:
        mine = os.fstat(fd)
        try:
            if (old.st_uid, old.st_gid) != (mine.st_uid, mine.st_gid):
                os.fchown(fd, old.st_uid, old.st_gid)
        except PermissionError:
            # Only root gives files away. What the mode allowed to the old group must not go to
            # another one.
            wanted &= 0o707
    os.fchmod(fd, wanted)


def _keep_generations(path: str, keep: int) -> None:
    """Shift `path.1` to `path.2` and so on; the present file gets its second name, `path.1`."""
    if not keep:
        return
    for number in range(keep - 1, 0, -1):
        if _status(f"{path}.{number}") is not None:
            os.replace(f"{path}.{number}", f"{path}.{number + 1}")
    directory, name = os.path.split(path)
    link = os.path.join(directory, f".{name}.{os.urandom(8).hex()}.tmp")
    try:
        os.link(path, link, follow_symlinks=False)
        os.replace(link, f"{path}.1")
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(link)
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        os.replace(path, f"{path}.1")  # a file system without links; a crash now leaves `.1`


def sync(fd: int) -> None:
    """Onto the disk itself. Never twice: after an error a second fsync says all is well."""
    full = getattr(_fcntl(), "F_FULLFSYNC", None)
    if full is not None:  # macOS: fsync alone stops at the drive's cache
        try:
            _fcntl().fcntl(fd, full)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(fd)


def _fcntl() -> Any:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    return fcntl


def sync_directory(directory: str) -> None:
    """Make the names in a directory durable, as far as the file system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    fd = os.open(directory, _flags("O_RDONLY", "O_DIRECTORY"))
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some can't; rename is all they do
            raise
    finally:
        os.close(fd)


def _unwritable(path: str, error: OSError) -> ImageError:
    remedy = _REMEDIES.get(error.errno or 0)
    return ImageError(f"the image can't be written ({error.strerror})", path, remedy)


# -- reading


def read_guarded(path: str, limit: int = MAX_FILE) -> Any:
    """The bytes of a file that none but its owner could have written, as `custody` says.

    The file is opened once, and what is checked is what is read: all of it is in memory of this
    process's own when this returns, however large it is. Mapping the file instead would save a
    copy (0.05 s for 100 MB, half of what its digests take), but a page of a map that was not
    touched yet shows what was written to the file meanwhile - by whoever held it open before it
    became ours. What comes back can be written to, so buffers in it need no second copy.

    Parameters:
        limit: bytes.

    Raises:
        ImageError: missing, unreadable, no regular file, too large, or not to be trusted.
    """
    try:
        real = _followed(path)
        fd = os.open(real, _flags("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        status = os.fstat(fd)
        custody.check_kind(path, status)
        custody.check_owner(path, status)
        custody.check_links(real, status)
        custody.check_directories(real)
        if status.st_size > limit:
            raise ImageError(f"the file is larger than {limit} bytes", path)
        if status.st_size > MAP_ABOVE and os.name == "posix":
            return _read_aligned(fd, status.st_size)
        return b"".join(_read_all(fd, status.st_size))
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(fd)


def contents(path: str) -> bytes | None:
    """The bytes of a file, or None where there is none that can be read."""
    try:
        return bytes(read_guarded(path))
    except ImageError:
        return None


def _read_all(fd: int, size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = os.read(fd, size)
        if not chunk:
            return  # shorter than it was: the reader of the form finds it truncated
        yield chunk
        size -= len(chunk)


def _read_aligned(fd: int, size: int) -> Any:
    """The same in pages of their own, so that what is aligned in the file is in memory.

    Private pages: a forked child that saves a snapshot must not see what is written after.
    """
    import mmap

    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    view = memoryview(memory)
    done = 0
    while done < size:
        count = os.readv(fd, [view[done : done + MAX_READ]])
        if not count:  # it became shorter
            shorter = bytes(view[:done])
            view.release()
            memory.close()
            return shorter
        done += count
    view.release()
    return memory


def _unreadable(path: str, error: OSError) -> ImageError:
    if isinstance(error, FileNotFoundError):
        return ImageError(f"no such file{_near(path)}", path)
    if isinstance(error, PermissionError):
        return ImageError("the image can't be read (Permission denied)", path, "who owns it?")
    remedy = _REMEDIES.get(error.errno or 0)
    return ImageError(f"the image can't be read ({error.strerror})", path, remedy)


def _near(path: str) -> str:
    directory, name = os.path.split(path)
    try:
        return suggestion(name, os.listdir(directory or "."))
    except OSError:
        return ""  # the directory is missing as well


# -- both


def _followed(path: str) -> str:
    """The path, or where a symbolic link of ours or root's leads."""
    path = os.fspath(path)
    status = _status(path)
    if status is None or not stat.S_ISLNK(status.st_mode):
        return path
    if hasattr(os, "geteuid") and status.st_uid not in (0, os.geteuid()):
        raise OSError(errno.ELOOP, "it is another user's symbolic link")
    return os.path.realpath(path)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _flags(*names: str) -> int:
    """The named `os.O_` flags, those that this system has, and O_CLOEXEC."""
    flags = getattr(os, "O_CLOEXEC", 0)
    for name in names:
        flags |= getattr(os, name, 0)
    return flags
