"""A man page from a usage text, in man(7)'s macros."""

from __future__ import annotations

import re

from docs.generate.usage_texts import Option, Text
from tapkit import __version__

HINT = '.\\" Made by `python -m docs.generate` from the usage text: change that.\n'


def page(text: Text, others: list[str]) -> str:
    """The page of a command; `others` are the pages it refers to."""
    name = page_name(text.name)
    parts = [
        HINT,
        f'.TH "{_plain(name.upper())}" 1 "" "tapkit {__version__}" "tapkit"\n.ad l\n.nh\n',
        f".SH NAME\n{_plain(name)} \\- {_plain(_begun_small(text.summary))}\n",
        ".SH SYNOPSIS\n" + "".join(_usage(line) for line in text.usage),
    ]
    if text.paragraphs:
        body = ".PP\n".join(_paragraph(paragraph) for paragraph in text.paragraphs)
        parts.append(".SH DESCRIPTION\n" + body)
    if text.options:
        parts.append(".SH OPTIONS\n" + "".join(map(_option, text.options)))
    if text.exit_status:
        parts.append(".SH EXIT STATUS\n" + _statuses(text.exit_status))
    if others:
        parts.append(
            ".SH SEE ALSO\n" + ",\n".join(f"\\fB{_plain(o)}\\fR(1)" for o in others) + "\n"
        )
    return "".join(parts)


def page_name(name: str) -> str:
    """`tapctl status` has the page tapctl-status."""
    return name.replace(" ", "-")


def _begun_small(summary: str) -> str:
    """The summary as NAME has it: apropos(1) shows it after a dash."""
    first = summary.split(". ")[0].rstrip(".")
    return first[0].lower() + first[1:]


def _usage(line: str) -> str:
    """A line of the synopsis: the command bold, what stands for something else italic."""
    shown = _plain(line)
    shown = re.sub(r"(?<![\w])([A-Z]{1,})(?![\w])", r"\\fI\1\\fR", shown)
    program, _, rest = shown.partition(" ")
    return f"\\fB{program}\\fR {rest}\n.br\n"


def _paragraph(paragraph: str) -> str:
    lines = paragraph.splitlines()
    if any(line.startswith(" ") for line in lines):  # laid out by hand: kept
        return ".nf\n" + "".join(f"{_plain(line)}\n" for line in lines) + ".fi\n"
    return _plain(" ".join(lines)) + "\n"


def _option(option: Option) -> str:
    spellings = [f"\\fB{_plain(name)}\\fR" for name in (*option.shorts, *option.longs)]
    if option.value:
        spellings[-1] += f"{'=' if option.longs else ' '}\\fI{_plain(option.value)}\\fR"
    return f".TP\n{', '.join(spellings)}\n{_plain(option.about)}\n"


def _statuses(text: str) -> str:
    """`0 it is done, 1 it failed; 2 ...`: each status an entry, where they are told so."""
    rows = re.split(r"[,;] (?=\d )", text.rstrip("."))
    if not all(re.match(r"\d ", row) for row in rows):
        return _plain(text) + "\n"
    return "".join(
        f".TP\n\\fB{number}\\fR\n{_plain(about)}\n"
        for number, about in (row.split(" ", 1) for row in rows)
    )


def _plain(text: str) -> str:
    """Text of which nothing is taken for a macro or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    escaped = escaped.replace("'", "\\(aq").replace("`", "\\(ga").replace('"', "\\(dq")
    return "\\&" + escaped if escaped.startswith((".", "\\(aq")) else escaped
