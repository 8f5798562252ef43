"""What is around an image in its file: encryption, and outermost a signature.

A file is opened in the order signature, decryption, form, and each step sees only what the one
before has passed; it is written the other way round. Neither pyrage nor cryptography is imported
for an image that has neither.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from tapkit.errors import ImageError, UsageError
from tapkit.image import age_header, files, forms, tap, trailer
from tapkit.records import Record

if TYPE_CHECKING:
    from tapkit.image.seal.encryption import Keys, Lock
    from tapkit.image.seal.policy import Policy
    from tapkit.image.seal.signing import Signer
    from tapkit.image.seal.statement import Statement
    from tapkit.image.seal.trust import Verified

_MOST_SIGNATURES = 8
"""How many a `.sig` file keeps: of the image and of those it replaced."""


class Seal(Record):
    """How an image is sealed each time it is saved.

    Attributes:
        lock: how it is encrypted, or None.
        signer: who signs it, or None.
        generation: of the image it replaces; the new one's is higher.
    """

    lock: Lock | None = None
    signer: Signer | None = None
    generation: int = 0


OPEN = Seal()
"""Neither encrypted nor signed."""


class Unsealed(Record):
    """An image's form, out of its seal.

    Attributes:
        data: the bytes of the form.
        lock: how what replaces it is encrypted; None where it was not, or its key does not tell.
        encrypted: whether it was.
        verified: its signature, if there is one that is trusted here.
    """

    data: Any
    lock: Lock | None = None
    encrypted: bool = False
    verified: Verified | None = None

    @property
    def intact(self) -> bool:
        """Whether the data are known to be, bit by bit, what a trusted key has signed."""
        return self.verified is not None and not self.encrypted


def unsealed(
    data: Any, path: str, keys: Keys | None = None, policy: Policy | None = None
) -> Unsealed:
    """Check the signature of a file's bytes, then decrypt them.

    Parameters:
        keys: what opens it if it is encrypted.
        policy: what is demanded; None: what the system demands.

    Raises:
        ImageError: the signature is not what is demanded, or no key opens it.
    """
    from tapkit.image.seal.policy import in_force

    demanded = in_force() if policy is None else policy
    if not demanded.require and not _has_signature(data, path):
        return decrypted(data, path, keys)  # most images: what follows takes time to import
    from tapkit.image.seal import trust

    data, verified = trust.verify(data, path, demanded)
    return decrypted(data, path, keys)._replace(verified=verified)


def _has_signature(data: Any, path: str) -> bool:
    if tap.sniff(data):
        return trailer.size(data) > 0
    return any(map(os.path.lexists, trailer.sidecars(path)))


def decrypted(data: Any, where: str, keys: Keys | None = None) -> Unsealed:
    """Decrypt an image if it is encrypted; its signature, if any, is not looked at.

    Raises:
        ImageError: no key opens it.
    """
    if not age_header.sniff(data):
        if keys is not None and keys.required:
            raise ImageError(
                "the image is not encrypted", where, "leave out the option that says so"
            )
        return Unsealed(data)
    from tapkit.image.seal.encryption import NO_KEYS

    opened, lock = (keys or NO_KEYS).open(data, where)
    return Unsealed(opened, lock, encrypted=True)


def sealed(data: bytes, seal: Seal, name: str) -> tuple[bytes, Statement | None]:
    """The bytes of a file, and its signature, where that is not part of them.

    Parameters:
        data: of a form.
        name: the application's, which the signature is for.
    """
    if seal.lock is not None:
        data = seal.lock.encrypt(data)
    if seal.signer is None:
        return data, None
    from tapkit.image.seal import statement

    stated = seal.signer.sign(data, name, statement.next_generation(seal.generation))
    if tap.sniff(data):
        return trailer.joined(data, stated.text()), None
    return data, stated


def write(data: bytes, path: str, seal: Seal = OPEN, *, name: str = "", keep: int = 0) -> None:
    """Seal an image and put it in a file's place, whole or not at all; `keep` as `files`'.

    A signature that is a file of its own is there before the image it speaks of; one that does
    not speak of the new image is removed after.

    Raises:
        ImageError: it can't be; the file that was there is whole.
        UsageError: the path says the image is encrypted, and nothing says how.
    """
    if seal.lock is None and forms.says_encrypted(path):
        raise UsageError(
            "a file of this name is encrypted", path, "give a passphrase or a recipient"
        )
    data, stated = sealed(data, seal, name)
    if stated is not None:
        add_signature(path, stated)
    files.write_atomic(path, data, keep=keep)
    if stated is None:
        remove_signature(path)


def add_signature(path: str, stated: Statement) -> None:
    """Put a signature into the file beside an image, before those that are there."""
    from tapkit.image.seal import statement

    older: list[Statement] = []
    with contextlib.suppress(ValueError, ImageError):  # what is damaged counts for nothing
        old = files.contents(path + trailer.SIDECAR)
        older = statement.read_all(old) if old else []
    kept = [stated, *older][:_MOST_SIGNATURES]
    text = b"".join(each.text() for each in kept)
    files.write_atomic(path + trailer.SIDECAR, text, mode=0o644)


def remove_signature(path: str) -> None:
    """Remove the file of signatures beside an image, if there is one."""
    if not os.path.lexists(path + trailer.SIDECAR):
        return
    try:
        os.unlink(path + trailer.SIDECAR)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ImageError(
            f"the signature of the image that was replaced can't be removed ({error.strerror})",
            path + trailer.SIDECAR,
            "remove it",
        ) from error
