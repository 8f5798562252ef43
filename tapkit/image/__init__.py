"""An image: any object graph in one file, in any form. Knows graphs, not services.

Nothing heavy is imported before it is needed: `from tapkit import image` is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapkit.image.forms import Form
    from tapkit.image.header import ImageInfo
    from tapkit.image.rows import Loaded

BYTES = "the image"
"""What errors call an image that comes from no file."""


def dumps(obj: Any, form: str = "pickle", *, root: str = "object", **meta: Any) -> bytes:
    """The image of an object.

    Parameters:
        form: `pickle`, or a file extension.
        root: what the object is called in error messages.
        meta: what `inspect` shows: `name`, `tap_type`, `options`; `encoding="zstd"` packs it.

    Raises:
        ImageError: naming, by attribute path, all that can't be saved.
        UsageError: there is no such form.
    """
    from tapkit.image import forms

    return forms.by_name(form).dump(obj, root, meta, lambda: None)


def loads(data: Any, form: str | None = None) -> Any:
    """The object of an image. It runs what the image says: load only what you trust.

    Parameters:
        form: as `dumps`; None: the bytes say it.

    Raises:
        ImageError: it is damaged, needs what is not here, or its code failed.
    """
    return _row(data, form, BYTES).load(data, BYTES).obj


def save(
    obj: Any,
    path: str,
    form: str | None = None,
    *,
    root: str = "object",
    keep: int = 0,
    previous: str | None = None,
    **meta: Any,
) -> None:
    """Write the image of an object, durably, and whole or not at all.

    Parameters:
        form: as `dumps`; None: the path's extension says it, else `pickle`.
        keep: how many of the files it replaces are kept, as `path.1` and on.
        previous: a file whose comments and order an XML image takes over; None: the one it
            replaces.

    Raises:
        ImageError: it can't be saved or written; what was there before is whole.
    """
    from tapkit.image import files, forms

    row = forms.by_name(form) if form else forms.by_extension(path) or forms.FORMS[0]
    data = row.dump(obj, root, meta, lambda: files.contents(previous or path))
    row.check(data, path)
    files.write_atomic(path, data, keep=keep)


def load(path: str, form: str | None = None) -> Any:
    """The object in a file that `save` wrote; as `loads`.

    Raises:
        ImageError: besides, when the file is missing, or others than its owner may write to it.
    """
    return load_known(path, form).obj


def load_known(path: str, form: str | None = None) -> Loaded:
    """As `load`, with what the image says of itself; its `form` is the one the file has."""
    from tapkit.image import files

    data = files.read_guarded(path)
    return _row(data, form, path).load(data, path)


def convert(data: Any, to: str, form: str | None = None, where: str = BYTES) -> bytes:
    """The same image in another form. Loads and runs nothing.

    Parameters:
        to: the form wanted, by name or extension.
        form: the form it has; None: the bytes say it.

    Raises:
        ImageError: it is no image, it is damaged, or it can only be run.
        UsageError: there is no such form.
    """
    from tapkit.image import forms

    row = forms.by_name(to)
    nodes, info = _row(data, form, where).decode(data, where)
    return row.encode(nodes, info, None)


def inspect(data: Any, where: str = BYTES) -> ImageInfo:
    """What an image says of itself. Loads and runs nothing.

    Raises:
        ImageError: it is no image, or damaged.
    """
    from tapkit.image import forms

    return forms.sniff(data, where).inspect(data, where)


def _row(data: Any, form: str | None, where: str) -> Form:
    from tapkit.image import forms

    return forms.by_name(form) if form else forms.sniff(data, where)
