"""What a developer straps to a run: the debugger, a trace of calls, a profiler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from tapkit.records import Record

if TYPE_CHECKING:
    from tapkit.run.instruments.profiling import Profile


class Instruments(Record):
    """Which of them are wanted."""

    debug: bool = False
    spew: bool = False
    profile: Profile | None = None

    def run(self, body: Callable[[], None]) -> None:
        """Run `body` under all of them.

        Raises:
            DaemonError: the profile's file can't be written.
            What `body` raises.
        """
        if self.profile is not None:
            from tapkit.run.instruments import profiling  # each is wanted rarely

            body = profiling.under(self.profile, body)
        if not self.spew:
            self._debugged(body)
            return
        from tapkit.run.instruments import spew

        spew.start(sys.stderr)
        try:
            self._debugged(body)
        finally:
            spew.stop()

    def _debugged(self, body: Callable[[], None]) -> None:
        if not self.debug:
            return body()
        from tapkit.run.instruments import debugging  # pdb is slow to import

        debugging.listen()
        try:
            body()
        except Exception as error:
            debugging.post_mortem(error)
            raise
