"""Secrets, known by the names of the options that hold them, and kept out of what is shown."""

from __future__ import annotations

from tapkit.errors import TapkitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

# What a name holds when its value is a secret: one of these, whatever is around it ...
SECRET_PARTS = ("password", "passwd", "passphrase", "passcode", "secret", "token", "credential")
# ... or one of these as a word of its own, or as the end of a word ("privkey").
SECRET_WORDS = ("pass", "pw", "pwd", "pin", "key")
# Options of these names may hold "name:password" or "name=password".
PAIR_WORDS = ("user", "users", "account", "auth", "login")

HIDDEN = "(hidden)"


def is_secret(name: str, value: object = None) -> bool:
    """Whether the value of an option or attribute of this name must not be shown or kept.

    With `value`, also whether the value gives itself away: `user` with `name:password`, any
    URL with a login. A flag (`--no-password`) has no secret to tell.
    """
    if isinstance(value, bool):
        return False
    flat = name.lower().replace("_", "-").strip("-")
    words = flat.split("-")
    if any(part in flat.replace("-", "") for part in SECRET_PARTS):
        return True
    if any(word in SECRET_WORDS or word.endswith("key") for word in words):
        return True
    if not isinstance(value, str):
        return False
    pair = any(word in PAIR_WORDS for word in words) and (":" in value or "=" in value)
    return pair or _holds_login(value)


def shown(token: str) -> str:
    """A word of a command line, quoted; of `password=xyzzy` only what is no secret."""
    if _holds_login(token):
        return HIDDEN
    for separator in "=:":
        name, found, _ = token.partition(separator)
        if found and is_secret(name, token):
            return f"{name + found!r} {HIDDEN}"
    return repr(token)


def _holds_login(value: str) -> bool:
    authority = value.partition("://")[2].partition("/")[0]
    login, at, _ = authority.rpartition("@")
    return bool(at) and ":" in login


def without_secrets(text: str, options: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """`text` with the value of every secret option in it replaced by `(hidden)`.

    Parameters:
        options: names and values, as in `Parsed.occurrences` or a mapping. Of a pair like
            `name:password` the password alone is replaced too.
    """
    pairs = list(options.items() if hasattr(options, "items") else options)
    secrets: set[str] = set()
    for name, value in pairs:
        if value and is_secret(name, value):
            secrets.update({str(value), *_secret_part(name, str(value))})
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = _replaced(text, secret)
        if repr(secret)[1:-1] != secret:
            text = _replaced(text, repr(secret)[1:-1])
    return text


def _secret_part(name: str, value: str) -> list[str]:
    """The password of `name:password`."""
    if is_secret(name):
        return []
    return [part for separator in "=:" if (part := value.partition(separator)[2])]


def _replaced(text: str, secret: str) -> str:
    if len(secret) > 3:
        return text.replace(secret, HIDDEN)
    import re  # docopt has imported it already

    # A short one is part of ordinary words; replaced there, it would be told by its absence.
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", lambda _: HIDDEN, text)


def hide_secrets(
    error: TapkitError, options: Mapping[str, Any] | Iterable[tuple[str, Any]]
) -> None:
    """Take the value of every secret option out of an error, and its cause if it held one."""
    parts = (error.what, error.where, error.remedy)
    hidden = tuple(part and without_secrets(part, options) for part in parts)
    if hidden != parts:
        error.what, error.where, error.remedy = hidden[0] or "", *hidden[1:]
        error.args = hidden
        error.__cause__ = None  # whoever prints the chain would print the secret
        error.__suppress_context__ = True


def public_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that may be kept and shown: secrets left out, odd objects as their type.

    A sub-command's options are under the sub-command's name.
    """
    public = {
        str(name): _public(str(name), value)
        for name, value in options.items()
        if not is_secret(str(name), value)
    }
    sub = getattr(options, "subOptions", None)
    if sub is not None:
        public[getattr(options, "subCommand", None) or ""] = public_options(sub)
    return public


def _public(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, (list, tuple)):
        return [_public(name, item) for item in value if not is_secret(name, item)]
    if isinstance(value, dict):
        return public_options(value)
    return f"<{type(value).__qualname__}>"
