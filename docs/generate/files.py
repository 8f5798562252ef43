"""Each file that is generated, and what must be in it."""

from __future__ import annotations

from pathlib import Path

from docs.generate import bash, fish, man, zsh
from docs.generate.usage_texts import ROOT, programs, tapctl_commands

MAN = ROOT / "docs" / "man"
COMPLETIONS = ROOT / "tapkit" / "scripts" / "completions"  # with the package: tapctl prints them


def generated() -> dict[Path, str]:
    """Paths and texts of all generated files."""
    commands = tapctl_commands()
    tops = programs()
    files = {}
    for text in [*tops, *commands]:
        name = man.page_name(text.name)
        others = [top.name for top in tops if top.name != name]
        if name == "tapctl":
            others += [man.page_name(command.name) for command in commands]
        files[MAN / f"{name}.1"] = man.page(text, others)
    for shell in (bash, fish, zsh):
        files[COMPLETIONS / shell.FILE] = shell.completion(tops, commands)
    return files
