"""Pickle bytes to live objects: names that moved, old states upgraded, faults in words."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any

from tapkit import aliases, styles
from tapkit.errors import ImageError, TapkitError, describe
from tapkit.image import leniency
from tapkit.image.collector import no_collector
from tapkit.names import innermost_place, named_object, qualified_name

MOST_MISSING = 20


def loads(payload: Any, buffers: Iterable[Any] | None = None, where: str | None = None) -> Any:
    """The graph in pickle bytes, its old states upgraded. Runs what the bytes say: see Trust.

    Parameters:
        where: the place named in errors, a file.

    Raises:
        ImageError: naming the class or module that failed, the place in its code, the file.
    """
    lenient = leniency.in_place.get()
    if lenient is not None:
        return lenient(payload, buffers, where)
    return upgraded(lambda: Unpickler(io.BytesIO(payload), buffers=buffers).load(), where)


def upgraded(make: Callable[[], Any], where: str | None) -> Any:
    """What `make` makes by loading or running an image, its old states upgraded.

    Raises:
        ImageError: as `loads`.
    """
    with styles.collecting_outdated() as outdated:
        try:
            with no_collector():
                obj = make()
        except TapkitError as error:
            raise placed(error, where) from error
        except Exception as error:
            raise _unloadable(error, where) from error
    try:
        styles.upgrade(outdated)
    except TapkitError as error:
        raise placed(error, where) from error
    return obj


class Unpickler(pickle.Unpickler):
    """C's, that follows names that moved, and says in words which is missing."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ModuleNotFoundError, AttributeError) as error:
            moved = aliases.resolve(f"{module}.{name}")
            if moved is None:
                raise _missing(module, name, error) from error
            try:
                return named_object(moved)
            except TapkitError as second:
                what = f"the image needs {module}.{name}, which is said to be {moved} now"
                raise ImageError(f"{what}: {second.what}", second.where) from second
        except Exception as error:
            place = innermost_place(error.__traceback__)
            broken = f"the image needs {module}.{name}, and importing {module} failed"
            raise ImageError(f"{broken} ({describe(error)})", place, "mend the module") from error


class MissingNameError(ImageError):
    """A class or function that the image names is not here."""


def _missing(module: str, name: str, error: ImportError | AttributeError) -> ImageError:
    needs = f"the image needs {module}.{name}, and "
    if not isinstance(error, ModuleNotFoundError):
        told = f"{needs}{module} has no {name!r}"
        remedy = f"if it moved, say so: aliases.alias({module + '.' + name!r}, ...)"
        return MissingNameError(told, None, remedy)
    if error.name and (module + ".").startswith(error.name + "."):
        told = f"{needs}no module is named {error.name!r}"
        return MissingNameError(told, None, "install it, or put it on PYTHONPATH")
    place = innermost_place(error.__traceback__)
    broken = f"{needs}importing {module} failed ({describe(error)})"
    return ImageError(broken, place, "install what it imports")


def with_others(error: MissingNameError, classes: Iterable[str]) -> MissingNameError:
    """What is missing, and the other classes of the image that are: all at once."""
    from tapkit.image.labels import printable

    told_already = f" {error.what} ".replace(",", " ")  # a name may be part of another
    others = [
        printable(name)
        for name in classes
        if f" {name} " not in told_already and not _is_here(name)
    ]
    if not others:
        return error
    told = ", ".join(others[:MOST_MISSING])
    if len(others) > MOST_MISSING:
        told += f" and {len(others) - MOST_MISSING} more"
    return MissingNameError(f"{error.what}; nor is there {told}", error.where, error.remedy)


def _is_here(name: str) -> bool:
    try:
        named_object(aliases.resolve(name) or name)
    except TapkitError:
        return False
    return True


def placed(error: TapkitError, where: str | None) -> TapkitError:
    """The same fault, with the image's file in its place."""
    place = ", ".join(part for part in (where, error.where) if part)
    return type(error)(error.what, place or None, error.remedy)


def _unloadable(error: Exception, where: str | None) -> ImageError:
    code = innermost_place(error.__traceback__)
    if code is None or code.startswith(__file__):
        what = f"the image can't be loaded ({describe(error)})"
        return ImageError(what, where, "it was made for other code than is installed here")
    culprit = _culprit(error)
    what = f"loading {culprit or 'the image'} failed ({describe(error)})"
    place = ", ".join(part for part in (where, code) if part)
    return ImageError(what, place, "mend that code, or go back to the code that saved it")


def _culprit(error: Exception) -> str | None:
    """The class and the method that C called, in words."""
    found = culprit(error)
    return found and f"a {qualified_name(found[0])} (in its {found[1]})"


def culprit(error: BaseException) -> tuple[type, str] | None:
    """The class whose method C called: the outermost `self` in the traceback."""
    traceback = error.__traceback__
    while traceback is not None:
        variables = traceback.tb_frame.f_locals
        if "self" in variables and not isinstance(variables["self"], Unpickler):
            method = traceback.tb_frame.f_code.co_name
            return type(variables["self"]), method
        traceback = traceback.tb_next
    return None
