"""How images are loaded in this context, where it is otherwise than their forms do it."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapkit.image.forms import Form
    from tapkit.image.rows import Loaded

    Loader = Callable[[Form, Any, str], Loaded]

chosen: contextvars.ContextVar[Loader | None] = contextvars.ContextVar(
    "tapkit.loading", default=None
)
"""Loads (form, bytes, where); None: as the form has it. What comes before it - owner, signature,
decryption - is the same."""


@contextlib.contextmanager
def by(loader: Loader) -> Iterator[None]:
    """Within it, `image.load` loads with this function."""
    token = chosen.set(loader)
    try:
        yield
    finally:
        chosen.reset(token)
