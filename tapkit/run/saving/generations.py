"""What there is to start from: an image, what was saved at its stops, and its snapshots."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

from tapkit.errors import ImageError, TapkitError
from tapkit.image import age_header, files, forms, header, tap, trailer
from tapkit.run.saving.policy import SHUTDOWN, SNAPSHOT


class Found(NamedTuple):
    """The newest whole generation.

    Attributes:
        path: its file.
        saved: when, seconds since the epoch.
        skipped: the newer ones that are damaged, each with what is wrong with it.
    """

    path: str
    saved: float
    skipped: tuple[str, ...]


class _Candidate(NamedTuple):
    """Ordered by the time in the header, which has whole seconds, and then by the file's own."""

    second: int
    modified: int  # nanoseconds
    path: str


def newest(image: str, folder: str) -> Found:
    """The newest whole generation among an image and what was saved of it in `folder`.

    Whole is what passes all checks that are made without loading it, and without a key. A text
    form has no save time and no digest: it counts by its file's time, and is whole if it can be
    read. An encrypted one counts so too, and is whole as far as its header. The image itself may
    be a program: if it is a text, it is taken at its word.

    Raises:
        ImageError: there is none; or a file is there that others could have written: that is no
            accident of a crash, and not passed over.
    """
    skipped: list[str] = []
    candidates = []
    for path in (image, *_saved_of(image, folder)):
        try:
            candidates.append(_candidate(path))
        except FileNotFoundError:
            continue
        except ImageError as error:
            skipped.append(str(error))
    for candidate in sorted(candidates, reverse=True):
        try:
            _check(candidate.path, taken_at_its_word=candidate.path == image)
        except ImageError as error:
            skipped.append(str(error))
            continue
        return Found(candidate.path, float(candidate.second), tuple(skipped))
    told = "; ".join(skipped)
    raise ImageError(f"there is no whole image to resume from{told and f' ({told})'}", image)


def _candidate(path: str) -> _Candidate:
    """Where a file stands among the others, by its beginning alone: it is not believed yet."""
    status = os.stat(path)
    second = status.st_mtime_ns // 1_000_000_000
    data = _beginning(path) if stat.S_ISREG(status.st_mode) else b""
    if tap.sniff(data):
        created = tap.inspect(data, path).created
        try:
            second = int(datetime.datetime.fromisoformat(created).timestamp())
        except ValueError:
            raise ImageError(f"its header has no time but {created!r}", path) from None
    return _Candidate(second, status.st_mtime_ns, path)


def _check(path: str, taken_at_its_word: bool) -> None:
    data = _guarded(path)
    if age_header.sniff(data):
        age_header.read(data, path)
    elif tap.sniff(data):
        tap.read(trailer.split(data)[0], path)
    else:
        form = forms.sniff(data, path)
        if not taken_at_its_word:
            form.inspect(data, path)


def _beginning(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(2 * header.MAX_HEADER)
    except PermissionError:
        return b""  # it is refused, if it would be the newest


class _UntrustedError(TapkitError):
    """A file that is not ours to believe; it is no damaged one."""


def _guarded(path: str) -> Any:
    try:
        return files.read_guarded(path)
    except ImageError as error:
        raise _UntrustedError(error.what, error.where, error.remedy) from error


def _saved_of(image: str, folder: str) -> Iterator[str]:
    """The files in `folder` that a daemon saved from this image, in any form."""
    tags = f"(?:{SHUTDOWN}|{SNAPSHOT})"
    extensions = "|".join(map(re.escape, forms.extensions()))
    ours = re.compile(rf"{re.escape(_name_of(image))}-{tags}(?:{extensions})(?:\.\d+)?")
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        if ours.fullmatch(entry) and not _is_same(path, image):
            yield path


def _name_of(image: str) -> str:
    """The application's name, as the image says it or, where it can't be read, as it is called."""
    with contextlib.suppress(ImageError):
        data = files.read_guarded(image)
        name = forms.sniff(data, image).inspect(data, image).name
        if name:
            return name
    stem = os.path.basename(image).partition(".")[0]
    return re.sub(f"-(?:{SHUTDOWN}|{SNAPSHOT})$", "", stem)


def _is_same(path: str, image: str) -> bool:
    try:
        return os.path.samefile(path, image)
    except FileNotFoundError:
        return False
