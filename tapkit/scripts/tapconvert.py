"""tapconvert: an image in one form to an image in another. Nothing of the image is run."""

from __future__ import annotations

import os
import sys

from tapkit.errors import EXIT_OK, ImageError, UsageError
from tapkit.scripts import sealing
from tapkit.scripts.console import command
from tapkit.scripts.images import STDIN, form_of

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.image.forms import Form
    from tapkit.image.seal import Seal

PROGRAM = "tapconvert"
STDOUT = "-"


def main(argv: list[str], doc: str) -> int:
    """Run tapconvert; `doc` is its usage text, which docopt reads."""
    return command(PROGRAM, argv, doc, _convert, options_first=False, repeated=sealing.REPEATED)


def _convert(arguments: dict[str, Any]) -> int:
    source, target = _files(arguments)
    encrypts = bool(arguments["--encrypt"] or arguments["--recipient"])
    asked = arguments["--typeout"]
    if asked is None and (encrypts or arguments["--decrypt"]):
        asked = _kept_form(source, target)
    to, target = _target_form(asked, source, target, encrypts=encrypts)
    data, where = _read(source, arguments)
    given = arguments["--typein"]
    row = form_of(data, where, None if given == "guess" else given)
    previous = _previous(target, to)
    converted = _converted(data, where, row, to, previous, run_it=arguments["--run"])
    seal = _seal(arguments, target, encrypts=encrypts)
    _write(converted, where, row, target, to, seal)
    return EXIT_OK


def _files(arguments: dict[str, Any]) -> tuple[str, str | None]:
    """What to read and what to write; positional arguments fill what the options leave open."""
    named = [word for word in (arguments["IN"], arguments["OUT"]) if word is not None]
    source, target = arguments["--in"], arguments["--out"]
    if source is None and named:
        source = named.pop(0)
    if target is None and named:
        target = named.pop(0)
    if named:
        raise UsageError(f"a file too many: {named[0]}", None, f"see {PROGRAM} --help")
    if source is None:
        raise UsageError("there is nothing to convert", None, "name a file, or - for stdin")
    if target is not None and _are_same(source, target):
        raise UsageError("the output is the input", target, "name another file")
    return source, target


def _are_same(source: str, target: str) -> bool:
    if STDIN in (source, target):
        return False
    try:
        return os.path.samefile(source, target)
    except OSError:
        return False  # one is missing: the reader of the source will say if it is that


def _kept_form(source: str, target: str | None) -> str | None:
    """The form of what is read, where an image is only encrypted or decrypted."""
    from tapkit.image import forms

    if target not in (None, STDOUT) and forms.by_extension(str(target)) is not None:
        return None  # the target says it
    row = forms.by_extension(source)
    return None if row is None else row.name


def _target_form(
    asked: str | None, source: str, target: str | None, *, encrypts: bool
) -> tuple[Form, str]:
    """The form to write and where to."""
    from tapkit.image import forms

    if asked is not None:
        row = forms.by_name(asked)
    else:
        found = forms.by_extension(target) if target is not None else None
        if found is None:
            names = ", ".join(forms.names())
            raise UsageError("which form shall it be?", target, f"say it with --typeout: {names}")
        row = found
    if target is None:
        plain = row.extensions[0]
        extension = forms.encrypted_extension(plain) if encrypts else plain
        target = STDOUT if source == STDIN else os.path.splitext(source)[0] + extension
        if _are_same(source, target):
            raise UsageError("the output is the input", target, "name another with --out")
    return row, target


def _read(source: str, arguments: dict[str, Any]) -> tuple[Any, str]:
    """The bytes to convert, decrypted. A file must be one that twistd would load.

    The image that is written belongs to whoever runs this, and so is trusted; it must not
    become so by a conversion.
    """
    from tapkit.image import files, seal

    where = "standard input" if source == STDIN else source
    data = sys.stdin.buffer.read() if source == STDIN else files.read_guarded(source)
    keys = sealing.keys(arguments, required=arguments["--decrypt"])
    return seal.decrypted(data, where, keys).data, where


def _seal(arguments: dict[str, Any], target: str, *, encrypts: bool) -> Seal:
    """How what is written is encrypted. It is not signed, whatever was read: who vouched for
    that has not seen this."""
    from tapkit.image import forms
    from tapkit.image.seal import OPEN, Seal

    if not encrypts and not forms.says_encrypted(target):
        return OPEN
    return Seal(sealing.lock(arguments, target))


def _previous(target: str, to: Form) -> bytes | None:
    """The text that is replaced, if it is of the same form: its comments can stay."""
    try:
        with open(target, "rb") as file:
            data = file.read()
    except OSError:
        return None  # there is none, or writing will say what is wrong with it
    return data if to.sniff(data) else None


def _converted(
    data: Any, where: str, row: Form, to: Form, previous: bytes | None, *, run_it: bool
) -> bytes:
    from tapkit.image import tas

    try:
        nodes, info = row.decode(data, where)
    except tas.SourceBeyondError:
        if not run_it:
            raise
        return to.dump(row.load(data, where).obj, "application", {}, lambda: previous)
    return to.encode(nodes, info, previous)


def _write(data: bytes, where: str, row: Form, target: str, to: Form, how: Seal) -> None:
    from tapkit.image import seal

    if target == STDOUT:
        _print(seal.sealed(data, how, "")[0])
        return
    name = f"{to.name}, encrypted" if how.lock else to.name
    print(f"Converting {where} ({row.name}) to {target} ({name})...", flush=True)
    seal.write(data, target, how)
    print("Saved.")


def _print(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is left in the buffer must not be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ImageError(f"it can't be written ({error.strerror})", "standard output") from error
