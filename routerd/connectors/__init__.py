"""What routerd can read from and write to.

A connector is one folder here, a line in `checks.py` for each of its schemes (its load-time
half), and a line in `table.py` (its run-time half). No connector knows another.
"""
