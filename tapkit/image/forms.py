"""FORMS: how an image can be spelt. A row more is a form more: nothing else names a form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tapkit.errors import ImageError, UsageError
from tapkit.image import age_header, rows
from tapkit.image.header import ImageInfo
from tapkit.names import suggestion
from tapkit.records import Record

if TYPE_CHECKING:
    from tapkit.image import nodes


class Form(Record):
    """A way to spell an image. `where` is the place named in errors.

    Attributes:
        name: `pickle`; extensions: `.tap` first, the one that is written.
        sniff: whether bytes are, or were meant to be, of this form.
        dump: (object, name of the root in paths, what the header says, what gives the bytes to
            be replaced or None) -> bytes.
        rehearse: (object, name of the root in paths) -> None; fails where `dump` would.
        load: (bytes, where) -> Loaded.
        decode: (bytes, where) -> (nodes, ImageInfo); loads and runs nothing.
        encode: (nodes, ImageInfo, the bytes to be replaced or None) -> bytes.
        inspect: (bytes, where) -> ImageInfo; loads and runs nothing.
        check: (bytes, where) -> None; all that can be checked quickly without loading.
        load_intact: as `load`, of bytes that are known to be what was saved; None: as `load`.
    """

    name: str
    extensions: tuple[str, ...]
    sniff: Callable[[Any], bool]
    dump: Callable[[Any, str, dict[str, Any], rows.Previous], bytes]
    rehearse: Callable[[Any, str], None]
    load: Callable[[Any, str], rows.Loaded]
    decode: Callable[[Any, str], tuple[nodes.Image, ImageInfo]]
    encode: Callable[[nodes.Image, ImageInfo, bytes | None], bytes]
    inspect: Callable[[Any, str], ImageInfo]
    check: Callable[[Any, str], None]
    load_intact: Callable[[Any, str], rows.Loaded] | None = None


def _looks_like_tap(data: Any) -> bool:
    from tapkit.image import tap

    return tap.sniff(data)


def _looks_like_xml(data: Any) -> bool:
    return bytes(data[:200]).lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<"))


def _looks_like_source(data: Any) -> bool:
    """Text that is no XML: whether it is Python its reader says, with the line that is not."""
    start = bytes(data[:4096])
    if not start.strip() or b"\0" in start or _looks_like_xml(start):
        return False
    try:
        text = start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # not just a character cut in two
            return False
        text = start[: error.start].decode("utf-8-sig")
    return any(word in text for word in _SOURCE_WORDS)


_SOURCE_WORDS = ("import ", "application", "root =")

FORMS = (
    Form(
        "pickle",
        (".tap",),
        _looks_like_tap,
        rows.dump_tap,
        rows.rehearse_tap,
        rows.load_tap,
        rows.decode_tap,
        rows.encode_tap,
        rows.inspect_tap,
        rows.check_tap,
        rows.load_intact_tap,
    ),
    *(
        Form(
            name,
            (extension,),
            sniff,
            text.dump,
            text.rehearse,
            text.load,
            text.decode,
            text.encode,
            text.inspect,
            text.check,
        )
        for name, extension, sniff, text in (
            ("xml", ".tax", _looks_like_xml, rows.XML),
            ("source", ".tas", _looks_like_source, rows.SOURCE),
        )
    ),
)

_ENCRYPTED = ".e"
"""What the extension of an encrypted image begins with: `.etap` is `.tap`, encrypted."""


def names() -> list[str]:
    """The forms there are."""
    return [form.name for form in FORMS]


def extensions() -> set[str]:
    """Every extension an image may have, encrypted ones as well."""
    plain = {extension for form in FORMS for extension in form.extensions}
    return plain | set(map(encrypted_extension, plain))


def encrypted_extension(extension: str) -> str:
    """The extension of an image that is encrypted: `.tap` to `.etap`."""
    return _ENCRYPTED + extension[1:]


def says_encrypted(path: str) -> bool:
    """Whether a file's name says that the image in it is encrypted."""
    import os

    extension = os.path.splitext(path)[1]
    return any(encrypted_extension(plain) == extension for f in FORMS for plain in f.extensions)


def by_name(name: str) -> Form:
    """A form by its name, or by one of its extensions.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    for form in FORMS:
        if name == form.name or name in form.extensions:
            return form
        if name in map(encrypted_extension, form.extensions):
            raise UsageError(f"{name} is the form {form.name}, encrypted", None, "encrypt that")
    raise UsageError(
        f"no such form: {name}{suggestion(name, names())}", None, f"forms: {', '.join(names())}"
    )


def by_extension(path: str) -> Form | None:
    """The form a file's name says, encrypted or not; None if it says none."""
    import os

    extension = os.path.splitext(path)[1]
    for form in FORMS:
        if extension in (*form.extensions, *map(encrypted_extension, form.extensions)):
            return form
    return None


def sniff(data: Any, where: str) -> Form:
    """The form of these bytes, by what they are and not by a name.

    Raises:
        ImageError: they are no image, and what they look like.
    """
    for form in FORMS:
        if form.sniff(data):
            return form
    if age_header.sniff(data):
        raise ImageError("the image is encrypted", where, "decrypt it first: tapconvert --decrypt")
    FORMS[0].inspect(data, where)  # it says best what else the bytes are
    raise ImageError("it is not a tapkit image", where)
