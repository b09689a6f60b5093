"""Who may come in: decided by a listener's table and a client's handshake, before the upgrade.

`checks` reads the keys of the table into `settings` (with `auth_checks`, `allow_checks`), and each
client asks `policy`. That decides by `patterns` (which table is a path's), `origin`, `credential`
(where the token is, and that nobody sees it), `tokens` and `signed` (what it says; by the `files`
and `keys` that a reload reads again), and `rights`. Afterwards `muzzle` keeps those silent who may
only listen, and `curfew` ends those whose token expires. `proxies` knows where clients come from.
"""
