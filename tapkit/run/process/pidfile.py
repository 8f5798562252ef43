"""The pidfile: a lock held on it decides whether a daemon runs; its number only says which.

A number proves nothing: the process may be gone, its number reused, the file half written. So a
pidfile nobody holds locked is stale, whatever it says. The lock is `flock`, which a forked child
shares with its parent (a POSIX `lockf` lock is lost at fork) and which the kernel drops however
the process ends. The file is written in place: renaming a new one over it would leave two
daemons holding locks on two inodes of one name.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable

from tapkit.errors import DaemonError
from tapkit.run.process import titles

log = logging.getLogger("tapkit.pidfile")

# A pidfile is one number. Anything larger is somebody's file, named here by a slip.
_LARGEST = 64


class PidFile:
    """A pidfile at `path`: acquire it, write the daemon's number, remove it at the end.

    Attributes:
        path: absolute; "" once it can't be reached any more, from inside a chroot.
    """

    def __init__(self, path: str):
        self.path = os.path.abspath(path)
        self._shown = path
        self._fd = -1
        self._lent = False
        self._when_ours: Callable[[], None] = lambda: None

    def acquire(self) -> str | None:
        """Take the lock, in the process that will report to the user.

        Returns:
            What the file said, where it was left behind by a process that is gone.

        Raises:
            DaemonError: another daemon holds it, or the path can't be a pidfile.
        """
        while True:
            fd = self._open()
            try:
                content = self._inspect(fd)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                running = _read(fd)
                os.close(fd)
                raise _already_running(running, self._shown) from None
            except BaseException:
                os.close(fd)
                raise
            if self._is_named(fd):
                self._fd = fd
                return content or None
            os.close(fd)  # its owner removed it between our open and our lock: look again

    @property
    def fd(self) -> int:
        """The open file, with the lock on it: whoever has it open holds the lock as well."""
        return self._fd

    def borrow(self, fd: int) -> None:
        """Hold the lock together with another process, whose file it is until `take_over`."""
        self._fd = fd
        self._lent = True

    def take_over(self) -> None:
        """It is this process's file now: write our number."""
        self._lent = False
        self.write()
        self._when_ours()

    def when_ours(self, call: Callable[[], None]) -> None:
        """Call when the file is this process's: at once, or at `take_over`."""
        if self._lent:
            self._when_ours = call
        else:
            call()

    def write(self) -> None:
        """Write this process's number; not into a borrowed file.

        Raises:
            DaemonError: the disk is full, or broken.
        """
        if self._lent:
            return
        try:
            # In this order: who reads a reloading daemon's number meanwhile finds one.
            os.ftruncate(self._fd, os.pwrite(self._fd, b"%d\n" % os.getpid(), 0))
        except OSError as error:
            raise _unusable(error, self._shown) from error

    def remove(self) -> None:
        """Remove the file, if it still is the one we locked, then let go of the lock.

        Where it can't be removed - by a user who may not write the directory, or from inside a
        chroot - it is emptied, and the log says so: no stale number is left in it. (An open
        directory would let us remove it from inside a chroot, and anybody else leave it.)
        """
        if self._lent:
            self.leave()
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            if not self.path:
                _empty(fd, self._shown, "it is outside the chroot")
            elif self._is_named(fd):
                os.unlink(self.path)
        except OSError as error:
            _empty(fd, self._shown, error.strerror)
        finally:
            os.close(fd)

    def leave(self) -> None:
        """Forget the file in a process that handed it to a child: the child holds the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(self.path, flags, 0o644)
        except OSError as error:
            raise _unusable(error, self._shown) from error

    def _inspect(self, fd: int) -> str:
        """What the file says, for the user; refuse what can't be a pidfile."""
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise DaemonError(
                "not a pidfile, so it was left alone", self._shown, "name another with --pidfile"
            )
        return _read(fd)

    def _is_named(self, fd: int) -> bool:
        try:
            named = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        ours = os.fstat(fd)
        return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)


def _empty(fd: int, path: str, why: str | None) -> None:
    os.ftruncate(fd, 0)
    log.warning("the pidfile could not be removed, so it was emptied: %s (%s)", path, why)


def _read(fd: int) -> str:
    return os.pread(fd, _LARGEST, 0).decode("ascii", "replace").strip()


def _already_running(said: str, path: str) -> DaemonError:
    if not said.isdigit():
        return DaemonError("another twistd is starting", path, "wait for it, or use --pidfile")
    return DaemonError(
        f"another twistd is running, PID {said}{_who(int(said))}",
        path,
        f"stop it with `kill {said}`, or give this one its own --pidfile",
    )


def _who(pid: int) -> str:
    import psutil  # only needed to explain

    try:
        process = psutil.Process(pid)
        words = titles.command_line(process.cmdline())
        return f" ({' '.join(words[1:]) or process.name()})"
    except (psutil.Error, OverflowError):
        return ""


def _unusable(error: OSError, path: str) -> DaemonError:
    folder = os.path.dirname(path) or "."
    remedies = {
        errno.ELOOP: "it is a symbolic link: remove it, or name the real file with --pidfile",
        errno.EISDIR: "it is a directory: name a file with --pidfile",
        errno.ENOENT: f"make the directory {folder}, or name another with --pidfile or --rundir",
        errno.ENOSPC: f"free some space for {folder}, or name another with --pidfile or --rundir",
        errno.EACCES: f"check who may write {folder}, or name another with --pidfile or --rundir",
    }
    remedy = remedies.get(error.errno or 0, "name another with --pidfile or --rundir")
    return DaemonError(f"can't write the pidfile ({error.strerror})", path, remedy)
