"""Signed tokens (JWT, RFC 7519): whether one counts, and what it claims."""

import jwt

from routerd.connectors.websocket.entry.keys import Key, Keys
from routerd.connectors.websocket.entry.settings import JwtSettings
from routerd.connectors.websocket.entry.tokens import Bearer

LEEWAY = 30
"""Seconds by which the issuer's clock may be ahead of ours, or behind."""


def verify(token: str, keys: Keys, settings: JwtSettings, *, now: float) -> Bearer | None:
    """Whoever the token is for; None: it doesn't count.

    The key says the algorithm, never the token: a public key is no secret of HS256, and a token
    that says `none` has no key.
    """
    key = _find_key(token, keys)
    if key is None:
        return None
    required = [
        "exp",
        *(["aud"] if settings.audience else []),
        *(["iss"] if settings.issuer else []),
    ]
    try:
        claims = jwt.decode(
            token,
            key.material,
            algorithms=[key.algorithm],
            audience=settings.audience or None,
            issuer=settings.issuer,
            leeway=LEEWAY,
            options={"require": required},
        )
        expires_at = float(int(claims["exp"]))
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        return None  # what a stranger may put into a token is anything
    # Within the leeway it counts, so it must not end at once.
    return Bearer(claims, expires_at if expires_at > now else expires_at + LEEWAY)


def _find_key(token: str, keys: Keys) -> Key | None:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    if "crit" in header:  # RFC 7515 section 4.1.11: what we don't understand, we refuse
        return None
    kid = header.get("kid")
    key = keys.get(None) or (keys.get(kid) if isinstance(kid, str) else None)
    return key if key is not None and header.get("alg") == key.algorithm else None
