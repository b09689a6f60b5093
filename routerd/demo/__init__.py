"""Everything at once on one machine: embedded brokers, simulated devices, the real daemon.

`run_demo` is what `routerd demo` calls. The brokers are child processes that end with us, so
that the daemon talks to them through sockets as it would to real ones.
"""

from routerd.demo.stage import run_demo

__all__ = ["run_demo"]
