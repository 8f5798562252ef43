"""Where quotes come from."""

import random
import re
from typing import Protocol, runtime_checkable


@runtime_checkable
class IQuoter(Protocol):
    """An object that returns quotes."""

    def getQuote(self) -> str:
        """Return a quote."""


class StaticQuoter:
    """Return a static quote."""

    def __init__(self, quote):
        self.quote = quote

    def getQuote(self):
        return self.quote


class FortuneQuoter:
    """Load quotes from fortune-format files: a line that is only `%` ends a quote."""

    def __init__(self, filenames):
        self.filenames = filenames

    def getQuote(self):
        # surrogateescape: bytes that are no UTF-8 leave the server as they came from the file.
        with open(
            random.choice(self.filenames), encoding="utf-8", errors="surrogateescape"
        ) as file:
            quotes = re.split(r"^%\n", file.read(), flags=re.MULTILINE)
        return random.choice([quote.strip() for quote in quotes if quote.strip()])
