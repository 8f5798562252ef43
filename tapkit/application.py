"""The Application: one process's worth of services, and what is saved of it.

Here, and only here, the service tree meets the image.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar

from tapkit import aliases, image
from tapkit.errors import DaemonError, ImageError, ServiceError, describe
from tapkit.image import forms
from tapkit.image.seal import OPEN, Seal
from tapkit.image.seal.resealing import resealing
from tapkit.names import innermost_place, qualified_name
from tapkit.records import Record
from tapkit.service import MultiService, relink

if TYPE_CHECKING:
    from tapkit.carried import Package
    from tapkit.image.seal.encryption import Keys, Lock
    from tapkit.image.seal.policy import Policy

DEFAULT_FORM = "pickle"


class Application(MultiService):
    """The root of a service tree, with the settings of its process. Nobody subclasses it.

    Parameters:
        name: names the image's file and the process.
        uid, gid: whom the process becomes when root starts it; None: it stays what it is.
    """

    volatile: ClassVar[tuple[str, ...]] = (
        "form",
        "loaded_from",
        "made_with",
        "lifted",
        "replaced",
        "seal",
    )
    path_root: ClassVar[str] = "application"

    uid: int | None = None
    gid: int | None = None
    # What it was loaded from decides how it is saved: the form, a text's comments, the header.
    form: str = DEFAULT_FORM
    loaded_from: str | None = None
    made_with: Mapping[str, Any] = {}
    seal: Seal = OPEN  # how every save of it is encrypted and signed
    replaced: bytes | None = None  # what loaded_from held, once it can't be read any more
    # The last command of the journal that this state has in it; saved where there is a journal.
    journaled: int = 0
    carried: Sequence[Package] = ()  # packages whose source text is in the image
    # A context in which what is laid over it for this run alone (`--set`) is not there.
    lifted: Callable[[], contextlib.AbstractContextManager[None]] = staticmethod(
        contextlib.nullcontext
    )

    def __init__(self, name: str, uid: int | None = None, gid: int | None = None):
        self.name = name  # first: attributes are saved, and shown, in this order
        if uid is not None:
            self.uid = uid
        if gid is not None:
            self.gid = gid
        super().__init__()

    def carry(self, names: Iterable[str]) -> None:
        """Put the source text of packages into the image: it then runs where they are not.

        Raises:
            UsageError: one of them is not here, or can't be carried.
        """
        from tapkit import carried

        found = [carried.collect(name) for name in names]
        if found:
            # Before the services: attributes are loaded in this order, and what a service's
            # class is in must be importable by then.
            first = {"name": self.name, "carried": found}
            rest = {name: value for name, value in vars(self).items() if name not in first}
            vars(self).clear()
            vars(self).update(first | rest)

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
        extension = forms.by_name(self.form).extensions[0]
        return forms.encrypted_extension(extension) if self.seal.lock else extension


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
    with application.lifted():
        return image.dumps(
            application,
            application.form,
            root=application.path_root,
            name=application.name,
            seal=application.seal,
            carried=[package.name for package in application.carried],
            **application.made_with,
        )


def rehearse(application: Application) -> None:
    """Do what of `dumps` can fail.

    Raises:
        ImageError: as `dumps`.
    """
    with application.lifted():
        image.rehearse(application, application.form, root=application.path_root)


def save(application: Application, path: str, *, keep: int = 0) -> None:
    """Write the image of an application, durably and whole.

    Parameters:
        keep: how many of the files it replaces are kept, as `path.1` and on.

    Raises:
        ImageError: it can't be saved or written; the file that was there is whole.
    """
    with application.lifted():
        image.save(
            application,
            path,
            application.form,
            root=application.path_root,
            name=application.name,
            keep=keep,
            previous=_previous(application),
            seal=application.seal,
            carried=[package.name for package in application.carried],
            **application.made_with,
        )


def _previous(application: Application) -> bytes | str | None:
    """What a text takes its comments from; from an encrypted file none are to be had."""
    if application.seal.lock is not None:
        return b""
    return application.replaced or application.loaded_from


def load(
    path: str,
    form: str | None = None,
    *,
    keys: Keys | None = None,
    lock: Lock | None = None,
    policy: Policy | None = None,
    runs: bool = False,
) -> Application:
    """Load the application an image holds; it keeps the form it was loaded from, and its seal.

    What was encrypted is encrypted whenever it is saved, to the same passphrase or keys; what
    somebody who is trusted had signed, the daemon signs with a key of its own.

    Parameters:
        keys: what opens it if it is encrypted.
        lock: how its saves are encrypted, in place of the image's own.
        policy: what is demanded of its signature; None: what the system demands.
        runs: it is going to run, so that no older generation will, from now on.

    Raises:
        ImageError: there is no whole image there, it holds something else, it is not signed as
            demanded, or no key opens it.
    """
    heirloom = _heirloom.get()
    if heirloom is not None:
        return _revived(heirloom)
    found = image.load_known(path, form, keys=keys, policy=policy)
    loaded, info, unsealed = found.obj, found.info, found.unsealed
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
    if unsealed is not None:
        unsealed = unsealed._replace(lock=lock or unsealed.lock)
        loaded.seal = resealing(unsealed, loaded.name, path, policy, runs=runs)
        _seals[loaded.loaded_from] = loaded.seal
    return loaded


class Heirloom(Record):
    """An application on its way from one process to the next.

    Attributes:
        data: its image, in the form `pickle` whatever the form of its file.
        form: what it is saved as.
        loaded_from: the file it was loaded from at first.
        made_with: what that file said of itself.
        sealed: whether its saves are encrypted or signed. How is not carried: the passphrase and
            the keys must be had from where the predecessor had them.
    """

    data: bytes
    form: str
    loaded_from: str | None
    made_with: Mapping[str, Any]
    sealed: bool = False


_seals: dict[str, Seal] = {}
"""Of the files that this process has loaded."""

_heirloom: ContextVar[Heirloom | None] = ContextVar("heirloom", default=None)


@contextlib.contextmanager
def inheriting(heirloom: Heirloom) -> Iterator[None]:
    """Meanwhile `load` returns this application instead of what is in the file: whoever loads
    does all else that it does after loading, and need not know."""
    token = _heirloom.set(heirloom)
    try:
        yield
    finally:
        _heirloom.reset(token)


def _revived(heirloom: Heirloom) -> Application:
    seal = _seals.get(heirloom.loaded_from or "", OPEN)
    if heirloom.sealed and seal == OPEN:
        raise ImageError(
            "its saves are encrypted or signed, and the new process could not find out how",
            heirloom.loaded_from,
            "stop and start it",
        )
    revived: Application = image.loads(heirloom.data)
    revived.seal = seal
    relink(revived)
    revived.form = heirloom.form
    revived.loaded_from = heirloom.loaded_from
    revived.made_with = heirloom.made_with
    return revived


def _moved() -> list[tuple[str, str]]:
    """What the drop-ins say of names that moved: `register("old", type="alias", module="new")`."""
    from tapkit import plugin

    return [(found.name, found.module) for found in plugin.find("alias").plugins]


aliases.sources.append(_moved)


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
