"""The bytes of a text while it is written: one buffer that grows, and is the result in the end.

Rejected: a list of pieces, joined. At the end the text is in memory twice, and the heap that the
pieces leave behind is not given back.
"""

from __future__ import annotations

import io
from typing import Final

_FEW: Final = 1000
_OWN_MAPPING: Final = (32 << 20) + 1
"""Bytes: what is larger glibc never puts into the heap, where growing may mean copying."""


class Sink:
    """Takes text from the second line on; the first, which is known last, comes with `whole`.

    Parameters:
        room: bytes kept free for what comes first. More is taken as well, at the price of a copy.
    """

    def __init__(self, room: int = 0):
        self._room = room
        self._file = io.BytesIO(bytes(_OWN_MAPPING))  # zeros that nobody touches take no memory
        self._file.seek(room)

    def put(self, text: str) -> None:
        """Add text."""
        self._file.write(text.encode())

    def put_block(self, lines: list[str]) -> None:
        """Add lines, an empty one before them; few at a time, for they may be a fifth of all."""
        for at in range(0, len(lines), _FEW):
            self.put(("\n" if at else "\n\n") + "\n".join(lines[at : at + _FEW]))

    def whole(self, first: str = "") -> bytes:
        """What was put, `first` before it. Nothing can be put any more."""
        head = first.encode()
        file, room, end = self._file, self._room, self._file.tell()
        if len(head) > room:
            with file.getbuffer() as view:
                return head + view[room:end]
        with file.getbuffer() as view:
            view[len(head) : len(head) + end - room] = view[room:end]
            view[: len(head)] = head
        file.truncate(len(head) + end - room)
        return file.getvalue()  # the buffer itself, no copy of it
