"""tapctl stop: a daemon stopped, and gone when this returns."""

from __future__ import annotations

import os
import signal

from tapkit.errors import EXIT_OK, DaemonError
from tapkit.scripts.console import complain
from tapkit.scripts.daemons import WHERE, ask_living, seconds_of

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

    from tapkit.run.control.waiting import Ending

USAGE = f"""
Stop a daemon, and wait until it has saved its state and is gone.

Usage:
  tapctl stop [options] [WHERE]
  tapctl stop (-h | --help)
{WHERE}

Options:
  --no-save       Do not save; what it would have saved is lost.
  --timeout=SECS  Wait SECS seconds; a daemon that is not gone then goes on stopping, and this
                  fails [default: 60].
  -h, --help      Show this.

Of a daemon that stops already, asking once more hurries it: connections are cut, and it saves
all the same. One that does not answer is sent the signal TERM, with --no-save QUIT.

Exit status: 0 it is gone, or there was none; 1 it could not be stopped, is not gone yet, or did
not stop cleanly; 2 the command line is mistyped.
"""

PROGRAM = "tapctl stop"
ENDING_LIMIT = 1.0  # seconds in which one that does not answer may turn out to be ending


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    from tapkit.run.control.client import DeniedError, ask
    from tapkit.run.control.finding import NoDaemonError, find

    limit = seconds_of("--timeout", arguments["--timeout"])
    try:
        pidfile = find(arguments["WHERE"])
        status = ask_living(pidfile, lambda: ask(pidfile, "status"))
    except NoDaemonError as error:
        print(f"Nothing to stop: {error}")
        return EXIT_OK
    except DeniedError:
        raise
    except DaemonError as error:
        return _signal(pidfile, limit, error, not arguments["--no-save"])
    return _stop(pidfile, status, limit, not arguments["--no-save"])


def _stop(pidfile: str, status: dict[str, Any], limit: float, save: bool) -> int:
    """Ask it to; the answer comes when it has saved, or says why it has not."""
    from tapkit.image.labels import printable
    from tapkit.run.control.client import NoAnswerError, NobodyListensError, ask
    from tapkit.run.control.waiting import Ending

    failure: DaemonError | None = None
    done: dict[str, Any] = {}
    with Ending(status["pid"]) as ending:
        try:
            done = ask(pidfile, "stop", limit, save=save)
        except (NoAnswerError, NobodyListensError):
            pass  # whether it is gone is what counts, and that is asked next
        except DaemonError as error:
            failure = error
        _await_end(ending, status["pid"], limit)
    if failure is not None:
        what = f"it has stopped, but not cleanly: {failure.what}"
        raise DaemonError(what, failure.where, failure.remedy)
    saved = done.get("saved")
    where = f"; its state is in {saved['path']}" if saved and not saved["error"] else ""
    print(printable(f"{status['name']} (PID {status['pid']}) has stopped{where}."))
    return EXIT_OK


def _signal(pidfile: str, limit: float, silent: DaemonError, save: bool) -> int:
    """Stop one that does not answer by a signal, if it is what holds the pidfile."""
    from tapkit.run.control.finding import holding, holds
    from tapkit.run.control.waiting import Ending

    pid = holds(pidfile)
    if pid is None:
        print("Nothing to stop: the daemon has just ended.")
        return EXIT_OK
    if not pid:
        raise silent
    with Ending(pid) as ending:
        # One that ends by itself does not answer either; a second signal would hurry it.
        if not ending.wait(min(limit, ENDING_LIMIT)):
            if not holding(pidfile, pid):
                raise silent
            number = signal.SIGTERM if save else signal.SIGQUIT
            complain(PROGRAM, f"warning: {silent}; sending {number.name} to process {pid}")
            os.kill(pid, number)
            _await_end(ending, pid, limit)
    print(f"Process {pid} has stopped.")
    return EXIT_OK


def _await_end(ending: Ending, pid: int, limit: float) -> None:
    if not ending.wait(limit):
        raise DaemonError(
            f"process {pid} is still there after {limit:g} seconds",
            None,
            f"ask once more to hurry it; `kill -9 {pid}` ends it without a save",
        )
