"""Completion for zsh: one file, to be autoloaded as _tapkit or evaluated."""

from __future__ import annotations

from docs.generate import values
from docs.generate.usage_texts import Option, Text

FILE = "_tapkit"

_HEAD = """\
#compdef mktap tapconvert tapctl twistd
# zsh completion for mktap, tapconvert, tapctl and twistd.
# Made by `python -m docs.generate` from the usage texts: change those.
# Use it with: eval "$(tapctl completion zsh)", or put it as _tapkit into a directory of $fpath.

_tapkit_images() {{
    _files -g '*.({extensions})(-.)'
}}

_tapkit_builders() {{
    local -a found
    found=(${{(f)"$(mktap --help 2>/dev/null |
        sed -n '/^Commands:/,$ s/^  \\([a-z0-9][^ ]*\\)  *\\(.*\\)/\\1:\\2/p')"}})
    _describe -t builders 'tap type' found
}}

_tapkit_daemons() {{
    local -a found
    found=(${{(f)"$(tapctl list 2>/dev/null | awk 'NR > 1 && $1 != "-" {{ print $1 }}')"}})
    _alternative 'daemons:daemon:compadd -a found' 'files:pidfile or image:_files'
}}

_tapkit_builder_options() {{
    local -a found
    found=(${{(f)"$($1 $2 --help 2>/dev/null | grep -oE -e '--[a-z][a-z0-9-]*=?')"}})
    _alternative 'options:option:compadd -S "" -a found' 'files:file:_files'
}}

"""

_OFFERS = {
    values.FILE: "_files",
    values.FOLDER: "_files -/",
    values.IMAGE: "_tapkit_images",
    values.SCRIPT: '_files -g "*.(tac|py)"',
    values.USER: "_users",
    values.GROUP: "_groups",
    values.BUILDER: "_tapkit_builders",
    values.DAEMON: "_tapkit_daemons",
    values.NOTHING: " ",
}

_MAIN = """\
_tapkit() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    case $service in
        (tapctl) _tapkit_tapctl ;;
        (*) _tapkit_$service ;;
    esac
}

if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _tapkit "$@"
else
    compdef _tapkit mktap tapconvert tapctl twistd
fi
"""


def completion(programs: list[Text], commands: list[Text]) -> str:
    """The whole file."""
    parts = [_HEAD.format(extensions="|".join(values.image_extensions()))]
    parts += [
        _tapctl(text, commands) if text.name == "tapctl" else _function(text)
        for text in [*programs, *commands]
    ]
    return "".join([*parts, _MAIN])


def _function(text: Text) -> str:
    name = text.name.replace(" ", "_").replace("-", "_")
    specs = [_spec(option) for option in text.options]
    kinds = values.kinds_of_arguments(text)
    before = ""
    if values.BUILDER in kinds:
        choices = [f"'{kind}s:{kind}:{_OFFERS[kind]}'" for kind in kinds]
        before = f"_tapkit_{name}_first() {{\n    _alternative {' '.join(choices)}\n}}\n\n"
        specs += [f"':what to run:_tapkit_{name}_first'", "'*:: :->rest'"]
    elif kinds:
        specs += [f"'*:{text.arguments[0] if text.arguments else 'word'}:{_offer(kinds[0])}'"]
    lines = "".join(f" \\\n        {spec}" for spec in specs)
    after = ""
    if values.BUILDER in kinds:
        after = f"    [[ $state == rest ]] && _tapkit_builder_options {name} $line[1]\n"
    return f"{before}_tapkit_{name}() {{\n    _arguments -s -S -C{lines}\n{after}}}\n\n"


def _tapctl(text: Text, commands: list[Text]) -> str:
    """Its commands, then what the command itself takes."""
    names = "".join(
        f"        {_quoted(c.name.split()[1] + ':' + values.in_short(c.summary))}\n"
        for c in commands
    )
    specs = "".join(f" \\\n        {_spec(option)}" for option in text.options)
    return (
        "_tapkit_tapctl() {\n    local -a commands\n    commands=(\n" + names + "    )\n"
        f"    _arguments -s -S -C{specs} \\\n"
        "        ':command:->command' '*:: :->rest'\n"
        "    case $state in\n"
        "        (command) _describe -t commands 'command' commands ;;\n"
        "        (rest)\n"
        "            local command=_tapkit_tapctl_${line[1]//-/_}\n"
        "            (( $+functions[$command] )) && $command\n"
        "            ;;\n    esac\n}\n\n"
    )


def _spec(option: Option) -> str:
    names = [*option.shorts, *option.longs]
    about = values.in_short(option.about).replace("[", "\\[").replace("]", "\\]")
    rest = f"[{about}]"
    if option.value:
        rest += f":{option.value.split('=')[0]}:{_offer(values.kind_of(option))}"
        names = [n + ("=" if n.startswith("--") else "+") for n in names]
    if "repeatable" in option.about:
        return _quoted(f"*{names[0]}{rest}")
    if len(names) == 1:
        return _quoted(names[0] + rest)
    excluded = " ".join([*option.shorts, *option.longs])
    return f"{_quoted(f'({excluded})')}{{{','.join(names)}}}{_quoted(rest)}"


def _offer(kind: str) -> str:
    return _OFFERS.get(kind) or f"({kind})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
