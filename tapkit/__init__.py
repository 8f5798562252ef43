"""tapkit: a whole server - its Application, services, factories, state - in one file.

Nothing is imported here: `mktap --help` must start fast, and each module is imported by
its own name (`from tapkit import image`, `from tapkit.service import MultiService`).
"""

__version__ = "0.1.0"
