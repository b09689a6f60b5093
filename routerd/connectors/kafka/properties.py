"""What librdkafka says of `[kafka.options]`, asked from librdkafka itself.

It has no function that only checks, and gives up at the first mistake. So every property is
tried alone, in front of one that can't exist: nothing is ever made of it. All together they are
tried once by a producer that knows no broker and is closed at once.
"""

import logging
import re
import string
from collections.abc import Iterator, Mapping

from confluent_kafka import KafkaException, Producer

Value = str | int | float | bool

_NOT_A_PROPERTY = "routerd.end.of.trial"
_UNKNOWN = re.compile(r'No such configuration property: "(.*)"', re.DOTALL)
_NO_NUMBER = "Invalid value for configuration property"
_NUMBER = re.compile(r"\s*[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?)\s*", re.ASCII)
_ALPHABET = string.ascii_lowercase + string.digits + "._"
_LONGEST_TYPO = 60


def refusal(name: str, value: Value) -> str:
    """Why librdkafka refuses one property, in words; empty if it doesn't."""
    reason = _trial({name: value, _NOT_A_PROPERTY: ""})
    unknown = _UNKNOWN.fullmatch(reason)
    if unknown is None:
        return _sentence(reason)
    if unknown[1] == _NOT_A_PROPERTY:
        return ""
    return f"is unknown to librdkafka{_nearest(name) or '; remove it'}"


def misread(name: str, value: Value) -> bool:
    """Whether librdkafka would take the number in front of a text, and leave the rest."""
    if not isinstance(value, str) or not _NUMBER.match(value) or _NUMBER.fullmatch(value):
        return False
    # Of what takes words it says which one was wrong.
    return _trial({name: "abc", _NOT_A_PROPERTY: ""}).startswith(_NO_NUMBER)


def refusal_together(options: Mapping[str, Value]) -> str:
    """Why librdkafka refuses these properties together; empty if it doesn't.

    Opens no connection: what would make librdkafka open one by itself is left out.
    """
    trial = {name: value for name, value in options.items() if not _reaches_out(name)}
    if str(trial.get("sasl.oauthbearer.method", "")).lower() == "oidc":
        # It would ask for a token at once.
        trial = {name: value for name, value in trial.items() if not name.startswith("sasl.")}
        protocol = str(trial.get("security.protocol", "")).lower()
        trial["security.protocol"] = "ssl" if protocol.endswith("ssl") else "plaintext"
    return _sentence(_trial(trial))


def _reaches_out(name: str) -> bool:
    return name in {
        "bootstrap.servers",
        "metadata.broker.list",
        "sasl.kerberos.kinit.cmd",
        "sasl.kerberos.keytab",
        "test.mock.num.brokers",
    }


def _trial(options: Mapping[str, Value]) -> str:
    """What librdkafka says against these; empty if nothing."""
    quiet = logging.Logger("routerd.kafka.trial", logging.CRITICAL)
    try:
        producer = Producer({**options, "log_level": 0}, logger=quiet)
    except KafkaException as exc:
        return str(exc.args[0].str())
    except (TypeError, ValueError, OverflowError, UnicodeError) as exc:
        return str(exc)
    producer.close()
    return ""


def _nearest(name: str) -> str:
    """The property that is one slip of a finger away; there is no list to look into."""
    if len(name) > _LONGEST_TYPO:
        return ""
    for candidate in _slips(name):
        if candidate.startswith("plugin."):
            continue  # librdkafka would load a library
        unknown = _UNKNOWN.fullmatch(_trial({candidate: "", _NOT_A_PROPERTY: ""}))
        if unknown is None or unknown[1] == _NOT_A_PROPERTY:
            return f"; did you mean `{candidate}`?"
    return ""


def _slips(name: str) -> Iterator[str]:
    """The name with other separators, and all that one edit makes of it."""
    yield name.replace("_", ".").replace("-", ".").lower()
    for at in range(len(name) + 1):
        head, tail = name[:at], name[at:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        for char in _ALPHABET:
            yield head + char + tail
            if tail:
                yield head + char + tail[1:]


def _sentence(reason: str) -> str:
    """What librdkafka says, without the names of its program."""
    return reason.strip().removeprefix("Failed to create producer: ").replace('"', "`")
