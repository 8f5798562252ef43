"""The buffer a text is written into: what comes first is known last."""

from __future__ import annotations

import pytest

from tapkit.image import sink
from tapkit.image.sink import Sink


@pytest.mark.parametrize("room", [0, 3, 10, 1000])
@pytest.mark.parametrize("first", ["", "ab", "äbc", "x" * 10, "x" * 11])
@pytest.mark.parametrize("rest", ["", "y", "z" * 5000])
def test_the_first_comes_first(room: int, first: str, rest: str) -> None:
    """Whether it is shorter than the room kept for it, as long, or longer."""
    made = Sink(room)
    made.put(rest)
    made.put("é!")
    assert made.whole(first) == f"{first}{rest}é!".encode()


def test_a_block_of_lines() -> None:
    """As one string, an empty line before it; of no lines, nothing."""
    for count in (0, 1, sink._FEW - 1, sink._FEW, 2 * sink._FEW + 1):
        lines = [f"line {number}" for number in range(count)]
        made = Sink(20)
        made.put("text")
        made.put_block(lines)
        assert (
            made.whole() == "\n\n".join(["text", *(["\n".join(lines)] if lines else [])]).encode()
        )


def test_larger_than_what_it_begins_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows."""
    monkeypatch.setattr(sink, "_OWN_MAPPING", 10)
    made = Sink(4)
    for _ in range(1000):
        made.put("0123456789")
    assert made.whole("head") == b"head" + b"0123456789" * 1000


def test_the_result_is_the_buffer() -> None:
    """No copy is made of a text that fits, so at its end it is in memory once."""
    made = Sink(10)
    made.put("x" * 100_000)
    whole = made.whole("y")
    assert made._file.getvalue() is whole
