"""Whatever a file holds, it loads or is refused in sentences; nothing else is ever raised."""

import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.config.load import load_table
from routerd.connectors.websocket.limits import Limits
from routerd.errors import ConfigError
from routerd.problems import Problem

TABLES = sorted((Path(__file__).parent / "config").glob("*.toml"))
CONNECTIONS = """
[mqtt]
url = "mqtt://127.0.0.1"
client_id = "id"
[kafka]
bootstrap_servers = "127.0.0.1:9092"
"""
PIECES = [
    "[[route]]", "[route.body]", "[route.when]", "[[route.to]]", "[mqtt]", "[mqtt.x]",
    "[kafka.options]", "from", "to", "name", "key", "headers", "body", "when", "address", "=",
    "{", "}", "[", "]", '"', "'", '"""', ".", ",", "#", "\n", "\\", "{x}", "{x#}", "{.a.b}",
    "{@time}", "{@query.x}", "mqtt:", "kafka:", "group:/", "ws:/", "log:", "$share/g/", "+", "1",
    "-1", "true", "nan", "2020-01-01", '{ env = "PATH" }', "é", "\u2028", "\x00", "\r\n",
    "99999999999999999999", "%ff", "?", " ",
]  # fmt: skip


@st.composite
def mutated_tables(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(TABLES)).read_text("utf-8")
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(st.sampled_from(PIECES)) + text[end:]
    return text


def problems_of(raw: bytes) -> list[Problem]:
    """What is wrong with a file; a folder of its own, since hypothesis shares a fixture's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "routes.toml"
        path.write_bytes(raw)
        try:
            return list(load_table(path).warnings)
        except ConfigError as error:
            return error.problems or [Problem(-1, "refused without a reason")]


def assert_loads_or_is_refused(text: str) -> None:
    lines = text.count("\n") + 1
    for problem in problems_of(text.encode("utf-8", "surrogatepass")):
        assert 0 <= problem.line <= lines
        assert problem.sentence.isprintable()
        assert len(problem.sentence) < 1000


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(mutated_tables())
def test_a_table_with_slips_in_it_loads_or_is_refused_in_sentences(text: str) -> None:
    assert_loads_or_is_refused(text)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200))
def test_any_text_loads_or_is_refused_in_sentences(text: str) -> None:
    assert_loads_or_is_refused(text)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TEXTS = st.sampled_from(
    ["mqtt:a/{x}", "kafka:{x}", "group:/{x}", "{.a}", "{x}", "5s", "1MiB", "drop", "at_least_once"]
)
INNER_KEYS = st.sampled_from(["address", "required", "qos", "session", "min", "not", ".a", "x"])
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER_KEYS, inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "name", "from", "to", "key", "headers", "when", "body", "payload", "on_error", "guarantee",
    "inflight", "inflight_bytes", "max_destinations",
)  # fmt: skip


def as_toml(value: object) -> str:
    match value:
        case None:
            return "2020-01-01"
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f'"{key}" = {as_toml(one)}' for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case str():
            return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
        case _:
            return str(value)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_value_of_any_key_of_a_route_loads_or_is_refused(route: dict[str, object]) -> None:
    given_keys = {"name": "r", "from": "mqtt:a/{x}", "to": "kafka:{x}"} | route
    lines = "".join(f"{key} = {as_toml(value)}\n" for key, value in given_keys.items())

    assert_loads_or_is_refused(f"{CONNECTIONS}[[route]]\n{lines}")


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([each.name for each in fields(Limits)]),
        VALUES | st.sampled_from(["0s", "1ms", "1m", "1h", "0B", "1B", "1GiB"]),
        max_size=6,
    )
)
def test_any_value_of_any_limit_loads_or_is_refused(limits: dict[str, object]) -> None:
    lines = "".join(f"{key} = {as_toml(value)}\n" for key, value in limits.items())
    route = '[[route]]\nname = "r"\nfrom = "ws:/a"\nto = "group:/b"\n'

    assert_loads_or_is_refused(f'[ws]\nlisten = "127.0.0.1:1"\n[ws.limits]\n{lines}{route}')


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_load_or_are_refused(raw: bytes) -> None:
    assert all(problem.line >= 0 for problem in problems_of(raw))
