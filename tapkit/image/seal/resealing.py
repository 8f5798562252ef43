"""How an application that was loaded is sealed when it is saved again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tapkit.errors import ImageError
from tapkit.image.seal import Seal, Unsealed

if TYPE_CHECKING:
    from tapkit.image.seal.policy import Policy
    from tapkit.image.seal.signing import Signer

log = logging.getLogger("tapkit.trust")


def resealing(
    unsealed: Unsealed, name: object, path: str, policy: Policy | None, *, runs: bool
) -> Seal:
    """The seal of an application's saves, after that of the image it came from.

    The signer is made now: a daemon that sheds its privileges could not read its key later.

    Parameters:
        name: the application's, which must be what the signature says.
        path: the image, for messages.
        runs: note that this generation runs.

    Raises:
        ImageError: the signature is another application's; or, where the policy demands
            signatures, the daemon could not sign what it saves.
    """
    if unsealed.encrypted and unsealed.lock is None:
        raise ImageError(
            "what opened it does not tell to whom its saves shall be encrypted",
            path,
            "say it with --recipient",
        )
    if unsealed.verified is None:
        return Seal(unsealed.lock)
    from tapkit.image.seal import trust
    from tapkit.image.seal.policy import in_force

    demanded = in_force() if policy is None else policy
    trust.check_name(unsealed.verified, name, path)
    if not runs:
        return Seal(unsealed.lock, None, unsealed.verified.stated.generation)
    trust.remember(unsealed.verified, demanded)
    signer = _own_signer(str(name), required=demanded.require) if demanded.daemon_keys else None
    return Seal(unsealed.lock, signer, unsealed.verified.stated.generation)


def _own_signer(name: str, *, required: bool) -> Signer | None:
    from tapkit.image.seal import signing

    try:
        return signing.own_signer(name)
    except ImageError as error:
        if required:
            raise
        log.warning("what the daemon saves will not be signed: %s", error)
        return None
