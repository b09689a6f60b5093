"""The token in a handshake: where it may stand, and that nobody finds it there afterwards.

Four places: `Authorization: Bearer`, a subprotocol `bearer.TOKEN` for browsers, which can't set
headers, and, where the table names them, a cookie and a parameter of the URL.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from routerd.connectors.websocket.entry.settings import AuthSettings
from routerd.connectors.websocket.handshake import Handshake, PackedHeaders

_AUTHORIZATION = b"authorization"
_PROTOCOL = b"sec-websocket-protocol"
_COOKIE = b"cookie"
_BEARER = b"bearer."


class AmbiguousToken(Exception):
    """One place has two tokens, or something that is none."""


def find_token(asked: Handshake, auth: AuthSettings) -> str | None:
    """The token of the first place that has one; None: there is none.

    Raises:
        AmbiguousToken: nobody could tell which one counts.
    """
    for tokens in (
        _in_authorization(asked),
        _in_protocols(asked),
        _in_query(asked, auth.query),
        _in_cookies(asked, auth.cookie),
    ):
        found = [*tokens]
        if len(found) > 1 or found == [""]:
            raise AmbiguousToken
        if found:
            return found[0]
    return None


@dataclass(frozen=True)
class Hiding:
    """Every place where a listener's clients may have a token.

    Attributes:
        is_needed: whether some path asks for one.
        cookies: their names.
        queries: those of parameters.
    """

    is_needed: bool
    cookies: frozenset[str]
    queries: frozenset[str]

    @classmethod
    def of(cls, auths: Iterable[AuthSettings]) -> "Hiding":
        """The places of all these."""
        found = [*auths]
        return cls(
            any(auth.is_needed for auth in found),
            frozenset(auth.cookie for auth in found if auth.cookie is not None),
            frozenset(auth.query for auth in found if auth.query is not None),
        )

    def hide(self, asked: Handshake) -> Handshake:
        """The same handshake without them: from here on nobody can show what it doesn't have."""
        if not self.is_needed:
            return asked
        keeps = {_PROTOCOL: _is_no_bearer, _COOKIE: self._keeps_cookie}
        headers = []
        for name, value in asked.headers:
            if name == _AUTHORIZATION:
                continue
            if name in keeps:
                sign = b"," if name == _PROTOCOL else b";"
                kept = _filtered(value, sign, keeps[name])
                if kept != value and not kept.strip():
                    continue
                headers.append((name, kept.strip()))
            else:
                headers.append((name, value))
        query = _filtered(asked.query, b"&", lambda one: _parameter(one)[0] not in self.queries)
        return replace(asked, headers=PackedHeaders(headers), query=query)

    def _keeps_cookie(self, piece: bytes) -> bool:
        return _cookie(piece)[0] not in self.cookies


def _filtered(value: bytes, sign: bytes, keeps: Callable[[bytes], bool]) -> bytes:
    return sign.join(piece for piece in value.split(sign) if keeps(piece))


def _in_authorization(asked: Handshake) -> Iterator[str]:
    for value in asked.all(_AUTHORIZATION):
        scheme, _, rest = value.strip().partition(b" ")
        if scheme.lower() == b"bearer":
            yield _text(rest.strip())


def _in_protocols(asked: Handshake) -> Iterator[str]:
    for value in asked.all(_PROTOCOL):
        for piece in value.split(b","):
            if not _is_no_bearer(piece):
                yield _text(piece.strip()[len(_BEARER) :])


def _in_query(asked: Handshake, name: str | None) -> Iterator[str]:
    for piece in asked.query.split(b"&") if name is not None else ():
        found, value = _parameter(piece)
        if found == name:
            yield value


def _in_cookies(asked: Handshake, name: str | None) -> Iterator[str]:
    for header in asked.all(_COOKIE) if name is not None else ():
        for piece in header.split(b";"):
            found, value = _cookie(piece)
            if found == name:
                yield value


def _is_no_bearer(piece: bytes) -> bool:
    return not piece.strip().startswith(_BEARER)


def _parameter(piece: bytes) -> tuple[str, str]:
    """Name and value, decoded as `{@query.x}` does."""
    name, _, value = piece.decode("ascii", "replace").partition("=")
    return unquote_plus(name), unquote_plus(value)


def _cookie(piece: bytes) -> tuple[str, str]:
    """Name and value (RFC 6265 section 5.4), without the quotes that some put around it."""
    name, _, value = piece.partition(b"=")
    value = value.strip()
    if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
        value = value[1:-1]
    return _text(name.strip()), _text(value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
