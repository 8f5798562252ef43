"""`--spew`: every call of a Python function, as a line; awfully much of it."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any, TextIO


def start(stream: TextIO) -> None:
    """Trace the calls of this thread, and of those it starts, to `stream`."""

    def called(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        module = frame.f_globals.get("__name__", "?")
        name = getattr(code, "co_qualname", code.co_name)  # Python 3.10 has the bare name only
        stream.write(f"{code.co_filename}:{frame.f_lineno}: {module}.{name}\n")

    threading.settrace(called)
    sys.settrace(called)


def stop() -> None:
    """Trace no more."""
    threading.settrace(None)
    sys.settrace(None)
