"""docs/reference.md beyond its keys: addresses, templates, conditions, units, Kafka's options."""

import re
import time
from pathlib import Path

import pytest

from routerd import units
from routerd.address import parse_mqtt_pattern
from routerd.config.connections import TABLES
from routerd.config.load import load_table
from routerd.config.models import Table
from routerd.connectors.kafka.connector import library_config
from routerd.connectors.kafka.options import DEFAULTS, FORBIDDEN, SECRET
from routerd.errors import ConfigError, DeliveryFailed
from routerd.message import Message
from routerd.scope import Scope
from routerd.secrets import KINDS
from routerd.shape import Shape
from routerd.template import METADATA, parse_template
from routerd.units import parse_duration, parse_size
from tests.docs_pages import read, spans, table, tables

PAGE = read("reference.md")
CONNECTIONS = """
[mqtt]
url = "mqtt://127.0.0.1"
client_id = "id"
[kafka]
bootstrap_servers = "127.0.0.1:9092"
[ws]
listen = "127.0.0.1:0"
"""
TOPIC = "sensors/7/a/b"
FILTER = "sensors/{device}/{rest#}"
PAYLOAD = '{"n": 21.50, "s": "x", "list": [{"v": 1}], "nil": null}'


def load(folder: Path, from_: str, to: str, more: str = "") -> Table:
    path = folder / "routes.toml"
    addresses = f'from = "{from_}"\nto = "{to}"\n'
    path.write_text(f'{CONNECTIONS}[[route]]\nname = "r"\n{addresses}{more}\n', encoding="utf-8")
    return load_table(path)


def refusal(folder: Path, from_: str, to: str, more: str = "") -> str:
    with pytest.raises(ConfigError) as refused:
        load(folder, from_, to, more)
    return "\n".join(problem.sentence for problem in refused.value.problems)


def cells(*columns: str) -> list[tuple[str, ...]]:
    """The first columns of one table; of a cell that is nothing but code, the code."""
    return [
        tuple(re.sub(r"^`(.*)`$", r"\1", row[column]) for column in columns)
        for row in table(PAGE, *columns).rows
    ]


# --- tables and options


def test_the_page_names_every_table_of_a_file() -> None:
    sentence = PAGE.partition("Its tables are ")[2].partition(".")[0]

    assert sorted(span.strip("[]") for span in spans(sentence)) == sorted(TABLES)


def test_the_page_has_every_property_that_routerd_sets() -> None:
    set_by_us = library_config(DEFAULTS, 0)
    forbidden = {name: set_by_us.pop(name) for name in FORBIDDEN if name in set_by_us}

    written = {name: value.strip('"') for name, value in cells("property", "routerd sets")}

    assert written == {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in set_by_us.items()
    }
    assert list(forbidden) == ["message.timeout.ms", "queue.buffering.max.messages"]


def test_the_page_has_every_property_that_is_refused() -> None:
    (refused,) = [one for one in _refused_tables() if "bootstrap.servers" in one]

    assert sorted(refused) == sorted(FORBIDDEN)


def _refused_tables() -> list[list[str]]:
    found = [one for one in tables(PAGE) if one.columns[0] == "refused"]
    return [[span for cell in one.column("refused") for span in spans(cell)] for one in found]


def test_the_page_has_every_property_that_is_a_secret() -> None:
    paragraph = PAGE.partition("Secrets, only as ")[2].partition("Any other")[0]

    assert sorted(spans(paragraph)) == sorted(SECRET)


def test_a_bare_name_of_a_property_is_taken_as_meant(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    more = '[kafka.options]\ncompression.type = "zstd"\n'
    path.write_text(CONNECTIONS + more + '[[route]]\nname = "r"\nfrom = "mqtt:a"\nto = "kafka:t"\n')

    assert load_table(path).routes
    assert '`compression.type = "zstd"`' in PAGE


# --- addresses


@pytest.mark.parametrize(("address", "place"), cells("address", "as"))
def test_every_address_of_the_page_is_taken(address: str, place: str, tmp_path: Path) -> None:
    if place == "from":
        assert load(tmp_path, address, "log:x").routes[0].source_text == address
    else:
        source = "ws:/a/{device}" if address == "reply:" else "mqtt:a/{device}"
        table_ = load(tmp_path, source, address)
        assert table_.routes[0].sinks[0].required == address.startswith("kafka:")


def _refused_addresses() -> list[str]:
    return next(one for one in _refused_tables() if "ws:chat" in one)


@pytest.mark.parametrize("address", [one for one in _refused_addresses() if ":" in one])
def test_every_address_that_the_page_calls_refused_is(address: str, tmp_path: Path) -> None:
    is_source = address.startswith(("mqtt:", "ws:"))
    from_, to = (address, "log:x") if is_source else ("mqtt:a/{device}", address)

    assert f'"{address}"' in refusal(tmp_path, from_, to)


@pytest.mark.parametrize(
    ("from_", "to", "more"),
    [
        ("kafka:t", "kafka:t", ""),
        ("mqtt:a", "mqtt:t", ""),
        ("mqtt:a", "kafka:t", 'on_error = "dead_letter"'),
        ("mqtt:a", "kafka:t", 'dead_letter = "kafka:d"'),
    ],
)
def test_what_comes_later_is_refused(from_: str, to: str, more: str, tmp_path: Path) -> None:
    assert "with a later version" in refusal(tmp_path, from_, to, more)


# --- references


@pytest.mark.parametrize(("template", "text"), cells("template", "comes to"))
def test_every_template_of_the_page_comes_to_what_it_says(template: str, text: str) -> None:
    assert f"`{TOPIC}`" in PAGE
    assert f"`mqtt:{FILTER}`" in PAGE
    assert f"`{PAYLOAD}`" in PAGE
    parsed = parse_template(template)
    scope = Scope([parse_mqtt_pattern(FILTER)], parsed.references)
    message = Message(TOPIC.encode(), PAYLOAD.encode())
    scope.look([message], time.time())
    render = scope.compile_text(parsed)

    if text == "error":
        with pytest.raises(DeliveryFailed) as failed:
            render(message)
        assert failed.value.reason == "unroutable"
    else:
        assert render(message) == text


@pytest.mark.parametrize(
    ("reference", "source", "has"),
    [
        (reference, source, has)
        for reference, *answers in cells("metadata", "from `mqtt:`", "from `ws:`")
        for source, has in zip(("mqtt:a", "ws:/a"), answers, strict=True)
    ],
)
def test_each_source_has_the_metadata_that_the_page_says(
    reference: str, source: str, has: str, tmp_path: Path
) -> None:
    if has == "yes":
        assert load(tmp_path, source, f"log:{reference}").routes
    else:
        assert has == "no"
        assert "messages from this source have no" in refusal(tmp_path, source, f"log:{reference}")


def test_the_page_has_all_metadata() -> None:
    written = {reference.strip("{@}").partition(".")[0] for (reference,) in cells("metadata")}

    assert written == {*METADATA, "query", "header", "claim"}


# --- conditions


@pytest.mark.parametrize(("line", "good", "bad"), cells("condition", "holds for", "not for"))
def test_every_condition_of_the_page_holds_as_it_says(
    line: str, good: str, bad: str, tmp_path: Path
) -> None:
    route = load(tmp_path, "mqtt:a/{device}", "log:{device}", f"[route.when]\n{line}").routes[0]
    scope = Scope(route.source.patterns, route.references)
    shape = Shape(scope, when=route.when, body=None, payload=None)

    def holds(topic: str, payload: str) -> bool:
        return bool(shape.apply([Message(topic.encode(), payload.encode())], 0.0, {}).messages)

    assert holds("a/7", good)
    assert not holds("a/7" if bad else "a/8", bad)


def test_the_page_has_every_condition(tmp_path: Path) -> None:
    sentence = refusal(tmp_path, "mqtt:a", "log:x", '[route.when]\n".v" = { zzz = 1 }')
    known = set(spans(sentence.partition("it has ")[2]))

    written = re.findall(r"[{,] (\w+) = ", " ".join(line for (line,) in cells("condition")))
    assert set(written) == known != set()


# --- units, and values from elsewhere


def test_the_page_has_every_unit() -> None:
    durations = {unit: float(seconds) for unit, seconds in cells("duration", "seconds") if unit}
    sizes = {row["size"].strip("`"): int(row["bytes"]) for row in table(PAGE, "duration").rows}

    assert {unit: parse_duration(f"1{unit}") for unit in durations} == durations
    assert {unit: parse_size(f"1{unit}") for unit in sizes} == sizes
    known = {**vars(units)["_DURATIONS"], **vars(units)["_SIZES"]}
    assert {**durations, **sizes}.keys() == known.keys()


def test_the_page_has_every_kind_of_reference() -> None:
    kinds = [reference.strip("{ ").partition(" ")[0] for (reference,) in cells("reference")]

    assert kinds == list(KINDS)
