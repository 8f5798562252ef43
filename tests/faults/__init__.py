"""Faults put into saves, snapshots and journals: `python -m tests.faults` runs them all."""
