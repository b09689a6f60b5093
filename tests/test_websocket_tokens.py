"""Files of tokens and keys, read: what is right of them. What is wrong is in `tests/config`."""

import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest

from routerd.config.load import load_table
from routerd.connectors.websocket.entry import tokens as tokens_module
from routerd.connectors.websocket.entry.files import LONGEST, BadFile, Held, exposure, read_file
from routerd.connectors.websocket.entry.keys import read_key, read_key_set
from routerd.connectors.websocket.entry.settings import JwtSettings
from routerd.connectors.websocket.entry.signed import LEEWAY, verify
from routerd.connectors.websocket.entry.tokens import StaticTokens, read_tokens
from tests.docs_pages import blocks, read
from tests.entry_tokens import (
    LATE,
    LOBBY,
    SECRET,
    STATIC,
    jwk,
    private_pem,
    public_pem,
    signed,
    write_files,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


def test_a_token_knows_its_claims_and_its_end(folder: Path) -> None:
    tokens = read_tokens(folder / "tokens.toml")
    now = time.time()

    static, lobby = tokens.find(STATIC, now=now), tokens.find(LOBBY, now=now)

    assert static is not None
    assert static.claims == {"sub": "dashboard", "room": ["a", "b"], "level": 3, "admin": True}
    assert static.expires_at is None
    assert lobby is not None
    assert (lobby.claims, lobby.expires_at) == ({"room": "lobby"}, 4102444800.0)


def test_a_token_ends_at_its_second_with_its_time_zone(folder: Path) -> None:
    tokens = read_tokens(folder / "tokens.toml")
    end = 978303600.0  # 2000-12-31T23:00:00Z

    assert tokens.find(LATE, now=end - 1) is not None
    assert tokens.find(LATE, now=end) is None


def test_every_token_is_compared_whichever_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(first: bytes, second: bytes) -> bool:
        compared.append(first)
        return hmac.compare_digest(first, second)

    monkeypatch.setattr(tokens_module, "compare_digest", compare)
    digests = [hashlib.sha256(text.encode()).digest() for text in ("a", "b", "c")]
    tokens = StaticTokens(dict.fromkeys(digests, tokens_module.Bearer()))
    for text in ("a", "c", "zzz"):
        compared.clear()
        tokens.find(text, now=0)
        assert compared == digests


def test_the_file_of_the_page_is_one(tmp_path: Path) -> None:
    (block,) = blocks(read("websocket-access.md"), "text")
    path = tmp_path / "tokens.toml"
    path.write_text(block, "utf-8")

    bearer = read_tokens(path).find("test", now=0)

    assert bearer is not None
    assert bearer.claims == {"room": ["lobby", "ops"], "sub": "dashboard"}


def test_a_secret_loses_one_newline_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for written, key in (
        (SECRET, SECRET),
        (SECRET + b"\r\n", SECRET),
        (SECRET + b" \n", SECRET + b" "),
    ):
        path.write_bytes(written)
        assert read_key(path, "HS256")[None].material == key


def test_a_key_set_leaves_out_what_does_not_sign(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(
        json.dumps(
            {
                "keys": [
                    jwk("rsa", kid="a", use="enc"),
                    jwk("rsa", kid="b", alg="RSA-OAEP"),
                    jwk("rsa", kid="c", alg="PS512", use="sig"),
                    jwk("rsa", kid="d"),
                    jwk("ed", kid="e", alg="EdDSA"),
                ]
            }
        )
    )

    keys = read_key_set(path, "RS256")

    assert {kid: key.algorithm for kid, key in keys.items()} == {
        "c": "PS512", "d": "RS256", "e": "EdDSA",
    }  # fmt: skip


@pytest.mark.parametrize(
    "raw",
    [b"", b"\n", b"null", b'{"keys": 5}', b'{"keys": [5]}', b"[" * 100_000, b"\xff"],
    ids=["nothing", "newline", "null", "number", "numbers", "brackets", "bytes"],
)
def test_what_is_no_key_set_is_refused_and_never_more(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(raw)
    with pytest.raises(BadFile, match=r"jwks\.json"):
        read_key_set(path, "RS256")


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("rsa", "ES256"),
        ("ec", "RS256"),
        ("ec", "ES384"),
        ("ed", "ES256"),
        ("rsa", "EdDSA"),
        ("rsa", "HS256"),
    ],
)
def test_a_key_is_for_algorithms_of_its_kind_alone(
    tmp_path: Path, name: str, algorithm: str
) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(public_pem(name))
    with pytest.raises(BadFile, match=f"is no key for {algorithm}"):
        read_key(path, algorithm)


def test_a_private_key_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(private_pem("ec"))
    with pytest.raises(BadFile) as refused:
        read_key(path, "ES256")
    assert "openssl pkey" in str(refused.value)
    assert private_pem("ec").splitlines()[1].decode() not in str(refused.value)


def test_a_token_within_the_leeway_gets_the_rest_of_it(folder: Path) -> None:
    settings = JwtSettings("RS256", folder / "rsa.pem", audience=frozenset({"routerd"}))
    keys = read_key(settings.file, "RS256")
    now = int(time.time())

    fresh = verify(signed(exp=now + 100), keys, settings, now=now)
    late = verify(signed(exp=now - 10), keys, settings, now=now)

    assert fresh is not None
    assert fresh.expires_at == now + 100
    assert late is not None
    assert late.expires_at == now - 10 + LEEWAY


def test_what_may_be_read_or_changed_by_others_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    said = {}
    for mode in (0o600, 0o640, 0o644, 0o660):
        path.chmod(mode)
        said[mode] = [
            exposure(path, is_secret=is_secret)[len(str(path)) :] for is_secret in (True, False)
        ]

    assert said[0o600] == ["", ""]
    assert said[0o640][0].startswith(" may be read by others (mode 0640); do `chmod 600")
    assert said[0o644][1] == ""
    assert said[0o660][0] == said[0o660][1]
    assert "may be changed by others" in said[0o660][0]


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (LONGEST + 1))
    with pytest.raises(BadFile, match="over 4 MiB"):
        read_file(path)
    with pytest.raises(BadFile, match="is no file"):
        read_file(tmp_path)
    with pytest.raises(BadFile, match="can't be read"):
        read_file(tmp_path / "missing")


def test_what_was_good_stays_when_the_file_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("one")
    held = Held(lambda: read_file(path))
    path.unlink()
    assert held.reload()
    assert held.value == b"one"
    path.write_text("two")
    assert held.reload() == ()
    assert held.value == b"two"


def test_what_is_unsafe_and_not_wrong_is_a_warning(folder: Path) -> None:
    (folder / "tokens.toml").chmod(0o644)
    (folder / "rsa.pem").chmod(0o666)
    path = folder / "routes.toml"
    path.write_text(
        """
[ws]
listen = "127.0.0.1:0"
auth = { tokens = "tokens.toml", cookie = "sid", jwt = [{ key = "rsa.pem", algorithm = "RS256" }] }
[ws.paths."/a"]
origins = ["*"]
[[route]]
name = "r"
from = "ws:/a"
to = "group:/a"
"""
    )

    said = [warning.sentence for warning in load_table(path).warnings]

    assert len(said) == 3
    assert "pages from" in said[0]
    assert "may be changed by others (mode 0666)" in said[1]
    assert "may be read by others (mode 0644); do `chmod 600" in said[2]
