"""What the table says of who may come in, checked."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from routerd.address import Pattern
from routerd.template import Reference, Template

ANYONE = "*"
"""As an origin: pages from everywhere."""

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class JwtSettings:
    """Whose signed tokens count: one key, or a set of them.

    Attributes:
        algorithm: that its key is for; None: each key of the set says its own.
        file: where the key is.
        is_set: whether the file is a JWKS.
        audience: one of them must be in `aud`; empty: there must be no `aud`.
        issuer: must be `iss`; None: any, or none.
    """

    algorithm: str | None
    file: Path
    is_set: bool = False
    audience: frozenset[str] = frozenset()
    issuer: str | None = None


@dataclass(frozen=True)
class AuthSettings:
    """Which tokens let a client in; without any kind of them everybody comes in.

    Attributes:
        tokens: the file of static ones.
        cookie: the name of one that may hold the token.
        query: the name of a parameter of the URL that may.
    """

    tokens: Path | None = None
    jwt: tuple[JwtSettings, ...] = ()
    cookie: str | None = None
    query: str | None = None

    @property
    def is_needed(self) -> bool:
        """Whether a client must have a token."""
        return self.tokens is not None or bool(self.jwt)


NO_AUTH = AuthSettings()
"""`auth = "none"`."""


@dataclass(frozen=True)
class Demand:
    """Something that must be one of some values.

    Attributes:
        subject: a capture of the path, or something of the handshake.
        values: one of them is enough.
    """

    subject: Reference
    values: tuple[Template, ...]


@dataclass(frozen=True)
class Right:
    """Who may do something: whoever meets all demands.

    Attributes:
        is_refused: nobody may.
    """

    demands: tuple[Demand, ...] = ()
    is_refused: bool = False


@dataclass(frozen=True)
class Allow:
    """Who may send to a path, and who may hear what is sent to it."""

    publish: Right = Right()
    subscribe: Right = Right()


@dataclass(frozen=True)
class Rule:
    """What `[ws]`, or one table of its `paths`, says. None: nothing, so a wider one is asked.

    Attributes:
        pattern: of the paths that it is for; None: all of the listener.
        origins: where pages may come from, in canonical form.
        require_origin: whether clients that are no page must stay out.
        auth: which tokens let a client in.
        allow: what it may do then; about the captures of `pattern`.
    """

    pattern: Pattern | None = None
    origins: frozenset[str] | None = None
    require_origin: bool | None = None
    auth: AuthSettings | None = None
    allow: Allow | None = None


@dataclass(frozen=True)
class EntrySettings:
    """Who may come in by one listener.

    Attributes:
        rules: the listener's own, and those of its paths.
        trusted_proxies: whose `X-Forwarded-For` is believed.
    """

    rules: tuple[Rule, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()

    @property
    def has_claims(self) -> bool:
        """Whether some clients must have a token."""
        return any(rule.auth is not None and rule.auth.is_needed for rule in self.rules)


OPEN = EntrySettings()
"""Pages of the same host, and whoever is no page."""
