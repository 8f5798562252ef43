"""Python source to nodes, without running it.

Theory of operation
-------------------
Python's parser makes a tree some hundred times the size of the source, so it never sees the
whole file. The source is cut into *blocks* at its empty lines, which stand between statements as
we write them. A cut inside a string or brackets leaves a block that is no Python; it is then put
together with what follows, up to where it is closed (`cuts`). A cut inside a compound statement
may go unnoticed, but such a statement is refused in any case. What our writer wrote, most of any
file, is not given to Python at all: see `fast`.

A mistake does not end the reading: all are told in one go. What has no meaning because of one
is doubtful, and what needs that is passed over. Reading ends where the file says more than is
read, because what comes after may be right because of it.

Nothing is imported, and nothing is called but a few classes of the standard library (dates).
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings

from tapkit.image.nodes import Image, Node
from tapkit.image.tas.calls import Calls
from tapkit.image.tas.cuts import end_of_statement
from tapkit.image.tas.fast import Fast
from tapkit.image.tas.faults import FaultError, FollowingError, Places, SourceError
from tapkit.image.tas.syntax import Module, Syntax
from tapkit.image.tax.faults import MOST, Mistake

_GAP = "\n\n"
_INDENTED = (" ", "\t", "\f")
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_ENOUGH = 1000  # statements that were not read: the rest is hardly worth it
_TOO_DEEP = "this is nested too deep to be read"
ROOTS = ("application", "root")
"""The variable that is what the file is about: the first of these that there is."""


def read(data: bytes, where: str) -> Image:
    """The nodes that a .tas stands for.

    Parameters:
        where: how errors name the file.

    Raises:
        SourceBeyondError: it is Python, but more than what the writer writes.
        SourceError: it is wrong, and would be if it were run.
    """
    return Reader(data, where).read()


def decode(data: bytes, where: str) -> str:
    """Source as text: its encoding as Python finds it, its line ends made newlines."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        source = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise SourceError(f"this is no text ({error})", where) from error
    if "\r" in source:
        source = source.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in source:
        line = source.count("\n", 0, source.index("\0")) + 1
        raise SourceError("there is a null character", f"{where}:{line}:1")
    return source.removeprefix("\ufeff")


class Reader:
    """Reads one file."""

    def __init__(self, data: bytes, where: str):
        self._source = decode(data, where)
        self._where = where
        self._places = Places(self._source, where)
        self._mistakes: list[Mistake] = []
        self._counted = (0, 1)  # a block, and the line it begins on
        self._passed = 0  # statements that were not read
        self._broken = -1  # the block behind one that is no Python
        self._calls = Calls()
        self._syntax = Syntax(self._calls)
        self._fast = Fast(self._syntax)

    def read(self) -> Image:
        """Read all of it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the source's style
            blocks = self._source.split(_GAP)
            read = self._fast.read
            at = 0
            while (at := read(blocks, at)) < len(blocks):
                at = self._slowly(blocks, at)
        if self._mistakes:
            raise self._all_mistakes()
        for name in ROOTS:
            root = self._syntax.lookup(name, self)
            if root is not self:
                return self._image(root)
        hint = f"it must set one of {', '.join(ROOTS)}"
        raise SourceError("the file makes nothing", self._where, hint)

    def _image(self, root: Node) -> Image:
        if type(root) is Module:
            raise SourceError("a module can't be an image", self._where)
        image = Image(root, sorted(self._calls.names), self._calls.discarded)
        image.knots, self._calls.knots = self._calls.knots, []
        self._syntax.variables.clear()  # readers are in cycles, and would hold all the nodes
        return image

    def _slowly(self, blocks: list[str], at: int) -> int:
        """Read the statements that begin with a block; the block that comes next."""
        try:
            text, tree, end = self._parse(blocks, at)
        except SourceError as error:
            if at != self._broken:  # else it is likely the rest of what was told
                self._note(error)
            self._broken = at + 1
            words = set(_NAME.findall(blocks[at]))
            self._syntax.doubt(name for name in words if self._syntax.lookup(name, self) is self)
            return at + 1
        for statement in tree.body:
            first = at == 0 and statement is tree.body[0]
            try:
                self._syntax.statement(statement, first)
                continue
            except FaultError as fault:
                found = self._places.error(fault, self._line(blocks, at), text)
                if fault.beyond:
                    raise (self._all_mistakes() if self._mistakes else found) from None
                self._note(found)
            except FollowingError:
                self._note(None)
            except RecursionError:
                raise self._places.at(self._line(blocks, at), 1, _TOO_DEEP) from None
            self._syntax.doubt(_targets(statement))
        if self._syntax.rebound:
            self._fast.forget()
        elif len(tree.body) == 1:
            self._fast.learn(text, tree.body[0])
        return end

    def _line(self, blocks: list[str], at: int) -> int:
        """The line of the file that a block begins on."""
        block, line = self._counted
        line += sum(text.count("\n") + 2 for text in blocks[block:at])
        self._counted = (at, line)
        return line

    def _note(self, error: SourceError | None) -> None:
        """Keep a mistake. None: something else was passed over because of one."""
        self._passed += 1
        if error is not None:
            self._mistakes += error.mistakes
        if self._passed >= _ENOUGH:
            raise self._all_mistakes()

    def _all_mistakes(self) -> SourceError:
        where, what, hint, excerpt = self._mistakes[0]
        more = max(0, len(self._mistakes) - MOST)
        return SourceError(what, where, hint or None, excerpt, self._mistakes[1:MOST], more)

    def _parse(self, blocks: list[str], at: int) -> tuple[str, ast.Module, int]:
        """The text and tree of what begins with a block, and the block behind it."""
        try:
            return blocks[at], self._tree(blocks, at, at + 1), at + 1
        except SourceError:
            end = end_of_statement(blocks, at)
            if end is None or end == at + 1:
                raise
        return _GAP.join(blocks[at:end]), self._tree(blocks, at, end), end

    def _tree(self, blocks: list[str], at: int, end: int) -> ast.Module:
        text = _GAP.join(blocks[at:end])
        try:
            if text[:1] in _INDENTED:
                raise SyntaxError("unexpected indent", (None, 1, 1, None))
            return ast.parse(text)
        except SyntaxError as error:
            raise self._places.syntax(error, self._line(blocks, at)) from None
        except (RecursionError, MemoryError):
            raise self._places.at(self._line(blocks, at), 1, _TOO_DEEP) from None
        except ValueError as error:
            what = f"this is not Python ({error})"
            raise self._places.at(self._line(blocks, at), 1, what) from None


def _targets(statement: ast.stmt) -> list[str]:
    """The names that a statement would have given something."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
