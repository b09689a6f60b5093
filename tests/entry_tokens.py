"""Tokens and the files that they are checked by, for tests: right ones and all kinds of wrong."""

import base64
import hashlib
import hmac
import json
import time
from functools import cache
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

STATIC = "CANARY-static-Rn3-_zQ"
LOBBY = "CANARY-lobby"
LATE = "CANARY-late"
SECRET = b"CANARY-secret-of-thirty-two-bytes-and-more"
ISSUER = "https://id.example"
AUDIENCE = "routerd"

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private_key(name: str) -> Private:
    """The same for the same name, which says its kind."""
    match name.partition("-")[0]:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "short":
            return rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def private_pem(name: str) -> bytes:
    key = private_key(name)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(name: str) -> bytes:
    key = private_key(name).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(name: str, **more: str) -> dict[str, object]:
    """A public key as an entry of a key set."""
    algorithms = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}
    algorithm = jwt.get_algorithm_by_name(algorithms[name.partition("-")[0]])
    entry = json.loads(algorithm.to_jwk(private_key(name).public_key()))
    return {**entry, **more}


def signed(
    key: str | bytes = "rsa",
    algorithm: str = "RS256",
    *,
    kid: str | None = None,
    without: tuple[str, ...] = (),
    **claims: object,
) -> str:
    """A token that is right, but for what is said otherwise."""
    payload: dict[str, object] = {"exp": int(time.time()) + 600, "aud": AUDIENCE, "iss": ISSUER}
    payload = {name: value for name, value in (payload | claims).items() if name not in without}
    headers = {"kid": kid} if kid is not None else {}
    material = key if isinstance(key, bytes) else private_key(key)
    return jwt.encode(payload, material, algorithm, headers=headers)


def forged(header: dict[str, object], key: bytes = b"", **claims: object) -> str:
    """A token with any header, signed with HMAC by what no library would take as a key."""
    payload = {"exp": int(time.time()) + 600, "aud": AUDIENCE, "iss": ISSUER, **claims}
    text = ".".join(_encode(json.dumps(part).encode()) for part in (header, payload))
    signature = hmac.digest(key, text.encode(), hashlib.sha256) if key else b""
    return f"{text}.{_encode(signature)}"


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def write_files(folder: Path) -> None:
    """Everything that the tables of tests name."""
    files = {
        "tokens.toml": TOKENS.encode(),
        "rsa.pem": public_pem("rsa"),
        "ec.pem": public_pem("ec"),
        "ed.pem": public_pem("ed"),
        "hs.key": SECRET + b"\n",
        "jwks.json": json.dumps(
            {"keys": [jwk("rsa", kid="one", alg="RS256"), jwk("ec", kid="two", alg="ES256")]}
        ).encode(),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)


TOKENS = f"""
[[token]]
name = "dashboard"
sha256 = "{digest(STATIC)}"
claims = {{ room = ["a", "b"], level = 3, admin = true }}

[[token]]
sha256 = "{digest(LOBBY).upper()}"
expires = 2100-01-01T00:00:00Z
claims = {{ room = "lobby" }}

[[token]]
sha256 = "{digest(LATE)}"
expires = 2001-01-01T00:00:00+01:00
"""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
