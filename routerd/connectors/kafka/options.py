"""`[kafka.options]`: librdkafka's properties as the table has them, over our defaults."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from routerd.connectors.kafka import properties
from routerd.findings import KeyPath, kind_of, named_variable, quoted, unfilled
from routerd.secrets import Secret, SecretError, is_reference, read_reference
from routerd.section import Section

Option = str | int | float | bool | Secret

DEFAULTS: Mapping[str, Option] = {
    "acks": "all",
    "enable.idempotence": True,
    # A record that timed out may have been written (librdkafka, INTRODUCTION.md): retrying it
    # would repeat it, dropping it lose it. So none ever does.
    "message.timeout.ms": 0,
    # The same partition for a key as Java clients choose.
    "partitioner": "murmur2_random",
    # A slip in a route must not create a topic.
    "allow.auto.create.topics": False,
    "linger.ms": 5,
    "socket.keepalive.enable": True,
    "socket.timeout.ms": 10_000,
    "socket.connection.setup.timeout.ms": 10_000,
    "client.id": "routerd",
}

ALIASES = {
    "request.required.acks": "acks",
    "queue.buffering.max.ms": "linger.ms",
    "delivery.timeout.ms": "message.timeout.ms",
    "metadata.broker.list": "bootstrap.servers",
    "retries": "message.send.max.retries",
}
"""Second names of those that this file knows by name."""

_NEVER_GIVEN_UP = "routerd never gives a record up, since it may have been written; remove it"
_THE_PROGRAMS = "it belongs to the program, not to the table; remove it"
FORBIDDEN = {
    "bootstrap.servers": "the brokers are `bootstrap_servers`, one table up",
    "message.timeout.ms": _NEVER_GIVEN_UP,
    "message.send.max.retries": _NEVER_GIVEN_UP,
    "queue.buffering.max.messages": "routerd sizes the queue by the `inflight` of its routes; "
    "remove it",
    "delivery.report.only.error": "routerd acknowledges by these reports; remove it",
    "transactional.id": "routerd sends no transactions; remove it",
    "plugin.library.paths": "routerd loads no libraries that a table names; remove it",
    "log_level": "routerd has --log-level; remove it",
    "on_delivery": _THE_PROGRAMS,
    "logger": _THE_PROGRAMS,
    "default.topic.config": "write its properties here themselves",
}
SECRET = {
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.assertion.private.key.passphrase",
}

_UNITS = {"ms", "bytes", "kbytes"}


@dataclass(frozen=True)
class _Entry:
    name: str
    value: object
    path: KeyPath


def read_options(section: Section | None) -> Mapping[str, Option]:
    """Our defaults, and over them what the table says and librdkafka accepts."""
    if section is None:
        return dict(DEFAULTS)
    given: dict[str, Option] = {}
    written: dict[str, str] = {}
    for entry in _entries(section.values, section.path):
        name = ALIASES.get(entry.name, entry.name)
        if name in written:
            section.findings.problem(
                entry.path,
                f"`{entry.name}` of {section.label} is the same as `{written[name]}`; keep one",
            )
            continue
        written[name] = entry.name
        value = _checked(entry, name, section)
        if value is not None:
            given[name] = value
    options = {**_defaults_beside(given), **given}
    if len(given) == len(written):  # else what is wrong is said, and its mates may miss it
        _check_together(section, options, given)
    return options


def _entries(values: Mapping[str, object], path: KeyPath, prefix: str = "") -> Iterator[_Entry]:
    """The properties; a bare `compression.type = "zstd"`, which TOML nests, is taken as meant."""
    for key, value in values.items():
        name = prefix + key
        if isinstance(value, Mapping) and not (is_reference(value) or name in SECRET):
            yield from _entries(value, (*path, key), name + ".")
        else:
            yield _Entry(name, value, (*path, key))


def _checked(entry: _Entry, name: str, section: Section) -> Option | None:
    """What a property is set to; None if it can't be, and that is reported."""
    value: Option | None = None
    if name in FORBIDDEN or name.endswith("_cb"):
        sentence = f": {FORBIDDEN.get(name, _THE_PROGRAMS)}"
    elif isinstance(entry.value, Mapping):
        value, sentence = _referred(entry.name, entry.value, entry.path, section)
    elif name in SECRET:
        sentence = (
            ' stands open in the file; write { file = "/path" }, { env = "NAME" } or '
            '{ credential = "name" }, and change it'
        )
    else:
        value, sentence = _plain(entry.name, entry.value)
    if sentence:
        shown = quoted(entry.name)[1:-1]
        section.findings.problem(entry.path, f"`{shown}` of {section.label}{sentence}")
    return value


def _plain(name: str, value: object) -> tuple[Option | None, str]:
    """A value that stands in the file, or what is wrong with it."""
    if not isinstance(value, str | int | float) or "\0" in str(value):
        return None, f" must be a text, a number, true or false, not {kind_of(value)}"
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return None, " is too large a number; write a smaller one"
    sentence = _refusal(name, value)
    return (None, f" {sentence}") if sentence else (value, "")


def _refusal(name: str, value: str | float) -> str:
    """Why a property can't have this value, behind its name; empty if it can."""
    variable = named_variable(value) if isinstance(value, str) else ""
    if variable:
        return unfilled(variable)
    if properties.misread(name, value):
        return f"can't be {quoted(value)}; {_plain_number(name)}"
    reason = properties.refusal(name, value)
    if reason and not reason.startswith("is unknown"):
        return f"can't be {quoted(value)}; librdkafka: {reason}"
    return reason


def _plain_number(name: str) -> str:
    unit = name.rpartition(".")[2]
    return "write a plain number" + (f", in {unit} as its name says" if unit in _UNITS else "")


def _referred(
    name: str, reference: Mapping[str, object], path: KeyPath, section: Section
) -> tuple[Secret | None, str]:
    """What a reference stands for, or what is wrong with it."""
    try:
        found = read_reference(reference, folder=section.folder)
    except SecretError as exc:
        return None, f" {exc}"
    if found.warning:
        section.findings.warn(path, f"`{name}` of {section.label}: {found.warning}")
    if properties.misread(name, found.secret.reveal()):
        return None, f" can't be {found.origin}; {_plain_number(name)}"
    reason = properties.refusal(name, found.secret.reveal())
    if reason.startswith("is unknown"):
        return None, f" {reason}"
    if reason:
        # librdkafka's words may show the value.
        return None, f" can't be {found.origin}; librdkafka refuses it, write another"
    return found.secret, ""


def _defaults_beside(given: Mapping[str, Option]) -> Mapping[str, Option]:
    """Our defaults; idempotence needs `acks = "all"` and steps back where that is turned down."""
    if str(given.get("acks", "all")).lower() in {"all", "-1"}:
        return DEFAULTS
    return {**DEFAULTS, "enable.idempotence": False}


def _check_together(
    section: Section, options: Mapping[str, Option], given: Mapping[str, Option]
) -> None:
    plain = {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in options.items()
    }
    reason = properties.refusal_together(plain)
    if not reason:
        return
    for value in given.values():
        if isinstance(value, Secret):
            reason = reason.replace(value.reveal(), "***")
    named = [name for name in given if name in reason]
    key = max(named, key=len) if named else None
    section.problem(key, f"{section.label}: librdkafka refuses these together: {reason}")
