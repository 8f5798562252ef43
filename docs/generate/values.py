"""What the values of options and the arguments are, so that a shell can complete them."""

from __future__ import annotations

from docs.generate.usage_texts import Option, Text
from tapkit.image import forms
from tapkit.run import reactors

FILE, FOLDER, IMAGE, SCRIPT = "file", "folder", "image", "script"
USER, GROUP, BUILDER, DAEMON, NOTHING = "user", "group", "builder", "daemon", "nothing"
# Any other kind is a list of words.

_BY_OPTION = {
    "--reactor": " ".join(reactors.REACTORS),
    "--profiler": "cprofile profile",
    "--typein": " ".join([*forms.names(), "guess"]),
    "--from": "image state",
}
_BY_NAME = {
    "IMAGE": IMAGE,
    "A": IMAGE,
    "B": IMAGE,
    "IN": IMAGE,
    "OUT": IMAGE,
    "SCRIPT": SCRIPT,
    "DIRECTORY": FOLDER,
    "USER": USER,
    "GROUP": GROUP,
    "FORM": " ".join(forms.names()),
    "WHERE": DAEMON,
    "SHELL": "bash fish zsh",
    "COMMAND": BUILDER,
    "FILE": FILE,
    "FORMAT": "text json",
}


def image_extensions() -> list[str]:
    """Without their dots."""
    return [extension.lstrip(".") for extension in sorted(forms.extensions())]


def kind_of(option: Option) -> str:
    """What an option's value is."""
    for name in option.longs:
        if name in _BY_OPTION:
            return _BY_OPTION[name]
    return _BY_NAME.get(option.value or "", NOTHING)


def kinds_of_arguments(text: Text) -> list[str]:
    """What a command's arguments are, whichever comes where; words that it takes are a kind."""
    kinds = [_BY_NAME.get(name, FILE) for name in text.arguments if name != "ARGS"]
    return list(dict.fromkeys([*text.words, *kinds]))


def in_short(about: str) -> str:
    """The first clause of an option's description, for a line in a menu."""
    for end in (". ", "; ", ": ", " ("):
        about = about.split(end)[0]
    return about.rstrip(".")
