"""What routerd costs, beside its peers: `tests/bench/run`, explained in README.md.

`suites` says what is measured, `__main__` runs it, `table` and `targets` print it. The programs
that make the load (`publisher`, `firehose`, `paced`, `members`, `shouts`, `beside`, `bare`) are
processes of their own, so that no figure holds the harness's own work.
"""
