"""tapctl verify: who signed an image, and whether to believe it."""

from __future__ import annotations

from tapkit.errors import EXIT_OK, ImageError

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.image.seal.trust import Verified

USAGE = """
Tell who signed an image, and whether twistd --require-signature would run it. It is not loaded,
nor parsed.

Usage:
  tapctl verify [options] IMAGE
  tapctl verify (-h | --help)

Options:
  -k, --key=FILE    Trust this public key (tapctl keygen's FILE.pub) and no other.
  --allow-rollback  Let it be older than the last one that ran.
  -h, --help        Show this.

Trusted keys are in /etc/tapkit/trust.d and ~/.config/tapkit/trust.d; /etc/tapkit/policy.ini says
what is demanded on this machine.

Exit status: 0 it can be trusted; 1 it can't, and why is said; 2 the command line is mistyped.
"""


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.image import files
    from tapkit.image.seal import policy, trust

    path = arguments["IMAGE"]
    data = files.read_guarded(path)
    if arguments["--key"] is not None:
        verified = _by_key(data, path, arguments["--key"])
    else:
        demanded = policy.in_force(require=True, allow_rollback=arguments["--allow-rollback"])
        demanded = demanded._replace(source="tapctl verify")
        found = trust.verify(data, path, demanded)[1]
        assert found is not None, "the policy requires a signature"
        verified = found
    stated = verified.stated
    print(f"{path}: signed as {stated.application!r} by {verified.key}")
    print(f"  on {stated.signed}, generation {stated.generation}, {stated.size} bytes")
    print(f"  trusted by {verified.key.source}")
    return EXIT_OK


def _by_key(data: Any, path: str, key_path: str) -> Verified:
    """The signature, which must be by this key."""
    from tapkit.image.seal import trust, trusted

    key = trusted.read(key_path)
    signed, statements, where = trust.found_in(data, path)
    if not statements:
        raise ImageError("the image is not signed", path, "tapctl sign does it")
    stated = trust.fitting(signed, statements, path, where)
    if stated.key != key.public:
        raise ImageError(
            f"the image is signed by another key ({trusted.fingerprint(stated.key)})",
            path,
            f"{key_path} holds {trusted.fingerprint(key.public)}",
        )
    trust.judge(stated, key, path)
    return trust.Verified(stated, key)
