"""A log file, which others may move away, cut or remove, and which is rotated by its size.

The descriptor's number stays the same for the life of the process: a new file is opened beside
the old one and put in its place (dup2), and so behind standard output and standard error where
they were the log. So there is no moment without a log, and where a new file can't be opened the
old one is written on. `faulthandler`, which knows nothing but the number, follows as well.
"""

from __future__ import annotations

import os
import stat

from tapkit.run.logs.sinks import StreamLog

_STREAMS = (1, 2)
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
_MODE = 0o666  # less the umask


class FileLog(StreamLog):
    """Lines into a file.

    Parameters:
        size: bytes at which it is rotated; 0: never.
        keep: how many old files are kept.
        movable: whether the path will mean the same later on.

    Raises:
        OSError: it can't be opened.
    """

    def __init__(self, path: str, size: int, keep: int, movable: bool):
        self.path = os.path.abspath(path)
        super().__init__(os.open(self.path, _FLAGS, _MODE))
        # A device or a pipe is never moved or rotated.
        self._movable = movable and stat.S_ISREG(os.fstat(self.fd).st_mode)
        self._size = size if self._movable else 0
        self._keep = keep
        self._put_off = 0  # after a rotation that failed: the size at which to try again
        self._followed = False  # a move that was noticed, and not announced by a signal yet

    def put(self, text: str, level: int) -> None:
        if self._movable:
            self._look()
        super().put(text, level)

    def reopen(self) -> None:
        """Take the file a log rotator has put in place; if none has, rotate.

        A rotator's signal comes after its move, which a line logged in between has noticed
        already: then nothing is left to do. Without a size to rotate at, nothing is rotated:
        whoever moves the files does that.
        """
        if not self._movable:
            return
        with self.lock:  # type: ignore[union-attr]  # a handler has one from its start
            try:
                if self._was_moved():
                    self._take_new()
                elif self._size and not self._followed:
                    self._rotate()
            except OSError as error:
                self.failed(error)
            self._followed = False

    def _look(self) -> None:
        """Before a line: has the file been moved, is it full?"""
        try:
            if self._was_moved():
                self._take_new()
                self._followed = True
            elif self._size and os.fstat(self.fd).st_size >= max(self._size, self._put_off):
                self._rotate()
        except OSError as error:
            self.failed(error)  # and the line goes where the last one went

    def _was_moved(self) -> bool:
        ours = os.fstat(self.fd)
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            return True
        return (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino)

    def _rotate(self) -> None:
        size = os.fstat(self.fd).st_size
        try:
            self._shift()
            self._take_new()
            self._put_off = 0
        except OSError:
            self._put_off = size + self._size  # not again at every line
            raise

    def _shift(self) -> None:
        """Make room for a new file: .1 becomes .2 and so on, the oldest goes."""
        if not self._keep:
            os.truncate(self.fd, 0)
            return
        for number in range(self._keep - 1, 0, -1):
            try:
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
            except FileNotFoundError:
                pass  # there are fewer as yet
        os.replace(self.path, f"{self.path}.1")

    def _take_new(self) -> None:
        """Open what the path names now, in the place of what was open."""
        mode = stat.S_IMODE(os.fstat(self.fd).st_mode)
        fresh = os.open(self.path, _FLAGS, mode)
        try:
            old = os.fstat(self.fd)
            for stream in _STREAMS:
                if _is(stream, old):
                    os.dup2(fresh, stream)
            os.dup2(fresh, self.fd, inheritable=False)
        finally:
            os.close(fresh)


def _is(fd: int, file: os.stat_result) -> bool:
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino)
