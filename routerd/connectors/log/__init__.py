"""The `log` scheme: lines in the log, for looking."""
