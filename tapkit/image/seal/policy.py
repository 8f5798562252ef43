"""What is demanded of an image before it is run: by the system's administrator, and by a command.

    # /etc/tapkit/policy.ini
    [trust]
    require-signature = yes     no image runs that no trusted key has signed
    user-keys = no              keys in users' own trust folders count for nothing
    daemon-keys = yes           a daemon's own key vouches for what it saved, on this machine
    allow-rollback = no         --allow-rollback is refused

Without the file a signature is not required, users' and daemons' keys count, and a rollback can
be allowed. A command can demand more than the file does, never less. A file that can't be read,
that others may write to, or that says what is not known, is an error: it lets nothing run.
"""

from __future__ import annotations

import os

from tapkit.errors import ImageError
from tapkit.image import files
from tapkit.image.seal import places
from tapkit.names import suggestion
from tapkit.records import Record

_SECTION = "trust"
_MAX_FILE = 1 << 16


class Policy(Record):
    """What is demanded; see the module."""

    require: bool = False
    user_keys: bool = True
    daemon_keys: bool = True
    rollback_may_be_allowed: bool = True
    rollback: bool = False
    """Whether an older generation may run, this time."""
    source: str | None = None
    """Who demands a signature, for messages."""


_WORDS = {
    "require-signature": "require",
    "user-keys": "user_keys",
    "daemon-keys": "daemon_keys",
    "allow-rollback": "rollback_may_be_allowed",
}


def in_force(*, require: bool = False, allow_rollback: bool = False) -> Policy:
    """The system's policy and what a command demands besides.

    Raises:
        ImageError: the system's can't be read, or does not let a rollback be allowed.
    """
    policy = _system()
    if require and not policy.require:
        policy = policy._replace(require=True, source="--require-signature")
    if allow_rollback and not policy.rollback_may_be_allowed:
        raise ImageError(
            "the system's policy allows no rollback", places.policy_file(), "ask its administrator"
        )
    return policy._replace(rollback=allow_rollback)


def _system() -> Policy:
    path = places.policy_file()
    if not os.path.lexists(path):
        return Policy()
    text = bytes(files.read_guarded(path, _MAX_FILE))
    import configparser

    parser = configparser.RawConfigParser(strict=True, interpolation=None)
    try:
        parser.read_string(text.decode("utf-8"))
    except (configparser.Error, ValueError) as error:
        line = " ".join(str(error).split())
        raise ImageError(f"the policy can't be read ({line})", path, "nothing runs") from error
    found: dict[str, bool] = {}
    for section in [configparser.DEFAULTSECT, *parser.sections()]:
        words = parser.defaults() if section == configparser.DEFAULTSECT else parser[section]
        for word in words:
            if section != _SECTION or word not in _WORDS:
                close = suggestion(word, _WORDS)
                raise ImageError(
                    f"the policy says [{section}] {word}, which is not known{close}",
                    path,
                    f"it has a section [{_SECTION}] with {', '.join(_WORDS)}",
                )
            try:
                found[_WORDS[word]] = parser.getboolean(_SECTION, word)
            except ValueError as error:
                raise ImageError(
                    f"the policy's {word} is neither yes nor no", path, "nothing runs"
                ) from error
    return Policy(
        found.get("require", False),
        found.get("user_keys", True),
        found.get("daemon_keys", True),
        found.get("rollback_may_be_allowed", True),
        source=path,
    )
