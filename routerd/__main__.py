"""`python -m routerd` is the same program as `routerd`."""

from routerd.cli import main

main(prog_name="routerd")
