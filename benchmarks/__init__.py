"""Benchmarks against peers, in one run: `python benchmarks/run.py`."""
