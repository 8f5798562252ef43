"""The text of an image while it is edited: private, and kept when it can't be used."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from tapkit.image.seal.encryption import Lock
    from tapkit.scripts.editor import Editor

EXTENSION, ENCRYPTED = ".tax", ".etax"
_MOST_KEPT = 1000


class Draft:
    """A text that is being edited. Leaving the context removes it, unless it had to stay.

    Parameters:
        path: the image it is of, after which files are named.
        text: what it begins with.
        editor: what edits it.
        lock: the image is encrypted: what is kept of the text is too.
    """

    def __init__(self, path: str, text: bytes, editor: Editor, lock: Lock | None = None):
        self._image = path
        self._began = text
        self._editor = editor
        self._lock = lock
        memory = "/dev/shm" if lock is not None and os.access("/dev/shm", os.W_OK) else None
        # Mode 0700: an image holds secrets.
        self._folder = tempfile.mkdtemp(prefix="tapctl-", dir=memory)
        self._path = os.path.join(self._folder, self._name() + EXTENSION)
        self._stays = False
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *failure: object) -> None:
        if not self._stays:
            shutil.rmtree(self._folder, ignore_errors=True)

    def edit(self, line: int = 0, column: int = 1) -> None:
        """Let the editor have it.

        Raises:
            TapkitError: the editor failed.
        """
        self._editor.edit(self._path, line, column)

    def text(self) -> bytes:
        """The text as it is now. Editors replace files, so it is opened by name."""
        with open(self._path, "rb") as file:
            return file.read()

    def is_changed(self) -> bool:
        """Whether there is a text other than the first."""
        try:
            return self.text() != self._began
        except FileNotFoundError:
            return False  # the editor took it away: nothing is left to keep or to write

    def keep(self) -> str:
        """Keep the text, next to the image or else where it is; its path is returned."""
        text, extension = self.text(), EXTENSION
        if self._lock is not None:
            text, extension = self._lock.encrypt(text), ENCRYPTED
        for number in range(1, _MOST_KEPT):
            tag = "edited" if number == 1 else f"edited-{number}"
            path = os.path.join(os.path.dirname(self._image), f"{self._name()}.{tag}{extension}")
            with contextlib.suppress(FileExistsError):
                if _written(path, text):
                    return path
                break
        self._stays = True
        return self._path

    def _name(self) -> str:
        return os.path.splitext(os.path.basename(self._image))[0]


def _written(path: str, text: bytes) -> bool:
    """Write a new file; False if that directory takes none.

    Raises:
        FileExistsError: there is one of that name.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise
    except OSError:
        return False
    try:
        with open(fd, "wb") as file:
            file.write(text)
    except OSError:
        os.unlink(path)
        return False
    return True
