"""An image: any object graph in one file, in any form. Knows graphs, not services.

Nothing heavy is imported before it is needed: `from tapkit import image` is cheap.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapkit.image.forms import Form
    from tapkit.image.header import ImageInfo
    from tapkit.image.rows import Loaded
    from tapkit.image.seal import Seal
    from tapkit.image.seal.encryption import Keys
    from tapkit.image.seal.policy import Policy

BYTES = "the image"
"""What errors call an image that comes from no file."""


def dumps(
    obj: Any,
    form: str = "pickle",
    *,
    root: str = "object",
    seal: Seal | None = None,
    **meta: Any,
) -> bytes:
    """The image of an object.

    Parameters:
        form: `pickle`, or a file extension.
        root: what the object is called in error messages.
        seal: encrypts it; a signature that is a file of its own is not made here.
        meta: what `inspect` shows: `name`, `tap_type`, `options`; `encoding="zstd"` packs it;
            `carried` names the modules that the object itself makes importable.

    Raises:
        ImageError: naming, by attribute path, all that can't be saved.
        UsageError: there is no such form.
    """
    from tapkit.image import forms

    name = meta.get("name")
    data = forms.by_name(form).dump(obj, root, meta, lambda: None)
    if seal is None:
        return data
    from tapkit.image.seal import sealed

    return sealed(data, seal, str(name))[0]


def rehearse(obj: Any, form: str = "pickle", *, root: str = "object") -> None:
    """Make sure that an object can be saved, in that form; what it would be saved as is dropped.

    Raises:
        ImageError: as `dumps`.
    """
    from tapkit.image import forms

    forms.by_name(form).rehearse(obj, root)


def loads(data: Any, form: str | None = None, *, placeholders: bool = False) -> Any:
    """The object of an image. It runs what the image says: load only what you trust.

    Parameters:
        form: as `dumps`; None: the bytes say it.
        placeholders: keep objects whose class is missing, or refuses its state, as they were
            saved; each such class is logged. Else that is an error.

    Raises:
        ImageError: it is damaged, needs what is not here, or its code failed.
    """
    if not placeholders:
        return _row(data, form, BYTES).load(data, BYTES).obj
    from tapkit.image.lenient import placeholders_allowed

    with placeholders_allowed():
        return _row(data, form, BYTES).load(data, BYTES).obj


def save(
    obj: Any,
    path: str,
    form: str | None = None,
    *,
    root: str = "object",
    keep: int = 0,
    previous: str | bytes | None = None,
    passphrase: str | None = None,
    seal: Seal | None = None,
    **meta: Any,
) -> None:
    """Write the image of an object, durably, and whole or not at all.

    Parameters:
        form: as `dumps`; None: the path's extension says it, else `pickle`.
        keep: how many of the files it replaces are kept, as `path.1` and on.
        previous: a file, or what one held, whose comments and order an XML image takes over;
            None: the file it replaces.
        passphrase: encrypts it; seal: how it is encrypted and signed, in all.

    Raises:
        ImageError: it can't be saved or written; what was there before is whole.
        UsageError: the path says that it is encrypted (`.etap`), and nothing says how.
    """
    from tapkit.image import files, forms
    from tapkit.image.seal import OPEN, write

    if passphrase is not None:
        seal = _locked(passphrase)
    name = meta.get("name")

    row = forms.by_name(form) if form else forms.by_extension(path) or forms.FORMS[0]
    data = row.dump(
        obj,
        root,
        meta,
        lambda: previous if isinstance(previous, bytes) else files.contents(previous or path),
    )
    row.check(data, path)
    write(data, path, seal or OPEN, name=str(name), keep=keep)


def load(path: str, form: str | None = None, *, passphrase: str | None = None) -> Any:
    """The object in a file that `save` wrote; as `loads`.

    Raises:
        ImageError: besides, when the file is missing, others than its owner may write to it, it
            is encrypted and the passphrase is wrong, or it is not signed as the system's policy
            demands.
    """
    keys = None
    if passphrase is not None:
        from tapkit.image.seal.encryption import Keys

        keys = Keys.of(passphrase)
    return load_known(path, form, keys=keys).obj


def load_known(
    path: str, form: str | None = None, *, keys: Keys | None = None, policy: Policy | None = None
) -> Loaded:
    """As `load`, with what the image says of itself, and how it was sealed.

    Parameters:
        keys: what opens it if it is encrypted.
        policy: what is demanded of its signature; None: what the system demands.
    """
    from tapkit.image import files, loading
    from tapkit.image.seal import unsealed

    found = unsealed(files.read_guarded(path), path, keys, policy)
    row = _row(found.data, form, path)
    load = (found.intact and row.load_intact) or row.load
    if (otherwise := loading.chosen.get()) is not None:
        load = functools.partial(otherwise, row)
    return load(found.data, path)._replace(unsealed=found._replace(data=None))


def convert(data: Any, to: str, form: str | None = None, where: str = BYTES) -> bytes:
    """The same image in another form. Loads and runs nothing.

    Parameters:
        to: the form wanted, by name or extension.
        form: the form it has; None: the bytes say it.

    Raises:
        ImageError: it is no image, it is damaged, or it can only be run.
        UsageError: there is no such form.
    """
    from tapkit.image import collector, forms, nodes

    row = forms.by_name(to)
    with collector.no_collector():
        image, info = _row(data, form, where).decode(data, where)
        made = row.encode(image, info, None)
        nodes.let_go(image)
        del image
        return made


def inspect(data: Any, where: str = BYTES) -> ImageInfo:
    """What an image says of itself. Loads and runs nothing.

    Raises:
        ImageError: it is no image, or damaged.
    """
    from tapkit.image import forms

    return forms.sniff(data, where).inspect(data, where)


def _locked(passphrase: str) -> Seal:
    from tapkit.image.seal import Seal
    from tapkit.image.seal.encryption import Lock
    from tapkit.image.seal.secret import Secret

    return Seal(Lock(Secret(passphrase)))


def _row(data: Any, form: str | None, where: str) -> Form:
    from tapkit.image import forms

    return forms.by_name(form) if form else forms.sniff(data, where)
