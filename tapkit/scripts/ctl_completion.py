"""tapctl completion: what makes a shell complete the commands."""

from __future__ import annotations

import sys
from pathlib import Path

from tapkit.errors import EXIT_OK, UsageError
from tapkit.names import suggestion

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without importing typing for --help
if TYPE_CHECKING:
    from typing import Any

USAGE = """
Print what makes a shell complete mktap, twistd, tapconvert and tapctl.

Usage:
  tapctl completion SHELL
  tapctl completion (-h | --help)

SHELL is bash, fish or zsh. For this session, or in the shell's start-up file:

  eval "$(tapctl completion bash)"
  eval "$(tapctl completion zsh)"      after compinit
  tapctl completion fish | source

Options:
  -h, --help  Show this.

Exit status: 0 it is done, 1 it failed, 2 the command line is mistyped.
"""

FOLDER = Path(__file__).parent / "completions"
FILES = {"bash": "tapkit.bash", "fish": "tapkit.fish", "zsh": "_tapkit"}


def main(arguments: dict[str, Any]) -> int:
    """Run the command; `arguments` are docopt's."""
    shell = arguments["SHELL"]
    if shell not in FILES:
        close = suggestion(shell, FILES)
        raise UsageError(f"no completion for {shell}{close}", None, "there is bash, fish and zsh")
    sys.stdout.write((FOLDER / FILES[shell]).read_text())
    return EXIT_OK
