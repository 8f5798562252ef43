"""Live objects to pickle bytes: what is left out, what is refused, and why, by its path."""

from __future__ import annotations

import functools
import io
import logging
import pickle
from collections.abc import Callable
from typing import Any

from tapkit import styles
from tapkit.errors import ImageError, TapkitError, describe
from tapkit.image import plain, refusals
from tapkit.image.classes import ClassSummary
from tapkit.image.collector import no_collector
from tapkit.image.reducing import ReducingPickler
from tapkit.names import innermost_place, qualified_name
from tapkit.records import Record

log = logging.getLogger("tapkit.image")

LOGGED = 10
"""How many objects that were left out are logged by their paths."""


class Pickled(Record):
    """A graph as pickle bytes, and what the pickler came to know of it."""

    payload: bytes
    buffers: list[pickle.PickleBuffer]
    modules: list[str]
    by_value: bool
    classes: dict[str, ClassSummary]


def dumps(
    obj: Any, root: str = "object", *, out_of_band: bool = True, counts: bool = True
) -> Pickled:
    """Pickle a graph.

    Parameters:
        root: what the object is called in paths.
        out_of_band: keep protocol 5 buffers apart, uncopied.
        counts: make the table of classes; a text has no place for it.

    Raises:
        ImageError: naming, by path, everything that can't be saved.
    """
    try:
        with no_collector():
            pickled, left = _dumped(obj, out_of_band, counts)
    except TapkitError:
        raise
    except Exception as error:
        raise _explained(obj, root, error) from error
    if left:
        _log_left_out(obj, root, left)
    return pickled


def _dumped(obj: Any, out_of_band: bool, counts: bool) -> tuple[Pickled, list[Any]]:
    """The pickle of a graph, by the plain pickler if that is able to, and what it left out."""
    if plain.has_room():
        try:
            make = plain.CountingPickler if counts else plain.PlainPickler
            return _dumped_by(make, obj, out_of_band)
        except Exception as error:
            if not plain.ran_out(error):
                raise
    from tapkit.image.flat import FlatPickler
    from tapkit.image.modes import in_first_mode

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
    return Pickled(file.getvalue(), buffers, modules, pickler.by_value, pickler.table()), left


# -- what is left out, what is refused


def _reducers(left: list[Any]) -> Callable[[type], Callable[[Any], Any] | None]:
    """For `FlatPickler`: how objects of a type are reduced otherwise than usual."""

    def leave_out(obj: Any) -> Any:
        left.append(obj)
        kind = obj.kind if isinstance(obj, styles.LeftOut) else qualified_name(type(obj))
        return styles.left_out, (kind,)

    def refuse(obj: Any) -> Any:
        raise refusals.RefusedError(qualified_name(type(obj)))

    def reducer_for(kind: type) -> Callable[[Any], Any] | None:
        if getattr(kind, "ephemeral", False) is True and not issubclass(kind, type):
            return leave_out
        return refuse if refusals.refusal(kind) is not None else None

    return reducer_for


def _explained(obj: Any, root: str, error: Exception) -> ImageError:
    """A failed dump, by the paths of all that can't be saved."""
    from tapkit.image import offenders
    from tapkit.image.modes import is_too_deep

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
    return ReducingPickler(io.BytesIO(), _reducers([])).reduce


def _log_left_out(obj: Any, root: str, left: list[Any]) -> None:
    """Say what was left out. The walk for the paths is paid for only if somebody listens."""
    if not log.isEnabledFor(logging.INFO):
        return
    from tapkit.image import offenders

    wanted = {id(each) for each in left[:LOGGED]}
    for each, path in offenders.walk(obj, root, _reducer()):
        if id(each) in wanted:
            wanted.discard(id(each))
            log.info("left out of the image: %s: a live %s", path, qualified_name(type(each)))
            if not wanted:
                break
    if len(left) > LOGGED:
        log.info("left out of the image: %d more live objects", len(left) - LOGGED)
