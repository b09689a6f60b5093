"""What may stand in `[mqtt]`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from routerd.connectors.mqtt.settings import MqttSettings
from routerd.errors import Rejected
from routerd.findings import did_you_mean, quoted, unfilled
from routerd.secrets import Secret
from routerd.section import LAST_PORT, Section
from routerd.tls import ClientTls

Scheme = Literal["mqtt", "mqtts", "ws", "wss"]

PORTS: dict[Scheme, int] = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
KEYS = (
    "url", "client_id", "version", "username", "password", "ca", "cert", "cert_key",
    "cert_key_password", "keepalive", "session_expiry", "max_packet",
)  # fmt: skip
MAIN_KEY = 'url = "mqtt://HOST:1883"'
SHORT_EXPIRY = 3600
"""Seconds; a session kept for less doesn't outlast many a repair."""
LONGEST_TEXT = 65_535
"""Bytes of any text in MQTT (MQTT-1.5.4)."""

_VERSIONS: tuple[Literal["5", "3.1.1"], ...] = ("5", "3.1.1")
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]{0,79})")
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")
_ALIASES = {"tcp": "mqtt", "ssl": "mqtts", "tls": "mqtts"}
_WRITE_URL = 'write the broker as url = "mqtt://HOST:1883"'
HINTS = {
    "broker": _WRITE_URL,
    "brokers": _WRITE_URL,
    "host": _WRITE_URL,
    "hostname": _WRITE_URL,
    "address": _WRITE_URL,
    "server": _WRITE_URL,
    "servers": _WRITE_URL,
    "port": "the port belongs into `url`",
    "tls": 'TLS is asked for by url = "mqtts://..."',
    "ssl": 'TLS is asked for by url = "mqtts://..."',
    "user": "it is called `username`",
    "clientid": "it is called `client_id`",
    "topic": 'a topic stands in a route: from = "mqtt:FILTER"',
    "topics": 'a topic stands in a route: from = "mqtt:FILTER"',
    "qos": 'it belongs to a route: from = { address = "mqtt:FILTER", qos = 1 }',
    "retained": 'it belongs to a route: from = { address = "mqtt:FILTER", retained = "drop" }',
    "session": 'it belongs to a route: from = { address = "mqtt:FILTER", session = "ID" }',
    "clean_start": "routerd always keeps its session, or messages would be lost; remove it",
    "clean_session": "routerd always keeps its session, or messages would be lost; remove it",
    "key": "it is called `cert_key`",
    "protocol": 'it is called `version`, "5" or "3.1.1"',
}


def check_connection(key: str, section: Section) -> MqttSettings | None:
    """What the table of one connection says; None without a usable `url`."""
    section.hints = HINTS
    url = _url(section)
    version = section.choice("version", _VERSIONS, default="5")
    client_id = _mqtt_text(section, "client_id")
    if client_id is None and ("client_id" in section or section.has_misspelt("client_id", KEYS)):
        client_id = "?"  # reported once, here, and not again by each route that needs it
    username = _mqtt_text(section, "username")
    password = section.secret("password")
    if "password" in section and "username" not in section and version == "3.1.1":
        section.problem(
            "password",
            f"{section.label} has a `password` and no `username`, which MQTT 3.1.1 "
            "doesn't allow; add `username`",
        )
    tls = _tls_files(section, url)
    keepalive = section.duration("keepalive", least="1s", most="65535s", default=60.0)
    expiry = section.duration("session_expiry", least="1s", most="36500d", default=7 * 86400.0)
    if "session_expiry" in section and version == "3.1.1":
        section.warn(
            "session_expiry",
            f"`session_expiry` of {section.label} means nothing in MQTT 3.1.1, where the broker's "
            "own configuration says how long it keeps a session; remove it",
        )
    elif expiry < SHORT_EXPIRY:
        section.warn(
            "session_expiry",
            f"`session_expiry` of {section.label}: a broker that doesn't hear from us for "
            f"{section.shown('session_expiry')[1:-1]} forgets the session and all that waits in "
            "it; write a longer time if routerd may be away for that",
        )
    max_packet = section.size("max_packet", least="1KiB", most="256MiB", default=1 << 20)
    section.finish()
    if url is None:
        return None
    return MqttSettings(
        key,
        url.scheme,
        url.host,
        url.port,
        path=url.path,
        client_id=client_id,
        version=version,
        username=username,
        password=password,
        ca=tls.ca,
        cert=tls.cert,
        cert_key=tls.cert_key,
        cert_key_password=tls.cert_key_password,
        keepalive=round(keepalive),
        session_expiry=round(expiry),
        max_packet=max_packet,
    )


def text_problem(text: str) -> str:
    """Why MQTT can't carry a text; empty if it can."""
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_TEXT:
        return f"is over {LONGEST_TEXT} bytes, the most that MQTT carries"
    if _CONTROLS.search(text):
        return "holds a control character, which brokers may refuse (MQTT-1.5.4-2)"
    return ""


def _mqtt_text(section: Section, key: str) -> str | None:
    text = section.string(key)
    if text is None:
        return None
    reason = text_problem(text)
    if reason:
        section.problem(key, f"`{key}` of {section.label} {reason}; write another")
        return None
    return text


@dataclass(frozen=True)
class _Url:
    scheme: Scheme
    host: str
    port: int
    path: str


def _url(section: Section) -> _Url | None:
    text = section.string("url")
    if text is None:
        if "url" not in section and not section.has_misspelt("url", KEYS):
            section.problem(None, f"{section.label} has no `url`; add {MAIN_KEY}")
        return None
    parts = _split(section, text)
    if parts is None:
        return None
    for scheme in PORTS:
        if parts.scheme == scheme:
            return _checked_url(section, text, parts, scheme=scheme)
    if "://" not in text:
        section.problem("url", _not_a_url(section))
        return None
    meant = did_you_mean(_ALIASES.get(parts.scheme, parts.scheme), PORTS)
    section.problem(
        "url",
        f"`url` of {section.label} must begin with mqtt://, mqtts://, ws:// or wss://, not "
        f"{quoted(parts.scheme + '://')}{meant}",
    )
    return None


def _split(section: Section, text: str) -> SplitResult | None:
    """The parts of a URL whose port, if it has one, is a port."""
    try:
        parts = urlsplit(text)
    except ValueError:
        section.problem("url", _not_a_url(section))
        return None
    sentence = ""
    variable = _VARIABLE.search(parts.netloc)
    wrong_port = _wrong_port(parts)
    if variable and "@" not in text:
        sentence = f"`url` of {section.label} {unfilled(variable[1])}"
    elif wrong_port and ("@" in text or ":" in wrong_port):
        sentence = _not_a_url(section)  # of a password or an IPv6 address, it is no port
    elif wrong_port:
        shown = f", not {quoted(wrong_port)}" if isinstance(section.values["url"], str) else ""
        sentence = f"`url` of {section.label}: the port must be a number from 1 to 65535{shown}"
    if sentence:
        section.problem("url", sentence)
        return None
    return parts


def _checked_url(section: Section, text: str, parts: SplitResult, *, scheme: Scheme) -> _Url | None:
    over_http = scheme in {"ws", "wss"}
    if "@" in parts.netloc:
        section.problem(
            "url",
            f"`url` of {section.label} has a user in it; write `username` and `password` as keys "
            "of their own",
        )
        return None
    if not parts.hostname or any(char.isspace() for char in parts.netloc):
        section.problem("url", _not_a_url(section))
        return None
    if (parts.path not in {"", "/"} and not over_http) or parts.query or "#" in text:
        section.problem(
            "url",
            f"`url` of {section.label} has more behind the port than it can have; "
            "topics stand in the routes",
        )
        return None
    if scheme == "mqtt" and parts.port == PORTS["mqtts"]:
        section.warn(
            "url",
            f"`url` of {section.label}: port {parts.port} is where brokers speak TLS, and mqtt:// "
            "is without it; write mqtts:// unless this broker differs",
        )
    path = parts.path or "/mqtt"
    return _Url(scheme, parts.hostname, parts.port or PORTS[scheme], path if over_http else "/mqtt")


def _wrong_port(parts: SplitResult) -> str:
    """What stands for the port and can't be one; empty if nothing does."""
    port = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if not (port.isascii() and port.isdigit()):
        return port
    digits = port.lstrip("0")[:6] or "0"  # a few, Python counts no thousands of them
    return "" if 1 <= int(digits) <= LAST_PORT else port


def _not_a_url(section: Section) -> str:
    value = section.values["url"]
    # A reference, or a user in it: then it may hold a password.
    shown = f", not {quoted(value)}" if isinstance(value, str) and "@" not in value else ""
    return f'`url` of {section.label} must be like "mqtt://HOST:1883"{shown}'


@dataclass(frozen=True)
class _TlsFiles:
    ca: Path | None = None
    cert: Path | None = None
    cert_key: Path | None = None
    cert_key_password: Secret | None = None


def _tls_files(section: Section, url: _Url | None) -> _TlsFiles:
    """The certificates, loaded once to see that they fit together."""
    files = _TlsFiles(
        ca=section.file("ca"),
        cert=section.file("cert"),
        cert_key=section.file("cert_key"),
        cert_key_password=section.secret("cert_key_password"),
    )
    given = [key for key in ("ca", "cert", "cert_key", "cert_key_password") if key in section]
    if not given:
        return files
    if url is not None and url.scheme in {"mqtt", "ws"}:
        section.problem(
            given[0],
            f"`{given[0]}` of {section.label} needs TLS, which `url` doesn't ask for; write "
            f"{url.scheme}s:// or remove it",
        )
    elif "cert" not in section and given != ["ca"]:
        section.problem(given[-1], f"`{given[-1]}` of {section.label} needs `cert` beside it")
    elif all(getattr(files, key) is not None for key in given):
        _try_files(section, files, key="cert" if files.cert else "ca")
    return files


def _try_files(section: Section, files: _TlsFiles, *, key: str) -> None:
    tls = ClientTls(
        ca=files.ca,
        cert=files.cert,
        cert_key=files.cert_key,
        cert_key_password=files.cert_key_password,
    )
    try:
        tls.context()
    except Rejected as exc:
        section.problem(key, f"`{key}` of {section.label}: {exc}")
