"""tapctl edit: an image of any form, edited as XML and written back in its own form."""

from __future__ import annotations

import os
import re
import sys

from tapkit.errors import EXIT_FAILED, EXIT_OK, ImageError, TapkitError
from tapkit.scripts import sealing
from tapkit.scripts.console import complain

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.image.forms import Form
    from tapkit.image.header import ImageInfo
    from tapkit.image.nodes import Image
    from tapkit.scripts.draft import Draft

USAGE = """
Edit an image of any form as XML, in your editor. It is not loaded.

Usage:
  tapctl edit [options] IMAGE
  tapctl edit (-h | --help)

The editor is that of $VISUAL or $EDITOR. When it ends the text is checked: a mistake leads back
to it, at that line. The image is then written in the form it had, with the mode and the owner
it had. Nothing is written if nothing was changed, if the editor fails, or if somebody else
changed the file meanwhile; a text that was changed and not written is kept, in a file that is
named.

Options:
  -k, --sign=KEY          Sign what is written with the private key in the file KEY.
  --passphrase-file=FILE  The passphrase of an encrypted image is the first line of FILE; without
                          it, it is asked for at the terminal.
  --passphrase-fd=N       It comes from the open descriptor N.
  --identity=FILE         Open it with this age identity; repeatable.
  --recipient=KEY         Encrypt what is written for the holder of KEY, in place of how it was
                          encrypted; repeatable.
  -h, --help              Show this.

An encrypted image is written encrypted, as it was. Its text is in the clear while it is edited,
in memory (/dev/shm) where that is to be had; what can't be used is kept encrypted.

A daemon that runs from the image goes on as it is until it is started anew.

Exit status: 0 it is done, or nothing was changed; 1 it failed and nothing was written; 2 the
command line is mistyped.
"""

PROGRAM = "tapctl edit"
REPEATED = sealing.REPEATED
_SHOWN = 10
"""How many of the changes that were made are listed."""


class Original:
    """The image as it was when it was opened.

    Attributes:
        where: how messages name the text.
        text: what is edited: the file's own text if it is XML, else its XML.
        nodes: None if it is XML with a mistake in it, which is then in `mistake`.
        seal: how what is written is encrypted, and signed.
    """

    def __init__(self, path: str, arguments: dict[str, Any]):
        from tapkit.image import files, forms, seal, tas
        from tapkit.scripts.images import form_of

        self.path = path
        self.where = path  # of what is edited, for messages
        self.held = bytes(files.read_guarded(path))
        opened = seal.decrypted(self.held, path, sealing.keys(arguments))
        lock = sealing.recipients_lock(arguments) or opened.lock
        self.seal = seal.Seal(lock, sealing.signer(arguments["--sign"]))
        self.data = bytes(opened.data)
        self.form: Form = form_of(self.data, path)
        self.mistake: ImageError | None = None
        self.nodes: Image | None = None
        self.info: ImageInfo | None = None
        xml = forms.by_name("xml")
        try:
            self.nodes, self.info = self.form.decode(self.data, path)
        except tas.SourceBeyondError as error:
            raise ImageError(error.what, error.where, "it is a program: edit it as one") from error
        except ImageError as error:
            if self.form is not xml:
                raise
            self.mistake = error
        if self.form is xml or self.nodes is None or self.info is None:
            self.text = self.data
        else:
            self.where = f"{path} as XML"
            self.text = xml.encode(self.nodes, self.info, None)

    def is_unchanged(self) -> bool:
        """Whether the file still holds what was read."""
        try:
            with open(self.path, "rb") as file:
                return file.read() == self.held
        except OSError:
            return False

    def encoded(self, text: bytes, nodes: Image, info: ImageInfo) -> bytes:
        """What to write: the edited text itself, or what it says in the image's own form."""
        if self.form.name == "xml":
            return text
        return self.form.encode(nodes, self._header(info), self.data)

    def _header(self, info: ImageInfo) -> ImageInfo:
        """The header it had, with what the edit may have changed."""
        old = self.info
        if old is None:
            return info
        known = old.modules
        return old._replace(
            name=info.name,
            modules={name: known.get(name, version) for name, version in info.modules.items()},
            by_value=info.by_value,
            created=info.created,
        )


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.scripts.draft import Draft
    from tapkit.scripts.editor import chosen

    original = Original(arguments["IMAGE"], arguments)
    editor = chosen()
    _warn_of_daemons(original.path)
    with Draft(original.path, original.text, editor, original.seal.lock) as draft:
        return _edit(original, draft)


def _edit(original: Original, draft: Draft) -> int:
    """Edit until the text is right, unchanged, or given up."""
    mistake: TapkitError | None = original.mistake
    if mistake is not None and not _goes_on(mistake):
        return EXIT_FAILED
    while True:
        try:
            draft.edit(*_place(mistake))
            if not draft.is_changed():
                return _leave(original)
            return _finish(original, draft)
        except ImageError as error:
            if getattr(error, "excerpt", None) is None:
                raise _kept(draft, error) from error
            mistake = error
        except TapkitError as error:
            raise _kept(draft, error) from error
        except BaseException:
            if draft.is_changed():
                complain(PROGRAM, f"your text is in {draft.keep()}")
            raise
        if not _goes_on(mistake):
            complain(PROGRAM, f"{original.path} is as it was; your text is in {draft.keep()}")
            return EXIT_FAILED


def _leave(original: Original) -> int:
    if original.mistake is not None:
        complain(PROGRAM, f"nothing was changed: {original.path} still has the mistake")
        return EXIT_FAILED
    print(f"Nothing was changed: {original.path} is as it was.")
    return EXIT_OK


def _finish(original: Original, draft: Draft) -> int:
    """Check the text and write it.

    Raises:
        ImageError: with an `excerpt`, if the text is at fault.
    """
    from tapkit.image import forms

    text = draft.text()
    nodes, info = forms.by_name("xml").decode(text, original.where)
    changes = _changes(original, nodes)
    if changes == [] and original.form.name != "xml":
        print(f"Nothing was changed but comments or layout: {original.path} is as it was.")
        return EXIT_OK
    data = original.encoded(text, nodes, info)
    original.form.check(data, original.path)
    if not original.is_unchanged():
        raise TapkitError(
            "the file was changed by somebody else while you edited it",
            original.path,
            "edit it again; nothing was written",
        )
    _show(changes)
    print(f"Saving {original.path}...", flush=True)
    _save(original, data, info.name)
    return EXIT_OK


def _save(original: Original, data: bytes, name: str | None) -> None:
    """Write the image, encrypted as it was; and signed, if there is a key to do it with."""
    from tapkit.image import seal
    from tapkit.image.seal import trust

    try:
        signatures = trust.found_in(original.held, original.path)[1]
    except ImageError:
        signatures = []
    generation = max((stated.generation for stated in signatures), default=0)
    how = original.seal._replace(generation=generation)
    seal.write(data, original.path, how, name=name or "")
    print("Saved.")
    if how.signer is not None:
        print(f"Signed as {name!r}.")
    elif signatures:
        complain(
            PROGRAM,
            f"warning: {original.path} was signed; the signature no longer fit and is gone:"
            f" tapctl sign --key KEY {original.path}",
        )


def _changes(original: Original, nodes: Image) -> list[str] | None:
    """What the edit changed, a line each; None if the original could not be read."""
    from itertools import islice

    from tapkit.image.collector import no_collector
    from tapkit.image.compare import differences

    if original.nodes is None:
        return None
    with no_collector():
        return list(map(str, islice(differences(original.nodes, nodes), _SHOWN + 1)))


def _show(changes: list[str] | None) -> None:
    for line in (changes or [])[:_SHOWN]:
        print(line)
    if changes and len(changes) > _SHOWN:
        print("...")


def _kept(draft: Draft, error: TapkitError) -> TapkitError:
    """The error, and where the text is if it was changed."""
    if not draft.is_changed():
        return error
    remedy = f"{error.remedy}; " if error.remedy else ""
    return TapkitError(error.what, error.where, f"{remedy}your text is in {draft.keep()}")


def _goes_on(mistake: TapkitError) -> bool:
    """Show a mistake, and ask whether to edit it away; without a terminal nobody can.

    An interrupt, whenever it comes, is the answer no: the text must still be kept.
    """
    try:
        complain(PROGRAM, str(mistake))
        return sys.stdin.isatty() and _wants_to_edit()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return False


def _wants_to_edit() -> bool:
    while True:
        print(
            "Press Enter to edit it again, or q to give up: ", end="", file=sys.stderr, flush=True
        )
        answer = sys.stdin.readline()
        if answer.strip().lower() in ("", "e", "y"):
            return bool(answer)  # nothing at all is the end of the input
        if answer.strip().lower() in ("q", "n"):
            return False


def _place(mistake: TapkitError | None) -> tuple[int, int]:
    """Line and column of a mistake; (0, 1) if there is none."""
    found = re.search(r":(\d+):(\d+)$", (mistake.where or "") if mistake is not None else "")
    return (int(found[1]), int(found[2])) if found else (0, 1)


def _warn_of_daemons(path: str) -> None:
    from tapkit.scripts.running import daemons_of

    for number in daemons_of(path):
        name, extension = os.path.splitext(os.path.basename(path))
        complain(
            PROGRAM,
            f"warning: twistd (process {number}) runs from {path}: what you change takes effect"
            f" when it is started anew, and at stop it saves its state to another file"
            f" ({name}-shutdown{extension})",
        )
