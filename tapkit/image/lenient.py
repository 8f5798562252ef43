"""Loading with placeholders: what is missing, or refuses its state, is kept as it was saved."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from tapkit.errors import ImageError
from tapkit.image import leniency, live, placeholders

log = logging.getLogger("tapkit.image")


@contextlib.contextmanager
def placeholders_allowed(yes: bool = True) -> Iterator[None]:
    """Within it, what is missing or refuses its state is kept as it was saved."""
    token = leniency.in_place.set(_loads if yes else None)
    try:
        yield
    finally:
        leniency.in_place.reset(token)


def _loads(payload: Any, buffers: Iterable[Any] | None, where: str | None) -> Any:
    """As `live.loads`; each class that can't be had is logged, with the reason.

    A class that refuses its state is known only when it has refused, so loading begins again
    with a placeholder in its place.

    Raises:
        ImageError: it can't be loaded for another reason.
    """
    kept = list(buffers or ())
    refused: dict[type, type] = {}
    while True:
        try:
            with placeholders.loading():
                return live.upgraded(
                    lambda: _Lenient(io.BytesIO(payload), kept or None, refused).load(), where
                )
        except ImageError as error:
            cls = _refusing(error)
            if cls is None or cls in refused:
                raise
            log.warning("%s; its objects are kept as placeholders", error)
            refused[cls] = placeholders.refusing(cls)


class _Lenient(live.Unpickler):
    def __init__(
        self, file: io.BytesIO, buffers: list[Any] | None, refused: dict[type, type]
    ) -> None:
        super().__init__(file, buffers=buffers)
        self._refused = refused

    def find_class(self, module: str, name: str) -> Any:
        try:
            found = super().find_class(module, name)
        except live.MissingNameError as error:
            log.warning("%s; its objects are kept as placeholders", error.what)
            return placeholders.missing(module, name)
        return self._refused.get(found, found) if isinstance(found, type) else found


def _refusing(error: ImageError) -> type | None:
    """The class whose `__setstate__` raised, if that is why."""
    cause = error.__cause__
    found = live.culprit(cause) if cause is not None else None
    if found is None or found[1] != "__setstate__" or placeholders.is_stand_in(found[0]):
        return None
    return found[0]
