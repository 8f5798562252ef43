"""What loads in place of `live.loads` in this context: placeholders are asked for, never assumed.

It lies below both: whoever loads looks here, and `lenient` puts itself here.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

in_place: contextvars.ContextVar[Callable[..., Any] | None] = contextvars.ContextVar(
    "tapkit.in_place", default=None
)


def allows_placeholders() -> bool:
    """Whether what is missing may be kept as it was saved."""
    return in_place.get() is not None
