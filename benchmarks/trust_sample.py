"""One process: open an image file in several ways, time and again, and print the seconds as JSON.

    trust_sample.py FOLDER KIND ROUNDS

KIND is `buffers`, one array of 100 MB that is not unpickled, so that reading and checking are all
there is; or `objects`, strings of 100 MB together. Run with the environment's Python; the folder
is where the files are kept between runs.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

from tapkit import image
from tapkit.image import seal
from tapkit.image.seal import places, signing
from tapkit.image.seal.policy import Policy
from tapkit.image.seal.trusted import TrustedKey

SIZE = 100_000_000


class Array:
    """Its content travels out of band, as numpy's does."""

    def __init__(self, content: Any):
        self.content = content

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Array, (pickle.PickleBuffer(self.content),)


def main(folder: Path, kind: str, rounds: int) -> None:
    places.SYSTEM, places.SYSTEM_STATE = str(folder / "system"), str(folder / "state")
    places.MACHINE_ID = str(folder / "machine-id")
    paths = prepared(folder, kind)
    demands = {
        "unsigned": Policy(),
        "signed, not asked for": Policy(),
        "signed and trusted": Policy(require=True, source="the benchmark"),
    }
    samples: dict[str, list[float]] = {name: [] for name in demands}
    for _ in range(rounds):
        for name, policy in demands.items():
            began = time.perf_counter()
            loaded = image.load_known(paths[name], policy=policy)
            samples[name].append(time.perf_counter() - began)
            assert (loaded.unsealed.verified is None) == (name != "signed and trusted")
            del loaded
    print(json.dumps(samples))


def prepared(folder: Path, kind: str) -> dict[str, str]:
    """The files: unsigned, signed by a key that nobody trusts, and by one that is trusted."""
    trust = folder / "system" / "trust.d"
    paths = {
        "unsigned": str(folder / f"{kind}.tap"),
        "signed, not asked for": str(folder / f"{kind}-unknown.tap"),
        "signed and trusted": str(folder / f"{kind}-signed.tap"),
    }
    if not trust.exists():
        trust.mkdir(parents=True)
        signing.generate(str(trust / "key"), TrustedKey(b"", "the benchmark's"))
        signing.generate(str(folder / "unknown"), TrustedKey(b"", "another"))
    keys = (None, str(folder / "unknown"), str(trust / "key"))
    for path, key in zip(paths.values(), keys, strict=True):
        if not os.path.exists(path):
            how = seal.OPEN if key is None else seal.Seal(signer=signing.signer_from(key))
            image.save(held(kind), path, name="bench", seal=how)
    return paths


def held(kind: str) -> Any:
    if kind == "buffers":
        return Array(bytearray(os.urandom(1 << 20) * (SIZE >> 20)))
    return [f"{number:01000d}" for number in range(SIZE // 1000)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
