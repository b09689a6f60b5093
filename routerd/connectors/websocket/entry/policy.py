"""Who may come in: what the tables say of a path, held against a handshake.

A path that no route has is answered like any other as long as its tables ask for a token: only
who has one learns that it isn't there.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from routerd.address import Captured
from routerd.connectors.websocket.entry.credential import AmbiguousToken, Hiding, find_token
from routerd.connectors.websocket.entry.files import Held
from routerd.connectors.websocket.entry.keys import Keys, read_key, read_key_set
from routerd.connectors.websocket.entry.origin import check_origin
from routerd.connectors.websocket.entry.patterns import most_literal_first
from routerd.connectors.websocket.entry.proxies import FORWARDED_FOR, client_address, is_trusted
from routerd.connectors.websocket.entry.rights import Facts, meets
from routerd.connectors.websocket.entry.settings import (
    NO_AUTH,
    Allow,
    AuthSettings,
    EntrySettings,
    JwtSettings,
    Rule,
)
from routerd.connectors.websocket.entry.signed import verify
from routerd.connectors.websocket.entry.tokens import Bearer, StaticTokens, read_tokens
from routerd.connectors.websocket.handshake import Handshake, Refused
from routerd.connectors.websocket.paths import Place
from routerd.connectors.websocket.reasons import Refusal

if TYPE_CHECKING:
    from pathlib import Path

_ASK = b"WWW-Authenticate: Bearer"
_ANYBODY = Bearer()
_EVERYTHING = Allow()


@dataclass(frozen=True)
class Access:
    """What a path asks of its clients.

    Attributes:
        origins: where pages may come from; None: from the `Host`.
        require_origin: whether clients that are no page must stay out.
        captures: of the pattern whose `allow` it is.
    """

    origins: frozenset[str] | None
    require_origin: bool
    auth: AuthSettings
    allow: Allow
    captures: Mapping[str, Captured]


@dataclass(frozen=True)
class Visa:
    """What a client that comes in may do.

    Attributes:
        asked: its handshake, in which no token stands any more.
        place: what its path means.
        bearer: what its token says; of nobody in particular without one.
        may_publish: whether what it sends is taken.
        may_subscribe: whether it hears what is sent to its path.
    """

    asked: Handshake
    place: Place
    bearer: Bearer = field(default_factory=Bearer)
    may_publish: bool = True
    may_subscribe: bool = True


class Policy:
    """Who may come in by one listener. Holds what was read from files."""

    def __init__(self, settings: EntrySettings) -> None:
        """Reads the files.

        Raises:
            Rejected: one of them is bad.
        """
        rules = settings.rules
        of_paths = [(rule, rule.pattern) for rule in rules if rule.pattern is not None]
        order = most_literal_first([pattern for _, pattern in of_paths])
        self._of_paths = [of_paths[place] for place in order]
        self._own = [rule for rule in rules if rule.pattern is None]
        self._proxies = settings.trusted_proxies
        auths = [rule.auth for rule in rules if rule.auth is not None]
        self._hiding = Hiding.of(auths)
        self._tokens: dict[Path, Held[StaticTokens]] = {}
        self._keys: dict[JwtSettings, Held[Keys]] = {}
        for auth in auths:
            if auth.tokens is not None and auth.tokens not in self._tokens:
                self._tokens[auth.tokens] = Held(partial(read_tokens, auth.tokens))
            for one in auth.jwt:
                self._keys.setdefault(one, Held(_reader(one)))

    @property
    def has_expiries(self) -> bool:
        """Whether clients may have tokens that expire."""
        return self._hiding.is_needed

    def reload(self) -> tuple[int, tuple[str, ...]]:
        """Reads every file again; each that is bad is refused as a whole. Blocks on files.

        Gives how many were taken, and what is wrong with the others. Whoever is in stays in.
        """
        refused = [one.reload() for one in self._tokens.values()]
        refused += [one.reload() for one in self._keys.values()]
        sentences = dict.fromkeys(sentence for each in refused for sentence in each)
        return sum(not each for each in refused), tuple(sentences)

    def is_proxy(self, peer: str) -> bool:
        """Whether what comes from this address says in its handshake where it really comes from."""
        return is_trusted(peer, self._proxies)

    def client_address(self, peer: str, asked: Handshake) -> str:
        """Where a client really comes from; see `proxies.client_address`."""
        return client_address(peer, asked.all(FORWARDED_FOR), trusted=self._proxies)

    def find(self, segments: Sequence[str]) -> Access:
        """What applies to a path, whether or not any route has it."""
        found: list[tuple[Rule, Mapping[str, Captured]]] = []
        for rule, pattern in self._of_paths:
            captures = pattern.match(segments)
            if captures is not None:
                found.append((rule, captures))
        found += [(rule, {}) for rule in self._own]
        return _combined(found)

    def admit(self, asked: Handshake, *, peer: str, place: Place | None) -> Visa:
        """What a client may do that asks for a path.

        Args:
            asked: its handshake.
            peer: where it came from, as `{@peer}` says it.
            place: what its path means; None: no route has it.

        Raises:
            Refused: it may not come in.
        """
        access = self.find(asked.segments)
        if place is None and not access.auth.is_needed:
            raise Refused(Refusal.NOT_FOUND)
        asked.check_upgrade()
        check_origin(asked, access.origins, is_required=access.require_origin)
        bearer = self._find_bearer(asked, access.auth)
        if place is None:
            raise Refused(Refusal.NOT_FOUND)
        asked = self._hiding.hide(asked)
        if access.allow == _EVERYTHING:
            return Visa(asked, place, bearer)
        facts = _facts(asked, access.captures, bearer, peer)
        publish, subscribe = (
            meets(access.allow.publish, facts),
            meets(access.allow.subscribe, facts),
        )
        if not publish and not subscribe:
            raise Refused(Refusal.NOT_ALLOWED)
        return Visa(asked, place, bearer, may_publish=publish, may_subscribe=subscribe)

    def _find_bearer(self, asked: Handshake, auth: AuthSettings) -> Bearer:
        if not auth.is_needed:
            return _ANYBODY
        try:
            token = find_token(asked, auth)
        except AmbiguousToken:
            raise Refused(Refusal.TOKEN, _ASK) from None
        bearer = None if token is None else self._verify(token, auth)
        if bearer is None:
            raise Refused(Refusal.TOKEN, _ASK)
        return bearer

    def _verify(self, token: str, auth: AuthSettings) -> Bearer | None:
        now = time.time()
        found = None
        if auth.tokens is not None:
            found = self._tokens[auth.tokens].value.find(token, now=now)
        for settings in auth.jwt:
            if found is None:
                found = verify(token, self._keys[settings].value, settings, now=now)
        return found


def _reader(settings: JwtSettings) -> Callable[[], Keys]:
    if settings.is_set:
        return partial(read_key_set, settings.file, settings.algorithm)
    return partial(read_key, settings.file, settings.algorithm or "")


def _facts(asked: Handshake, captures: Mapping[str, Captured], bearer: Bearer, peer: str) -> Facts:
    return Facts(
        captures,
        bearer.claims,
        query=asked.read_query(),
        headers=asked.read_headers(),
        peer=peer,
        path=asked.path.decode("ascii", "replace"),
    )


def _combined(rules: Sequence[tuple[Rule, Mapping[str, Captured]]]) -> Access:
    """Each key of the first that has it."""
    origins = next((rule.origins for rule, _ in rules if rule.origins is not None), None)
    required = (rule.require_origin for rule, _ in rules if rule.require_origin is not None)
    auths = (rule.auth for rule, _ in rules if rule.auth is not None)
    allows = ((rule.allow, found) for rule, found in rules if rule.allow is not None)
    allow, captures = next(allows, (_EVERYTHING, {}))
    return Access(origins, next(required, False), next(auths, NO_AUTH), allow, captures)
