"""The administrator's editor: which one it is, how it is told a line, and running it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys

from tapkit.errors import TapkitError, describe

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLES = ("VISUAL", "EDITOR")
FALLBACKS = ("editor", "vi")

PLUS = "+{line} {file}"
_COLON = "{file}:{line}:{column}"
_LINES = {
    **dict.fromkeys(("vi", "vim", "nvi", "nvim", "gvim", "view", "elvis", "vis", "ex"), PLUS),
    **dict.fromkeys(("vim.tiny", "vim.basic", "vim.nox", "vim.gtk3", "busybox"), PLUS),
    **dict.fromkeys(("emacs", "emacsclient", "mg", "zile", "jove", "jed", "joe", "jmacs"), PLUS),
    **dict.fromkeys(("pico", "ne", "mcedit", "gedit", "gnome-text-editor", "pluma"), PLUS),
    **dict.fromkeys(("nano", "rnano"), "+{line},{column} {file}"),
    **dict.fromkeys(("micro", "kak"), "+{line}:{column} {file}"),
    **dict.fromkeys(("code", "codium", "code-insiders"), "--goto {file}:{line}:{column}"),
    **dict.fromkeys(("hx", "helix", "subl", "zed"), _COLON),
    **dict.fromkeys(("kate", "kwrite"), "--line {line} --column {column} {file}"),
}
"""How editors are told where to begin, by the program's name; any other is told the file alone."""


class Editor:
    """A program to edit a file with.

    Parameters:
        words: the program and its arguments, as the user gave them.
        source: what named it: a variable, or nothing.
    """

    def __init__(self, words: list[str], source: str = ""):
        self.words = words
        self.source = source

    def command(self, path: str, line: int = 0, column: int = 1) -> list[str]:
        """The command line that edits a file, at a line (counted from 1) if the editor can."""
        pattern = _LINES.get(self._name()) if line else None
        if pattern is None:
            return [*self.words, path]
        values = {"file": path, "line": line, "column": column}
        return [*self.words, *(word.format_map(values) for word in pattern.split(" "))]

    def _name(self) -> str:
        """What the program is: `editor` and `vi` are often links to another."""
        name = os.path.basename(self.words[0])
        if name in _LINES:
            return name
        found = shutil.which(self.words[0])
        return os.path.basename(os.path.realpath(found)) if found else name

    def edit(self, path: str, line: int = 0, column: int = 1) -> None:
        """Run the editor on a file until it ends.

        Raises:
            TapkitError: it can't be started, or says that it failed.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            with _keys_are_the_editors():
                status = subprocess.call(self.command(path, line, column))
        except OSError as error:
            remedy = f"set {' or '.join(VARIABLES)} to an editor that is installed"
            raise TapkitError(
                f"the editor can't be started ({describe(error)})", self._origin(), remedy
            ) from error
        if status:
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise TapkitError(f"the editor failed ({how})", self._origin())

    def _origin(self) -> str:
        text = shlex.join(self.words)
        return f"${self.source}={text}" if self.source else text


def chosen() -> Editor:
    """The editor of $VISUAL or $EDITOR (with arguments, if it has any), or one that is there.

    Raises:
        TapkitError: there is none, or a variable can't be read.
    """
    for variable in VARIABLES:
        text = os.environ.get(variable, "").strip()
        if text:
            return Editor(_words(variable, text), variable)
    for name in FALLBACKS:
        if shutil.which(name):
            return Editor([name])
    raise TapkitError("there is no editor", None, f"set {' or '.join(VARIABLES)} to one")


def _words(variable: str, text: str) -> list[str]:
    if shutil.which(text):
        return [text]  # a path with blanks in it
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise TapkitError(f"{text!r} can't be read ({error})", f"${variable}") from error
    return [os.path.expanduser(words[0]), *words[1:]]


@contextlib.contextmanager
def _keys_are_the_editors() -> Iterator[None]:
    """Within it, Ctrl-C and Ctrl-\\ on the terminal do nothing to this process.

    The terminal sends them to both. They are not ignored, for the editor would inherit that.
    """
    keys = (signal.SIGINT, signal.SIGQUIT)
    before = [signal.signal(key, _do_nothing) for key in keys]
    try:
        yield
    finally:
        for key, handler in zip(keys, before, strict=True):
            signal.signal(key, handler)


def _do_nothing(number: int, frame: object) -> None:
    """A handler; unlike SIG_IGN it is not handed on to a program that is started."""
