"""Where statements may be cut apart: whether a piece of source is open at its end.

A look at brackets, strings and comments is enough, and costs a fraction of what parsing does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LEXER = re.compile(
    r"""(?P<delimiter>\"""|''')|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|#[^\n]*"""
    r"""|(?P<open>[\[({])|(?P<close>[\])}])""",
    re.DOTALL,
)
_STRING_ENDS = {
    delimiter: re.compile(rf"(?:[^\\]|\\.)*?{delimiter}", re.DOTALL) for delimiter in ('"""', "'''")
}
_GOES_ON = (" ", "\t", "\f", "#")


class _Scanner:
    """Looks at pieces of source, one after another."""

    def __init__(self) -> None:
        self.depth = 0  # of brackets
        self.delimiter = ""  # of the string that is open

    def scan(self, text: str) -> None:
        """Look at a piece, as if no others came before it without an empty line between."""
        at = 0
        while True:
            if self.delimiter:
                end = _STRING_ENDS[self.delimiter].match(text, at)
                if end is None:
                    return
                at = end.end()
                self.delimiter = ""
            match = _LEXER.search(text, at)
            if match is None:
                return
            at = match.end()
            if match["open"]:
                self.depth += 1
            elif match["close"]:
                self.depth = max(0, self.depth - 1)
            self.delimiter = match["delimiter"] or ""


def end_of_statement(blocks: Sequence[str], at: int) -> int | None:
    """The block behind the statement that begins with one; None: it is open at the end."""
    scanner = _Scanner()
    scanner.scan(blocks[at])
    end = at + 1
    waits = blocks[at].rpartition("\n")[2].startswith("@")  # a decorator
    while end < len(blocks):
        block = blocks[end]
        if not (scanner.depth or scanner.delimiter or waits or block.startswith(_GOES_ON)):
            return end
        scanner.scan(block)
        waits = False
        end += 1
    return None if scanner.depth or scanner.delimiter else end
