"""Random damage to images of every form, to signatures and age headers: always an ImageError, or
what was there.

    python -m tests.hostile.fuzz [SECONDS]

Seeded by the input's number, so a failure can be had again: the number is printed.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tapkit.errors import ImageError
from tapkit.image import age_header, forms, header, tap, trailer
from tapkit.image.seal import statement
from tapkit.image.seal.signing import Signer
from tests.hostile.case import bomb
from tests.hostile.envelope import known, whole
from tests.place import ROOT
from tests.released import RELEASED

DATA = ROOT / "tests" / "data"

PIECES = [b"", b"\0", b"\xff", b"\n", b"-> ", b"--- ", b"\x91", b"\xdd", tap.MAGIC, tap.END]
PIECES += [b"<", b"</", b"&", b"&#0;", b"]]>", b"<!DOCTYPE x [", b"<!--", b' ref="', b' id="a"']
PIECES += [
    b'type="list"',
    b"(",
    b")]",
    b'"""',
    b"'\\",
    b"\\x",
    b"\n    ",
    b"lambda: 0",
    b" = instance(",
]
PIECES += [trailer.SIGNED, b"scrypt ", b"generation: ", b"9" * 400, b"A" * 64, bytes(64)]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut out, repeated or put in."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(made) + 1)
        until = min(len(made), place + chance.choice((0, 1, 2, 8, 64)))
        match chance.randrange(4):
            case 0:
                made[place:until] = chance.choice(PIECES)
            case 1:
                made[place:until] = chance.randbytes(until - place)
            case 2:
                made[place:place] = made[place:until] * chance.randint(1, 3)
            case _:
                del made[place:until]
    return bytes(made)


def readers() -> dict[str, tuple[bytes, Callable[[bytes], object]]]:
    """By name: a good input, and what reads the damaged."""
    import msgpack

    signer = Signer(Ed25519PrivateKey.from_private_bytes(b"1" * 32))
    text = signer.sign(b"x", "qotd", 7).text()
    age = b"age-encryption.org/v1\n-> scrypt " + b"A" * 22 + b" 18\n" + b"B" * 43
    age += b"\n--- " + b"C" * 43 + b"\n" + bytes(64)
    packed = msgpack.packb(known())
    texts: dict[str, tuple[bytes, Callable[[bytes], object]]] = {}
    for path in [*sorted(DATA.glob("*.ta[xs]")), *sorted(RELEASED.glob("*/*.ta[xs]"))]:
        form = forms.by_name(path.suffix)
        texts[path.name] = (path.read_bytes(), lambda data, form=form: form.decode(data, "x"))
    return texts | {
        "envelope": (bomb(), tap.read),
        "envelope, digests fit": (packed, lambda data: tap.read(whole(data))),
        "header": (packed, lambda data: header.unpack(data, "x")),
        "signature": (text, statement.read),
        "signatures": (text * 3, statement.read_all),
        "signed envelope": (trailer.joined(bomb(), text), lambda data: tap.read(data)),
        "age header": (age, lambda data: age_header.read(data, "x")),
    }


def main(seconds: float) -> int:
    until = time.monotonic() + seconds
    number, refused = 0, 0
    targets = readers()
    while time.monotonic() < until:
        for name, (good, read) in targets.items():
            number += 1
            data = damaged(good, random.Random(number))
            try:
                read(data)
            except (ImageError, ValueError) as error:
                if isinstance(error, ValueError) and not name.startswith("signature"):
                    print(f"{name}, input {number}: {error!r}")
                    raise
                refused += 1
            except BaseException:
                print(f"{name}, input {number}: {data!r}")
                raise
    print(f"{number} inputs, {refused} refused, the others whole or harmlessly changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
