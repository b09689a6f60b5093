"""What `--help` says below the options: exit codes, completion, and a table to begin with."""

import textwrap
from typing import Final

FIRST_TABLE: Final = """\
[mqtt]
url = "mqtt://127.0.0.1:1883"
client_id = "routerd-1"
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[[route]]
name = "telemetry"
from = "mqtt:sensors/{device}/temperature"
to = "kafka:telemetry"
key = "{device}"
"""

# click joins the lines of a paragraph, unless it begins with a backspace.
OF_THE_PROGRAM: Final = """
\b
Exit codes:
  0   stopped cleanly
  78  the table is bad; starting again is of no use before it is mended
  2   a mistake on the command line
  1   anything else, e.g. a port that is taken

\b
Completion, for ~/.bashrc (zsh and fish: zsh_source, fish_source):
  eval "$(_ROUTERD_COMPLETE=bash_source routerd)"
"""

OF_CHECK: Final = f"""
\b
Exit codes:
  0   good: stdout has the routes, what their promises rest on, and warnings
  78  bad: stderr has every problem as FILE:LINE: what, where, what to do

\b
A table to begin with:
{textwrap.indent(FIRST_TABLE, "  ")}
"""
