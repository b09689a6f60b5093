"""Static tokens: a file of their SHA-256, so that whoever reads it still can't come in."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from pathlib import Path

import tomli

from routerd.connectors.websocket.entry.files import BadFile, read_file
from routerd.findings import Findings, kind_of
from routerd.section import Section

_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_HINTS = {
    "hash": "it is called `sha256`",
    "token": "a token never stands in it; write its `sha256`",
    "secret": "a token never stands in it; write its `sha256`",
    "exp": "it is called `expires`",
    "expiry": "it is called `expires`",
}


@dataclass(frozen=True)
class Bearer:
    """Whoever has a token.

    Attributes:
        claims: what is known of them.
        expires_at: seconds since 1970; None: never.
    """

    claims: Mapping[str, object] = field(default_factory=dict)
    expires_at: float | None = None


class StaticTokens:
    """The tokens of one file."""

    def __init__(self, bearers: Mapping[bytes, Bearer]) -> None:
        """Some tokens, by their SHA-256."""
        self._bearers = tuple(bearers.items())

    def find(self, token: str, *, now: float) -> Bearer | None:
        """Whoever has this one. How long it takes says nothing of any token."""
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        found = None
        for known, bearer in self._bearers:  # all of them, also behind the right one
            if compare_digest(known, digest):
                found = bearer
        if found is None or (found.expires_at is not None and found.expires_at <= now):
            return None
        return found


def read_tokens(path: Path) -> StaticTokens:
    """The tokens of a file.

    Raises:
        BadFile: with everything that is wrong with it.
    """
    try:
        values = tomli.loads(read_file(path).decode())
    except UnicodeDecodeError:
        raise BadFile(f"{path} is not UTF-8; save it so") from None
    except (tomli.TOMLDecodeError, ValueError, RecursionError) as exc:
        why = str(exc).splitlines()[0].replace("Invalid", "invalid")
        raise BadFile(f"{path} is no TOML: {why}; write [[token]] tables into it") from None
    findings = Findings(lambda _: 0)
    root = Section(
        values, path=("tokens",), label="the file", findings=findings, folder=path.parent
    )
    bearers = _read_all(root)
    root.finish()
    if findings.problems:
        raise BadFile(*(f"{path}: {problem.sentence}" for problem in findings.problems))
    return StaticTokens(bearers)


def _read_all(root: Section) -> dict[bytes, Bearer]:
    tables = root.raw("token")
    if not isinstance(tables, list) or not tables:
        root.problem("token", "it has no token; add [[token]] with its `sha256`")
        return {}
    bearers: dict[bytes, Bearer] = {}
    for number, values in enumerate(tables, 1):
        where = f"token number {number}"
        if not isinstance(values, Mapping):
            root.problem("token", f"{where} must be a table, [[token]], not {kind_of(values)}")
            continue
        token = root.inner(values, "token", number, label=where)
        token.hints = _HINTS
        digest = _read_digest(token)
        bearer = _read_bearer(token)
        token.finish()
        if digest in bearers:
            token.problem("sha256", f"{where} is there twice; remove one")
        if digest is not None:
            bearers[digest] = bearer
    return bearers


def _read_digest(token: Section) -> bytes | None:
    text = token.text("sha256")
    if text is None:
        if "sha256" not in token:
            token.problem(
                None, f"{token.label} has no `sha256`; add what `printf %s TOKEN | sha256sum` says"
            )
        return None
    if not _DIGEST.fullmatch(text):  # never shown: it may be the token itself
        token.problem(
            "sha256",
            f"`sha256` of {token.label} must be 64 hexadecimal digits, as "
            "`printf %s TOKEN | sha256sum` says",
        )
        return None
    return bytes.fromhex(text)


def _read_bearer(token: Section) -> Bearer:
    name = token.text("name")
    claims = token.section("claims")
    found = dict(claims.values) if claims else {}
    strange = [one for one, value in found.items() if not _is_json(value)]
    if strange:
        token.problem(
            "claims",
            f"`claims` of {token.label} must be texts, numbers, true, false, or lists of them",
        )
    if name is not None:
        found.setdefault("sub", name)
    return Bearer(found, _read_expiry(token))


def _read_expiry(token: Section) -> float | None:
    value = token.raw("expires")
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        token.problem(
            "expires",
            f"`expires` of {token.label} must be a date with its time and zone, without quotes, "
            "as in 2027-01-31T00:00:00Z",
        )
        return None
    return value.timestamp()


def _is_json(value: object) -> bool:
    if isinstance(value, list):
        return all(_is_json(one) for one in value)
    if isinstance(value, Mapping):
        return all(_is_json(one) for one in value.values())
    return isinstance(value, str | int | float | bool)
