"""Only what pyproject.toml has no word for: bin/ holds the docopt scripts themselves."""

from setuptools import setup

setup(scripts=["bin/mktap", "bin/tapconvert", "bin/tapctl", "bin/twistd"])
