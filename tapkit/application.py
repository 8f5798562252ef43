"""The Application: one process's worth of services, and what is saved of it.

Here, and only here, the service tree meets the image.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from tapkit import image
from tapkit.errors import DaemonError, ImageError, ServiceError, describe
from tapkit.image import forms
from tapkit.names import innermost_place, qualified_name
from tapkit.service import MultiService, relink

DEFAULT_FORM = "pickle"


class Application(MultiService):
    """The root of a service tree, with the settings of its process. Nobody subclasses it.

    Parameters:
        name: names the image's file and the process.
        uid, gid: whom the process becomes when root starts it; None: it stays what it is.
    """

    volatile: ClassVar[tuple[str, ...]] = ("form", "loaded_from", "made_with")
    path_root: ClassVar[str] = "application"

    uid: int | None = None
    gid: int | None = None
    # What it was loaded from decides how it is saved: the form, a text's comments, the header.
    form: str = DEFAULT_FORM
    loaded_from: str | None = None
    made_with: Mapping[str, Any] = {}

    def __init__(self, name: str, uid: int | None = None, gid: int | None = None):
        self.name = name  # first: attributes are saved, and shown, in this order
        if uid is not None:
            self.uid = uid
        if gid is not None:
            self.gid = gid
        super().__init__()

    def setStyle(self, style: str) -> None:
        """Choose the form to save in: `pickle`, `xml` or `source`.

        Raises:
            UsageError: there is no such form.
        """
        self.form = forms.by_name(style).name

    def file_name(self, tag: str = "") -> str:
        """What its image is called: `qotd.tap`, with a tag `qotd-shutdown.tap`.

        Raises:
            ServiceError: the name can't be a file's: a hand-edited image must not be able to
                make a daemon write elsewhere.
        """
        name = self.name
        if (
            not isinstance(name, str)
            or not name
            or name.startswith(".")
            or set(name) & set("/\\\0")
        ):
            raise ServiceError(
                f"{name!r} can't name an image's file",
                "application.name",
                "use letters, digits, - and _",
            )
        return f"{name}-{tag}{self._extension()}" if tag else name + self._extension()

    def _extension(self) -> str:
        return forms.by_name(self.form).extensions[0]


def new(name: str, service: Any, uid: int | None = None, gid: int | None = None) -> Application:
    """An Application holding one service.

    Raises:
        ServiceError: the name can't be a file's.
    """
    application = Application(name, uid, gid)
    application.file_name()
    application.addService(service)
    return application


def dumps(application: Application) -> bytes:
    """The image of an application, as bytes in its form.

    Raises:
        ImageError: naming, by attribute path, all that can't be saved.
    """
    return image.dumps(
        application,
        application.form,
        root=application.path_root,
        name=application.name,
        **application.made_with,
    )


def save(application: Application, path: str, *, keep: int = 0) -> None:
    """Write the image of an application, durably and whole.

    Parameters:
        keep: how many of the files it replaces are kept, as `path.1` and on.

    Raises:
        ImageError: it can't be saved or written; the file that was there is whole.
    """
    image.save(
        application,
        path,
        application.form,
        root=application.path_root,
        name=application.name,
        keep=keep,
        previous=application.loaded_from,
        **application.made_with,
    )


def load(path: str, form: str | None = None) -> Application:
    """Load the application an image holds; it keeps the form it was loaded from.

    Raises:
        ImageError: there is no whole image there, or it holds something else.
    """
    loaded, info = image.load_known(path, form)
    if not isinstance(loaded, Application):
        raise ImageError(
            f"it holds a {qualified_name(loaded)}, not an Application",
            path,
            "make an image with mktap",
        )
    relink(loaded)
    loaded.form = info.form
    loaded.loaded_from = os.path.abspath(path)
    loaded.made_with = {"tap_type": info.tap_type, "options": info.options}
    return loaded


def run_script(path: str) -> Application:
    """The Application that a Python script (.tac) makes: its variable `application`.

    The script's directory comes first on `sys.path`, as for any script Python runs.

    Raises:
        DaemonError: it can't be read, it raised, or it made no Application.
    """
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise DaemonError(f"can't read the script ({error.strerror})", path) from error
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    variables: dict[str, Any] = {"__name__": "__tac__", "__file__": path}
    try:
        exec(compile(source, path, "exec"), variables)
    except SyntaxError as error:
        place = f"{error.filename}:{error.lineno}:{error.offset}"
        raise DaemonError(f"the script is not Python ({error.msg})", place) from error
    except Exception as error:
        place = innermost_place(error.__traceback__) or path
        raise DaemonError(f"the script raised {describe(error)}", place) from error
    made = variables.get("application")
    if not isinstance(made, Application):
        raise DaemonError(
            "the script makes no variable `application` that is an Application",
            path,
            "end it with: application = Application('name'); service.setServiceParent(application)",
        )
    return made
