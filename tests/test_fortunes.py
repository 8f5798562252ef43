"""Fortune files: how the built-in qotd reads them, and what it does when they change."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from tapkit import image
from tapkit_plugins import qotd


def fortune_file(folder: Path, content: bytes) -> str:
    path = folder / "fortunes"
    path.write_bytes(content)
    return str(path)


def test_fortunes_are_separated_by_lines_of_a_percent_sign(tmp_path: Path) -> None:
    """Only a line that holds nothing else separates; empty quotes are no quotes."""
    content = b"%\n\n%\n100% sure\n%% not this\n %\n%\nlast\n\tindented\r\n%  \r\n%\nend"
    path = fortune_file(tmp_path, content)
    assert qotd.read_fortunes(path) == [
        b"100% sure\n%% not this\n %",
        b"last\n\tindented",
        b"end",
    ]


def test_all_fortunes_are_served_some_day(tmp_path: Path) -> None:
    """The choice is random, and leaves none out."""
    quoter = qotd.FortuneQuoter(fortune_file(tmp_path, b"one\n%\ntwo\n%\nthree\n"))
    assert {quoter.quote() for _ in range(200)} == {b"one", b"two", b"three"}


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    """New quotes are served without a restart."""
    quoter = qotd.FortuneQuoter(fortune_file(tmp_path, b"old"))
    quoter.load()
    assert quoter.quote() == b"old"
    fortune_file(tmp_path, b"newer")
    assert quoter.quote() == b"newer"


def test_unchanged_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request costs one stat, not a file."""
    quoter = qotd.FortuneQuoter(fortune_file(tmp_path, b"old"))
    quoter.load()
    monkeypatch.setattr(qotd, "read_fortunes", lambda path: pytest.fail("read again"))
    assert quoter.quote() == b"old"


def test_file_that_goes_bad_is_told_once_and_the_old_quotes_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A daemon outlives the mishaps of its file."""
    path = fortune_file(tmp_path, b"old")
    quoter = qotd.FortuneQuoter(path)
    quoter.load()
    os.unlink(path)
    with caplog.at_level(logging.WARNING):
        assert [quoter.quote(), quoter.quote()] == [b"old", b"old"]
    assert len(caplog.messages) == 1
    assert path in caplog.messages[0]
    fortune_file(tmp_path, b"back")
    assert quoter.quote() == b"back"


def test_image_holds_the_name_of_the_file_not_its_content(tmp_path: Path) -> None:
    """The path is saved, made absolute; what was read is not."""
    quoter = qotd.FortuneQuoter(fortune_file(tmp_path, b"the content"))
    quoter.load()
    saved = image.dumps(quoter)
    assert b"the content" not in saved
    assert quoter.path.encode() in saved
    assert image.loads(saved).quote() == b"the content"
