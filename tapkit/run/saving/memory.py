"""How much memory this process has, and how much there still is: two lines of proc(5).

psutil says the same, and is asked where there is no /proc. But its first import takes 30 ms, in
which the event loop stands still; and made in a thread, a snapshot depends on that thread.
"""

from __future__ import annotations

import os
import sys

_LINUX = sys.platform.startswith("linux")


def resident() -> int | None:
    """Bytes of memory that this process has; None: unknown, as in a chroot without /proc."""
    if not _LINUX:
        import psutil

        return int(psutil.Process().memory_info().rss)
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def available() -> int | None:
    """Bytes of memory that the machine can give without swapping; None: unknown."""
    if not _LINUX:
        import psutil

        return int(psutil.virtual_memory().available)
    try:
        with open("/proc/meminfo", "rb") as file:
            lines = [line.split() for line in file]
    except OSError:
        return None
    return next((int(kib) << 10 for name, kib, *_ in lines if name == b"MemAvailable:"), None)
