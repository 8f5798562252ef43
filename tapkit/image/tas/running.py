"""A .tas run as what it is: Python."""

from __future__ import annotations

from typing import Any

from tapkit.errors import ImageError, describe
from tapkit.image.tas.faults import Places, SourceError
from tapkit.image.tas.reader import ROOTS, decode
from tapkit.names import innermost_place


def run(data: bytes, where: str) -> Any:
    """Run source, and give what its variable `application` is, or else `root`.

    It may do whatever Python can: only source that one would run as a script may be given here.

    Raises:
        ImageError: it is no Python, it raised, or it has neither variable.
    """
    source = decode(data, where)
    variables: dict[str, Any] = {"__name__": "__tas__", "__file__": where}
    try:
        code = compile(source, where, "exec")
    except SyntaxError as error:
        raise Places(source, where).syntax(error, 1) from error
    except (RecursionError, MemoryError, ValueError) as error:
        raise ImageError(f"the source can't be compiled ({describe(error)})", where) from error
    try:
        exec(code, variables)
    except ImageError:
        raise
    except Exception as error:
        place = innermost_place(error.__traceback__) or where
        raise ImageError(f"running the source failed ({describe(error)})", place) from error
    for name in ROOTS:
        if name in variables:
            return variables[name]
    raise SourceError("the file makes nothing", where, f"it must set one of {', '.join(ROOTS)}")
