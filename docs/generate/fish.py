"""Completion for fish."""

from __future__ import annotations

from docs.generate import values
from docs.generate.usage_texts import Option, Text

FILE = "tapkit.fish"

_HEAD = """\
# fish completion for mktap, tapconvert, tapctl and twistd.
# Made by `python -m docs.generate` from the usage texts: change those.
# Use it with: tapctl completion fish | source

function __tapkit_images
    for ending in {extensions}
        __fish_complete_suffix .$ending
    end
end

function __tapkit_folders
    __fish_complete_directories (commandline -ct | string replace -r '^--[^=]*=' '')
end

function __tapkit_builders
    mktap --help 2>/dev/null |
        sed -n '/^Commands:/,$ s/^  \\([a-z0-9][^ ]*\\)  *\\(.*\\)/\\1\\t\\2/p'
end

function __tapkit_daemons
    tapctl list 2>/dev/null | awk 'NR > 1 && $1 != "-" {{ print $1 "\\t" $NF }}'
    __fish_complete_suffix .pid
end

function __tapkit_builder_options
    set -l words (__tapkit_words)
    $words[1] $words[2] --help 2>/dev/null | grep -oE -e '--[a-z][a-z0-9-]*=?'
end

function __tapkit_words
    set -l words (commandline -opc)
    set -l program (string replace -r '.*/' '' $words[1])
    set -l is_value no
    for word in $words
        if test $is_value = yes
            set is_value no
        else if string match -q -- '-*' $word
            contains -- $word (__tapkit_valued $program); and set is_value yes
        else
            echo $word
        end
    end
end

function __tapkit_is_first
    test (count (__tapkit_words)) -eq 1
end

function __tapkit_is_past_first
    test (count (__tapkit_words)) -gt 1
end

function __tapkit_is_in
    set -l words (__tapkit_words)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
end

"""

_OFFERS = {
    values.FILE: "-F",
    values.FOLDER: "-x -a '(__tapkit_folders)'",
    values.IMAGE: "-x -a '(__tapkit_images)'",
    values.SCRIPT: "-x -a '(__fish_complete_suffix .tac; __fish_complete_suffix .py)'",
    values.USER: "-x -a '(__fish_complete_users)'",
    values.GROUP: "-x -a '(__fish_complete_groups)'",
    values.BUILDER: "-x -a '(__tapkit_builders)'",
    values.DAEMON: "-x -a '(__tapkit_daemons)'",
    values.NOTHING: "-x",
}


def completion(programs: list[Text], commands: list[Text]) -> str:
    """The whole file."""
    parts = [_HEAD.format(extensions=" ".join(values.image_extensions())), _valued(programs)]
    for text in programs:
        parts += _lines(text, f"complete -c {text.name}", _first(text))
        if values.BUILDER in values.kinds_of_arguments(text) and text.name != "tapctl":
            offer = "-F -a '(__tapkit_builder_options)'"
            parts.append(f"complete -c {text.name} -n __tapkit_is_past_first {offer}\n")
    parts.append("\n")
    for command in commands:
        name = command.name.split()[1]
        about = _quoted(values.in_short(command.summary))
        parts.append(f"complete -c tapctl -n __tapkit_is_first -f -a {name} -d {about}\n")
    for command in commands:
        name = command.name.split()[1]
        parts += _lines(command, f"complete -c tapctl -n '__tapkit_is_in {name}'", "")
    return "".join(parts)


def _valued(programs: list[Text]) -> str:
    """A function that tells which options of a program are followed by their value."""
    lines = []
    for text in programs:
        options = [option for option in text.options if option.value]
        names = [name for option in options for name in (*option.shorts, *option.longs)]
        if names:
            lines.append(
                f"        case {text.name}\n            printf '%s\\n' {' '.join(names)}\n"
            )
    return "function __tapkit_valued\n    switch $argv[1]\n" + "".join(lines) + "    end\nend\n\n"


def _first(text: Text) -> str:
    """The condition under which a program's own options and arguments are offered."""
    return "" if text.name == "tapconvert" else " -n __tapkit_is_first"


def _lines(text: Text, start: str, condition: str) -> list[str]:
    options = [f"{start}{condition} {_option(option)}\n" for option in text.options]
    kinds = [] if text.name == "tapctl" else values.kinds_of_arguments(text)
    arguments = [f"{start}{condition} {_offer(kind)}\n" for kind in kinds]
    if not kinds:
        arguments = [f"{start}{condition} -f\n"]
    return [*options, *arguments]


def _option(option: Option) -> str:
    names = [f"-s {name[1:]}" for name in option.shorts] + [
        f"-l {name[2:]}" for name in option.longs
    ]
    taken = [_offer(values.kind_of(option)).replace("-F", "-r -F")] if option.value else []
    return " ".join([*names, *taken, f"-d {_quoted(values.in_short(option.about))}"])


def _offer(kind: str) -> str:
    return _OFFERS.get(kind) or f"-x -a {_quoted(kind)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
