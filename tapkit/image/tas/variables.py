"""Names for the objects of a .tas. They are those of `naming`, made at less cost."""

from __future__ import annotations

from tapkit.image.naming import LONGEST, class_hint, identifier, numbered_start
from tapkit.image.nodes import Global

_MOST = 10_000  # hints that are remembered
_DIGITS = "0123456789"
_LONGEST_NUMBER = 18  # digits of a number that may have been handed out


class Stem:
    """What some variables are called, but for the number behind it.

    Attributes:
        count: the last number. Names with numbers up to it were given, by `next` or before:
            they need not be remembered one by one.
    """

    __slots__ = ("count", "ends_in_digit", "text")

    def __init__(self, text: str, count: int):
        self.text = text
        self.count = count
        self.ends_in_digit = text[-1].isdigit()


class Variables:
    """Hands out variable names, each once.

    `naming.Names` does the same for both text forms; this one remembers what it made of each
    hint, because an image has many objects of few names.

    Parameters:
        taken: names that are not to be given. It gets those that are.
    """

    def __init__(self, taken: set[str]):
        self._taken = taken
        # Of the names in `taken` that end in a number, what comes before it
        self._bases = {name.rstrip(_DIGITS) for name in taken if name[-1].isdigit()}
        self._stems: dict[str, Stem] = {}  # of hints and stems that came twice
        self._hints: dict[int, str] = {}
        self._starts: dict[str, str] = {}  # of hints that end in a number, what comes before it

    def stem_of_class(self, call: Global) -> Stem:
        """For objects that have no name but their class's: what `next` takes."""
        return self._stem(class_hint(call), identifier(class_hint(call)), 0)

    def of_class(self, call: Global) -> str:
        """A name for an object that has none but its class's."""
        hint = self._hints.get(id(call))
        if hint is None:
            hint = self._hints[id(call)] = class_hint(call)
        return self.give(hint)

    def give(self, hint: str) -> str:
        """A name like `hint` that was not given before."""
        known = self._stems.get(hint)
        if known is not None:
            return self.next(known)
        base = hint.rstrip(_DIGITS)
        start = self._start(base) if len(base) < len(hint) <= LONGEST else ""
        text = start + hint[len(base) :] if start else identifier(hint)
        taken = self._taken
        size = len(taken)
        may_be = start in self._stems if start else text[-1].isdigit()
        if not (may_be and self._is_numbered(text)):
            taken.add(text)
        if len(taken) > size:
            if start:
                self._bases.add(start)
            elif text[-1].isdigit():
                self._bases.add(text.rstrip(_DIGITS))
            return text
        return self.next(self._stem(hint, text, 1))

    def _start(self, base: str) -> str:
        """`numbered_start`, remembered: `user 1`, `user 2`, ... are many."""
        start = self._starts.get(base)
        if start is None:
            start = numbered_start(base)
            if len(self._starts) < _MOST:
                self._starts[base] = start
        return start

    def _is_numbered(self, text: str) -> bool:
        """Whether a name was handed out by `next`, which notes no more than the last number."""
        base = text.rstrip(_DIGITS)
        stem = self._stems.get(base)
        if stem is None or stem.text != base:
            return False
        digits = text[len(base) :]
        return digits[0] != "0" and len(digits) < _LONGEST_NUMBER and 1 < int(digits) <= stem.count

    def next(self, stem: Stem) -> str:
        """The next name with a stem."""
        taken = self._taken
        if stem.count == 0:
            stem.count = 1
            if stem.text not in taken:
                self._take(stem.text)
                return stem.text
        while True:
            stem.count += 1
            name = f"{stem.text}{stem.count}"
            if not stem.ends_in_digit and stem.text not in self._bases:
                return name  # nobody else's name is this stem with a number
            if name not in taken:
                if not stem.ends_in_digit:
                    return name
                if not self._is_numbered(name):
                    self._take(name)  # its number begins who knows where
                    return name

    def _take(self, name: str) -> None:
        self._taken.add(name)
        if name[-1].isdigit():
            self._bases.add(name.rstrip(_DIGITS))

    def _stem(self, hint: str, text: str, count: int) -> Stem:
        """The record for a stem, found by a hint from now on."""
        found = self._stems.get(text)
        if found is None:
            found = self._stems[text] = Stem(text, count)
        if len(self._stems) < _MOST:
            self._stems[hint] = found
        return found
