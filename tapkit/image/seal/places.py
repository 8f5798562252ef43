"""Where trust is kept on this machine, and which machine it is.

No environment variable is asked, not even HOME: whoever starts a daemon with a prepared
environment must not thereby choose the keys it trusts, nor make it forget which generation ran.
"""

from __future__ import annotations

import os

from tapkit.image.digest import sha256

SYSTEM = "/etc/tapkit"
"""The administrator's: policy and trusted keys."""
SYSTEM_STATE = "/var/lib/tapkit"
MACHINE_ID = "/etc/machine-id"


def system_trust() -> str:
    """The folder of keys that are trusted for everybody."""
    return os.path.join(SYSTEM, "trust.d")


def user_trust() -> str:
    """The folder of keys that this user trusts."""
    return os.path.join(_home(), ".config", "tapkit", "trust.d")


def policy_file() -> str:
    """What the administrator demands of every image."""
    return os.path.join(SYSTEM, "policy.ini")


def state() -> str:
    """Where this user's daemons keep their own keys and the generations that ran."""
    if os.geteuid() == 0:
        return SYSTEM_STATE
    return os.path.join(_home(), ".local", "state", "tapkit")


def file_of(folder: str, application: str, extension: str) -> str:
    """A file of an application's in the state folder; its name may hold any character."""
    import urllib.parse

    name = urllib.parse.quote(application, safe="", errors="backslashreplace").replace(".", "%2E")
    if len(name) > 100:
        name = sha256(application.encode("utf-8", "surrogatepass")).hexdigest()
    return os.path.join(state(), folder, name + extension)


def make_private(directory: str) -> None:
    """Make a directory, and those above it, for this user alone.

    Raises:
        OSError: it can't be made.
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)


def host() -> str | None:
    """What names this machine, and tells nothing of it: a digest of its id (machine-id(5)).

    None where it has none: then a key of this machine's is good wherever its file is.
    """
    try:
        with open(MACHINE_ID, "rb") as file:
            text = file.read(200).strip()
    except OSError:
        return None
    return sha256(b"tapkit host\0" + text).hexdigest()[:32] if text else None


def _home() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a user without an entry, as containers have, has no home and trusts no key
        return "/nonexistent"
