"""What nobody caught is logged, wherever it was raised, and the service goes on."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from typing import Any

from tapkit.errors import describe

log = logging.getLogger("tapkit.uncaught")


def log_all(loop: asyncio.AbstractEventLoop) -> None:
    """Have logged what callbacks and tasks of `loop`, threads and finalizers leave uncaught."""
    loop.set_exception_handler(_in_loop)
    threading.excepthook = _in_thread
    sys.unraisablehook = _unraisable


def _in_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    about = "; ".join(
        f"{key}: {value!r}"
        for key, value in context.items()
        if key not in ("message", "exception", "source_traceback", "handle_traceback")
    )
    what = ": ".join(filter(None, (context["message"], describe(error) if error else "")))
    log.error("%s%s", what, f" ({about})" if about else "", exc_info=error)


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    error, thread = arguments.exc_value, arguments.thread
    if error is None or isinstance(error, SystemExit):
        return
    name = thread.name if thread else "a thread"
    log.error("%s ended by an exception: %s", name, describe(error), exc_info=error)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    error = unraisable.exc_value
    what = f"{unraisable.err_msg or 'exception ignored in'}: {unraisable.object!r}"
    log.error("%s: %s", what, describe(error) if error else "", exc_info=error)
