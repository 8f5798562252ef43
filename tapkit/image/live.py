"""Live objects to pickle bytes and back: what is left out, what is refused, what is upgraded."""

from __future__ import annotations

import contextlib
import functools
import gc
import io
import logging
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from tapkit import aliases, styles
from tapkit.errors import ImageError, TapkitError, describe
from tapkit.image import leniency, offenders, plain
from tapkit.image.flat import FlatPickler
from tapkit.image.modes import in_first_mode, is_too_deep
from tapkit.image.reducing import ReducingPickler
from tapkit.names import innermost_place, named_object, qualified_name

log = logging.getLogger("tapkit.image")

LOGGED = 10
"""How many objects that were left out are logged by their paths."""


class Pickled(NamedTuple):
    """A graph as pickle bytes, and what the pickler came to know of it."""

    payload: bytes
    buffers: list[pickle.PickleBuffer]
    modules: list[str]
    by_value: bool


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """The garbage collector off: it looks in vain at all that is made, for half the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def dumps(obj: Any, root: str = "object", *, out_of_band: bool = True) -> Pickled:
    """Pickle a graph.

    Parameters:
        root: what the object is called in paths.
        out_of_band: keep protocol 5 buffers apart, uncopied.

    Raises:
        ImageError: naming, by path, everything that can't be saved.
    """
    try:
        with no_collector():
            pickled, left = _dumped(obj, out_of_band)
    except TapkitError:
        raise
    except Exception as error:
        raise _explained(obj, root, error) from error
    if left:
        _log_left_out(obj, root, left)
    return pickled


def _dumped(obj: Any, out_of_band: bool) -> tuple[Pickled, list[Any]]:
    """The pickle of a graph, by the plain pickler if that is able to, and what it left out."""
    if plain.has_room():
        try:
            return _dumped_by(plain.PlainPickler, obj, out_of_band)
        except Exception as error:
            if not plain.ran_out(error):
                raise
    return in_first_mode(
        lambda mode: _dumped_by(functools.partial(FlatPickler, mode=mode), obj, out_of_band)
    )


def _dumped_by(
    make: Callable[..., ReducingPickler], obj: Any, out_of_band: bool
) -> tuple[Pickled, list[Any]]:
    file = io.BytesIO()
    buffers: list[pickle.PickleBuffer] = []
    left: list[Any] = []
    pickler = make(file, _reducers(left), buffers.append if out_of_band else None)
    try:
        pickler.dump(obj)
    finally:
        pickler.clear_memo()  # it is in a cycle, and would hold the graph till the next collection
    modules = sorted(pickler.modules)
    return Pickled(file.getvalue(), buffers, modules, pickler.by_value), left


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


# -- what is left out, what is refused


def _reducers(left: list[Any]) -> Callable[[type], Callable[[Any], Any] | None]:
    """For `FlatPickler`: how objects of a type are reduced otherwise than usual."""

    def leave_out(obj: Any) -> Any:
        left.append(obj)
        kind = obj.kind if isinstance(obj, styles.LeftOut) else qualified_name(type(obj))
        return styles.left_out, (kind,)

    def refuse(obj: Any) -> Any:
        raise offenders.RefusedError(qualified_name(type(obj)))

    def reducer_for(kind: type) -> Callable[[Any], Any] | None:
        if getattr(kind, "ephemeral", False) is True and not issubclass(kind, type):
            return leave_out
        return refuse if offenders.refusal(kind) is not None else None

    return reducer_for


def _explained(obj: Any, root: str, error: Exception) -> ImageError:
    """A failed dump, by the paths of all that can't be saved."""
    found = offenders.find(obj, root, _reducer())
    if found:
        return offenders.error_about(found)
    if is_too_deep(error):
        return ImageError(
            "the graph can't be saved: lists, dicts or functions in it are nested too deep",
            offenders.deepest(obj, root, _reducer()),
            "put instances between them, or keep references by name",
        )
    where = innermost_place(error.__traceback__)
    place = f"{root}, {where}" if where and not where.startswith(__file__) else root
    return ImageError(f"it can't be saved ({describe(error)})", place)


def _reducer() -> Callable[[Any], Any]:
    pickler = FlatPickler(io.BytesIO(), _reducers([]))
    return pickler.reduce


def _log_left_out(obj: Any, root: str, left: list[Any]) -> None:
    """Say what was left out. The walk for the paths is paid for only if somebody listens."""
    if not log.isEnabledFor(logging.INFO):
        return
    wanted = {id(each) for each in left[:LOGGED]}
    for each, path in offenders.walk(obj, root, _reducer()):
        if id(each) in wanted:
            wanted.discard(id(each))
            log.info("left out of the image: %s: a live %s", path, qualified_name(type(each)))
            if not wanted:
                break
    if len(left) > LOGGED:
        log.info("left out of the image: %d more live objects", len(left) - LOGGED)
