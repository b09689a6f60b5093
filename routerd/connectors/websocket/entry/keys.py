"""Keys of signed tokens, from PEM, secrets and JWKS; each is for one algorithm and no other."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import jwt
from jwt.algorithms import get_default_algorithms

from routerd.connectors.websocket.entry.files import BadFile, read_file
from routerd.findings import listed, quoted

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

ALGORITHMS = (
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""That are taken. `none` is none."""
_LIBRARY = get_default_algorithms()
_FAMILIES = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@dataclass(frozen=True)
class Key:
    """What signatures are checked with.

    Attributes:
        algorithm: the only one that it is used for, whatever a token says.
        material: as the library takes it.
    """

    algorithm: str
    material: "AllowedPublicKeys | bytes"


Keys = Mapping[str | None, Key]
"""By their `kid`; None: one for tokens with any, or none."""


def is_shared(algorithm: str) -> bool:
    """Whether who can check its signatures can make them as well."""
    return algorithm.startswith("HS")


def read_key(path: Path, algorithm: str) -> Keys:
    """A file with one key: a secret for HS..., else a public key in PEM.

    Raises:
        BadFile: it has none for this algorithm.
    """
    raw = read_file(path)
    if is_shared(algorithm):
        raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    elif b"PRIVATE KEY" in raw:
        raise BadFile(
            f"{path} has a private key, which routerd needs not and should not have; give it the "
            f"public half: `openssl pkey -in {path} -pubout`"
        )
    return {None: _key(path, algorithm, raw)}


def read_key_set(path: Path, algorithm: str | None) -> Keys:
    """A JWKS: its keys by `kid`. Those for encryption and of other kinds are left out.

    Raises:
        BadFile: it is none, or has no key for us.
    """
    try:
        document = json.loads(read_file(path))
    except (ValueError, RecursionError):
        raise BadFile(f"{path} is not JSON; save the key set as it comes from its URL") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise BadFile(f'{path} is no key set; it must be {{"keys": [...]}}')
    keys: dict[str | None, Key] = {}
    for number, entry in enumerate(entries, 1):
        used_for = entry.get("alg", algorithm)
        if entry.get("use", "sig") != "sig" or (used_for and used_for not in ALGORITHMS):
            continue
        kid = entry.get("kid")
        where = f"{path}: key number {number}"
        if not isinstance(kid, str) or not kid:
            raise BadFile(f"{where} has no `kid`; give it one")
        if kid in keys:
            raise BadFile(f"{where} has the `kid` of another, {quoted(kid)}; give it its own")
        if not isinstance(used_for, str):
            raise BadFile(f"{where} has no `alg`; add `algorithm` to the table")
        keys[kid] = _entry(where, entry, used_for)
    if not keys:
        raise BadFile(f"{path} has no key that signs; it must have one for {listed(ALGORITHMS)}")
    return keys


def _entry(where: str, entry: Mapping[str, object], algorithm: str) -> Key:
    if entry.get("kty") != _FAMILIES[algorithm[:2]]:
        raise BadFile(f"{where} is of another kind than its algorithm {algorithm}; check both")
    try:
        material = jwt.PyJWK(dict(entry), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):  # which depends on what is missing
        raise BadFile(f"{where} can't be used; save the key set again") from None
    return _long_enough(where, algorithm, cast("AllowedPublicKeys | bytes", material))


def _key(path: Path, algorithm: str, raw: bytes) -> Key:
    try:
        material = _LIBRARY[algorithm].prepare_key(raw)
    except (jwt.PyJWTError, ValueError, TypeError):
        what = "a public key stands in it, and everybody has that; put a secret into it"
        if not is_shared(algorithm):
            what = f"it must be a public key in PEM for {algorithm}"
        raise BadFile(f"{path} is no key for {algorithm}: {what}") from None
    return _long_enough(str(path), algorithm, material)


def _long_enough(where: str, algorithm: str, material: "AllowedPublicKeys | bytes") -> Key:
    if _LIBRARY[algorithm].check_key_length(material):
        least = "2048 bits" if not is_shared(algorithm) else f"{int(algorithm[2:]) // 8} bytes"
        raise BadFile(f"{where} is too short for {algorithm}: it must have {least} at least")
    return Key(algorithm, material)
