"""Images as the tools open them: read and checked, never loaded."""

from __future__ import annotations

import os
import stat
import sys

from tapkit.errors import ImageError
from tapkit.scripts import sealing

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.image.forms import Form
    from tapkit.image.header import ImageInfo
    from tapkit.image.nodes import Image

STDIN = "-"


class Opened:
    """An image and where it came from; `nodes` and `info` as its form tells them."""

    __slots__ = ("data", "form", "info", "nodes", "where")

    def __init__(self, where: str, data: Any, form: Form, nodes: Image, info: ImageInfo):
        self.where = where
        self.data = data
        self.form = form
        self.nodes = nodes
        self.info = info


def opened(path: str, form: str | None = None, arguments: dict[str, Any] | None = None) -> Opened:
    """An image to look at, whoever it belongs to; `-` is standard input.

    Raises:
        ImageError: it can't be read, or is no image.
        UsageError: there is no such form.
    """
    where, data, row = read(path, form, arguments)
    nodes, info = row.decode(data, where)
    return Opened(where, data, row, nodes, info)


def read(
    path: str, form: str | None = None, arguments: dict[str, Any] | None = None
) -> tuple[str, bytes, Form]:
    """The bytes of an image that is to be looked at: (what to call the place, bytes, their form).

    Raises:
        ImageError, UsageError: as `opened`; the image itself is not checked.
    """
    from tapkit.image import seal

    where = "standard input" if path == STDIN else path
    data = sys.stdin.buffer.read() if path == STDIN else _contents(path)
    data = seal.decrypted(data, where, sealing.keys(arguments or {})).data
    return where, data, form_of(data, where, form)


def form_of(data: Any, where: str, form: str | None = None) -> Form:
    """The form that is named, or that the bytes are of, or else the file's extension says."""
    from tapkit.image import forms

    if form is not None:
        return forms.by_name(form)
    try:
        return forms.sniff(data, where)
    except ImageError:
        row = forms.by_extension(where)
        if row is None:
            raise
        return row


def _contents(path: str) -> bytes:
    """Any file's bytes. What is only looked at need not belong to whom one trusts."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ImageError("it is not a regular file", path, "name an image")
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        from tapkit.names import suggestion

        folder, name = os.path.split(path)
        near = suggestion(name, os.listdir(folder or ".")) if os.path.isdir(folder or ".") else ""
        raise ImageError(f"no such file{near}", path) from error
    except OSError as error:
        raise ImageError(f"the image can't be read ({error.strerror})", path) from error
