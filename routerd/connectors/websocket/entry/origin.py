"""`Origin`: which pages may open a WebSocket.

Browsers send cookies along to any host, and no rule of theirs keeps a foreign page from opening
a WebSocket; they only say which page it was.
"""

import re
from urllib.parse import urlsplit

from routerd.connectors.websocket.entry.settings import ANYONE
from routerd.connectors.websocket.handshake import Handshake, Refused
from routerd.connectors.websocket.reasons import Refusal

NULL = "null"
"""What browsers send for pages without an origin: files, sandboxed frames."""
_DEFAULT_PORTS = {"https": 443, "http": 80}
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


def check_origin(asked: Handshake, listed: frozenset[str] | None, *, is_required: bool) -> None:
    """Whether the page that opened it may; what is no page, may unless `is_required`.

    Args:
        asked: the handshake.
        listed: the origins that may, in canonical form; None: those of the `Host`.
        is_required: whether one must be there.

    Raises:
        Refused: it may not.
    """
    origins = asked.all(b"origin")
    if not origins and not is_required:
        return
    if len(origins) != 1 or not _is_welcome(origins[0], asked.host, listed):
        raise Refused(Refusal.ORIGIN)


def canonical(origin: str) -> str | None:
    """As browsers write it: in lower case, without the port that its scheme has anyway.

    None: no browser sends that.
    """
    text = origin.lower()
    if text == NULL:
        return text
    if not _ORIGIN.fullmatch(text):
        return None
    scheme, _, rest = text.partition("://")
    port = _DEFAULT_PORTS.get(scheme)
    return text.removesuffix(f":{port}") if rest.endswith(f":{port}") else text


def _is_welcome(origin: bytes, host: bytes, listed: frozenset[str] | None) -> bool:
    if listed is None:
        return _is_same_host(origin, host)
    if ANYONE in listed:
        return True
    try:
        return canonical(origin.decode("ascii")) in listed
    except UnicodeDecodeError:
        return False


def _is_same_host(origin: bytes, host: bytes) -> bool:
    try:
        parts = urlsplit(origin.decode("ascii").lower())
        ours = urlsplit(f"{parts.scheme}://{host.decode('ascii').lower()}")
        theirs, own_port = parts.port, ours.port
    except ValueError:  # not ASCII, or a port that is no number
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if not parts.hostname or default is None:
        return False
    return (parts.hostname, theirs or default) == (ours.hostname, own_port or default)
