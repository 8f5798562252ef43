"""What a file must be before a byte of it is believed; old envelopes stay readable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapkit import application, image
from tapkit.errors import ImageError
from tapkit.image import custody, files
from tests.place import ROOT

GOLDEN = sorted((Path(__file__).parent / "data" / "envelopes").glob("*.tap"))
ROOT_USER = os.geteuid() == 0


def test_there_are_golden_files() -> None:
    """One of each encoding at least, of every version of the format there was."""
    assert [path.name for path in GOLDEN] == ["format-1-raw.tap", "format-1-zstd.tap"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_golden_files_load(path: Path, tmp_path: Path) -> None:
    """A file that a release has written is read by all that follow, on every Python."""
    if "zstd" in path.name:
        pytest.importorskip("zstandard")
    copy = tmp_path / path.name
    files.write_atomic(str(copy), path.read_bytes())
    loaded = application.load(str(copy))
    assert (loaded.name, loaded.uid) == ("golden", 1000)
    assert loaded.quotes == ["An apple a day keeps the doctor away."] * 3  # type: ignore[attr-defined]
    info = image.inspect(path.read_bytes())
    assert (info.tap_type, info.options) == ("qotd", {"port": "8007"})
    assert application.load(str(copy)).made_with == {"tap_type": "qotd", "options": info.options}


CHANGED = """
import os, sys
from tapkit.image import files
path = sys.argv[1]
held = open(path, "r+b")  # by whoever had the file before it was ours
data = files.read_guarded(path)
before = bytes(data[-1:])
held.seek(-1, 2)
held.write(b"X")
held.flush()
os.truncate(path, 10)
assert bytes(data[-1:]) == before, "what was checked is not what is loaded"
if not os.fork():
    os._exit(0 if bytes(data[-1:]) == before else 1)
if type(data) is not bytes:
    data[-1] = 89  # after the fork: the child has its own
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
print(type(data).__name__, len(data))
"""


@pytest.mark.parametrize("size", [1000, files.MAP_ABOVE + 1], ids=["small", "large"])
def test_what_is_checked_is_what_is_loaded(tmp_path: Path, size: int) -> None:
    """Whoever holds the file open can change it, or cut it off, and what was read stays."""
    path = tmp_path / "x.tap"
    files.write_atomic(str(path), bytes(size))
    done = subprocess.run(
        [sys.executable, "-c", CHANGED, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    kind = "mmap" if size > files.MAP_ABOVE else "bytes"
    assert (done.returncode, done.stdout) == (0, f"{kind} {size}\n"), done.stderr


def test_a_large_file_that_became_shorter(tmp_path: Path) -> None:
    """It is read to its end, and its form says that it is truncated."""
    path = tmp_path / "x.tap"
    files.write_atomic(str(path), b"short")
    fd = os.open(path, os.O_RDONLY)
    try:
        assert files._read_aligned(fd, files.MAP_ABOVE) == b"short"
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("mode", "links", "refused"),
    [
        (0o755, 1, False),
        (0o755, 2, False),
        (0o1777, 1, False),
        (0o1777, 2, True),
        (0o775, 2, True),
    ],
)
def test_second_names(tmp_path: Path, mode: int, links: int, refused: bool) -> None:
    """A kept generation is a link, and harmless; where others give names, it may be theirs."""
    path = tmp_path / "open" / "x.tap"
    path.parent.mkdir()
    files.write_atomic(str(path), b"x")
    for number in range(links - 1):
        os.link(path, tmp_path / f"other{number}")
    path.parent.chmod(mode)
    if mode == 0o775 and not ROOT_USER:
        pytest.skip("the user's own group may write")
    if not refused:
        assert files.read_guarded(str(path)) == b"x"
        return
    with pytest.raises(ImageError, match="others may have given it this"):
        files.read_guarded(str(path))


@pytest.mark.parametrize("depth", [1, 2])
def test_directories_that_everybody_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """The file's own is checked for everybody, and for root all above it."""
    path = tmp_path / "a" / "b" / "x.tap"
    path.parent.mkdir(parents=True)
    files.write_atomic(str(path), b"x")
    path.parents[depth - 1].chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ImageError, match="everybody may write to the directory"):
        custody.check_directories(str(path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if depth == 1:
        with pytest.raises(ImageError, match="chmod o-w"):
            custody.check_directories(str(path))
    else:
        custody.check_directories(str(path))
    path.parents[depth - 1].chmod(0o1777)
    custody.check_directories(str(path))
