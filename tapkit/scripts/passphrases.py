"""Passphrases from where they may come: the terminal, a file, a descriptor. Never a command line.

Other users see command lines, and an environment is inherited by everything a daemon starts.
"""

from __future__ import annotations

import os

from tapkit.errors import TapkitError, UsageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tapkit.image.seal.secret import Secret

FILE, FD = "--passphrase-file", "--passphrase-fd"
_MAX = 1 << 12
_TRIES = 3


def asking(arguments: dict[str, Any]) -> Callable[[str], Secret]:
    """What gives the passphrase of an image that is to be opened. It is asked for once."""
    known: list[Secret] = []

    def ask(where: str) -> Secret:
        if not known:
            known.append(_given(arguments) or _typed(f"Passphrase of {where}: "))
        return known[0]

    return ask


def new(arguments: dict[str, Any], what: str) -> Secret:
    """The passphrase for an image that is to be written; typed twice at a terminal.

    Raises:
        TapkitError: there is none to be had, or the two differ time and again.
    """
    given = _given(arguments)
    if given is not None:
        return given
    for _ in range(_TRIES):
        first = _typed(f"New passphrase for {what}: ")
        if _typed("The same again: ").reveal() == first.reveal():
            return first
        with open("/dev/tty", "w") as terminal:
            terminal.write("They differ.\n")
    raise TapkitError("the two passphrases differ", None, "nothing was written")


def _given(arguments: dict[str, Any]) -> Secret | None:
    """The passphrase that an option leads to: the first line of a file or descriptor."""
    path, fd = arguments.get(FILE), arguments.get(FD)
    if path is not None and fd is not None:
        raise UsageError(f"{FILE} and {FD} contradict each other", None, "give one of them")
    if path is not None:
        return _secret(private_text(path, _MAX), path)
    if fd is not None:
        return _secret(_from_descriptor(fd), FD)
    return None


def private_text(path: str, limit: int) -> bytes:
    """The bytes of a file that holds a secret, and that only its owner can read.

    Raises:
        TapkitError: it can't be read, or others can read it as well.
    """
    from tapkit.image import custody, files

    if path.startswith("/dev/fd/"):
        raise UsageError(f"{path} is a descriptor", None, f"name its number with {FD}")
    data = bytes(files.read_guarded(path, limit))
    status = os.stat(path)
    if not custody.is_private(status):
        mode = status.st_mode & 0o777
        raise TapkitError(f"others may read it (mode {mode:04o})", path, f"chmod 600 {path}")
    return data


def _from_descriptor(text: str) -> bytes:
    if not text.isascii() or not text.isdigit():
        raise UsageError("it is not the number of a descriptor", FD, f"such as {FD} 3 3<FILE")
    try:
        with open(int(text), "rb") as file:
            return file.readline(_MAX)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such descriptor"
        raise TapkitError(f"descriptor {text} can't be read ({reason})", FD, None) from error


def _secret(data: bytes, where: str) -> Secret:
    from tapkit.image.seal.secret import Secret

    line = data.split(b"\n")[0].removesuffix(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise TapkitError("the passphrase is not UTF-8", where, None) from None
    if not text:
        raise TapkitError("the passphrase is empty: its first line is", where, None)
    return Secret(text)


def _typed(prompt: str) -> Secret:
    """A passphrase from the terminal, unseen, wherever the standard streams lead."""
    from tapkit.image.seal.secret import Secret, no_core_files

    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise TapkitError(
            "a passphrase is needed, and there is no terminal to ask at", None, f"give {FILE}"
        ) from None
    import getpass

    no_core_files()
    try:
        return Secret(getpass.getpass(prompt))
    except EOFError:
        raise TapkitError("no passphrase was typed", None, "nothing was done") from None
