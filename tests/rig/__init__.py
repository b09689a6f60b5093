"""Brokers, clients and faults that tests and benchmarks start, and that surely stop.

Nothing here knows pytest: `tests/conftest.py` makes fixtures of it. Everything listens on
a free loopback port, keeps its files in a temporary folder, and is a context manager.
"""
