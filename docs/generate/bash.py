"""Completion for bash, 3.2 and later, without the bash-completion package."""

from __future__ import annotations

from docs.generate import values
from docs.generate.usage_texts import Text

FILE = "tapkit.bash"

_HEAD = """\
# bash completion for mktap, tapconvert, tapctl and twistd.
# Made by `python -m docs.generate` from the usage texts: change those.
# Use it with: eval "$(tapctl completion bash)"

"""

_ENGINE = """
_tapkit_offer() {  # WORDS: those that fit
    local word
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$1" -- "$cur")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

_tapkit_offer_files() {  # ENDING...: files that end so, any file without one; and directories
    local name ending
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(
        if [[ $# -gt 0 ]]; then compgen -d -- "$cur"; else compgen -f -- "$cur"; fi
        for ending in "$@"; do
            compgen -f -X "!*.$ending" -- "$cur"
        done
    )
}

_tapkit_offer_kind() {  # KIND, or WORDS
    case $1 in
        nothing) ;;
        file) _tapkit_offer_files ;;
        folder) _tapkit_offer_files '' ;;
        image) _tapkit_offer_files $_tapkit_images ;;
        script) _tapkit_offer_files tac py ;;
        user) _tapkit_offer "$(compgen -u)" ;;
        group) _tapkit_offer "$(compgen -g)" ;;
        builder) _tapkit_offer "$(mktap --help 2>/dev/null | _tapkit_commands)" ;;
        daemon)
            _tapkit_offer_files pid $_tapkit_images
            _tapkit_offer "$(tapctl list 2>/dev/null | awk 'NR > 1 && $1 != "-" { print $1 }')"
            ;;
        *) _tapkit_offer "$1" ;;
    esac
}

_tapkit_commands() {  # of a help text: the names of the commands it lists
    sed -n '/^Commands:/,$ s/^  \\([a-z0-9][^ ]*\\).*/\\1/p'
}

_tapkit() {
    local command=${1##*/} cur=${COMP_WORDS[COMP_CWORD]} asked= builder= word i=1
    COMPREPLY=()
    while ((i < COMP_CWORD)); do
        word=${COMP_WORDS[i]}
        if [[ -n $builder ]]; then
            :
        elif [[ $word == -* ]]; then
            if [[ " $(_tapkit_options "$command") " == *" $word= "* ]]; then
                ((i += 1))  # its value; readline takes the = of --file=x for a word of its own
                [[ ${COMP_WORDS[i]} == = ]] && ((i += 1))
                ((i < COMP_CWORD)) || asked=$word
            fi
        elif [[ $command == tapctl ]]; then
            command="tapctl $word"
        elif [[ $command == mktap || $command == twistd && $word != *[./]* ]]; then
            builder=$word
        fi
        ((i += 1))
    done
    if [[ -n $asked ]]; then
        [[ $cur == = ]] && cur=
        _tapkit_offer_kind "$(_tapkit_kind "$command $asked")"
    elif [[ -n $builder ]]; then
        if [[ $cur == -* ]]; then
            _tapkit_offer "$("${COMP_WORDS[0]}" "$builder" --help 2>/dev/null |
                grep -oE -e '--[a-z][a-z0-9-]*=?')"
        else
            _tapkit_offer_files
        fi
    elif [[ $cur == -* ]]; then
        _tapkit_offer "$(_tapkit_options "$command" | sed 's/\\(^\\| \\)\\(-.\\)=/\\1\\2/g')"
    else
        for word in $(_tapkit_arguments "$command"); do
            _tapkit_offer_kind "$word"
        done
    fi
}

complete -F _tapkit mktap tapconvert tapctl twistd
"""


def completion(programs: list[Text], commands: list[Text]) -> str:
    """The whole file."""
    texts = [*programs, *commands]
    extensions = " ".join(values.image_extensions())
    return (
        _HEAD
        + f"_tapkit_images='{extensions}'\n\n"
        + _switch("options", "COMMAND: its options; = is after those with a value", _options(texts))
        + _switch("kind", "COMMAND OPTION: what its value is", _kinds(texts))
        + _switch("arguments", "COMMAND: what its arguments are", _arguments(texts, commands))
        + _ENGINE
    )


def _options(texts: list[Text]) -> list[tuple[str, str]]:
    rows = []
    for text in texts:
        names = [
            name + ("=" if option.value else "")
            for option in text.options
            for name in (*option.shorts, *option.longs)
        ]
        rows.append((text.name, " ".join(names)))
    return rows


def _kinds(texts: list[Text]) -> list[tuple[str, str]]:
    return [
        (f"{text.name} {name}", values.kind_of(option))
        for text in texts
        for option in text.options
        if option.value
        for name in (*option.shorts, *option.longs)
    ]


def _arguments(texts: list[Text], commands: list[Text]) -> list[tuple[str, str]]:
    rows = []
    for text in texts:
        kinds = values.kinds_of_arguments(text)
        if text.name == "tapctl":
            kinds = [command.name.split()[1] for command in commands]
        if kinds:
            rows.append((text.name, " ".join(kinds)))
    return rows


def _switch(name: str, about: str, rows: list[tuple[str, str]]) -> str:
    """A function that answers by a table; what has the same answer is one row."""
    by_answer: dict[str, list[str]] = {}
    for pattern, answer in rows:
        by_answer.setdefault(answer, []).append(pattern)
    lines = [
        f"        {' | '.join(map(_quoted, patterns))}) echo {_quoted(answer)} ;;\n"
        for answer, patterns in by_answer.items()
    ]
    return f"_tapkit_{name}() {{  # {about}\n    case $1 in\n{''.join(lines)}    esac\n}}\n\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
