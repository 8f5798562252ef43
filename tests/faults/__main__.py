"""Every fault there is, one life each.

    python -m tests.faults [--every N]

A kill at each system call of saves, snapshots and the journal, EIO and ENOSPC at each that may
have them, and every state that a loss of power may leave. `--every N` takes each Nth fault only.
Needs strace, and takes minutes.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.faults import injecting, powerloss


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N")
    every = parser.parse_args(argv).every
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        for mode in ("loop", "fork"):
            print(powerloss.campaign(Path(folder, f"power-{mode}"), mode), flush=True)
        for line in injecting.campaign(Path(folder), every=every):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
