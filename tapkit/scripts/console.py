"""What every command has in common: how it speaks, and what it exits with."""

from __future__ import annotations

import os
import sys

from tapkit import __version__
from tapkit.errors import EXIT_FAILED, EXIT_OK, TapkitError, describe
from tapkit.options import command_line
from tapkit.options.help_text import terminal_width, two_columns

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

# Command lines that ask for help and nothing else: answered without importing docopt, which
# would be a quarter of the time that takes. Any other is read as the usage text says.
HELP = (["--help"], ["-h"])
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def command(
    program: str,
    argv: list[str],
    doc: str,
    body: Callable[[dict[str, Any]], int],
    *,
    more_help: Callable[[], str] | None = None,
    options_first: bool = True,
    repeated: tuple[str, ...] = (),
) -> int:
    """A whole command: help and version are answered here, all else is for `body`.

    Parameters:
        doc: its usage text, which docopt reads.
        body: takes what docopt made of the command line; returns the exit status.
        more_help: what `--help` shows after the usage text.
        options_first: what follows the first positional argument is not for this command.
        repeated: options that may be given more than once; `body` gets a list of each.
    """

    grammar = doc.replace(program, program.replace(" ", "-"))  # to docopt it is one word

    def answer() -> int:
        helps = argv in HELP
        arguments = {}
        if not helps:
            parsed = command_line.parse(grammar, argv, prog=program, options_first=options_first)
            arguments = parsed.arguments
            for option in repeated:
                arguments[option] = [v for name, v in parsed.occurrences if name == option]
        if helps or arguments["--help"]:
            parts = [doc.strip() + "\n", *([more_help()] if more_help else [])]
            print("\n".join(parts), end="")
            return EXIT_OK
        if arguments.get("--version"):
            print(version_line(program))
            return EXIT_OK
        return body(arguments)

    return run(program, answer)


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
