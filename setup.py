"""Only what pyproject.toml has no word for: bin/ holds the docopt scripts themselves.

TAPKIT_MYPYC=1 compiles the modules that the text forms spend their time in. It needs mypy and a
C compiler, and nothing else changes: see docs/design.md, section 7.
"""

import os

from setuptools import setup

IMAGE = """
    nodes machine literals actions popped opcodes decompile encoded assemble naming
    tax/builder tax/learned tax/line tax/patterns tax/plans tax/quick tax/rows tax/simple tax/tags
    tax/taking tax/writer
    tas/events tas/expressions tas/fast tas/instances tas/links tas/patterns tas/shapes tas/survey
    tas/tokens tas/variables tas/writer
"""


def compiled():
    """The extension modules: none, unless they are asked for."""
    if os.environ.get("TAPKIT_MYPYC", "0") in ("", "0"):
        return []
    try:
        from mypyc.build import mypycify
    except ImportError as error:
        hint = "pip install mypy, then pip install --no-build-isolation"
        raise SystemExit(f"setup.py: TAPKIT_MYPYC=1: {error}: {hint}") from error
    paths = [f"tapkit/image/{name}.py" for name in IMAGE.split()]
    return mypycify(["--follow-imports=silent", *paths])


setup(
    scripts=["bin/mktap", "bin/tapconvert", "bin/tapctl", "bin/twistd"],
    ext_modules=compiled(),
)
