"""Who may come in: decided by a listener's table and a client's handshake, before the upgrade.

`checks` reads the keys of the table into `settings`, `policy` is asked by each client. What it
decides by is in one module each: `origin`, and `patterns` for which table is a path's.
"""
