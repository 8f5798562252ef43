"""Waiting for the end of a process that is not our child."""

from __future__ import annotations

import os
import select
import time

_GLANCE = 0.02  # seconds between two looks, where the kernel can't tell of an end


class Ending:
    """The process `pid`, held on to, so that a later one of the same number is not taken for it.

    A zombie has ended: that its parent has not noticed is not our affair.
    """

    def __init__(self, pid: int):
        import psutil

        self._fd = -1
        try:
            if hasattr(os, "pidfd_open"):  # Linux 5.3
                self._fd = os.pidfd_open(pid)
        except OSError:  # gone, or an old kernel: below it is looked for
            pass
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.Error:
            self._process = None

    def wait(self, limit: float) -> bool:
        """Wait `limit` seconds at most; whether the process has ended."""
        deadline = time.monotonic() + limit
        if self._fd >= 0:
            return bool(select.select([self._fd], [], [], limit)[0])
        while not self._is_over():
            if time.monotonic() > deadline:
                return False
            time.sleep(_GLANCE)
        return True

    def _is_over(self) -> bool:
        import psutil

        if self._process is None:
            return True
        try:
            return not self._process.is_running() or (
                self._process.status() == psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return True

    def __enter__(self) -> Ending:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
