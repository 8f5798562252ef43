"""The layout of help texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapkit.options import help_text


def test_two_columns() -> None:
    """Descriptions are aligned and wrapped; a long name has a line of its own."""
    rows = [
        ("-q", "Say less."),
        ("-p, --port=PORT", "Listen here, or somewhere else, if you like that better."),
        ("--a-very-long-option-name=WITH-A-VALUE", "Long."),
        ("--bare", ""),
    ]
    assert help_text.two_columns(rows, 50) == (
        "  -q               Say less.\n"
        "  -p, --port=PORT  Listen here, or somewhere else,\n"
        "                   if you like that better.\n"
        "  --a-very-long-option-name=WITH-A-VALUE\n"
        "                   Long.\n"
        "  --bare\n"
    )
    assert help_text.two_columns([], 50) == ""


def test_no_break() -> None:
    """A no-break blank keeps a note together, and is shown as a blank."""
    text = f"Twelve chars [default:{help_text.NO_BREAK}1]"
    assert help_text.wrap(text, 24) == ["Twelve chars", "[default: 1]"]


@given(st.text(st.sampled_from("ab \n"), max_size=60), st.integers(1, 30))
def test_wrap(text: str, width: int) -> None:
    """Wrapping loses no word, keeps the order, and makes no line too long for its words."""
    lines = help_text.wrap(text, width)
    assert " ".join(lines).split() == text.split()
    assert all(len(line) <= width or " " not in line for line in lines)


@pytest.mark.parametrize(
    ("columns", "width"),
    [("72", 72), ("5", 40), ("5000", 100), ("", 80), ("-7", 80), ("wide", 80), ("٧٢", 80)],
)
def test_width(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    """The width is what COLUMNS says, within reason; 80 where nobody knows."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.__stdout__", None)
    assert help_text.terminal_width() == width
