"""What every command has in common: how it speaks, and what it exits with."""

from __future__ import annotations

import os
import sys

from tapkit import __version__
from tapkit.errors import EXIT_FAILED, TapkitError, describe
from tapkit.options.help_text import terminal_width, two_columns

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Command lines that ask for help and nothing else: answered without importing docopt, which
# would be a quarter of the time that takes. Any other is read as the usage text says.
HELP = (["--help"], ["-h"])
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def run(program: str, body: Callable[[], int]) -> int:
    """The exit status of `body`; what went wrong is one line on stderr.

    An error of another kind than ours is a fault of tapkit: its traceback is shown.
    """
    try:
        return _flushed(body())
    except TapkitError as error:
        complain(program, str(error))
        return error.exit_status
    except KeyboardInterrupt:
        complain(program, "interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`mktap --help | head -1`) left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        complain(program, describe(error))
        return EXIT_FAILED


def complain(program: str, message: str) -> None:
    """One line on stderr: `PROGRAM: message`."""
    print(f"{program}: {message}", file=sys.stderr, flush=True)


def version_line(program: str) -> str:
    """What `--version` prints."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{program} (tapkit) {__version__}, Python {python}"


def list_commands(commands: Iterable[tuple[str, str]]) -> str:
    """The commands with their descriptions, aligned, long ones wrapped."""
    rows = sorted(commands)
    if not rows:
        return "Commands: none found; see `mktap --debug`.\n"
    return "Commands:\n" + two_columns(rows, terminal_width())


def _flushed(status: int) -> int:
    """Flush here, where a full disk or a closed pipe can still be told."""
    sys.stdout.flush()
    return status
