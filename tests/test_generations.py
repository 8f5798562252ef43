"""Which file a start resumes from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapkit import application
from tapkit.errors import ImageError, TapkitError
from tapkit.image import files
from tapkit.run.saving import generations
from tapkit.run.saving.sweeping import sweep
from tests.faults import ledger


def saved(folder: Path, tag: str, age: int, form: str = "xml", **more: object) -> Path:
    """A file that a daemon might have saved, so many seconds ago."""
    made = ledger.make(form, journaled=False)
    path = folder / made.file_name(tag)
    application.save(made, str(path))
    os.utime(path, (2_000_000_000 - age,) * 2)
    return path


def newest(folder: Path, image: str = "ledger.tax") -> generations.Found:
    return generations.newest(str(folder / image), str(folder))


def test_by_time_whatever_the_name(tmp_path: Path) -> None:
    """Image, stop or snapshot: the latest, and nothing of another application."""
    image = saved(tmp_path, "", 10)
    assert newest(tmp_path).path == str(image)
    stop = saved(tmp_path, "shutdown", 5)
    assert newest(tmp_path) == (str(stop), 1_999_999_995.0, ())
    saved(tmp_path, "snapshot", 7)
    assert newest(tmp_path).path == str(stop)
    os.utime(image, (2_000_000_000,) * 2)
    assert newest(tmp_path).path == str(image)
    (tmp_path / "ledger2-snapshot.tax").write_bytes(image.read_bytes())
    (tmp_path / "ledger-snapshots.tax").write_bytes(image.read_bytes())
    assert newest(tmp_path).path == str(image)


def test_forms_may_differ(tmp_path: Path) -> None:
    """An image that was converted meanwhile still has its older saves."""
    saved(tmp_path, "", 10)
    other = saved(tmp_path, "snapshot", 0, "source")
    assert newest(tmp_path).path == str(other)


def test_the_image_is_gone_or_torn(tmp_path: Path) -> None:
    """Its saves are found by what it is called."""
    stop = saved(tmp_path, "shutdown", 5, "pickle")
    assert newest(tmp_path, "ledger.tap").path == str(stop)
    (tmp_path / "ledger.tap").write_bytes(stop.read_bytes()[:50])
    found = newest(tmp_path, "ledger.tap")
    assert found.path == str(stop)
    assert "truncated" in found.skipped[0]
    assert newest(tmp_path, "ledger-snapshot.tap").path == str(stop)


def test_torn_at_every_byte(tmp_path: Path) -> None:
    """The one before it is taken, wherever the newest was cut."""
    old = saved(tmp_path, "", 10, "pickle")
    new = saved(tmp_path, "snapshot", 5, "pickle")
    whole = new.read_bytes()
    for size in range(0, len(whole), 7):
        new.write_bytes(whole[:size])
        os.utime(new, (3_000_000_000,) * 2)
        found = newest(tmp_path, "ledger.tap")
        assert found.path == str(old)
        assert len(found.skipped) == 1
        assert str(new) in found.skipped[0]


def test_torn_xml(tmp_path: Path) -> None:
    """A text is read to find out."""
    old = saved(tmp_path, "", 10)
    new = saved(tmp_path, "snapshot", 5)
    new.write_bytes(new.read_bytes()[:-20])
    os.utime(new, (2_000_000_000,) * 2)
    found = newest(tmp_path)
    assert found.path == str(old)
    assert "ledger-snapshot.tax" in found.skipped[0]


def test_an_edited_image_with_a_mistake(tmp_path: Path) -> None:
    """It is taken, and its mistake told by the load: not the state before the edit."""
    image = saved(tmp_path, "", 10)
    saved(tmp_path, "snapshot", 5)
    image.write_text("<application")
    os.utime(image, (2_000_000_000,) * 2)
    assert newest(tmp_path).path == str(image)


def test_nothing_at_all(tmp_path: Path) -> None:
    """An error that names what is damaged, if anything is."""
    with pytest.raises(ImageError, match=r"no whole image to resume from: .*ledger\.tax"):
        newest(tmp_path)
    (tmp_path / "ledger.tap").write_bytes(b"\x89TAP\r\n")
    with pytest.raises(ImageError, match=r"resume from \(the image is truncated"):
        newest(tmp_path, "ledger.tap")


def test_what_others_may_write(tmp_path: Path) -> None:
    """Only where it would be taken; it is no accident, so nothing is passed over for it."""
    saved(tmp_path, "", 10)
    snapshot = saved(tmp_path, "snapshot", 5)
    snapshot.chmod(0o666)
    with pytest.raises(TapkitError, match="others may write"):
        newest(tmp_path)
    later = saved(tmp_path, "shutdown", 1)
    assert newest(tmp_path).path == str(later)


def test_an_encrypted_one(tmp_path: Path) -> None:
    """It counts by its file's time; whether it is whole a key must tell."""
    saved(tmp_path, "", 10, "pickle")
    path = tmp_path / "ledger-snapshot.etap"
    stanza = b"-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n"
    body = b"EmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n--- " + b"A" * 43 + b"\n"
    files.write_atomic(str(path), b"age-encryption.org/v1\n" + stanza + body + bytes(60))
    os.utime(path, (3_000_000_000,) * 2)
    assert newest(tmp_path, "ledger.tap").path == str(path)


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    """It is no file of ours, and does no harm where it is not the newest."""
    image = saved(tmp_path, "", 0)
    (tmp_path / "ledger-snapshot.tax").mkdir()
    os.utime(tmp_path / "ledger-snapshot.tax", (1, 1))
    assert newest(tmp_path).path == str(image)


def test_sweep(tmp_path: Path) -> None:
    """Temporary files of our own saves, and of the journal's where it is not open."""
    mark = "0123456789abcdef.tmp"
    saves = [f".x-snapshot.tap.{mark}", f".x-shutdown.etap.1.{mark}"]
    journal = f".x.journal.000000000012.{mark}"
    others = [f".x.tap.{mark}", f".y-snapshot.tap.{mark}", "x-snapshot.tap", f".x-snapshot.{mark}"]
    for name in (*saves, journal, *others):
        (tmp_path / name).touch()
    sweep(str(tmp_path), "x")
    assert sorted(os.listdir(tmp_path)) == sorted([journal, *others])
    sweep(str(tmp_path), "x", journal=True)
    assert sorted(os.listdir(tmp_path)) == sorted(others)
