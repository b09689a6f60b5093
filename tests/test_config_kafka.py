"""What a table says of Kafka: topics by Kafka's rules, properties as librdkafka knows them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from routerd.connectors.kafka.options import DEFAULTS, read_options
from routerd.connectors.kafka.properties import misread, refusal, refusal_together
from routerd.connectors.kafka.topics import refusal as topic_refusal
from routerd.findings import Findings
from routerd.secrets import Secret
from routerd.section import Section

CANARY = "hunter2-canary"


def options_section(values: Mapping[str, object]) -> Section:
    findings = Findings(lambda _: 1)
    return Section(values, path=("kafka", "options"), label="[o]", findings=findings, folder=Path())


def said(section: Section) -> list[str]:
    return [problem.sentence for problem in section.findings.problems]


# --- topics


@pytest.mark.parametrize("topic", ["t", "A.b_c-9", "...", "x" * 249, "__consumer_offsets"])
def test_kafka_takes_letters_digits_and_three_signs(topic: str) -> None:
    assert topic_refusal(topic) == ""


@pytest.mark.parametrize(
    ("topic", "part"),
    [
        ("", "is empty"),
        (".", 'called "."'),
        ("..", 'called ".."'),
        ("x" * 250, "this one has 250"),
        ("a b", "it has a space"),
        ("a/b", 'it has "/"'),
        ("ä", 'it has "ä"'),
        ("a\n", 'it has "\\n"'),
        ("\u0661", "it has"),
    ],
)
def test_any_other_topic_is_refused_with_the_reason(topic: str, part: str) -> None:
    assert part in topic_refusal(topic)


# --- properties


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("compression.type", "zstd"),
        ("linger.ms", 5),
        ("linger.ms", 0.5),
        ("linger.ms", "5"),
        ("enable.idempotence", True),
        ("acks", -1),
        ("statistics.interval.ms", 1000),
        ("sasl.mechanisms", "SCRAM-SHA-512"),
        ("debug", "broker,msg"),
    ],
)
def test_what_librdkafka_takes_is_taken(name: str, value: str | float) -> None:
    assert refusal(name, value) == ""


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("compresion.type", "compression.type"),
        ("compression_type", "compression.type"),
        ("Linger.MS", "linger.ms"),
        ("lingre.ms", "linger.ms"),
        ("retry.backoff.mss", "retry.backoff.ms"),
    ],
)
def test_an_unknown_property_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    assert refusal(name, "1") == f"is unknown to librdkafka; did you mean `{nearest}`?"


def test_a_property_that_is_near_to_none_is_unknown() -> None:
    assert refusal("no.such.thing", "1") == "is unknown to librdkafka; remove it"
    assert refusal("x" * 100, "1") == "is unknown to librdkafka; remove it"


def test_a_value_out_of_range_is_refused_in_the_words_of_librdkafka() -> None:
    assert "outside allowed range" in refusal("linger.ms", -5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("linger.ms", "5ms"), ("message.max.bytes", "1e6"), ("acks", "1 of 3"), ("acks", "-1x")],
)
def test_a_number_with_something_behind_it_would_be_misread(name: str, value: str) -> None:
    assert misread(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linger.ms", " 0.5 "),
        ("linger.ms", 5),
        ("acks", "-1"),
        ("message.max.bytes", "0x10000"),
        ("client.id", "5ms"),
        ("compression.type", "5ms"),
        ("debug", "5ms"),
        ("enable.idempotence", "1x"),
        ("no.such.thing", "5ms"),
    ],
)
def test_plain_numbers_and_what_is_no_number_are_not(name: str, value: str | int) -> None:
    assert not misread(name, value)


def test_our_defaults_are_right_together_and_open_no_connection() -> None:
    servers = {"bootstrap.servers": "127.0.0.1:1"}

    assert refusal_together({**servers, **dict(plain_defaults())}) == ""
    assert "enable.idempotence" in refusal_together(
        {**servers, "enable.idempotence": True, "acks": "1"}
    )


def plain_defaults() -> Mapping[str, str | int | float | bool]:
    return {name: value for name, value in DEFAULTS.items() if not isinstance(value, Secret)}


# --- the table


def test_without_a_table_the_defaults_stand() -> None:
    options = read_options(None)

    assert options == DEFAULTS
    assert (options["acks"], options["enable.idempotence"]) == ("all", True)
    assert options["message.timeout.ms"] == 0


def test_what_the_table_says_stands_over_the_defaults() -> None:
    section = options_section({"linger.ms": 50, "compression": {"type": "zstd", "level": 3}})

    options = read_options(section)

    assert said(section) == []
    assert options == {
        **DEFAULTS, "linger.ms": 50, "compression.type": "zstd", "compression.level": 3,
    }  # fmt: skip


def test_a_second_name_replaces_the_default_of_the_first() -> None:
    section = options_section({"queue.buffering.max.ms": 50})

    assert read_options(section)["linger.ms"] == 50
    assert said(section) == []


def test_idempotence_steps_back_where_acks_are_turned_down() -> None:
    section = options_section({"acks": 1})

    options = read_options(section)

    assert (options["acks"], options["enable.idempotence"]) == (1, False)
    assert said(section) == []


def test_a_secret_is_read_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTERD_TEST", CANARY)
    section = options_section(
        {
            "security.protocol": "SASL_SSL",
            "sasl": {"mechanism": "PLAIN", "username": "u", "password": {"env": "ROUTERD_TEST"}},
            "ssl.key.pem": {"env": "ROUTERD_TEST"},
        }
    )

    options = read_options(section)

    assert options["sasl.password"] == Secret(CANARY)
    assert said(section)
    assert CANARY not in "".join(said(section))


@pytest.mark.slow
def test_a_token_endpoint_is_not_asked_while_a_table_is_checked() -> None:
    section = options_section(
        {
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:1/token",
            "sasl.oauthbearer.client.id": "u",
        }
    )

    read_options(section)

    assert said(section) == []
