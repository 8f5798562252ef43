"""The TAP builders that come with tapkit, one module each: a drop-in like any other.

`plugins.tml` registers them, and they use tapkit's public modules alone. To write a builder of
your own, copy `qotd.py`.
"""
