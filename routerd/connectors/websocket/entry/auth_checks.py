"""`auth` of `[ws]` and of its `paths`: which tokens let a client in."""

from collections.abc import Callable, Mapping
from pathlib import Path

from routerd.connectors.websocket.entry.files import BadFile, exposure
from routerd.connectors.websocket.entry.keys import (
    ALGORITHMS,
    is_shared,
    read_key,
    read_key_set,
)
from routerd.connectors.websocket.entry.settings import NO_AUTH, AuthSettings, JwtSettings
from routerd.connectors.websocket.entry.tokens import read_tokens
from routerd.findings import kind_of
from routerd.section import Section

NONE = "none"
_HINTS = {
    "token": "it is called `tokens`, a file",
    "bearer": "`Authorization: Bearer` is always looked at; remove it",
    "header": "`Authorization: Bearer` is always looked at; remove it",
    "jwks": "it belongs to a table of `jwt`: jwt = [{ jwks = FILE }]",
    "key": "it belongs to a table of `jwt`: jwt = [{ key = FILE, algorithm = NAME }]",
}
_JWT_HINTS = {
    "alg": "it is called `algorithm`",
    "aud": "it is called `audience`",
    "iss": "it is called `issuer`",
    "secret": "it is called `key`, a file",
    "kid": "keys with a `kid` stand in a key set: jwks = FILE",
    "leeway": "it is 30 seconds; remove it",
}


def read_auth(section: Section) -> AuthSettings | None:
    """What a table says; None: nothing."""
    value = section.raw("auth")
    if value is None:
        return None
    if value == NONE:
        return NO_AUTH
    if not isinstance(value, Mapping):
        section.problem(
            "auth",
            f'`auth` of {section.label} must be a table or, for none, "{NONE}", not '
            f"{kind_of(value)}",
        )
        return None
    inner = section.inner(value, "auth", label=f"`auth` of {section.label}")
    inner.takes_references = True
    inner.hints = _HINTS
    before = len(section.findings.problems)
    auth = AuthSettings(
        _read_tokens(inner), _read_jwts(inner), inner.string("cookie"), inner.string("query")
    )
    if "tokens" not in inner and "jwt" not in inner:
        inner.problem(
            None,
            f'{inner.label} has no `tokens` and no `jwt`; add one, or write auth = "{NONE}"',
        )
    inner.finish()
    return auth if len(section.findings.problems) == before else None


def _read_tokens(section: Section) -> Path | None:
    path = section.file("tokens")
    if path is not None:
        _try(section, "tokens", lambda: read_tokens(path))
        _warn_of_exposure(section, "tokens", path, is_secret=True)
    return path


def _read_jwts(section: Section) -> tuple[JwtSettings, ...]:
    value = section.raw("jwt")
    if value is None:
        return ()
    tables = value if isinstance(value, list) else [value]
    if not tables:
        section.problem("jwt", f"`jwt` of {section.label} is an empty list; write a table into it")
    if not all(isinstance(one, Mapping) for one in tables):
        section.problem(
            "jwt", f"`jwt` of {section.label} must be a list of tables, not {kind_of(value)}"
        )
        return ()
    found = []
    for number, one in enumerate(tables):
        steps = ("jwt", number) if isinstance(value, list) else ("jwt",)
        inner = section.inner(one, *steps, label=f"`jwt` of {section.label}")
        inner.takes_references = True
        inner.hints = _JWT_HINTS
        found.append(_read_jwt(inner))
        inner.finish()
    return tuple(one for one in found if one is not None)


def _read_jwt(section: Section) -> JwtSettings | None:
    algorithm = section.choice("algorithm", ALGORITHMS, default="") or None
    key, key_set = section.file("key"), section.file("jwks")
    audience = section.texts("audience")
    issuer = section.string("issuer")
    if audience == ():
        section.problem(
            "audience", f"`audience` of {section.label} is an empty list; write names into it"
        )
    if ("key" in section) == ("jwks" in section):
        section.problem(
            None, f"{section.label} needs either `key` or `jwks`, a file; write one of them"
        )
        return None
    if "key" in section and "algorithm" not in section:
        section.problem(
            None, f"{section.label} has no `algorithm`; add the one that its `key` is for"
        )
    path = key or key_set
    if path is None or (algorithm is None and key is not None):
        return None
    if key is not None:
        _try(section, "key", lambda: read_key(path, algorithm or ""))
        is_secret = is_shared(algorithm or "")
        _warn_of_exposure(section, "key", path, is_secret=is_secret)
    else:
        _try(section, "jwks", lambda: read_key_set(path, algorithm))
        _warn_of_exposure(section, "jwks", path, is_secret=False)
    return JwtSettings(algorithm, path, key is None, frozenset(audience or ()), issuer)


def _try(section: Section, key: str, read: Callable[[], object]) -> None:
    try:
        read()
    except BadFile as exc:
        for sentence in exc.sentences:
            section.problem(key, f"`{key}` of {section.label}: {sentence}")


def _warn_of_exposure(section: Section, key: str, path: Path, *, is_secret: bool) -> None:
    warning = exposure(path, is_secret=is_secret)
    if warning:
        section.warn(key, f"`{key}` of {section.label}: {warning}")
