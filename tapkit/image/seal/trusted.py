"""Keys that are trusted: one public key a file, and what it is trusted for.

    tapkit public key 1
    key: R4r1...
    comment: Alice, releases
    applications: qotd web-*          patterns; without the line, every application
    expires: 2027-12-31               the last day; without the line, never
    host: 5c1d...                     only a daemon's own: the machine it is good on

They are in two folders, `places.system_trust()` and `places.user_trust()`, as `NAME.pub`. What a
key may vouch for is said there, by who trusts it, and not by who signs.
"""

from __future__ import annotations

import datetime
import fnmatch
import json
import os
from typing import NamedTuple

from tapkit.errors import ImageError
from tapkit.image import files
from tapkit.image.seal import places, words

TITLE = "tapkit public key 1"
EXTENSION = ".pub"
_WORDS = ("key", "comment", "applications", "expires", "host")
_MAX_KEY_FILE = 1 << 14


class TrustedKey(NamedTuple):
    """A public key, and what it is trusted for."""

    public: bytes
    comment: str = ""
    applications: tuple[str, ...] = ("*",)
    expires: datetime.date | None = None
    host: str | None = None
    source: str = ""

    def __str__(self) -> str:
        return f"{self.comment or 'a key'} ({fingerprint(self.public)})"

    def may_sign(self, application: str) -> bool:
        return any(fnmatch.fnmatchcase(application, glob) for glob in self.applications)

    def is_expired(self) -> bool:
        today = datetime.datetime.now(datetime.timezone.utc).date()
        return self.expires is not None and today > self.expires

    def text(self) -> str:
        """What its file holds."""
        known = {"key": words.encoded(self.public)}
        if self.comment:
            known["comment"] = " ".join(self.comment.split())
        if self.applications != ("*",):
            known["applications"] = " ".join(map(_spelt, self.applications))
        if self.expires is not None:
            known["expires"] = self.expires.isoformat()
        if self.host is not None:
            known["host"] = self.host
        return words.spell(TITLE, known)


def fingerprint(public: bytes) -> str:
    """A key as people tell it from another: the beginning of its base64."""
    return words.encoded(public)[:16]


def read(path: str) -> TrustedKey:
    """The key in a file.

    Raises:
        ImageError: others could have written it, or it holds no key.
    """
    data = files.read_guarded(path, _MAX_KEY_FILE)
    try:
        found = words.parse(bytes(data).decode("utf-8"), TITLE, _WORDS, ("key",))
        expires = found.get("expires")
        names = found.get("applications")
        return TrustedKey(
            words.decoded(found["key"], 32),
            found.get("comment", ""),
            ("*",) if names is None else tuple(map(_name, names.split())),
            None if expires is None else datetime.date.fromisoformat(expires),
            found.get("host"),
            path,
        )
    except ValueError as error:
        raise ImageError(f"it is no public key of tapkit's ({error})", path, None) from error


def find(public: bytes, application: str, *, users: bool) -> tuple[TrustedKey | None, list[str]]:
    """The trusted key that this is, or None; and what is wrong with files of trusted keys.

    A broken file costs that key alone. Of two files with one key, the one counts that lets it
    sign the application, and the system's before the user's.

    Parameters:
        users: whether the user's own folder counts.
    """
    folders = [places.system_trust(), *([places.user_trust()] if users else [])]
    found: list[TrustedKey] = []
    faults: list[str] = []
    for folder in folders:
        for path in _key_files(folder):
            try:
                key = read(path)
            except ImageError as error:
                faults.append(str(error))
                continue
            if key.public == public:
                found.append(key)
    good = [key for key in found if key.may_sign(application) and not key.is_expired()]
    return next(iter(good or found), None), faults


def find_own(public: bytes, application: str) -> TrustedKey | None:
    """The key of this user's daemon of that name, if this is it."""
    path = places.file_of("keys", application, ".key") + EXTENSION
    try:
        key = read(path) if os.path.lexists(path) else None
    except ImageError:
        return None  # as good as none: the signature is then by an unknown key
    return key if key is not None and key.public == public else None


def _key_files(folder: str) -> list[str]:
    try:
        return sorted(
            os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(EXTENSION)
        )
    except OSError:
        return []


def _spelt(glob: str) -> str:
    """A pattern without white space, as one word of the line."""
    return glob if glob.isascii() and glob.isprintable() and " " not in glob else _quoted(glob)


def _quoted(glob: str) -> str:
    return json.dumps(glob).replace(" ", "\\u0020")


def _name(word: str) -> str:
    if not word.startswith('"'):
        return word
    name = json.loads(word)
    if not isinstance(name, str):
        raise ValueError(f"{word} is no name")
    return name
