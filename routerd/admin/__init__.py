"""Being watched: `/metrics`, `/livez`, `/readyz`, `/status.json` and a page for people.

Everything here reads `status.py` and changes nothing. `facts.py` says what is so, `page.py`
shows it to people, `app.py` gives each its path, `server.py` puts that on a socket.
"""

from routerd.admin.server import open_admin, open_http

__all__ = ["open_admin", "open_http"]
