"""Whether an image may be believed: its signature, found, checked, and held against the policy.

All of it before a byte of the image is parsed. In order: is there a signature, does it speak of
these bytes, is its key one that is trusted here, has that key made it, may the key sign this
application, on this machine, still today, and is it no older than what ran last.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from typing import Any, NamedTuple

from tapkit.errors import ImageError
from tapkit.image import tap, trailer
from tapkit.image.seal import places, rollback, trusted
from tapkit.image.seal.policy import Policy
from tapkit.image.seal.statement import Statement, read_all, read_one
from tapkit.image.seal.trusted import TrustedKey

log = logging.getLogger("tapkit.trust")

_MAX_SIDECAR = 1 << 17


class Verified(NamedTuple):
    """A signature that was found good, and the key that is trusted for it."""

    stated: Statement
    key: TrustedKey


def found_in(data: Any, path: str | None) -> tuple[Any, list[Statement], str]:
    """An image's own bytes, the signatures that come with it, and where they were.

    Parameters:
        path: of the file; None: the bytes come from none.

    Raises:
        ImageError: what is there is no signature.
    """
    if tap.sniff(data):
        data, signature = trailer.split(data)
        where = path or "the image"
        return data, [] if signature is None else _parsed(read_one, signature, where), where
    if path is None:
        return data, [], "the image"
    for place in trailer.sidecars(path):
        text = _sidecar_text(place)
        if text is not None:
            return data, _parsed(read_all, text, place), place
    return data, [], path + trailer.SIDECAR


def verify(data: Any, path: str, policy: Policy) -> tuple[Any, Verified | None]:
    """The bytes that were signed, and the signature, if there is a good one.

    Where the policy requires none, an image may have none, or one by a key that nobody here
    trusts, and counts as unsigned. One by a trusted key that does not fit its image, or is
    false, is refused always: nobody who means well leaves such a one there.

    Raises:
        ImageError: unsigned, changed since, unknown key, false, out of scope, expired, another
            machine's, or older than what ran: each in its own words.
    """
    data, statements, where = found_in(data, path)
    if not statements:
        if policy.require:
            raise ImageError(
                f"the image is not signed, and {policy.source} wants it signed",
                path,
                "tapctl sign does it",
            )
        return data, None
    keys = {stated.key: _trusted_key(stated, policy) for stated in statements}
    if not policy.require and not any(key for key, _ in keys.values()):
        return data, None
    stated = fitting(data, statements, path, where)
    key, faults = keys[stated.key]
    if key is None:
        if policy.require:
            raise _unknown_key(stated, path, policy, faults)
        return data, None
    judge(stated, key, path)
    if not policy.rollback:
        rollback.check(stated.application, stated.generation, path)
    return data, Verified(stated, key)


def fitting(data: Any, statements: list[Statement], path: str, where: str) -> Statement:
    """The one that speaks of these bytes.

    Raises:
        ImageError: none does.
    """
    for stated in statements:
        if stated.fits(data):
            return stated
    raise ImageError(
        "the image was changed after it was signed",
        path,
        f"sign it again with tapctl sign, or copy it again (its signature is in {where})",
    )


def judge(stated: Statement, key: TrustedKey, path: str) -> None:
    """Refuse what this key has not signed, or may not sign.

    Raises:
        ImageError: naming which.
    """
    from tapkit.image.seal import signing

    if not signing.is_genuine(stated):
        raise ImageError(
            f"the signature is false: {key} has not made it", path, "who gave you the image?"
        )
    if not key.may_sign(stated.application):
        raise ImageError(
            f"the key {key} is trusted for {' '.join(key.applications)}, not for"
            f" {stated.application!r}",
            path,
            f"see {key.source}",
        )
    if (stated.host or key.host) and not places.host() == stated.host == key.host:
        raise ImageError(
            f"the key {key} is a daemon's own, and good on its machine alone",
            path,
            "sign it with a key that is trusted here",
        )
    if key.is_expired():
        raise ImageError(
            f"the key {key} was trusted until {key.expires}", path, f"see {key.source}"
        )


def check_name(verified: Verified | None, name: object, path: str) -> None:
    """Refuse an image that holds another application than its signature says.

    Raises:
        ImageError: the key might not be trusted for the one it holds.
    """
    if verified is not None and name != verified.stated.application:
        raise ImageError(
            f"the image is signed as {verified.stated.application!r} and holds {name!r}",
            path,
            "sign it again with tapctl sign",
        )


def remember(verified: Verified | None, policy: Policy) -> None:
    """Note that this image runs, so that an older one will not.

    Raises:
        ImageError: it can't be noted, and the policy wants signatures.
    """
    if verified is None:
        return
    try:
        rollback.record(verified.stated.application, verified.stated.generation)
    except ImageError as error:
        if policy.require:
            raise
        log.warning("%s", error)


def _trusted_key(stated: Statement, policy: Policy) -> tuple[TrustedKey | None, list[str]]:
    """The key that is trusted, if it is; and what is wrong with the files of others."""
    key, faults = trusted.find(stated.key, stated.application, users=policy.user_keys)
    if key is None and policy.daemon_keys:
        key = trusted.find_own(stated.key, stated.application)
    return key, faults


def _unknown_key(stated: Statement, path: str, policy: Policy, faults: list[str]) -> ImageError:
    folder = places.user_trust() if policy.user_keys else places.system_trust()
    remedy = f"put its public key into {folder} if you trust it"
    return ImageError(
        f"the image is signed by a key that nobody here trusts ({trusted.fingerprint(stated.key)})",
        path,
        "; ".join([remedy, *faults]),
    )


def _sidecar_text(path: str) -> bytes | None:
    """The bytes of a signature's file. Whoever wrote it: what is in it proves itself."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImageError(f"the signature can't be read ({error.strerror})", path, None) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ImageError("it is no file, so no signature", path, "remove it")
        text = os.read(fd, _MAX_SIDECAR + 1)  # of a regular file: all there is, up to so much
    finally:
        os.close(fd)
    if len(text) > _MAX_SIDECAR:
        raise ImageError("it is too large for a signature", path, "remove it")
    return text


def _parsed(parse: Callable[[bytes], list[Statement]], text: bytes, where: str) -> list[Statement]:
    try:
        return parse(text)
    except ValueError as error:
        raise ImageError(
            f"the signature is damaged ({error})", where, "sign the image again with tapctl sign"
        ) from error
