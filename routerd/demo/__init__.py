"""Everything at once on one machine: embedded brokers, simulated buses, the real daemon, a page.

`stage.run_demo` is what `routerd demo` calls; `scene` is what is on the stage: the daemon, what
lies between it and the brokers (`relay`), and the count of what became of each reading
(`ledger`). The brokers are child processes that end with us, so that the daemon talks to them
through sockets as it would to real ones. routerd knows nothing of all this.
"""
