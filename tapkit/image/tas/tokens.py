"""Values read from their tokens, at a fraction of what Python's parser takes.

Only what has one meaning in any place is taken: strings, decimal numbers, names,
lists, tuples, sets, dicts, calls. Anything else raises `UnknownError`, and Python's parser says
what it is. What is taken means the same there: see `test_any_value_is_read_alike`.
"""

from __future__ import annotations

import re
from keyword import iskeyword
from typing import Any

from tapkit.image.nodes import Dict, Global, Node, Set
from tapkit.image.tas.calls import EXPRESSIONS, WrongCallError
from tapkit.image.tas.syntax import SOURCE, Doubtful, Module, Syntax

WORD = "[A-Za-z_][A-Za-z0-9_]*"
INT = "-?(?:0|[1-9][0-9]{0,599})"  # a longer decimal is left to Python, which may refuse it
SHORT_INT = "-?(?:0|[1-9][0-9]{0,17})"
FLOAT = rf"{INT}(?:\.[0-9]+(?:e-?[0-9]+)?|e-?[0-9]+)"
STRING = r"""(?:"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')"""
_TOKEN = re.compile(rf"b?{STRING}|{WORD}|{FLOAT}|{INT}|[\[\](){{}},:=.]")
_DEEPEST = 30
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_END = ""


class UnknownError(Exception):
    """Something that cannot be read here."""


def unescaped(token: str) -> str | bytes:
    """What a literal in quotes stands for, as Python reads it.

    Raises:
        UnknownError: only Python knows.
    """
    if token[0] == "b":
        if not token.isascii():
            raise UnknownError
        if "\\" not in token:
            return token[2:-1].encode("ascii")
        raise UnknownError
    if "\\" not in token:
        return token[1:-1]
    if not token.isascii():
        raise UnknownError
    try:
        return token[1:-1].encode("ascii").decode("unicode_escape")
    except UnicodeDecodeError:
        raise UnknownError from None


class Tokens:
    """Reads values.

    Parameters:
        syntax: knows the variables, and what calls mean.
    """

    def __init__(self, syntax: Syntax):
        self._syntax = syntax
        self._calls = syntax.calls
        self._tokens: list[str] = []
        self._at = 0

    def read(self, text: str) -> Node:
        """The node of a value inside of brackets, where line ends mean nothing.

        Raises:
            UnknownError: it is wrong, or more than is read here.
        """
        if _TOKEN.sub("", text).strip(" \n"):
            raise UnknownError
        self._tokens = [*_TOKEN.findall(text), _END]
        self._at = 0
        try:
            found = self._value(0)
        except WrongCallError:
            raise UnknownError from None
        if self._tokens[self._at] is not _END:
            raise UnknownError
        return found

    def _next(self) -> str:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _value(self, depth: int) -> Node:
        token = self._next()
        first = token[:1]
        if first == '"' or first == "'":
            return unescaped(token)
        if first.isdigit() or first == "-":
            if token.lstrip("-").isdigit():
                return int(token)
            return float(token)
        if first in _CLOSING:
            return self._container(first, depth + 1)
        if token[:2] in ('b"', "b'"):
            return unescaped(token)
        return self._name(token, depth)

    def _container(self, opening: str, depth: int) -> Node:
        if depth > _DEEPEST:
            raise UnknownError
        closing = _CLOSING[opening]
        if opening == "{":
            return self._braces(depth)
        items, commas = self._items(closing, depth)
        if opening == "[":
            return items
        if len(items) == 1 and not commas:
            return items[0]
        return tuple(items)

    def _items(self, closing: str, depth: int) -> tuple[list[Node], int]:
        """Values up to a closing bracket, and how many commas are between or behind them."""
        items: list[Node] = []
        commas = 0
        tokens = self._tokens
        while tokens[self._at] != closing:
            if commas != len(items):
                raise UnknownError
            items.append(self._value(depth))
            if tokens[self._at] == ",":
                self._at += 1
                commas += 1
        self._at += 1
        return items, commas

    def _braces(self, depth: int) -> Node:
        """A dict or a set."""
        if self._tokens[self._at] == "}":
            self._at += 1
            return Dict()
        first = self._value(depth)
        if self._tokens[self._at] != ":":
            more: list[Node] = []
            if self._tokens[self._at] == ",":
                self._at += 1
                more, _ = self._items("}", depth)
            elif self._next() != "}":
                raise UnknownError
            return Set([first, *more])
        entries = Dict([first])
        while True:
            if self._next() != ":":
                raise UnknownError
            entries.append(self._value(depth))
            token = self._next()
            if token == "," and self._tokens[self._at] == "}":
                token = self._next()
            if token == "}":
                return entries
            if token != ",":
                raise UnknownError
            entries.append(self._value(depth))

    def _name(self, token: str, depth: int) -> Node:
        """A variable, a bound method, or a call of what has a name."""
        found: Any = self._syntax.lookup(token)
        if type(found) in (Module, Doubtful) or (found is None and token != "None"):
            raise UnknownError
        tokens = self._tokens
        word = type(found) is Global and found.module == SOURCE
        while tokens[self._at] == ".":
            name = tokens[self._at + 1]
            if word or not name.isidentifier() or iskeyword(name):
                raise UnknownError
            self._at += 2
            found = self._calls.method(found, name)
        if tokens[self._at] != "(":
            if word:
                raise UnknownError
            return found
        self._at += 1
        args, keywords = self._arguments(depth + 1)
        if not word:
            return self._calls.call(found, args, keywords)
        if found.name not in EXPRESSIONS:
            raise UnknownError
        return self._calls.help(found.name, args, keywords)

    def _arguments(self, depth: int) -> tuple[list[Node], dict[str, Node]]:
        if depth > _DEEPEST:
            raise UnknownError
        args: list[Node] = []
        keywords: dict[str, Node] = {}
        tokens = self._tokens
        while tokens[self._at] != ")":
            name = tokens[self._at]
            if tokens[self._at + 1 : self._at + 2] == ["="]:
                if not name.isidentifier() or iskeyword(name) or name in keywords:
                    raise UnknownError
                self._at += 2
                keywords[name] = self._value(depth)
            elif keywords:
                raise UnknownError
            else:
                args.append(self._value(depth))
            if tokens[self._at] == ",":
                self._at += 1
            elif tokens[self._at] != ")":
                raise UnknownError
        self._at += 1
        return args, keywords
